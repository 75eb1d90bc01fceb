"""Which format a file name asks for, and whether something may be written there."""

from __future__ import annotations

import re
from os import PathLike
from pathlib import Path

from chemtomo.errors import WriteError
from chemtomo.io.formats import registry
from chemtomo.io.formats.file_format import OutputFormat
from chemtomo.io.formats.target import Target, check_free

__all__ = ["OUTPUT_FORMATS", "check_output", "endings", "folder_format", "output_format", "target_of"]


OUTPUT_FORMATS: dict[str, tuple[str, ...]] = {
    one.name: one.output.suffixes for one in registry.FORMATS if one.output is not None
}
"""Endings of file names, in lower case, by the format that is written."""

_FILE_ENDING = re.compile(r"\.[a-z][a-z0-9]{1,5}", re.IGNORECASE)


def output_format(path: Path) -> tuple[OutputFormat, str] | None:
    """Return the format that a name asks for, and the name without its ending; None for no format."""
    found = [
        (one, path.name[: -len(suffix)])
        for one in registry.output_formats()
        for suffix in one.suffixes
        if path.name.lower().endswith(suffix) and len(path.name) > len(suffix)
    ]
    # The longest ending counts: .ome.tif before .tif.
    return min(found, key=lambda one: len(one[1]), default=None)


def folder_format() -> OutputFormat:
    """Return the format of the files in a folder to which a dataset is written."""
    return next(one for one in registry.output_formats() if one.folder_of_files)


def target_of(path: Path, *, dataset: bool, overwrite: bool = False) -> tuple[OutputFormat, Target] | None:
    """Return the format and the target that a path asks for; None where its ending is of no format.

    Parameters
    ----------
    path : pathlib.Path
        Where to write.
    dataset : bool
        Whether tilt series are written, for which a path without an ending of a format is a folder of files.
    overwrite : bool
        Whether existing files may be replaced.
    """
    found = output_format(path)
    if dataset and (found is None or (path.is_dir() and not found[0].folder)):
        form = folder_format()
        return form, Target(path, None, form.suffixes[0], overwrite)
    if found is None:
        return None
    form, stem = found
    return form, Target(path.parent, stem, path.name[len(stem) :], overwrite)


def endings() -> str:
    """Return the usual ending of every format, for messages."""
    return ", ".join(one.suffixes[0] for one in registry.output_formats())


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
    if folders and found is None and (path.is_dir() or not _FILE_ENDING.fullmatch(path.suffix)):
        return path
    if folders and found is not None and not found[0].folder and path.is_dir():
        return path
    if found is None:
        what = path.suffix or "no ending"
        also = "a folder, or " if folders else ""
        raise WriteError(f"{path}: found {what}; expected {also}a name that ends with {endings()}")
    if not path.parent.is_dir():
        raise WriteError(f"{path}: there is no folder {path.parent}; expected one to write to")
    check_free(path, zarr=found[0].folder, overwrite=overwrite)
    return path
