"""Volumes back from files, and which files are volumes."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from chemtomo.data import Volume
from chemtomo.errors import ChemTomoError, ReadError
from chemtomo.io.description import VOLUME
from chemtomo.io.formats.file_format import OutputFormat
from chemtomo.io.formats.registry import output_formats
from chemtomo.io.outputs import OUTPUT_FORMATS, output_format
from chemtomo.io.storage.library import collect_warnings

__all__ = ["is_volume", "read_volume", "recipe_of_volume"]


def read_volume(path: str | PathLike[str]) -> Volume:
    """Read a volume.

    Parameters
    ----------
    path : path
        A file, or an OME-Zarr folder, written by `chemtomo.io.write` or by another program: OME-Zarr with the
        axes (c, z, y, x) or (z, y, x), OME-TIFF, MRC, EMD of tomviz. For MRC with one file per channel: the
        name that was given to `write`, its ``.chemtomo.json``, or one channel.

    Raises
    ------
    ReadError
        When there is no volume; the message names the file, what was found and what was expected.
    """
    path = Path(path)
    form = _format_of_volume(path)
    try:
        return collect_warnings(lambda: form.read_volume(path))[0]
    except ChemTomoError:
        raise
    except FileNotFoundError as error:
        raise ReadError(f"{error.filename or path}: no such file") from error
    except MemoryError as error:
        raise ReadError(f"{path}: found a volume larger than the memory; expected a smaller one") from error
    except Exception as error:
        # Libraries raise nearly anything for a broken file.
        raise ReadError(f"{path}: cannot be read as a volume ({type(error).__name__}: {error})") from error


def is_volume(path: str | PathLike[str], *, ours: bool = False) -> bool:
    """Tell whether a file is a volume rather than a tilt series, by what it says of itself.

    A file that says nothing, or that cannot be read, is none.

    Parameters
    ----------
    path : path
        The file.
    ours : bool
        Whether it has to be one that `chemtomo.io.write` wrote.
    """
    path = Path(path)
    try:
        described, _ = collect_warnings(lambda: _description(path))
        if ours:
            return described is not None and described.get("kind") == VOLUME and "names" in described
        if described is not None:
            return described.get("kind") == VOLUME
        return path.suffix.lower() == ".rec"
    except Exception:  # noqa: BLE001 - reading it will say what is wrong with it
        return False


def recipe_of_volume(path: str | PathLike[str]) -> dict[str, Any]:
    """Return the recipe that a volume of this program holds, without reading its values; empty for none.

    It is empty too when one of the files of the volume is missing.
    """
    path = Path(path)
    try:
        described, _ = collect_warnings(lambda: _description(path))
    except Exception:  # noqa: BLE001 - reading it will say what is wrong with it
        return {}
    if described is None:
        return {}
    files = [path.with_name(str(name)) for name in described.get("files", ())] or [path]
    return dict(described.get("recipe", {})) if all(one.exists() for one in files) else {}


def _description(path: Path) -> Mapping[str, Any] | None:
    form = _by_name(path)
    return None if form is None else form.description(path)


def _by_name(path: Path) -> OutputFormat | None:
    found = output_format(path)
    if found is not None:
        return found[0]
    name = path.name.lower()
    return next((one for one in output_formats() if name.endswith(one.read_volume_suffixes)), None)


def _format_of_volume(path: Path) -> OutputFormat:
    form = _by_name(path)
    if form is not None:
        return form
    if not path.exists():
        raise ReadError(f"{path}: no such file")
    if path.is_dir():
        # A Zarr image may have any name.
        return next(one for one in output_formats() if one.folder)
    *names, last = OUTPUT_FORMATS
    raise ReadError(f"{path}: not a format of volumes; expected {', '.join(names)} or {last} by its ending")
