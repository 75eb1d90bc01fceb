"""Read OME-Zarr 0.4 and 0.5: tilt series of one or several images, and volumes.

OME-Zarr has no tilt axis: tilts run along ``t`` or ``z``, see `chemtomo.io.interpret.stack_axes`. Its
channel names and pixel sizes are used; tilts are in the description that `chemtomo.io.write_dataset` leaves
in the attribute ``chemtomo``, or in a file beside the folder. Only the level of full resolution is read.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import Volume
from chemtomo.errors import NoTiltSeriesError, ReadError
from chemtomo.io.description import (
    KEY,
    VOLUME,
    check_version,
    entry_index,
    restore_series,
    restore_volume,
)
from chemtomo.io.formats.target import is_zarr
from chemtomo.io.formats.volume_parts import channel_names, require_fits_file, voxel_size_nm
from chemtomo.io.found import Found
from chemtomo.io.interpret.pixel_size import pixel_size
from chemtomo.io.interpret.stack_axes import channel_stacks
from chemtomo.io.tilts.units import AngleUnit, as_degrees, unit_in

__all__ = ["description", "find", "read_volume"]

_LAZY_FROM_BYTES = 256 << 20
_MAX_IMAGES = 1000
_MAX_PROJECTIONS = 1 << 17


def find(path: Path) -> list[Found]:
    """Find the stacks in an OME-Zarr image, one per channel, or in all images of a collection.

    Images of 256 MiB and more are read projection by projection when their values are needed.

    Raises
    ------
    ReadError
        When it is not an OME-Zarr image, or damaged.
    """
    root = _root(path)
    said = dict(root.attrs).get(KEY)
    if isinstance(said, dict) and (said.get("kind") == VOLUME or "recipe" in said):
        raise NoTiltSeriesError(f"{path}: found a volume; expected a tilt series")
    if isinstance(said, dict) and "series" in said:
        restored = _restored(root, said, path)
        if restored is not None:
            return restored
    images = [root] if _attributes(root).get("multiscales") else _collection(root)
    if not images:
        raise NoTiltSeriesError(f"{path}: found no image description; expected an OME-Zarr image")
    return [one for image in images for one in _channels(_image(image, path), path, many=len(images) > 1)]


def read_volume(path: Path) -> Volume:
    """Read an image of the axes ``(c, z, y, x)`` or ``(z, y, x)``, at full resolution."""
    root = _root(path)
    image = _image(root, path)
    if image.axes not in (("c", "z", "y", "x"), ("z", "y", "x")):
        raise ReadError(f"{path}: found the axes {', '.join(image.axes)}; expected c, z, y, x")
    require_fits_file(path, image.array.shape, image.array.dtype)
    data = np.asarray(image.array[...], dtype=np.float32)
    data = data if data.ndim == 4 else data[np.newaxis]
    said = dict(root.attrs).get(KEY)
    if said is not None and "names" in said:
        check_version(said, str(path))
        return restore_volume(said, data, str(path))
    names = list(image.labels)
    if len(names) != len(data) or None in names:
        names = channel_names(path, len(data))
    scale = image.scale[-3:]
    found = {
        "names": names,
        "voxel_size_nm": voxel_size_nm(scale[0], image.units[-3] or "nanometer"),
        "origin_px": [_whole(at / size) for at, size in zip(image.start[-3:], scale, strict=True)],
        "recipe": (said or {}).get("recipe", {}),
    }
    return restore_volume(found, data, str(path))


def description(path: Path) -> Mapping[str, Any] | None:
    """Return the description in an OME-Zarr image; without one, whether its axes are those of a volume."""
    root = _root(path)
    said = dict(root.attrs).get(KEY)
    if said is not None:
        return dict(said)
    axes = _image(root, path).axes
    return {"kind": VOLUME} if axes[-3:] == ("z", "y", "x") and "t" not in axes else None


@dataclasses.dataclass(frozen=True)
class _Image:
    """An image at full resolution: its axes with their units, pixel sizes and first positions."""

    array: Any
    axes: tuple[str, ...]
    units: tuple[str, ...]
    scale: list[float]
    start: list[float]
    labels: tuple[Any, ...]


def _root(path: Path) -> Any:
    import zarr

    if not path.exists():
        raise ReadError(f"{path}: no such file")
    if not is_zarr(path):
        raise ReadError(f"{path}: found no Zarr group; expected an OME-Zarr image")
    root = zarr.open(str(path), mode="r")
    if isinstance(root, zarr.Array):
        raise NoTiltSeriesError(f"{path}: found a Zarr array by itself; expected an OME-Zarr image")
    return root


def _attributes(group: Any) -> dict[str, Any]:
    """Return the attributes of a group, including those under ``ome`` in version 0.5."""
    attributes = dict(group.attrs)
    return {**attributes, **attributes.get("ome", {})}


def _collection(root: Any) -> list[Any]:
    """Return the images of a collection, which Bio-Formats numbers from 0."""
    import zarr

    images = []
    for number in range(_MAX_IMAGES):
        if str(number) not in root:
            break
        image = root[str(number)]
        if isinstance(image, zarr.Group) and _attributes(image).get("multiscales"):
            images.append(image)
    return images


def _image(group: Any, path: Path) -> _Image:
    try:
        attributes = _attributes(group)
        multiscale = attributes["multiscales"][0]
        # Since version 0.4 an axis is an object; before, it was its name.
        axes = [{"name": one} if isinstance(one, str) else one for one in multiscale["axes"]]
        dataset = multiscale["datasets"][0]
        scale, start = [1.0] * len(axes), [0.0] * len(axes)
        for place in (dataset, multiscale):
            for one in place.get("coordinateTransformations", ()):
                if one.get("type") == "scale":
                    factors = [float(factor) for factor in one["scale"]]
                    scale = [size * by for size, by in zip(scale, factors, strict=True)]
                    start = [at * by for at, by in zip(start, factors, strict=True)]
                elif one.get("type") == "translation":
                    start = [at + float(by) for at, by in zip(start, one["translation"], strict=True)]
        return _Image(
            group[dataset["path"]],
            tuple(one["name"] for one in axes),
            tuple(str(one.get("unit") or "") for one in axes),
            scale,
            start,
            tuple(one.get("label") for one in attributes.get("omero", {}).get("channels", [])),
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ReadError(
            f"{path}: found no image description ({error}); expected an OME-Zarr image"
        ) from error


def _channels(image: _Image, path: Path, *, many: bool) -> list[Found]:
    stacks = channel_stacks(_values(image.array, path), image.axes, path)
    tilts, unit = _tilts(image)
    size, notes = pixel_size((image.scale[-2], image.units[-2]), (image.scale[-1], image.units[-1]))
    # The folder of an image is NAME.zarr or NAME.ome.zarr.
    stem = path.name.split(".")[0]
    found = []
    for channel, stack in enumerate(stacks):
        named = channel < len(image.labels) and bool(image.labels[channel])
        name = str(image.labels[channel]) if named else stem
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


def _tilts(image: _Image) -> tuple[npt.NDArray[np.float64] | None, AngleUnit | None]:
    """Return the tilts in degrees of an axis that has a unit of angles, and that unit; else None."""
    for unit, step, start, count in zip(
        image.units, image.scale, image.start, image.array.shape, strict=False
    ):
        said = unit_in(unit)
        if said is not None:
            return as_degrees(start + step * np.arange(count, dtype=np.float64), said), said
    return None, None


def _restored(root: Any, said: Mapping[str, Any], path: Path) -> list[Found] | None:
    """Return the series that this program wrote; an image holds those that are alike, one per channel."""
    where = str(path)
    read: dict[str, Any] = {}

    def array(place: Any) -> Any:
        if not isinstance(place, str) or place not in root:
            raise ReadError(f"{where}: found no array {place!r}; expected one, as its description says")
        if place not in read:
            read[place] = _values(root[place], path)
        return read[place]

    def stack(entry: Mapping[str, Any], _: int) -> Any:
        image = entry.get("image", "")
        stacks = array(f"{image}/0" if image else "0")
        if stacks.ndim != 4:
            raise ReadError(f"{where}: found an array of shape {stacks.shape}; expected (t, c, y, x)")
        return stacks[:, entry_index(entry.get("channel"), stacks.shape[1], "channel", where)]

    return restore_series(said, where, stack, lambda entry: array(entry["background"]))


def _values(array: Any, path: Path) -> Any:
    import zarr

    if not isinstance(array, zarr.Array) or array.ndim < 2 or array.dtype.kind not in "uif":
        raise NoTiltSeriesError(f"{path}: found no array of real numbers; expected an OME-Zarr image")
    if math.prod(array.shape) * array.dtype.itemsize < _LAZY_FROM_BYTES:
        return np.asarray(array[...])
    if math.prod(array.shape[:-2]) > _MAX_PROJECTIONS:
        raise ReadError(f"{path}: found an array of shape {array.shape}; expected a tilt series")
    from dask.array import from_array

    return from_array(array, chunks=(*(1 for _ in array.shape[:-2]), *array.shape[-2:]))


def _whole(index: float) -> float:
    """Remove the rounding error of an index that went through a length."""
    return float(round(index)) if abs(index - round(index)) < 1e-6 else index
