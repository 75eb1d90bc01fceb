"""Tilt series in OME-Zarr images, 0.4 and 0.5, of one or several images.

OME-Zarr has no axis of tilts: they run along ``t`` or ``z``, see `chemtomo.io.interpret.stack_axes`. Its
channel names and pixel sizes are used; tilts are in the description that `chemtomo.io.write_dataset` leaves
in the attribute ``chemtomo``, or in a file beside the folder. Only the level of full resolution is read.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.errors import NoTiltSeriesError, ReadError
from chemtomo.io.formats import restore
from chemtomo.io.found import Found
from chemtomo.io.interpret.pixel_size import pixel_size
from chemtomo.io.interpret.stack_axes import channel_stacks
from chemtomo.io.tilts.units import AngleUnit, as_degrees, unit_in

__all__ = ["find", "holds_tilt_series", "holds_zarr", "recognises"]

_LAZY_FROM_BYTES = 256 << 20
_MOST_IMAGES = 1000
_MOST_PROJECTIONS = 1 << 17


def recognises(head: bytes) -> bool:
    """Nothing: a Zarr image is a folder, which is known by the ending of its name."""
    return False


def find(path: Path) -> list[Found]:
    """Find the stacks in an OME-Zarr image, one a channel, or in all images of a collection.

    Images of 256 MiB and more are read one projection after the other when their values are needed.

    Raises
    ------
    ReadError
        When it is no OME-Zarr image, or damaged.
    """
    import zarr

    if not holds_zarr(path):
        raise ReadError(f"{path}: found no Zarr group; expected an OME-Zarr image")
    root = zarr.open(str(path), mode="r")
    if isinstance(root, zarr.Array):
        raise NoTiltSeriesError(f"{path}: found a Zarr array by itself; expected an OME-Zarr image")
    said = dict(root.attrs).get("chemtomo")
    if isinstance(said, dict) and (said.get("kind") == "volume" or "recipe" in said):
        raise NoTiltSeriesError(f"{path}: found a volume; expected a tilt series")
    restored = restore.from_zarr(root, lambda array: _values(array, path), str(path))
    if restored is not None:
        return restored
    images = [root] if _multiscales(root) else _collection(root)
    if not images:
        raise NoTiltSeriesError(f"{path}: found no image description; expected an OME-Zarr image")
    found: list[Found] = []
    for image in images:
        found += _channels(image, path, many=len(images) > 1)
    return found


def holds_zarr(path: Path) -> bool:
    """Tell whether a folder is a Zarr group or array, of whatever name."""
    return any((path / name).is_file() for name in (".zgroup", ".zarray", "zarr.json"))


def holds_tilt_series(path: Path) -> bool:
    """Tell whether a Zarr folder is a tilt series that `chemtomo.io.write` wrote, rather than a volume."""
    import json

    for name in (".zattrs", "zarr.json"):
        try:
            attributes = json.loads((path / name).read_text(encoding="utf-8"))
            attributes = attributes.get("attributes", attributes)
            if attributes["chemtomo"]["kind"] == "tilt series":
                return True
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
    return False


def _multiscales(group: Any) -> Any:
    attributes = dict(group.attrs)
    return {**attributes, **attributes.get("ome", {})}.get("multiscales")


def _collection(root: Any) -> list[Any]:
    """Return the images of a collection, which Bio-Formats numbers from 0."""
    import zarr

    images = []
    for number in range(_MOST_IMAGES):
        if str(number) not in root:
            break
        image = root[str(number)]
        if isinstance(image, zarr.Group) and _multiscales(image):
            images.append(image)
    return images


def _channels(image: Any, path: Path, *, many: bool) -> list[Found]:
    attributes = dict(image.attrs)
    attributes = {**attributes, **attributes.get("ome", {})}
    try:
        multiscale = attributes["multiscales"][0]
        # In 0.4 and later an axis is an object; before, it was its name.
        axes = [one if isinstance(one, str) else one["name"] for one in multiscale["axes"]]
        units = ["" if isinstance(one, str) else str(one.get("unit") or "") for one in multiscale["axes"]]
        dataset = multiscale["datasets"][0]
        array = image[dataset["path"]]
        scale = _scale(multiscale, dataset, len(axes))
        labels = [one.get("label") for one in attributes.get("omero", {}).get("channels", [])]
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ReadError(
            f"{path}: found no image description ({error}); expected an OME-Zarr image"
        ) from error
    stacks = channel_stacks(_values(array, path), axes, path)
    tilts, unit = _tilts(multiscale, dataset, axes, units, array.shape)
    size, notes = pixel_size((scale[-2], units[-2]), (scale[-1], units[-1]))
    # The folder of an image is NAME.zarr or NAME.ome.zarr.
    stem = path.name.split(".")[0]
    found = []
    for channel, stack in enumerate(stacks):
        named = channel < len(labels) and bool(labels[channel])
        name = str(labels[channel]) if named else stem
        if not named and len(stacks) > 1:
            name = f"{stem} {channel + 1}"
        found.append(
            Found(
                name=name,
                data=stack if len(stack) > 1 else stack[0],
                kind="stack" if len(stack) > 1 else "image",
                tilts_deg=tilts if tilts is not None and len(tilts) == len(stack) > 1 else None,
                tilt_unit=unit,
                pixel_size_nm=size,
                named=named or many or len(stacks) > 1,
                notes=tuple(notes),
            )
        )
    return found


def _tilts(
    multiscale: Any, dataset: Any, axes: list[str], units: list[str], shape: tuple[int, ...]
) -> tuple[npt.NDArray[np.float64] | None, AngleUnit | None]:
    """Return the tilts in degrees of an axis that has a unit of angles, and that unit; else None."""
    for index, unit in enumerate(units):
        said = unit_in(unit)
        if said is not None:
            step = _scale(multiscale, dataset, len(axes))[index]
            start = _start(multiscale, dataset, len(axes))[index]
            return as_degrees(start + step * np.arange(shape[index], dtype=np.float64), said), said
    return None, None


def _start(multiscale: Any, dataset: Any, axes: int) -> list[float]:
    """Return the place of the first pixel along every axis."""
    start = [0.0] * axes
    for place in (dataset, multiscale):
        for one in place.get("coordinateTransformations", ()):
            if one.get("type") == "scale":
                start = [at * float(factor) for at, factor in zip(start, one["scale"], strict=True)]
            elif one.get("type") == "translation":
                start = [at + float(by) for at, by in zip(start, one["translation"], strict=True)]
    return start


def _values(array: Any, path: Path) -> Any:
    import zarr

    if not isinstance(array, zarr.Array) or array.ndim < 2 or array.dtype.kind not in "uif":
        raise NoTiltSeriesError(f"{path}: found no array of real numbers; expected an OME-Zarr image")
    if math.prod(array.shape) * array.dtype.itemsize < _LAZY_FROM_BYTES:
        return np.asarray(array[...])
    if math.prod(array.shape[:-2]) > _MOST_PROJECTIONS:
        raise ReadError(f"{path}: found an array of shape {array.shape}; expected a tilt series")
    from dask.array import from_array

    return from_array(array, chunks=(*(1 for _ in array.shape[:-2]), *array.shape[-2:]))


def _scale(multiscale: Any, dataset: Any, axes: int) -> list[float]:
    """Return the size of a pixel along every axis: the scale of the level times that of the image."""
    scale = [1.0] * axes
    for place in (dataset, multiscale):
        for one in place.get("coordinateTransformations", ()):
            if one.get("type") == "scale":
                scale = [size * float(factor) for size, factor in zip(scale, one["scale"], strict=True)]
    return scale
