"""The formats that can be read.

To add one, write a module with a function that recognises the first bytes of a file and one that finds
the signals in it (`chemtomo.io.found.Found`), and add an entry to `FORMATS`. What these functions do
not have to care for: `chemtomo.io.assembly.tilt_series` chooses the tilts, guesses what values are, looks for
NaN, and puts the signals of several files together.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

from chemtomo.errors import ReadError
from chemtomo.io.formats import hdf5
from chemtomo.io.formats.hyperspy import read as hyperspy_files
from chemtomo.io.formats.mrc import read as mrc
from chemtomo.io.formats.numpy import read as numpy_files
from chemtomo.io.formats.ome_zarr import read as ome_zarr_series
from chemtomo.io.formats.rosetta import read as rosetta
from chemtomo.io.formats.tiff import read as tiff
from chemtomo.io.found import Found
from chemtomo.io.storage.archive import ARCHIVE_SUFFIX
from chemtomo.io.storage.library import quietly

__all__ = ["FORMATS", "TiltSeriesFormat", "find", "format_name", "format_of", "readable_suffixes"]

_HEAD_BYTES = 1024
# Of what a library says, which may say it of every page.
_MOST_WARNINGS = 5
MDOC_SUFFIX = ".mdoc"


@dataclasses.dataclass(frozen=True)
class TiltSeriesFormat:
    """A family of files that hold tilt series, or images of them.

    Attributes
    ----------
    name : str
        What people call it.
    suffixes : tuple of str
        Endings of its file names, in lower case with the dot.
    recognises : callable
        Tells from the first 1024 bytes whether a file is of this format.
    find : callable
        Finds the signals in a file. It raises `chemtomo.errors.ReadError`; anything else that
        libraries raise becomes one in `find` of this module.
    folders : bool or None
        Whether its files are folders (Zarr), in which `recognises` gets nothing to look at. None where they
        are either.
    bottom_row_first : bool
        Whether the first row of an array is the lowest of the image, for angles that others measure in it.
    """

    name: str
    suffixes: tuple[str, ...]
    recognises: Callable[[bytes], bool]
    find: Callable[[Path], list[Found]]
    folders: bool | None = False
    bottom_row_first: bool = False


FORMATS: tuple[TiltSeriesFormat, ...] = (
    TiltSeriesFormat(
        "MRC",
        (".mrc", ".mrcs", ".st", ".ali", ".preali", ".rec"),
        mrc.recognises,
        mrc.find,
        bottom_row_first=True,
    ),
    TiltSeriesFormat("TIFF", (".tif", ".tiff", ".btf", ".tf8"), tiff.recognises, tiff.find),
    TiltSeriesFormat("NPY", (".npy",), numpy_files.recognises_npy, numpy_files.find_npy),
    TiltSeriesFormat("NPZ", (".npz",), numpy_files.recognises_npz, numpy_files.find_npz),
    TiltSeriesFormat("OME-Zarr", (".zarr",), ome_zarr_series.recognises, ome_zarr_series.find, folders=True),
    TiltSeriesFormat("EMD or HSPY", (".emd", ".hspy", ".h5", ".hdf5"), hdf5.recognises, hdf5.find),
    TiltSeriesFormat("ZSPY", (".zspy",), hyperspy_files.recognises, hyperspy_files.find, folders=None),
    *(
        TiltSeriesFormat(one.name, one.suffixes, one.recognises, partial(rosetta.find, how=one))
        for one in rosetta.LIBRARY_FORMATS
    ),
)


def readable_suffixes() -> tuple[str, ...]:
    """Return the endings of file names that `read` knows, in lower case with the dot."""
    return tuple(
        dict.fromkeys((*(suffix for one in FORMATS for suffix in one.suffixes), MDOC_SUFFIX, ARCHIVE_SUFFIX))
    )


def format_of(path: Path) -> TiltSeriesFormat | None:
    """Return the format of a file: by the ending of its name, else by its first bytes.

    Raises
    ------
    ReadError
        When the file cannot be read.
    """
    is_folder = path.is_dir()
    for one in FORMATS:
        if path.suffix.lower() in one.suffixes and one.folders in (is_folder, None):
            return one
    if is_folder:
        return None
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise ReadError(f"{path}: cannot be read ({error.strerror or error})") from error
    return next((one for one in FORMATS if not one.folders and one.recognises(head)), None)


def format_name(path: Path) -> str | None:
    """Return the name of the format of a file; None for a folder of files, or where it is not there."""
    try:
        found = format_of(path)
    except ReadError:
        return None
    return None if found is None else found.name


def find(path: Path) -> list[Found]:
    """Find the signals in one file of any format.

    Raises
    ------
    ReadError
        When it cannot be read as what it claims to be: the message names the file, what was found
        and what was expected.
    """
    if not path.exists():
        raise ReadError(f"{path}: no such file")
    one = format_of(path)
    if one is None:
        what = "found a folder" if path.is_dir() else "not a format that can be read"
        raise ReadError(f"{path}: {what}; expected one of {', '.join(readable_suffixes())}")
    return _guarded(one, path)


def _guarded(one: TiltSeriesFormat, path: Path) -> list[Found]:
    """Turn whatever goes wrong in a reader, or in the library that it uses, into a `ReadError`.

    The one place for it: a damaged file makes libraries raise nearly anything.
    """
    try:
        found, notes = quietly(lambda: one.find(path))
    except ReadError as error:
        if str(path) in str(error):
            raise
        raise ReadError(f"{path}: {error}") from error
    except MemoryError as error:
        raise ReadError(f"{path}: does not fit into memory ({error})") from error
    except OSError as error:
        raise ReadError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:
        # Whatever a library says of a broken file.
        said = " ".join(str(error).split())[:200]
        raise ReadError(
            f"{path}: cannot be read as {one.name} ({type(error).__name__}: {said}); "
            "it may be damaged, or of another format"
        ) from error
    if not found:
        raise ReadError(f"{path}: found no image in it; expected a tilt series, as {one.name}")
    return [each.replace(notes=(*each.notes, *notes[:_MOST_WARNINGS])) for each in found] if notes else found
