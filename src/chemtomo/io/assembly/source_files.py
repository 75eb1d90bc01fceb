"""The files to read: those given, those in a folder or archive, or those that an ``.mdoc`` file names."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from chemtomo.errors import NoTiltSeriesError, ReadError
from chemtomo.io.description import TILT_SERIES
from chemtomo.io.formats.file_format import OutputFormat
from chemtomo.io.formats.registry import MDOC_SUFFIX, format_of, owned_files, readable_suffixes
from chemtomo.io.storage.archive import ARCHIVE_SUFFIX, unpack
from chemtomo.io.storage.library import collect_warnings
from chemtomo.io.tilts.file_names import natural_order
from chemtomo.io.tilts.mdoc import Mdoc, read_mdoc
from chemtomo.io.tilts.sources import sidecar_files

__all__ = ["Source", "list_source_files", "may_hold_tilt_series"]

_MAX_MDOCS = 200


@dataclasses.dataclass(frozen=True)
class Source:
    """A file to be read.

    Attributes
    ----------
    path : pathlib.Path
        The file; a folder when it is a Zarr image.
    tilt_deg : float, optional
        Tilt of its image, from the ``.mdoc`` file of a series of images.
    pixel_size_nm : float, optional
        Pixel size from this ``.mdoc`` file.
    folder : pathlib.Path, optional
        The folder or archive that was given in place of the file. Files in it that are no tilt series are
        left out.
    mdoc : pathlib.Path, optional
        The ``.mdoc`` file that describes it, where that has another name.
    imod_axis_deg : float, optional
        Tilt axis angle in that file, see `chemtomo.io.tilts.mdoc.Mdoc.axis_angle_deg`.
    """

    path: Path
    tilt_deg: float | None = None
    pixel_size_nm: float | None = None
    folder: Path | None = None
    mdoc: Path | None = None
    imod_axis_deg: float | None = None


def list_source_files(paths: Iterable[Path]) -> list[Source]:
    """List the files to read, each once.

    Parameters
    ----------
    paths : iterable of pathlib.Path
        Files; folders, of which all files with an ending of `readable_suffixes` are read, but no
        subfolders; ``.mdoc`` files, which stand for the stack or the images that they describe; Zip
        archives of such files, with subfolders.

    Raises
    ------
    ReadError
        When one does not exist, or has nothing that can be read.
    """
    found: dict[Path, Source] = {}
    naming: dict[Path, dict[str, Mdoc]] = {}
    for path in paths:
        if not path.exists():
            raise ReadError(f"{path}: no such file")
        if path.is_dir() and format_of(path) is None:
            sources = _in_folder(path)
        elif path.suffix.lower() == MDOC_SUFFIX:
            sources = _of_mdoc(path)
        elif path.suffix.lower() == ARCHIVE_SUFFIX:
            sources = _in_archive(path)
        else:
            sources = [_with_its_mdoc(path, naming)]
        for one in sources:
            found.setdefault(one.path.resolve(), one)
    return list(found.values())


def may_hold_tilt_series(path: str | PathLike[str]) -> bool:
    """Tell, without reading any image, whether it makes sense to `read` a file or folder.

    For a file it always does: what is wrong with it deserves a message. For a folder it does when it holds a
    file with an ending of `readable_suffixes`, and for a Zarr image when it has tilts, inside or in a sidecar
    file.
    """
    path = Path(path)
    if not path.is_dir():
        return True
    form = format_of(path)
    if form is not None:
        return form.output is None or bool(sidecar_files(path)) or _says_tilt_series(form.output, path)
    try:
        return any(one.suffix.lower() in readable_suffixes() for one in path.iterdir())
    except OSError:
        return False


def _says_tilt_series(form: OutputFormat, path: Path) -> bool:
    try:
        described, _ = collect_warnings(lambda: form.description(path))
        return described is not None and described.get("kind") == TILT_SERIES
    except Exception:  # noqa: BLE001 - reading it will say what is wrong with it
        return False


def _in_folder(folder: Path, *, archives: bool = True) -> list[Source]:
    try:
        inside = sorted((one for one in folder.iterdir() if one.name[:1] != "."), key=natural_order)
    except OSError as error:
        raise ReadError(f"{folder}: cannot be read ({error.strerror or error})") from error
    known = readable_suffixes() if archives else _without_archives()
    candidates = [
        one for one in inside if one.suffix.lower() in known and (one.is_file() or format_of(one) is not None)
    ]
    owned = {other for one in candidates for other in owned_files(one, candidates)}
    candidates = [one for one in candidates if one not in owned]
    sources: dict[Path, Source] = {}
    for path in candidates:
        if path.suffix.lower() == MDOC_SUFFIX:
            try:
                described = _of_mdoc(path)
            except NoTiltSeriesError:
                continue
            for one in described:
                # An .mdoc file of the stack's own name takes precedence over others that mention it.
                known_already = sources.get(one.path.resolve())
                if known_already is None or known_already.mdoc is not None:
                    sources[one.path.resolve()] = dataclasses.replace(one, folder=folder)
    for path in candidates:
        if path.suffix.lower() == ARCHIVE_SUFFIX:
            try:
                packed = _in_archive(path)
            except NoTiltSeriesError:
                continue
            for one in packed:
                sources[one.path.resolve()] = dataclasses.replace(one, folder=folder)
        elif path.suffix.lower() != MDOC_SUFFIX:
            sources.setdefault(path.resolve(), Source(path, folder=folder))
    if not sources:
        raise ReadError(
            f"{folder}: found no file in the folder that can be read; expected {', '.join(known)}"
        )
    return sorted(sources.values(), key=lambda one: natural_order(one.path))


def _in_archive(path: Path) -> list[Source]:
    """Return the files in an archive and its folders; a folder that is a Zarr image counts as one file.

    Archives inside it are not unpacked: they could be nested without end.
    """
    known = _without_archives()
    folder = unpack(path)
    folders = [folder, *(one for one in sorted(folder.rglob("*"), key=natural_order) if one.is_dir())]
    images = [one for one in folders[1:] if one.suffix.lower() in known]
    sources: list[Source] = []
    for one in folders:
        if any(image == one or image in one.parents for image in images):
            continue
        if any(each.suffix.lower() in known for each in one.iterdir()):
            inside = _in_folder(one, archives=False)
            # Notes name the archive, not the temporary folder.
            sources += [dataclasses.replace(each, folder=path) for each in inside]
    if not sources:
        raise NoTiltSeriesError(
            f"{path}: found no file in the archive that can be read; expected {', '.join(known)}"
        )
    paths = [one.path for one in sources]
    owned = {other for one in paths for other in owned_files(one, paths)}
    return [one for one in sources if one.path not in owned]


def _without_archives() -> tuple[str, ...]:
    return tuple(suffix for suffix in readable_suffixes() if suffix != ARCHIVE_SUFFIX)


def _of_mdoc(path: Path) -> list[Source]:
    """Return the stack, or the images of a series, that an ``.mdoc`` file describes.

    That is ``a.st`` for ``a.st.mdoc``, also where the stack was renamed and the ``ImageFile`` is another;
    else the ``ImageFile``, the images that sections name, or a stack of the same name with any ending.
    """
    mdoc = read_mdoc(path)
    described = path.with_suffix("")
    names = mdoc.image_names()
    images = names is not None and any(_beside(path, name) is not None for name in names)
    numbered = all(one.kind == "ZValue" for one in mdoc.sections)
    if described.is_file() and (names is None or mdoc.is_frame_set or len(mdoc.sections) == 1 or numbered):
        return [Source(described)]
    named = _beside(path, mdoc.entries.get("ImageFile", ""))
    if named is not None:
        return [_described(named, mdoc)]
    alike = None if images else _of_the_same_name(path)
    if alike is not None:
        return [Source(alike)]
    if names is None:
        raise NoTiltSeriesError(
            f"{path}: found neither {described.name} beside it nor an ImageFile for every section; "
            "expected the stack or the images that it describes"
        )
    return _images(mdoc, names)


def _with_its_mdoc(path: Path, naming: dict[Path, dict[str, Mdoc]]) -> Source:
    """Return a file with the ``.mdoc`` file that names it, unless it has an ``.mdoc`` of its own name.

    `naming` remembers the ``.mdoc`` files of a folder for its other files.
    """
    if any(one.suffix.lower() == MDOC_SUFFIX for one in sidecar_files(path)):
        return Source(path)
    folder = path.parent
    if folder not in naming:
        naming[folder] = {}
        for one in sorted(folder.glob(f"*{MDOC_SUFFIX}"))[:_MAX_MDOCS]:
            try:
                mdoc = read_mdoc(one)
            except ReadError:
                continue  # nobody asked for this file
            named = _beside(one, mdoc.entries.get("ImageFile", ""))
            if named is not None:
                naming[folder].setdefault(named.name, mdoc)
    its_own = naming[folder].get(path.name)
    if its_own is None:
        return Source(path)
    return _described(path, its_own)


def _described(path: Path, mdoc: Mdoc, tilt_deg: float | None = None) -> Source:
    return Source(path, tilt_deg, mdoc.pixel_size_nm, mdoc=mdoc.path, imod_axis_deg=mdoc.axis_angle_deg)


def _of_the_same_name(path: Path) -> Path | None:
    """Find the one image file ``a.st``, of any ending, beside ``a.mdoc``."""
    known = _without_archives()
    alike = [
        one
        for one in path.parent.iterdir()
        if one.stem == path.stem and one.suffix.lower() in known and one.suffix.lower() != MDOC_SUFFIX
    ]
    return alike[0] if len(alike) == 1 and alike[0].is_file() else None


def _images(mdoc: Mdoc, names: list[str]) -> list[Source]:
    mdoc.require_no_montage()
    tilts = mdoc.tilts_deg()
    if tilts is None:
        raise ReadError(f"{mdoc.path}: found no TiltAngle; expected one in every section")
    # The same for all images, so computed once.
    described = _described(mdoc.path, mdoc)
    sources = []
    for name, tilt, section in zip(names, tilts, mdoc.sections, strict=True):
        image = _beside(mdoc.path, name)
        if image is None:
            raise NoTiltSeriesError(
                f"{mdoc.path}, line {section.line}: found no file {name} beside it; expected the image of "
                f"[{section.kind} = {section.value}]"
            )
        sources.append(dataclasses.replace(described, path=image, tilt_deg=tilt))
    if len({one.path for one in sources}) < len(sources):
        raise ReadError(f"{mdoc.path}: found an image file that is named twice; expected one per section")
    return sources


def _beside(path: Path, name: str) -> Path | None:
    """Find the file that an ``.mdoc`` names, in its own folder and nowhere else."""
    name = re.split(r"[\\/]", name)[-1]
    if not name or name.startswith("."):
        return None
    found = path.with_name(name)
    return found if found.is_file() else None
