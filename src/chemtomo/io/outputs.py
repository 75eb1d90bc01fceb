"""Which format a name asks for, and whether something may be written there."""

from __future__ import annotations

import re
from os import PathLike
from pathlib import Path

from chemtomo.errors import WriteError

__all__ = [
    "DESCRIPTION_SUFFIX",
    "OUTPUT_FORMATS",
    "Written",
    "check_free",
    "check_output",
    "endings",
    "is_zarr",
    "output_format",
]

OUTPUT_FORMATS: dict[str, tuple[str, ...]] = {
    "OME-Zarr": (".zarr",),
    "OME-TIFF": (".ome.tif", ".ome.tiff", ".tif", ".tiff"),
    "MRC": (".mrc", ".rec", ".st", ".ali", ".mrcs"),
    "EMD": (".emd",),
    "HSPY": (".hspy",),
    "NPZ": (".npz",),
}
"""Endings of names, in lower case, by the format that is written."""

DESCRIPTION_SUFFIX = ".chemtomo.json"
"""Ending of the file beside MRC files with what their header has no place for."""

_LOOKS_LIKE_A_FORMAT = re.compile(r"\.[a-z][a-z0-9]{1,5}", re.IGNORECASE)


class Written(list[Path]):
    """The files that were written.

    Attributes
    ----------
    notes : tuple of str
        What the format had no place for, and so was lost.
    """

    def __init__(self, paths: list[Path], notes: list[str] | None = None) -> None:
        super().__init__(paths)
        self.notes: tuple[str, ...] = tuple(notes or ())


def output_format(path: Path) -> tuple[str, str] | None:
    """Return the format that a name asks for, and the name without its ending; None for no format."""
    found = [
        (len(suffix), name)
        for name, suffixes in OUTPUT_FORMATS.items()
        for suffix in suffixes
        if path.name.lower().endswith(suffix) and len(path.name) > len(suffix)
    ]
    if not found:
        return None
    length, name = max(found)
    return name, path.name[:-length]


def endings() -> str:
    """Return the first ending of every format, for messages."""
    return ", ".join(suffixes[0] for suffixes in OUTPUT_FORMATS.values())


def check_output(path: str | PathLike[str], *, overwrite: bool = True, folders: bool = False) -> Path:
    """Check, before any work is done, that something can be written to `path`.

    Parameters
    ----------
    path : path
        Where to write.
    overwrite : bool
        Whether something of the same format may be there.
    folders : bool
        Whether `path` may be a folder of MRC files, as it may for a dataset.

    Raises
    ------
    WriteError
        When the ending is unknown, the folder is missing, or something is there that may not be
        replaced.
    """
    path = Path(path)
    found = output_format(path)
    if folders and found is None and (path.is_dir() or not _LOOKS_LIKE_A_FORMAT.fullmatch(path.suffix)):
        return path
    if folders and found is not None and found[0] != "OME-Zarr" and path.is_dir():
        return path
    if found is None:
        what = path.suffix or "no ending"
        also = "a folder, or " if folders else ""
        raise WriteError(f"{path}: found {what}; expected {also}a name that ends with {endings()}")
    if not path.parent.is_dir():
        raise WriteError(f"{path}: there is no folder {path.parent}; expected one to write to")
    check_free(path, zarr=found[0] == "OME-Zarr", overwrite=overwrite)
    return path


def check_free(path: Path, *, zarr: bool, overwrite: bool) -> None:
    """Raise `WriteError` when something is at `path` that may not be replaced."""
    if not path.exists():
        return
    if zarr and not is_zarr(path):
        raise WriteError(f"{path}: exists and is not a Zarr image; expected another name")
    if not zarr and path.is_dir():
        raise WriteError(f"{path}: found a folder; expected a file to write")
    if not overwrite:
        raise WriteError(f"{path}: exists already; expected another name, or to be told to overwrite it")


def is_zarr(path: Path) -> bool:
    """Tell whether a folder is a Zarr group or array."""
    return any((path / name).is_file() for name in (".zgroup", ".zarray", "zarr.json"))
