"""TIFF files: plain stacks of pages, those of ImageJ, and OME-TIFF.

Pixel sizes are found by `chemtomo.io.formats.tiff.pixel_size`; OME has the channel names. The tilt axis is
the one besides ``y``, ``x`` and the channels that is longer than 1: TIFF has none of its own, and programs
write tilts as slices, times or plain pages. What `chemtomo.io` wrote is restored from its annotation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chemtomo.data import Volume
from chemtomo.errors import NoTiltSeriesError, ReadError
from chemtomo.io.description import (
    KEY,
    VOLUME,
    entry_index,
    entry_shape,
    from_text,
    restore_series,
    restore_volume,
)
from chemtomo.io.formats.tiff.pixel_size import ome_images, tiff_pixel_size
from chemtomo.io.formats.volume_parts import channel_names, require_fits_file
from chemtomo.io.found import Found
from chemtomo.io.interpret.stack_axes import channel_stacks
from chemtomo.io.storage.library import collect_warnings
from chemtomo.io.tilts.axis import axis_angle_in_text, axis_from_imod

__all__ = ["description", "find", "read_volume", "recognises"]

_MAP_FROM_BYTES = 512 << 20
# No TIFF codec compresses more, which limits how much a small file can claim to hold.
_LARGEST_COMPRESSION = 2000
_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MAX_WARNINGS = 3


def recognises(head: bytes) -> bool:
    """Tell whether the first bytes of a file are those of a TIFF file."""
    return head[:4] in _MAGIC


def find(path: Path) -> list[Found]:
    """Find the stacks in a TIFF file, one per channel.

    Files of 512 MiB and more are read page by page when their values are needed.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Raises
    ------
    ReadError
        When it is not a TIFF file, is truncated, or holds a colour image.
    """
    found, warned = collect_warnings(lambda: _find(path), "tifffile")
    # The library silently drops the pages from the first that it cannot find.
    if lost := [one for one in warned if "TiffPages" in one]:
        raise ReadError(f"{path}: damaged or truncated: found a broken list of pages ({lost[0]})")
    return [one.replace(notes=(*one.notes, *warned[:_MAX_WARNINGS])) for one in found]


def _find(path: Path) -> list[Found]:
    import tifffile

    with tifffile.TiffFile(path) as file:
        if not file.pages:
            raise ReadError(f"{path}: found no image in it; expected a TIFF file with projections")
        _require_values(file.series, path)
        restored = _restored(file, path)
        if restored is not None:
            return restored
        images = _images(file, path)
        pixel_size, notes = tiff_pixel_size(file)
        ome = ome_images(file)
        axis = axis_angle_in_text(_description(file))
    found: list[Found] = []
    for index, (axes, data) in enumerate(images):
        said = ome[index] if index < len(ome) else {}
        found += _channels(path, axes, data, said, pixel_size, notes, many=len(images) > 1)
    if axis is not None:
        said = {"axis_angle_deg": axis_from_imod(axis, bottom_row_first=False)}
        found = [one.replace(attributes={**one.attributes, **said}) for one in found]
    return found


def read_volume(path: Path) -> Volume:
    """Read an image with axes out of ``c``, ``z``, ``y``, ``x``, in any order."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        said = _said(file.ome_metadata, str(path))
        series = file.series[0]
        axes = str(series.get_axes(squeeze=False))
        shape = series.get_shape(squeeze=False)
        if any(size > 1 for axis, size in zip(axes, shape, strict=True) if axis not in "CZYX"):
            raise ReadError(f"{path}: found the axes {axes.lower()}; expected c, z, y, x")
        require_fits_file(path, shape, series.dtype)
        data = series.asarray(squeeze=False)
        data = data.reshape([size for axis, size in zip(axes, shape, strict=True) if axis in "CZYX"])
        kept = [axis for axis in axes if axis in "CZYX"]
        data = data.transpose([kept.index(axis) for axis in "CZYX" if axis in kept])
        data = data if data.ndim == 4 else data[np.newaxis]
        if said is not None and said.get("kind") == VOLUME:
            return restore_volume(said, data, str(path))
        image = next(iter(ome_images(file)), {})
    names = image.get("channels") or []
    if len(names) != len(data) or not all(names) or len(set(names)) < len(names):
        names = channel_names(path, len(data))
    size = image.get("pixel_size_nm") or 1.0
    return restore_volume({"names": names, "voxel_size_nm": size}, data, str(path))


def description(path: Path) -> dict[str, Any] | None:
    """Return the description in a TIFF file; None for a file of another program."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        return _said(file.ome_metadata, str(path))


def _said(ome: str | None, where: str) -> dict[str, Any] | None:
    """Return the description in OME-XML."""
    if not ome or KEY not in ome:
        return None
    from xml.etree import ElementTree as ET

    for element in ET.fromstring(ome).iter():
        if element.tag.endswith("}M") and element.get("K") == KEY:
            return from_text(element.text or "", where)
    return None


def _restored(file: Any, path: Path) -> list[Found] | None:
    """Return the series that this program wrote; an image holds those that are alike, one per channel."""
    where, images = str(path), file.series
    read: dict[int, Any] = {}

    def stacks(entry: Mapping[str, Any], number: Any) -> Any:
        """Return an image as stacks of the shape of a series."""
        at = entry_index(number, len(images), "image", where)
        if at not in read:
            read[at] = _values(images[at], path, at)
        shape = entry_shape(entry, where)
        channels, rest = divmod(math.prod(int(size) for size in read[at].shape), math.prod(shape))
        if rest or not channels:
            raise ReadError(f"{where}: found an image of shape {read[at].shape}; expected stacks of {shape}")
        return read[at].reshape(channels, *shape)

    def stack(entry: Mapping[str, Any], _: int) -> Any:
        found = stacks(entry, entry.get("image"))
        return found[entry_index(entry.get("channel"), len(found), "channel", where)]

    def background(entry: Mapping[str, Any]) -> Any:
        return stacks(entry, entry["background"])[0]

    return restore_series(_said(file.ome_metadata, where), where, stack, background)


def _description(file: Any) -> str:
    return str(getattr(file.pages[0], "description", "") or "")


def _require_values(images: Any, path: Path) -> None:
    """Raise `ReadError` unless all images have grey values and fit into the file."""
    size = path.stat().st_size
    for series in images:
        if series.dtype is None or series.dtype.kind not in "uifb":
            raise NoTiltSeriesError(f"{path}: found values of the type {series.dtype}; expected real numbers")
        if "S" in series.axes:
            raise NoTiltSeriesError(f"{path}: found an image in colours; expected grey values")
        # Pixels of less than a byte are packed in the file.
        stored = series.nbytes * min(1.0, series.keyframe.bitspersample / (8 * series.dtype.itemsize))
        if series.nbytes > size * _LARGEST_COMPRESSION or (
            series.keyframe.compression == 1 and stored > size and not series.is_multifile
        ):
            raise ReadError(
                f"{path}: truncated: found {size} bytes; expected at least {series.nbytes} for "
                f"{series.dtype} of shape {series.shape}"
            )


def _images(file: Any, path: Path) -> list[tuple[str, Any]]:
    """Return the axes and values of the images in a file; pages of equal size are one stack."""
    images = [(series.axes, series) for series in file.series]
    plain = not (file.is_ome or file.is_imagej)
    alike = {(series.shape, series.dtype, axes) for axes, series in images}
    if plain and len(images) > 1 and len(alike) == 1 and images[0][0] == "YX":
        # Pages that were written separately.
        pages = [_values(series, path, index) for index, (_, series) in enumerate(images)]
        if all(isinstance(page, np.ndarray) for page in pages):
            return [("QYX", np.stack(pages))]
        import dask.array

        return [("QYX", dask.array.stack(pages))]
    return [(axes, _values(series, path, index)) for index, (axes, series) in enumerate(images)]


def _values(series: Any, path: Path, index: int) -> Any:
    """Return the values of an image: read now, memory-mapped, or read page by page when needed."""
    if series.nbytes < _MAP_FROM_BYTES:
        values = series.asarray()
        return values.astype(np.uint8) if values.dtype.kind == "b" else values
    dtype = np.dtype(np.uint8) if series.dtype.kind == "b" else series.dtype
    if series.dataoffset is not None and series.dtype.isnative and series.dtype.kind != "b":
        return np.memmap(path, series.dtype, "r", series.dataoffset, series.shape)
    import dask.array
    from dask.delayed import delayed

    height, width = series.shape[-2:]
    pages = [
        dask.array.from_delayed(
            delayed(_read_page)(path, index, page, (height, width)), (1, height, width), dtype
        )
        for page in range(math.prod(series.shape[:-2]))
    ]
    return dask.array.concatenate(pages).reshape(series.shape)


def _read_page(path: Path, index: int, page: int, shape: tuple[int, int]) -> Any:
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            values = file.series[index].asarray(key=page).reshape(1, *shape)
            return values.astype(np.uint8) if values.dtype.kind == "b" else values
    except Exception as error:
        # Libraries raise nearly anything if the file is damaged or has been replaced.
        raise ReadError(
            f"{path}: the values of page {page} cannot be read ({error}); "
            "expected the file to be as it was when it was opened"
        ) from error


def _channels(
    path: Path,
    axes: str,
    data: Any,
    said: dict[str, Any],
    pixel_size: float | None,
    notes: tuple[str, ...],
    *,
    many: bool,
) -> list[Found]:
    """Return one stack or image per channel."""
    stacks = channel_stacks(data, axes, path)
    channels = len(stacks)
    names = said.get("channels") or []
    found = []
    for channel, stack in enumerate(stacks):
        named = channel < len(names) and bool(names[channel])
        if named:
            name = str(names[channel])
        else:
            name = path.name.split(".")[0] if ".ome." in path.name.lower() else path.stem
            name = f"{name} {channel + 1}" if channels > 1 else name
            name = f"{name} {said['name']}" if many and said.get("name") else name
        found.append(
            Found(
                name=name,
                data=stack if len(stack) > 1 else stack[0],
                kind="stack" if len(stack) > 1 else "image",
                pixel_size_nm=said.get("pixel_size_nm", pixel_size),
                named=named or channels > 1 or many,
                notes=said["notes"] if "pixel_size_nm" in said else notes,
            )
        )
    return found
