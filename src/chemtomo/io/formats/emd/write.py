"""Write EMD in the form of tomviz: HDF5 with one group ``/data/tomography``.

Source: ``EmdFormat.cxx`` of tomviz, and https://emdatasets.com/format/ (version 0.2). In short:

- ``data`` has three axes, described by the vectors ``dim1``, ``dim2``, ``dim3`` with a name and a unit
  each. It is the channel that is shown; the others are in the group ``tomviz_scalars``, which also links to
  it.
- The axes of a volume are ``(x, y, z)`` in C order.
- The axes of a tilt series are ``(angles, y, x)``, the first with the unit ``[deg]``. In tomviz the tilt
  axis is parallel to **x**, and ``y`` is the detector coordinate: its ``x`` is our ``y`` and vice versa. So
  our ``(tilt, y, x)`` is written with the last two axes exchanged. Since tomviz draws ``y`` upwards and
  napari downwards, the image on the screen is rotated by 90 degrees, not mirrored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import TiltSeries, Volume
from chemtomo.io.description import KEY, describe_dataset, describe_volume, to_text
from chemtomo.io.formats.emd.read import GROUP, SCALARS
from chemtomo.io.formats.grouping import group_alike
from chemtomo.io.formats.target import Target, Written
from chemtomo.io.storage.hdf5_writing import hdf5_target
from chemtomo.io.storage.names import link_name, unique_names

__all__ = ["SERIES_AXES", "files", "write_series", "write_volume"]

SERIES_AXES = "tilt, x, y"
"""Value of the attribute ``axes`` of the group for a tilt series."""

_LENGTH = "[n_m]"
_ANGLE = "[deg]"


def files(target: Target, names: Sequence[str], *, volume: bool) -> list[Path]:
    """List the files that may be written: series that differ in shape, tilts or pixels get separate files."""
    return [target.path] if volume else [target.path, *(target.beside(one) for one in target.stems(names))]


def write_volume(volume: Volume, target: Target) -> Written:
    """Write a volume, all channels in one file."""
    z, y, x = volume.shape
    size = volume.voxel_size_nm
    fills: list[Callable[[Any], None]] = [_fill_volume(channel) for channel in volume.data]
    with target.writing([target.path]) as (path,):
        _write(
            path,
            names=volume.names,
            shape=(x, y, z),
            dtypes=[np.dtype(np.float32)] * len(fills),
            fills=fills,
            dims=[(name, _LENGTH, np.arange(n) * size) for name, n in zip("xyz", (x, y, z), strict=True)],
            description=describe_volume(volume),
            axes="x, y, z",
            backgrounds={},
        )
    return Written([target.path])


def write_series(series: Sequence[TiltSeries], target: Target) -> Written:
    """Write tilt series; those of another shape, tilts or pixel size go to files of their own.

    Backgrounds are in a group beside the data, which tomviz does not look at.
    """
    groups = group_alike(series, same_type=False)
    paths, notes = [target.path], []
    if len(groups) > 1:
        paths = [target.beside(one) for one in target.stems([group[0].name for group in groups])]
        notes.append(
            "the series differ in shape, tilts or pixel size; tomviz opens one group per file: there are "
            + ", ".join(one.name for one in paths)
        )
    with target.writing(paths) as temporaries:
        for group, temporary in zip(groups, temporaries, strict=True):
            _write_group(group, temporary)
    return Written(paths, notes)


def _write_group(series: Sequence[TiltSeries], path: Path) -> None:
    tilts, rows, columns = series[0].shape
    size = series[0].pixel_size_nm
    dtypes = [np.dtype(one.data.dtype).newbyteorder("=") for one in series]
    _write(
        path,
        names=[one.name for one in series],
        shape=(tilts, columns, rows),
        # VTK has no half precision.
        dtypes=[np.dtype(np.float32) if one.name == "float16" else one for one in dtypes],
        fills=[_fill_series(one.data) for one in series],
        dims=[
            ("angles", _ANGLE, series[0].tilts_deg),
            ("y", _LENGTH, np.arange(columns) * size),
            ("x", _LENGTH, np.arange(rows) * size),
        ],
        description=describe_dataset(series),
        axes=SERIES_AXES,
        backgrounds={index: one.background for index, one in enumerate(series) if one.background is not None},
    )


def _write(
    path: Path,
    *,
    names: Sequence[str],
    shape: tuple[int, int, int],
    dtypes: Sequence[np.dtype[Any]],
    fills: Sequence[Callable[[Any], None]],
    dims: Sequence[tuple[str, str, npt.NDArray[np.floating[Any]]]],
    description: dict[str, Any],
    axes: str,
    backgrounds: dict[int, Any],
) -> None:
    import h5py

    links = unique_names(names, link_name)
    entries = description.get("series", [])
    for entry, link in zip(entries, links, strict=False):
        entry["scalars"] = link
    with hdf5_target(path) as target, h5py.File(target, "w", track_order=True) as file:
        file.attrs["version_major"] = np.uint32(0)
        file.attrs["version_minor"] = np.uint32(2)
        group = file.create_group(GROUP, track_order=True)
        group.attrs["emd_group_type"] = np.uint32(1)
        scalars = group.create_group(SCALARS, track_order=True)
        for index, (link, dtype, fill) in enumerate(zip(links, dtypes, fills, strict=True)):
            array = (
                scalars.create_dataset(link, shape, dtype)
                if index
                else group.create_dataset("data", shape, dtype)
            )
            fill(array)
            array.attrs["name"] = _text(link)
            if not index:
                scalars[link] = h5py.SoftLink(f"/{GROUP}/data")
        for number, (name, unit, values) in enumerate(dims, start=1):
            dim = group.create_dataset(f"dim{number}", data=np.asarray(values, dtype=np.float32))
            dim.attrs["name"] = _text(name)
            dim.attrs["units"] = _text(unit)
        for index, background in backgrounds.items():
            array = group.create_dataset(f"backgrounds/{index}", shape, np.dtype(background.dtype))
            _fill_series(background)(array)
            entries[index]["background"] = f"backgrounds/{index}"
        # Too long for an attribute.
        group.create_dataset(KEY, data=_text(to_text(description)))
        group.attrs["axes"] = _text(axes)


def _fill_volume(channel: npt.NDArray[np.float32]) -> Callable[[Any], None]:
    def fill(array: Any) -> None:
        array[...] = np.ascontiguousarray(np.asarray(channel, dtype=np.float32).transpose(2, 1, 0))

    return fill


def _fill_series(data: Any) -> Callable[[Any], None]:
    def fill(array: Any) -> None:
        for tilt in range(data.shape[0]):
            array[tilt] = np.ascontiguousarray(np.asarray(data[tilt]).T)

    return fill


def _text(text: str) -> Any:
    """Return text of fixed length, as tomviz writes it."""
    return np.bytes_(text.encode("utf-8", "replace"))
