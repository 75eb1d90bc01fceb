"""HDF5 files: which of the programs that use this format wrote one."""

from __future__ import annotations

from pathlib import Path

from chemtomo.errors import NoTiltSeriesError, ReadError
from chemtomo.io.formats.emd import read as emd
from chemtomo.io.formats.hyperspy import read as hyperspy_files
from chemtomo.io.formats.velox import read as velox
from chemtomo.io.found import Found
from chemtomo.io.storage.hdf5_heaps import check_heaps
from chemtomo.io.storage.lazy import loaded

__all__ = ["find", "recognises"]

_MAGIC = b"\x89HDF\r\n\x1a\n"


def recognises(head: bytes) -> bool:
    """Tell whether the first bytes of a file are those of HDF5."""
    return head.startswith(_MAGIC)


def find(path: Path) -> list[Found]:
    """Return the images, stacks and spectrum images in a file of Velox, HyperSpy, the NCEM or tomviz.

    Raises
    ------
    ReadError
        When it is no HDF5 file, damaged, or of none of these.
    """
    import h5py

    with path.open("rb") as file:
        head = file.read(len(_MAGIC))
    if not recognises(head):
        raise ReadError(f"{path}: found {head!r} at its beginning; expected an HDF5 file")
    check_heaps(path)
    with h5py.File(path, "r") as root:
        if velox.is_velox(root):
            reader = velox.find
        elif hyperspy_files.is_hyperspy(root):
            reader = hyperspy_files.find
        elif emd.is_emd(root):
            reader = emd.find
        else:
            raise NoTiltSeriesError(
                f"{path}: found an HDF5 file with {', '.join(list(root)[:8]) or 'nothing'}; "
                "expected one of Velox, HyperSpy, tomviz or EMD of the NCEM"
            )
    return loaded(reader(path))
