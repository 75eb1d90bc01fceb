"""Write OME-Zarr: volumes and datasets as multiscale images.

OME-NGFF 0.4 on Zarr 2 is written, which all current readers open (napari-ome-zarr, Fiji, neuroglancer,
ilastik); several cannot read 0.5 on Zarr 3 yet. Specification: https://ngff.openmicroscopy.org/0.4/
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import TiltSeries, Volume
from chemtomo.data.colours import channel_colours
from chemtomo.io.description import KEY, TILT_SERIES, describe_dataset, describe_volume
from chemtomo.io.formats.grouping import group_alike
from chemtomo.io.formats.ome_zarr.pyramid import level_count, levels_of
from chemtomo.io.formats.target import Target, Written

__all__ = ["write_series", "write_volume"]

_CHUNK = 128
_TILT_CHUNK = 1024
_SAMPLED = 1 << 20
_METHOD = "local mean over 2 pixels along every spatial axis; counts become mean counts"


def write_volume(volume: Volume, target: Target) -> Written:
    """Write one multichannel image ``(c, z, y, x)`` with its axes in nanometres.

    Channel names, colours and contrast limits go to the ``omero`` attribute, and the recipe and the position
    in the uncropped volume to the attribute ``chemtomo``. The smaller levels are local means.
    """
    import zarr

    with target.writing([target.path], folders=True) as (path,):
        group = zarr.open_group(str(path), mode="w", zarr_format=2)
        levels = level_count(volume.shape)
        arrays = _create_levels(
            group, volume.data.shape, np.dtype(np.float32), levels, spatial=3, chunk=_CHUNK
        )
        for channel, image in enumerate(volume.data):
            for array, smaller in zip(arrays, levels_of(np.asarray(image, np.float32), levels), strict=True):
                array[channel] = smaller
        axes = [{"name": "c", "type": "channel"}]
        axes += [{"name": axis, "type": "space", "unit": "nanometer"} for axis in "zyx"]
        size = float(volume.voxel_size_nm)
        place = [float(index) * size for index in volume.origin_px]
        group.attrs.update(
            {
                "multiscales": _multiscales(target.stem or "", axes, levels, [size] * 3, place),
                "omero": _omero(volume.names, [_limits(data) for data in volume.data]),
                KEY: describe_volume(volume),
            }
        )
    return Written([target.path])


def write_series(series: Sequence[TiltSeries], target: Target) -> Written:
    """Write series that are alike as one image ``(t, c, y, x)``.

    The first axis is the tilt axis, stored as time. The tilts in degrees, and all other metadata of the
    dataset, are in the attribute ``chemtomo`` of the root. When all series are alike in shape, tilts, pixel
    size and data type, the root is the image; otherwise it holds one image per group of them, named ``0``,
    ``1``, ... as Bio-Formats does.
    """
    import zarr

    with target.writing([target.path], folders=True) as (path,):
        root = zarr.open_group(str(path), mode="w", zarr_format=2)
        description = describe_dataset(series)
        entries = dict(zip((one.name for one in series), description["series"], strict=True))
        groups = group_alike(series)
        for index, members in enumerate(groups):
            inside = f"{index}/" if len(groups) > 1 else ""
            group = root.create_group(str(index)) if inside else root
            _write_image(group, members, name=f"{target.stem} {index}" if inside else target.stem or "")
            for channel, one in enumerate(members):
                entries[one.name]["image"] = inside.rstrip("/")
                entries[one.name]["channel"] = channel
                if one.background is not None:
                    place = f"{inside}backgrounds/{channel}"
                    _write_background(root, place, one)
                    entries[one.name]["background"] = place
        if len(groups) > 1:
            root.attrs["bioformats2raw.layout"] = 3
            root.create_group("OME").attrs["series"] = [str(index) for index in range(len(groups))]
        root.attrs[KEY] = description
    return Written([target.path])


def _write_image(group: Any, members: Sequence[TiltSeries], *, name: str) -> None:
    first = members[0]
    tilts, rows, columns = first.shape
    levels = level_count((rows, columns))
    dtype = np.dtype(first.data.dtype).newbyteorder("=")
    arrays = _create_levels(
        group, (tilts, len(members), rows, columns), dtype, levels, spatial=2, chunk=_TILT_CHUNK
    )
    limits = []
    for channel, series in enumerate(members):
        samples, low, high = [], np.inf, -np.inf
        stride = max(1, int(np.ceil(np.sqrt(tilts * rows * columns / _SAMPLED))))
        for tilt, projection in enumerate(series.projections()):
            for array, smaller in zip(arrays, levels_of(projection.astype(dtype), levels), strict=True):
                array[tilt, channel] = smaller
            samples.append(projection[::stride, ::stride].ravel())
            low, high = min(low, float(projection.min())), max(high, float(projection.max()))
        limits.append(_window(low, high, float(np.percentile(np.concatenate(samples), 99.9))))
    size = float(first.pixel_size_nm)
    axes: list[dict[str, str]] = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
    axes += [{"name": axis, "type": "space", "unit": "nanometer"} for axis in "yx"]
    group.attrs.update(
        {
            "multiscales": _multiscales(name, axes, levels, [size] * 2, [0.0] * 2),
            "omero": _omero([one.name for one in members], limits),
        }
    )
    if group.path:
        group.attrs[KEY] = {"kind": TILT_SERIES, "described": "in the root"}


def _write_background(root: Any, place: str, series: TiltSeries) -> None:
    array = root.create_array(
        place,
        shape=series.shape,
        dtype=np.dtype(series.background.dtype).newbyteorder("="),
        chunks=(1, *(min(size, _TILT_CHUNK) for size in series.shape[1:])),
        chunk_key_encoding={"name": "v2", "separator": "/"},
        fill_value=0,
    )
    for tilt in range(series.shape[0]):
        array[tilt] = np.asarray(series.background[tilt])


def _create_levels(
    group: Any, shape: tuple[int, ...], dtype: np.dtype[Any], levels: int, *, spatial: int, chunk: int
) -> list[Any]:
    """Create the arrays ``0``, ``1``, ... of an image; the last `spatial` axes are halved at each."""
    arrays = []
    kept, sizes = shape[:-spatial], shape[-spatial:]
    for level in range(levels):
        arrays.append(
            group.create_array(
                str(level),
                shape=(*kept, *sizes),
                dtype=dtype,
                chunks=(*(1 for _ in kept), *(min(size, chunk) for size in sizes)),
                chunk_key_encoding={"name": "v2", "separator": "/"},
                fill_value=0,
            )
        )
        sizes = tuple((size + 1) // 2 for size in sizes)
    return arrays


def _multiscales(
    name: str, axes: list[dict[str, str]], levels: int, sizes: list[float], place: list[float]
) -> list[dict[str, Any]]:
    """Describe the levels. A pixel of a smaller level lies at the centre of the pixels it averages."""
    other = len(axes) - len(sizes)
    datasets = []
    for level in range(levels):
        factor = 2**level
        scale = [1.0] * other + [size * factor for size in sizes]
        shift = [0.0] * other + [
            start + size * (factor - 1) / 2 for start, size in zip(place, sizes, strict=True)
        ]
        transforms = [{"type": "scale", "scale": scale}, {"type": "translation", "translation": shift}]
        datasets.append({"path": str(level), "coordinateTransformations": transforms})
    return [
        {
            "version": "0.4",
            "name": name,
            "axes": axes,
            "datasets": datasets,
            "type": "mean",
            "metadata": {"description": _METHOD},
        }
    ]


def _omero(names: Sequence[str], limits: Sequence[tuple[float, float, float]]) -> dict[str, Any]:
    channels = [
        {
            "label": name,
            "color": colour.removeprefix("#").upper(),
            "active": True,
            "coefficient": 1,
            "family": "linear",
            "inverted": False,
            "window": {"min": low, "max": high, "start": low, "end": end},
        }
        for name, colour, (low, high, end) in zip(names, channel_colours(names), limits, strict=True)
    ]
    return {"name": "ChemTomo", "version": "0.4", "channels": channels, "rdefs": {"model": "color"}}


def _limits(data: npt.NDArray[np.float32]) -> tuple[float, float, float]:
    return _window(float(data.min()), float(data.max()), float(np.percentile(data, 99.9)))


def _window(smallest: float, largest: float, bright: float) -> tuple[float, float, float]:
    """Return the minimum or zero, the maximum, and the upper contrast limit."""
    low, high, end = min(0.0, smallest), largest, bright
    if end <= low:
        end = high if high > low else low + 1.0
    return low, max(high, end), end
