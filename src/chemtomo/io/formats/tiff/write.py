"""Write OME-TIFF: images that Fiji and Bio-Formats open, with names, colours and pixel sizes.

Specification: https://docs.openmicroscopy.org/ome-model/. It has no tilt axis, so tilts are stored along the
time axis. An annotation has the tilts in degrees for people, and all metadata as JSON for programs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import TiltSeries, Volume
from chemtomo.data.colours import channel_colours
from chemtomo.io.description import KEY, describe_dataset, describe_volume, to_text
from chemtomo.io.formats.grouping import group_alike, storage_dtype
from chemtomo.io.formats.target import Target, Written
from chemtomo.io.storage.names import xml_text
from chemtomo.io.tilts.angle_files import format_angles

__all__ = ["files", "write_series", "write_volume"]

_TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
# The largest content of a TIFF file with 32-bit offsets, leaving room for the description.
_LARGEST_CLASSIC = (1 << 32) - (1 << 26)


def files(target: Target, names: Sequence[str], *, volume: bool) -> list[Path]:
    """List the files that may be written: tilts that all series share are written to a text file too."""
    return [target.path] if volume else [target.path, target.beside(target.stem or "", ".rawtlt")]


def write_volume(volume: Volume, target: Target) -> Written:
    """Write one image of the axes ``(c, z, y, x)``."""
    import tifffile

    data = np.asarray(volume.data, dtype=np.float32)
    big = data.nbytes > _LARGEST_CLASSIC
    with target.writing([target.path]) as (path,), tifffile.TiffWriter(path, ome=True, bigtiff=big) as file:
        file.write(
            data,
            photometric="minisblack",
            metadata={
                "axes": "CZYX",
                "Name": xml_text(" ".join(volume.names)),
                **_pixels("XYZ", volume.voxel_size_nm),
                "Channel": _channels(volume.names),
                "MapAnnotation": {"Namespace": KEY, KEY: to_text(describe_volume(volume))},
            },
        )
    return Written([target.path])


def write_series(series: Sequence[TiltSeries], target: Target) -> Written:
    """Write series that are alike as one image of the axes ``(c, t, y, x)``; backgrounds as further images.

    Tilts that all series share are written to a ``.rawtlt`` file too, for programs that read such files.
    """
    same = len({one.tilts_deg.tobytes() for one in series}) == 1
    with target.writing(files(target, (), volume=not same)) as (path, *angles):
        notes = _write_images(series, path)
        for one in angles:
            one.write_text(format_angles(series[0].tilts_deg), encoding="ascii")
    return Written([target.path], notes)


def _write_images(series: Sequence[TiltSeries], path: Path) -> list[str]:
    import tifffile

    notes = []
    stored = []
    for one in series:
        dtype, note = storage_dtype(one, _TYPES)
        stored.append(dtype)
        notes += [note] if note is not None else []
    dtypes = dict(zip((one.name for one in series), stored, strict=True))
    # An image has one data type: separate series that are stored in different ones.
    groups = [
        [one for one in group if dtypes[one.name] == dtype]
        for group in group_alike(series, same_type=False)
        for dtype in dict.fromkeys(dtypes[one.name] for one in group)
    ]
    background = [one for group in groups for one in group if one.background is not None]
    description = describe_dataset(series)
    entries = dict(zip((one.name for one in series), description["series"], strict=True))
    for image, group in enumerate(groups):
        for channel, one in enumerate(group):
            entries[one.name] |= {"image": image, "channel": channel}
    for image, one in enumerate(background, start=len(groups)):
        entries[one.name]["background"] = image
    size = sum(dtypes[one.name].itemsize * math.prod(one.shape) for one in series)
    size += sum(8 * math.prod(one.shape) for one in background)
    with tifffile.TiffWriter(path, ome=True, bigtiff=size > _LARGEST_CLASSIC) as file:
        for image, group in enumerate(groups):
            annotation = {"tilts (degree)": ", ".join(f"{tilt:g}" for tilt in group[0].tilts_deg)}
            if image == 0:
                annotation[KEY] = to_text(description)
            dtype = dtypes[group[0].name]
            file.write(
                _pages(group, dtype),
                shape=(len(group), *group[0].shape),
                dtype=dtype,
                photometric="minisblack",
                metadata={
                    "axes": "CTYX",
                    "Name": xml_text(" ".join(one.name for one in group)),
                    **_pixels("XY", group[0].pixel_size_nm),
                    "Channel": _channels([one.name for one in group]),
                    "MapAnnotation": {"Namespace": KEY, **annotation},
                },
            )
        for one in background:
            kept = np.dtype("float64" if np.dtype(one.background.dtype).itemsize > 4 else "float32")
            file.write(
                (np.asarray(one.background[tilt]).astype(kept) for tilt in range(one.shape[0])),
                shape=one.shape,
                dtype=kept,
                photometric="minisblack",
                metadata={
                    "axes": "TYX",
                    "Name": xml_text(f"{one.name} background"),
                    **_pixels("XY", one.pixel_size_nm),
                },
            )
    return notes


def _pages(group: Sequence[TiltSeries], dtype: np.dtype[Any]) -> Iterator[npt.NDArray[Any]]:
    for one in group:
        for projection in one.projections():
            yield np.ascontiguousarray(projection.astype(dtype, copy=False))


def _pixels(axes: str, size_nm: float) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for axis in axes:
        found[f"PhysicalSize{axis}"] = float(size_nm)
        found[f"PhysicalSize{axis}Unit"] = "nm"
    return found


def _channels(names: Sequence[str]) -> dict[str, list[Any]]:
    """Return names and colours; OME stores a colour as a signed integer of the bytes R, G, B, A."""
    colours = [(int(one.removeprefix("#"), 16) << 8) | 0xFF for one in channel_colours(names)]
    return {
        "Name": [xml_text(name) for name in names],
        "Color": [one - (1 << 32) if one >= 1 << 31 else one for one in colours],
    }
