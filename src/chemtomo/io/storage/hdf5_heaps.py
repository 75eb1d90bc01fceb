"""Check the heaps of an HDF5 file before the library reads texts from them.

Texts of variable length, which HyperSpy and others use everywhere, are stored in "global heaps". The
library walks through a heap from object to object by their sizes; at a damaged size of zero it stays for
ever, where no signal reaches it. Why this is checked here and not left to a subprocess:
docs/add-a-format.md. Format: HDF5 File Format Specification, III.E.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Any

from chemtomo.errors import ReadError

__all__ = ["check_heaps"]

_MARK = b"GCOL\x01\0\0\0"
_HEAD = 16
_OBJECT = struct.Struct("<HHIQ")
# Metadata are at the ends of a file; of a huge file only these are searched.
_END_BYTES = 128 << 20


def check_heaps(path: Path) -> None:
    """Raise `ReadError` unless every global heap in an HDF5 file can be walked through to its end.

    The first and the last 128 MiB of a file are searched for heaps.
    """
    size = path.stat().st_size
    if size < _HEAD:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        for start, stop in ((0, _END_BYTES), (max(_END_BYTES, size - _END_BYTES), size)):
            at = whole.find(_MARK, start, min(stop, size))
            while at >= 0:
                _walk(whole, at, path)
                at = whole.find(_MARK, at + len(_MARK), min(stop, size))


def _walk(whole: Any, start: int, path: Path) -> None:
    (size,) = struct.unpack_from("<Q", whole, start + 8) if start + _HEAD <= len(whole) else (0,)
    end = start + size
    if size < _HEAD or end > len(whole):
        raise ReadError(
            f"{path}: found a heap of {size} bytes at {start}; expected one inside of {len(whole)} bytes"
        )
    at = start + _HEAD
    while at + _OBJECT.size <= end:
        index, _, _, length = _OBJECT.unpack_from(whole, at)
        # Index 0 is the free space, whose length includes its head.
        step = _OBJECT.size + (length + 7) // 8 * 8 if index else length
        if step < 8 or at + step > end:
            raise ReadError(
                f"{path}: found an object of {length} bytes at {at}; expected one inside of its heap, which "
                f"ends at {end}"
            )
        at += step
