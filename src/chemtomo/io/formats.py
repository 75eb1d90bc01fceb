"""One `read` for every format of tilt series.

To add a format, write a module with a function from a path to tilt series and one that recognises
the first bytes of a file, and add an entry to `FORMATS`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path

from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import ReadError
from chemtomo.io import mrc

__all__ = ["FORMATS", "TiltSeriesFormat", "read", "readable_suffixes"]

_HEAD_BYTES = 1024


@dataclasses.dataclass(frozen=True)
class TiltSeriesFormat:
    """A family of files that hold tilt series.

    Attributes
    ----------
    name : str
        What people call it.
    suffixes : tuple of str
        Endings of its file names, in lower case with the dot.
    recognises : callable
        Tells from the first 1024 bytes whether a file is of this format.
    read : callable
        Reads all tilt series of a file. Raises `chemtomo.errors.ReadError`.
    """

    name: str
    suffixes: tuple[str, ...]
    recognises: Callable[[bytes], bool]
    read: Callable[[Path], list[TiltSeries]]


FORMATS: tuple[TiltSeriesFormat, ...] = (
    TiltSeriesFormat(
        "MRC", (".mrc", ".mrcs", ".st", ".ali", ".preali"), mrc.recognises, mrc.read_tilt_series
    ),
)


def readable_suffixes() -> tuple[str, ...]:
    """Return the endings of file names that `read` knows, in lower case with the dot."""
    return tuple(suffix for one in FORMATS for suffix in one.suffixes)


def read(paths: str | PathLike[str] | Sequence[str | PathLike[str]]) -> Dataset:
    """Read tilt series of one sample.

    Parameters
    ----------
    paths : path or sequence of paths
        One file or several. The format is found by the ending of the name, else by the content.
        See `chemtomo.io.mrc.read_tilt_series` for MRC files and where their tilts come from.

    Returns
    -------
    Dataset
        The signals in the order of the files, each named by the stem of its file. The values are
        those of the file, in its data type.

    Raises
    ------
    ReadError
        When a file cannot be read as what it claims to be: the message names the file, what was
        found and what was expected.
    DataError
        When two files give the same name.
    """
    listed = [paths] if isinstance(paths, (str, PathLike)) else list(paths)
    if not listed:
        raise ReadError("found no file to read; expected at least one")
    return Dataset(tuple(series for path in listed for series in _read_file(Path(path))))


def _read_file(path: Path) -> list[TiltSeries]:
    if not path.exists():
        raise ReadError(f"{path}: no such file")
    if path.is_dir():
        raise ReadError(f"{path}: found a folder; expected a file ({', '.join(readable_suffixes())})")
    for one in FORMATS:
        if path.suffix.lower() in one.suffixes:
            return _guarded(one, path)
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise ReadError(f"{path}: cannot be read ({error.strerror or error})") from error
    for one in FORMATS:
        if one.recognises(head):
            return _guarded(one, path)
    raise ReadError(
        f"{path}: not a format that can be read; expected one of {', '.join(readable_suffixes())}"
    )


def _guarded(one: TiltSeriesFormat, path: Path) -> list[TiltSeries]:
    """Turn what the operating system says into a `ReadError` that names the file."""
    try:
        return one.read(path)
    except ReadError:
        raise
    except OSError as error:
        raise ReadError(f"{path}: cannot be read ({error.strerror or error})") from error
