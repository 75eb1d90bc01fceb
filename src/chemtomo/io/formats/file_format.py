"""What the program has to know of a file format: the type of the rows of the registry."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from chemtomo.data import TiltSeries, Volume
from chemtomo.io.formats.target import Target, Written
from chemtomo.io.found import Found

__all__ = ["FileFormat", "OutputFormat", "never"]


def never(head: bytes) -> bool:
    """Recognise no file: for formats that are known by the ending of the file name only."""
    return False


def _one_file(target: Target, names: Sequence[str], *, volume: bool) -> list[Path]:
    return [target.path]


@dataclasses.dataclass(frozen=True)
class OutputFormat:
    """How tilt series and volumes are written to files of a format, and how volumes are read from them.

    Attributes
    ----------
    suffixes : tuple of str
        Endings of file names that ask for this format, in lower case with the dot; the usual one first.
    write_series, write_volume : callable
        Write to a `Target` what `chemtomo.io.read` and `read_volume` read back. They write to the temporary
        paths of `Target.writing`, projection by projection, and never through a memory map, which ends the
        program when the disk is full.
    read_volume : callable
        Reads a volume.
    description : callable
        Returns what a file, or a file beside it, says of its content (`chemtomo.io.description`), at least
        its ``kind``; None where it says nothing.
    files : callable
        Lists the files that may be written for channels of given names; one by default.
    folder : bool
        Whether each "file" is a folder (Zarr).
    folder_of_files : bool
        Whether a dataset may be written to a folder as one file per signal.
    read_volume_suffixes : tuple of str
        Further endings that `read_volume` takes.
    """

    suffixes: tuple[str, ...]
    write_series: Callable[[Sequence[TiltSeries], Target], Written]
    write_volume: Callable[[Volume, Target], Written]
    read_volume: Callable[[Path], Volume]
    description: Callable[[Path], Mapping[str, Any] | None]
    files: Callable[..., list[Path]] = _one_file
    folder: bool = False
    folder_of_files: bool = False
    read_volume_suffixes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class FileFormat:
    """A file format: one row of the registry.

    Attributes
    ----------
    name : str
        Its common name.
    suffixes : tuple of str
        Endings of file names that are read as this format, in lower case with the dot.
    recognises : callable
        Tells from the first 1024 bytes whether a file is of this format.
    find : callable
        Finds the signals in a file. It raises `chemtomo.errors.ReadError`; anything else that libraries raise
        becomes one in `chemtomo.io.formats.registry.find`.
    folders : bool or None
        Whether its "files" are folders (Zarr), which are known by their name only. None for either.
    bottom_row_first : bool
        Whether the first row of an array is the bottom row of the image, which decides the sign of a tilt
        axis that another program measured.
    inside_hdf5 : callable, optional
        For formats that are HDF5 inside: tells whether an open `h5py.File` is of this format.
    owned_files : callable, optional
        Returns those of some files that are read together with a given file, and not by themselves.
    output : OutputFormat, optional
        For formats that are written as well, and read as volumes.
    """

    name: str
    suffixes: tuple[str, ...]
    recognises: Callable[[bytes], bool]
    find: Callable[[Path], list[Found]]
    folders: bool | None = False
    bottom_row_first: bool = False
    inside_hdf5: Callable[[Any], bool] | None = None
    owned_files: Callable[[Path, Sequence[Path]], set[Path]] | None = None
    output: OutputFormat | None = None
