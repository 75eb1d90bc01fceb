"""TIFF files: plain stacks of pages, those of ImageJ, and OME-TIFF.

ImageJ and OME say the pixel size and, OME only, the names of channels. The axis of the tilts is the one
beside ``y``, ``x`` and the channels that is longer than 1: TIFF has none of its own, and programs write
tilts as slices, times or plain pages. What `chemtomo.io.write` wrote is restored from its annotation.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np

from chemtomo.data import to_nanometre
from chemtomo.errors import DataError, NoTiltSeriesError, ReadError
from chemtomo.io import restore
from chemtomo.io.axes import channel_stacks
from chemtomo.io.found import Found
from chemtomo.io.library import quietly

__all__ = ["find", "recognises"]

_MAP_FROM_BYTES = 512 << 20
# More than any codec of TIFF shrinks anything, which bounds what a small file can claim to hold.
_LARGEST_COMPRESSION = 2000
_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_CENTIMETRE = 3
_MOST_WARNINGS = 3
_LARGEST_PIXEL_NM = 1e4


def recognises(head: bytes) -> bool:
    """Tell whether the first bytes of a file are those of a TIFF file."""
    return head[:4] in _MAGIC


def find(path: Path) -> list[Found]:
    """Find the stacks in a TIFF file, one a channel.

    Files of 512 MiB and more are read page by page when their values are needed.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Raises
    ------
    ReadError
        When it is no TIFF file, truncated, or of colours.
    """
    found, warned = quietly(lambda: _find(path), "tifffile")
    # The library goes on with the pages before the first that it cannot find.
    if lost := [one for one in warned if "TiffPages" in one]:
        raise ReadError(f"{path}: damaged or truncated: found a broken list of pages ({lost[0]})")
    return [one.replace(notes=(*one.notes, *warned[:_MOST_WARNINGS])) for one in found]


def _find(path: Path) -> list[Found]:
    import tifffile

    with tifffile.TiffFile(path) as file:
        if not file.pages:
            raise ReadError(f"{path}: found no image in it; expected a TIFF file with projections")
        _require_values(file.series, path)
        restored = restore.from_tiff(
            file.ome_metadata, file.series, lambda series, index: _values(series, path, index), str(path)
        )
        if restored is not None:
            return restored
        images = _images(file, path)
        pixel_size, notes = _pixel_size(file)
        ome = _ome(file)
    found: list[Found] = []
    for index, (axes, data) in enumerate(images):
        said = ome[index] if index < len(ome) else {}
        found += _channels(path, axes, data, said, pixel_size, notes, many=len(images) > 1)
    return found


def _require_values(images: Any, path: Path) -> None:
    """Raise `ReadError` unless all images are of grey values, and as large as the file can hold."""
    size = path.stat().st_size
    for series in images:
        if series.dtype is None or series.dtype.kind not in "uifb":
            raise NoTiltSeriesError(f"{path}: found values of the type {series.dtype}; expected real numbers")
        if "S" in series.axes:
            raise NoTiltSeriesError(f"{path}: found an image in colours; expected grey values")
        if series.nbytes > size * _LARGEST_COMPRESSION or (
            series.keyframe.compression == 1 and series.nbytes > size and not series.is_multifile
        ):
            raise ReadError(
                f"{path}: truncated: found {size} bytes; expected at least {series.nbytes} for "
                f"{series.dtype} of shape {series.shape}"
            )


def _images(file: Any, path: Path) -> list[tuple[str, Any]]:
    """Return the axes and values of the images in a file; single pages of a size are one stack."""
    images = [(series.axes, series) for series in file.series]
    plain = not (file.is_ome or file.is_imagej)
    alike = {(series.shape, series.dtype, axes) for axes, series in images}
    if plain and len(images) > 1 and len(alike) == 1 and images[0][0] == "YX":
        # Pages that were written one by one.
        pages = [_values(series, path, index) for index, (_, series) in enumerate(images)]
        if all(isinstance(page, np.ndarray) for page in pages):
            return [("QYX", np.stack(pages))]
        import dask.array

        return [("QYX", dask.array.stack(pages))]
    return [(axes, _values(series, path, index)) for index, (axes, series) in enumerate(images)]


def _values(series: Any, path: Path, index: int) -> Any:
    """Return the values of a series: read, mapped, or to be read page by page."""
    if series.nbytes < _MAP_FROM_BYTES:
        return series.asarray()
    if series.dataoffset is not None and series.dtype.isnative:
        return np.memmap(path, series.dtype, "r", series.dataoffset, series.shape)
    import dask.array
    from dask.delayed import delayed

    height, width = series.shape[-2:]
    pages = [
        dask.array.from_delayed(
            delayed(_read_page)(path, index, page, (height, width)), (1, height, width), series.dtype
        )
        for page in range(math.prod(series.shape[:-2]))
    ]
    return dask.array.concatenate(pages).reshape(series.shape)


def _read_page(path: Path, index: int, page: int, shape: tuple[int, int]) -> Any:
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            return file.series[index].asarray(key=page).reshape(1, *shape)
    except Exception as error:
        # Nearly anything, when the file is damaged or another one by now.
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
    """Return one stack or image a channel."""
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
                notes=notes,
            )
        )
    return found


def _pixel_size(file: Any) -> tuple[float | None, tuple[str, ...]]:
    """Return the pixel size that ImageJ or the resolution of the first page says."""
    page = file.pages[0]
    resolution = page.tags.get("XResolution")
    if resolution is None:
        return None, ()
    numerator, denominator = resolution.value
    if numerator <= 0 or denominator <= 0:
        return None, ()
    size = denominator / numerator
    unit = (file.imagej_metadata or {}).get("unit")
    if unit:
        # ImageJ writes the micro sign as an escape.
        unit = str(unit).replace("\\u00B5", "µ").replace("micron", "µm")
        try:
            return float(f"{to_nanometre(size, unit):.6g}"), ()
        except DataError:
            return None, (f"the pixel size has the unit {unit!r}, which is no length",)
    if page.resolutionunit == _CENTIMETRE:
        found = float(f"{to_nanometre(size, 'cm'):.6g}")
        # Larger pixels are those of a printer.
        return (found, ()) if found < _LARGEST_PIXEL_NM else (None, ())
    return None, ()


def _ome(file: Any) -> list[dict[str, Any]]:
    """Return names and pixel size of every image that an OME-TIFF file describes."""
    if not file.is_ome or not file.ome_metadata:
        return []
    root = ET.fromstring(file.ome_metadata)
    namespace = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    found = []
    for image in root.iter(f"{namespace}Image"):
        pixels = image.find(f"{namespace}Pixels")
        if pixels is None:
            continue
        one: dict[str, Any] = {
            "name": image.get("Name"),
            "channels": [channel.get("Name") for channel in pixels.iter(f"{namespace}Channel")],
        }
        size = float(pixels.get("PhysicalSizeX", "0"))
        if size > 0 and math.isfinite(size):
            unit = pixels.get("PhysicalSizeXUnit", "µm")
            one["pixel_size_nm"] = float(f"{to_nanometre(size, unit):.6g}")
        found.append(one)
    return found
