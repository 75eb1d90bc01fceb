"""Names of channels as names of files, of links in HDF5, and in XML."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

__all__ = ["file_name", "link_name", "unique_names", "xml_text"]

# What Windows, which is the strictest, does not allow.
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
# What XML 1.0 cannot say.
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_MAX_LENGTH = 100


def file_name(name: str) -> str:
    """Return `name` with the characters that no file name may have replaced by underscores."""
    return _FORBIDDEN.sub("_", name).strip(" ").rstrip(".") or "_"


def link_name(name: str) -> str:
    """Return `name` as HDF5 allows the name of a link: without slashes, and neither empty nor a dot."""
    safe = name.replace("/", "_").replace("\0", "_").encode("utf-8", "replace").decode("utf-8")
    return safe if safe.strip(".") else "_"


def xml_text(name: str) -> str:
    """Return `name` with the characters that XML 1.0 does not know replaced by underscores."""
    return _NOT_IN_XML.sub("_", name)


def unique_names(names: Iterable[str], make: Callable[[str], str]) -> list[str]:
    """Return what `make` makes of every name, short and numbered where two would be the same.

    Names that differ only in the case of letters are the same to some file systems, and to this.
    """
    found: list[str] = []
    seen: set[str] = set()
    for index, name in enumerate(names):
        made = make(name)[:_MAX_LENGTH]
        while made.casefold() in seen:
            made = f"{made}_{index}"
        seen.add(made.casefold())
        found.append(made)
    return found
