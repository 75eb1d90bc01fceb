"""Volumes as OME-Zarr images.

OME-NGFF 0.4 on Zarr 2 is written, which every current reader opens (napari-ome-zarr, Fiji,
neuroglancer, ilastik); several do not know 0.5 on Zarr 3 yet. One resolution level is written: in 3D
napari shows the coarsest level of an image, and tomograms of this field fit in memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import Volume
from chemtomo.data.colours import channel_colours
from chemtomo.data.units import to_nanometre
from chemtomo.errors import DataError, ReadError

__all__ = ["is_zarr", "read_image", "write_image"]

_AXES = ("c", "z", "y", "x")
_CHUNK = 128
_KEY = "chemtomo"


def is_zarr(path: Path) -> bool:
    """Tell whether a folder is a Zarr group or array."""
    return any((path / name).is_file() for name in (".zgroup", ".zarray", "zarr.json"))


def write_image(volume: Volume, path: Path, *, name: str, recipe: Any) -> None:
    """Write one multichannel image ``(c, z, y, x)`` with its axes in nanometres.

    Channel names, colours and contrast limits go to the ``omero`` attribute, and the recipe to the
    attribute ``chemtomo``.

    Parameters
    ----------
    volume : Volume
        What to write.
    path : pathlib.Path
        A folder that does not exist yet.
    name : str
        Name of the image.
    recipe : dict
        The provenance of the volume, as JSON knows it.
    """
    import zarr
    from ome_zarr.format import FormatV04
    from ome_zarr.writer import write_multiscales_metadata

    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    array = group.create_array(
        "0",
        shape=volume.data.shape,
        dtype="float32",
        chunks=(1, *(min(size, _CHUNK) for size in volume.shape)),
        chunk_key_encoding={"name": "v2", "separator": "/"},
        fill_value=0.0,
    )
    array[...] = volume.data
    size = float(volume.voxel_size_nm)
    place = [float(index) * size for index in volume.origin_px]
    transforms = [
        {"type": "scale", "scale": [1.0, size, size, size]},
        {"type": "translation", "translation": [0.0, *place]},
    ]
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": axis, "type": "space", "unit": "nanometer"} for axis in _AXES[1:]]
    write_multiscales_metadata(
        group,
        datasets=[{"path": "0", "coordinateTransformations": transforms}],
        fmt=FormatV04(),
        axes=axes,
        name=name,
        metadata={"omero": _omero(volume)},
    )
    group.attrs[_KEY] = {"recipe": recipe}


def read_image(path: Path) -> Volume:
    """Read an image of the axes ``(c, z, y, x)``, at full resolution.

    Raises
    ------
    ReadError
        When the folder is no such image.
    """
    import zarr

    if not is_zarr(path):
        raise ReadError(f"{path}: found no Zarr group; expected an OME-Zarr image")
    try:
        group = zarr.open_group(str(path), mode="r")
        attributes: dict[str, Any] = dict(group.attrs)
        attributes = {**attributes, **attributes.get("ome", {})}
        multiscale = attributes["multiscales"][0]
        axes = multiscale["axes"]
        dataset = multiscale["datasets"][0]
        array = group[dataset["path"]]
        names = tuple(axis["name"] for axis in axes)
        transforms = {one["type"]: one[one["type"]] for one in dataset["coordinateTransformations"]}
        labels = [channel.get("label") for channel in attributes.get("omero", {}).get("channels", [])]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ReadError(
            f"{path}: found no image description ({error}); expected an OME-Zarr image"
        ) from error
    if names != _AXES or not isinstance(array, zarr.Array):
        raise ReadError(f"{path}: found the axes {', '.join(names)}; expected {', '.join(_AXES)}")
    data = np.asarray(array[...], dtype=np.float32)
    size = to_nanometre(float(transforms["scale"][1]), axes[1].get("unit", "nanometer"))
    place = [float(value) for value in transforms.get("translation", [0.0] * 4)[1:]]
    origin = tuple(
        _whole(value / float(scale)) for value, scale in zip(place, transforms["scale"][1:], strict=True)
    )
    if len(labels) != len(data) or None in labels:
        labels = [f"channel {index}" for index in range(len(data))]
    try:
        return Volume(
            data=data,
            names=tuple(labels),
            voxel_size_nm=size,
            origin_px=(origin[0], origin[1], origin[2]),
            provenance=attributes.get(_KEY, {}).get("recipe", {}),
        )
    except DataError as error:
        raise ReadError(f"{path}: {error}") from error


def _omero(volume: Volume) -> dict[str, Any]:
    channels = []
    for data, name, colour in zip(volume.data, volume.names, channel_colours(volume.names), strict=True):
        low, high, end = _contrast(data)
        channels.append(
            {
                "label": name,
                "color": colour.removeprefix("#").upper(),
                "active": True,
                "coefficient": 1,
                "family": "linear",
                "inverted": False,
                "window": {"min": low, "max": high, "start": low, "end": end},
            }
        )
    return {"name": "ChemTomo", "version": "0.4", "channels": channels, "rdefs": {"model": "color"}}


def _contrast(data: npt.NDArray[np.float32]) -> tuple[float, float, float]:
    """Return the smallest value or zero, the largest one, and the upper contrast limit."""
    low, high = min(0.0, float(data.min())), float(data.max())
    end = float(np.percentile(data, 99.9))
    if end <= low:
        end = high if high > low else low + 1.0
    return low, max(high, end), end


def _whole(index: float) -> float:
    """Remove the rounding error of an index that went through a length."""
    return float(round(index)) if abs(index - round(index)) < 1e-6 else index
