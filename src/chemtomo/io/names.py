"""Names of channels as names of files."""

from __future__ import annotations

import re

__all__ = ["file_name"]

# What Windows, which is the strictest, does not allow.
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')


def file_name(name: str) -> str:
    """Return `name` with the characters that no file name may have replaced by underscores."""
    return _FORBIDDEN.sub("_", name).strip(" ").rstrip(".") or "_"
