"""HDF5 files: which of the formats that are HDF5 inside one is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chemtomo.errors import NoTiltSeriesError, ReadError
from chemtomo.io.formats.file_format import FileFormat
from chemtomo.io.storage.hdf5_heaps import check_heaps

__all__ = ["format_inside", "recognises"]

_MAGIC = b"\x89HDF\r\n\x1a\n"


def recognises(head: bytes) -> bool:
    """Tell whether the first bytes of a file are those of HDF5."""
    return head.startswith(_MAGIC)


def format_inside(path: Path, formats: Sequence[FileFormat]) -> FileFormat:
    """Return which of some formats an HDF5 file is of, by its groups: programs share the endings.

    Raises
    ------
    ReadError
        When it is no HDF5 file, damaged, or of none of them.
    """
    import h5py

    with path.open("rb") as file:
        head = file.read(len(_MAGIC))
    if not recognises(head):
        raise ReadError(f"{path}: found {head!r} at its beginning; expected an HDF5 file")
    check_heaps(path)
    with h5py.File(path, "r") as root:
        for one in formats:
            if one.inside_hdf5 is not None and one.inside_hdf5(root):
                return one
        names = ", ".join(one.name for one in formats if one.inside_hdf5 is not None)
        raise NoTiltSeriesError(
            f"{path}: found an HDF5 file with {', '.join(list(root)[:8]) or 'nothing'}; "
            f"expected one of {names}"
        )
