"""Channel names as file names, as names of HDF5 links, and in XML."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

__all__ = ["file_name", "link_name", "unique_names", "xml_text"]

# Not allowed on Windows, which is the strictest system.
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
# Not allowed in XML 1.0.
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_MAX_LENGTH = 100


def file_name(name: str) -> str:
    """Replace characters that are not allowed in file names by underscores."""
    return _FORBIDDEN.sub("_", name).strip(" ").rstrip(".") or "_"


def link_name(name: str) -> str:
    """Make `name` a valid name of an HDF5 link: without slashes, and neither empty nor dots only."""
    safe = name.replace("/", "_").replace("\0", "_").encode("utf-8", "replace").decode("utf-8")
    return safe if safe.strip(".") else "_"


def xml_text(name: str) -> str:
    """Replace characters that are not allowed in XML 1.0 by underscores."""
    return _NOT_IN_XML.sub("_", name)


def unique_names(names: Iterable[str], make: Callable[[str], str]) -> list[str]:
    """Apply `make` to every name, shorten the results, and number those that would be equal.

    Names that differ only in case count as equal, as they do on some file systems.
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
