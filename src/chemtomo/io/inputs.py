"""The files that a command reads, and the check that none of them is overwritten."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

from chemtomo.errors import ReadError, WriteError
from chemtomo.io.assembly.source_files import list_source_files
from chemtomo.io.description import DESCRIPTION_SUFFIX, load_description
from chemtomo.io.formats.registry import MDOC_SUFFIX, format_of, owned_files
from chemtomo.io.outputs import output_format, target_of
from chemtomo.io.tilts.sources import sidecar_files
from chemtomo.io.volumes import is_volume

__all__ = ["check_targets", "files_of_output", "input_files"]


def input_files(paths: Iterable[str | PathLike[str] | None]) -> list[Path]:
    """List the files that are read when `paths` are given, with their sidecar files.

    For a folder these are the files that `chemtomo.io.read` would read, without volumes that this program
    wrote there. Arguments that are not paths, such as ``-60:2:61``, are ignored.
    """
    found: dict[Path, None] = {}
    for given in paths:
        if given is None:
            continue
        path = Path(given)
        sources = [path] if path.exists() else []
        if path.is_dir() and format_of(path) is None:
            with contextlib.suppress(ReadError):
                sources = [
                    one.path for one in list_source_files([path]) if not is_volume(one.path, ours=True)
                ]
        elif path.suffix.lower() == MDOC_SUFFIX and path.is_file():
            with contextlib.suppress(ReadError):
                sources += [one.path for one in list_source_files([path])]
        for one in (*sources, *([] if sources else [path])):
            found |= dict.fromkeys([*([one] if one.exists() else []), *_beside(one)])
    return list(found)


def _beside(path: Path) -> list[Path]:
    stem = (output_format(path) or (None, path.stem))[1]
    described = path.with_name(stem + DESCRIPTION_SUFFIX)
    if path.name.endswith(DESCRIPTION_SUFFIX):
        described = path
    found = sidecar_files(path)
    if described.is_file():
        found.append(described)
        with contextlib.suppress(ReadError, TypeError, AttributeError):
            found += [described.with_name(str(name)) for name in load_description(described).get("files", [])]
    if path.is_file():
        found += sorted(owned_files(path, path.parent.iterdir()))
    return [one for one in found if one.exists()]


def files_of_output(path: Path, names: Sequence[str], *, volume: bool) -> list[Path]:
    """List the files that may be written when channels of these `names` are written to `path`."""
    found = target_of(path, dataset=not volume)
    if found is None:
        return [path]
    form, target = found
    return form.files(target, names, volume=volume)


def check_targets(targets: Sequence[Path], inputs: Sequence[Path]) -> None:
    """Check, before any work is done, that `targets` can be written and that none of them is an input.

    Files are compared, not names: a link, another spelling, or another case on a file system that ignores
    case is the same file. A Zarr image includes everything in its folder.

    Raises
    ------
    WriteError
        When one is an input, holds one or lies in one, when two are the same, or when the operating system
        does not let a file be made in its folder.
    """
    for target in targets:
        for one in inputs:
            if _same(target, one) or _holds(target, one) or _holds(one, target):
                raise WriteError(
                    f"{target}: found the input {one}; expected another name to write to: "
                    "inputs are never written"
                )
    real = [str(one.resolve()).casefold() for one in targets]
    for index, target in enumerate(targets):
        if real[index] in real[:index]:
            raise WriteError(f"{target}: found two results with this name; expected different names")
    for folder in dict.fromkeys(target.parent for target in targets):
        _check_folder(folder)


def _same(target: Path, one: Path) -> bool:
    try:
        return target.samefile(one)
    except OSError:
        return target.resolve() == one.resolve()


def _holds(folder: Path, one: Path) -> bool:
    """Tell whether a path lies in a folder, however it is spelled."""
    if not folder.is_dir():
        return False
    return any(_same(parent, folder) for parent in one.absolute().parents) or (
        folder.resolve() in one.resolve().parents
    )


def _check_folder(folder: Path) -> None:
    there = next((one for one in (folder, *folder.absolute().parents) if one.is_dir()), folder)
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise WriteError(
            f"{folder}: cannot be written ({error.strerror or error}); expected a folder to write to"
        ) from error
