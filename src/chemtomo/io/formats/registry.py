"""The registry of file formats: one row per format.

To add a format, write a folder beside this module with a function that finds the signals in a file
(`chemtomo.io.found.Found`) and, where it is written too, functions for that; then add a row to `FORMATS`.
The command line, napari's reader and the tests of round trips take it from there. What formats need not care
for: `chemtomo.io.assembly` chooses the tilts, guesses what values are, looks for NaN, and combines files.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from chemtomo.errors import ReadError
from chemtomo.io.description import DESCRIPTION_SUFFIX
from chemtomo.io.formats import hdf5
from chemtomo.io.formats.emd import read as emd
from chemtomo.io.formats.emd import write as emd_write
from chemtomo.io.formats.file_format import FileFormat, OutputFormat, never
from chemtomo.io.formats.hyperspy import read as hyperspy
from chemtomo.io.formats.hyperspy import write as hyperspy_write
from chemtomo.io.formats.mrc import read as mrc
from chemtomo.io.formats.mrc import write as mrc_write
from chemtomo.io.formats.numpy import read as numpy_files
from chemtomo.io.formats.numpy import write as numpy_write
from chemtomo.io.formats.ome_zarr import read as ome_zarr
from chemtomo.io.formats.ome_zarr import write as ome_zarr_write
from chemtomo.io.formats.rosetta import read as rosetta
from chemtomo.io.formats.tiff import read as tiff
from chemtomo.io.formats.tiff import write as tiff_write
from chemtomo.io.formats.velox import read as velox
from chemtomo.io.found import Found
from chemtomo.io.storage.archive import ARCHIVE_SUFFIX
from chemtomo.io.storage.library import collect_warnings

__all__ = [
    "FORMATS",
    "MDOC_SUFFIX",
    "find",
    "format_name",
    "format_of",
    "output_formats",
    "owned_files",
    "readable_suffixes",
]

_HEAD_BYTES = 1024
# Libraries may warn of every page of a file; a reader gets the first few warnings.
_MAX_WARNINGS = 5
MDOC_SUFFIX = ".mdoc"


FORMATS: tuple[FileFormat, ...] = (
    FileFormat(
        "OME-Zarr",
        (".zarr",),
        never,
        ome_zarr.find,
        folders=True,
        output=OutputFormat(
            (".zarr",),
            ome_zarr_write.write_series,
            ome_zarr_write.write_volume,
            ome_zarr.read_volume,
            ome_zarr.description,
            folder=True,
        ),
    ),
    FileFormat(
        "TIFF",
        (".tif", ".tiff", ".btf", ".tf8"),
        tiff.recognises,
        tiff.find,
        output=OutputFormat(
            (".ome.tif", ".ome.tiff", ".tif", ".tiff"),
            tiff_write.write_series,
            tiff_write.write_volume,
            tiff.read_volume,
            tiff.description,
            files=tiff_write.files,
        ),
    ),
    FileFormat(
        "MRC",
        (".mrc", ".mrcs", ".st", ".ali", ".preali", ".rec"),
        mrc.recognises,
        mrc.find,
        bottom_row_first=True,
        output=OutputFormat(
            (".mrc", ".rec", ".st", ".ali", ".mrcs"),
            mrc_write.write_series,
            mrc_write.write_volume,
            mrc.read_volume,
            mrc.description,
            files=mrc_write.files,
            folder_of_files=True,
            read_volume_suffixes=(DESCRIPTION_SUFFIX,),
        ),
    ),
    FileFormat("Velox EMD", (), never, velox.find, inside_hdf5=velox.is_velox),
    FileFormat(
        "HSPY",
        (".hspy",),
        never,
        hyperspy.find,
        inside_hdf5=hyperspy.is_hyperspy,
        output=OutputFormat(
            (".hspy",),
            hyperspy_write.write_series,
            hyperspy_write.write_volume,
            hyperspy.read_volume,
            hyperspy.description,
        ),
    ),
    FileFormat("ZSPY", (".zspy",), never, hyperspy.find, folders=None),
    FileFormat(
        "EMD",
        (".emd", ".h5", ".hdf5"),
        hdf5.recognises,
        emd.find,
        inside_hdf5=emd.is_emd,
        output=OutputFormat(
            (".emd",),
            emd_write.write_series,
            emd_write.write_volume,
            emd.read_volume,
            emd.description,
            files=emd_write.files,
        ),
    ),
    FileFormat("NPY", (".npy",), numpy_files.recognises_npy, numpy_files.find_npy),
    FileFormat(
        "NPZ",
        (".npz",),
        numpy_files.recognises_npz,
        numpy_files.find_npz,
        output=OutputFormat(
            (".npz",),
            numpy_write.write_series,
            numpy_write.write_volume,
            numpy_files.read_volume,
            numpy_files.description,
        ),
    ),
    *rosetta.FORMATS,
)


def readable_suffixes() -> tuple[str, ...]:
    """Return the file name endings that `read` knows, in lower case with the dot."""
    return tuple(
        dict.fromkeys((*(suffix for one in FORMATS for suffix in one.suffixes), MDOC_SUFFIX, ARCHIVE_SUFFIX))
    )


def output_formats() -> list[OutputFormat]:
    """Return the formats that can be written."""
    return [one.output for one in FORMATS if one.output is not None]


def format_of(path: Path) -> FileFormat | None:
    """Return the format of a file, from the ending of its name or else from its first bytes.

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
        When it is damaged or of no known format: the message names the file, what was found and what
        was expected.
    """
    if not path.exists():
        raise ReadError(f"{path}: no such file")
    one = format_of(path)
    if one is None:
        what = "found a folder" if path.is_dir() else "not a format that can be read"
        raise ReadError(f"{path}: {what}; expected one of {', '.join(readable_suffixes())}")
    return _guarded(one, path)


def owned_files(path: Path, others: Iterable[Path]) -> set[Path]:
    """Return those of some files that are read together with the file `path`, by its format."""
    for one in FORMATS:
        if one.owned_files is not None and path.suffix.lower() in one.suffixes:
            return one.owned_files(path, [other for other in others if other != path])
    return set()


def _find(one: FileFormat, path: Path) -> list[Found]:
    if one.inside_hdf5 is not None:
        one = hdf5.format_inside(path, FORMATS)
    return one.find(path)


def _guarded(one: FileFormat, path: Path) -> list[Found]:
    """Turn whatever goes wrong in a reader, or in the library that it uses, into a `ReadError`.

    This is the only place where that is done.
    """
    try:
        found, notes = collect_warnings(lambda: _find(one, path))
    except ReadError as error:
        if str(path) in str(error):
            raise
        raise ReadError(f"{path}: {error}") from error
    except MemoryError as error:
        raise ReadError(f"{path}: does not fit into memory ({error})") from error
    except OSError as error:
        raise ReadError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:
        # Libraries raise nearly anything for a broken file.
        said = " ".join(str(error).split())[:200]
        raise ReadError(
            f"{path}: cannot be read as {one.name} ({type(error).__name__}: {said}); "
            "it may be damaged, or of another format"
        ) from error
    if not found:
        raise ReadError(f"{path}: found no image in it; expected a tilt series, as {one.name}")
    return [each.replace(notes=(*each.notes, *notes[:_MAX_WARNINGS])) for each in found] if notes else found
