"""Write MRC: one file per channel, and beside it the metadata for which MRC has no place."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import numpy.typing as npt

from chemtomo.data import TiltSeries, Volume
from chemtomo.errors import WriteError
from chemtomo.io.description import DESCRIPTION_SUFFIX, describe_dataset, describe_volume
from chemtomo.io.formats.grouping import storage_dtype, value_range
from chemtomo.io.formats.mrc.read import SERIES_LABEL
from chemtomo.io.formats.target import Target, Written
from chemtomo.io.tilts.angle_files import format_angles

__all__ = ["files", "series_label", "write_series", "write_stack", "write_volume"]

_LARGEST_EXACT = 1 << 24
# Data types of the format in order of preference.
_TYPES = ("int8", "uint16", "int16", "float16", "float32")


def files(target: Target, names: Sequence[str], *, volume: bool) -> list[Path]:
    """List the files for channels of these names: stacks, tilts and descriptions."""
    stacks = [target.beside(one) for one in target.stems(names)]
    if volume:
        return [*stacks, target.beside(target.stem or "", DESCRIPTION_SUFFIX)]
    return [one for stem in target.stems(names) for one in _files_of_series(target, stem)]


def _files_of_series(target: Target, stem: str) -> list[Path]:
    return [target.beside(stem, ending) for ending in (target.suffix, ".rawtlt", DESCRIPTION_SUFFIX)]


def write_volume(volume: Volume, target: Target) -> Written:
    """Write every channel of a volume to its own file, and a description of all as JSON."""
    *channels, beside = files(target, volume.names, volume=True)
    z, y, x = (index * volume.voxel_size_nm for index in volume.origin_px)
    with target.writing([*channels, beside]) as temporaries:
        for data, name, path in zip(volume.data, volume.names, temporaries[:-1], strict=True):
            label = "".join(one if one.isascii() and one.isprintable() else "?" for one in f"ChemTomo {name}")
            write_stack(path, data, volume.voxel_size_nm, label=label[:80], volume=True, origin_nm=(z, y, x))
        found = describe_volume(volume) | {"files": [one.name for one in channels]}
        temporaries[-1].write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return Written([*channels, beside])


def write_series(series: Sequence[TiltSeries], target: Target) -> Written:
    """Write every tilt series to its own file, its tilts as text, and all other metadata as JSON.

    Raises
    ------
    WriteError
        When no data type of MRC holds the values.
    """
    sets = [_files_of_series(target, stem) for stem in target.stems([one.name for one in series])]
    notes = []
    with target.writing([one for three in sets for one in three]) as temporaries:
        for index, one in enumerate(series):
            notes += _write_one(one, *temporaries[3 * index : 3 * index + 3], where=str(sets[index][0]))
    return Written([three[0] for three in sets], notes)


def _write_one(series: TiltSeries, stack: Path, angles: Path, beside: Path, *, where: str) -> list[str]:
    """Write a series and return notes on what MRC has no place for; `where` is the file, for messages."""
    dtype, note = storage_dtype(series, _TYPES)
    if dtype.kind == "f" and np.dtype(series.data.dtype).kind in "ui" and note is not None:
        smallest, largest = value_range(series)
        raise WriteError(
            f"{where}: found integers from {smallest} to {largest}; expected at most {_LARGEST_EXACT}, "
            "the largest that MRC holds exactly"
        )
    notes = [note] if note is not None else []
    write_stack(stack, series.data, series.pixel_size_nm, label=series_label(series), dtype=dtype)
    angles.write_text(format_angles(series.tilts_deg), encoding="ascii")
    found = describe_dataset([series])
    found["series"][0]["has_background"] = False
    # The tilts are only in the angle file, where people correct them.
    del found["series"][0]["tilts_deg"]
    beside.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if series.background is not None:
        notes.append(
            f"{series.name}: its background was not written, for which MRC has no place; "
            "OME-Zarr, HSPY, EMD and OME-TIFF have one"
        )
    return notes


def write_stack(
    path: Path,
    data: Any,
    voxel_size_nm: float,
    *,
    label: str = "",
    volume: bool = False,
    origin_nm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    dtype: npt.DTypeLike | None = None,
) -> None:
    """Write an array ``(section, y, x)`` with its voxel size in angstrom, one section after the other.

    Parameters
    ----------
    path : pathlib.Path
        A file that does not exist yet.
    data : array, shape (section, y, x)
        Real numbers; NumPy or dask.
    voxel_size_nm : float
        Edge of a voxel in nanometres.
    label : str
        Text for the header, at most 80 ASCII characters.
    volume : bool
        Mark the sections as a volume, not a stack of images.
    origin_nm : tuple of float
        Place ``(z, y, x)`` of the first voxel.
    dtype : dtype, optional
        Data type in the file, one that MRC has. By default that of the data.
    """
    kept = np.dtype(data.dtype if dtype is None else dtype).newbyteorder("=")
    sections = data.shape[0]
    first = np.asarray(data[0]).astype(kept, copy=False)
    # The library makes the header. The values are written section by section: a memory-mapped file cannot
    # report a full disk.
    with mrcfile.new(str(path), overwrite=True) as file:
        file.set_data(np.zeros((1, *first.shape), kept))
        if volume:
            file.set_volume()
        else:
            file.set_image_stack()
        file.header.nz = sections
        file.header.mz = sections if volume else 1
        file.voxel_size = voxel_size_nm * 10
        for axis, place in zip("zyx", origin_nm, strict=True):
            file.header.origin[axis] = place * 10
        if label:
            file.add_label(label)
        header = file.header.copy()
    moments = np.zeros(2)
    smallest, largest = np.inf, -np.inf
    with path.open("r+b") as stream:
        stream.seek(header.nbytes)
        for section in range(sections):
            image = first if section == 0 else np.asarray(data[section]).astype(kept, copy=False)
            stream.write(np.ascontiguousarray(image).tobytes())
            smallest, largest = min(smallest, float(image.min())), max(largest, float(image.max()))
            values = image.astype(np.float64)
            moments += np.array([values.mean(), np.square(values).mean()]) / sections
        header.dmin, header.dmax, header.dmean = smallest, largest, moments[0]
        header.rms = np.sqrt(max(0.0, moments[1] - moments[0] ** 2))
        stream.seek(0)
        stream.write(header.tobytes())


def series_label(series: TiltSeries) -> str:
    """Return a label with metadata for which the header of an MRC file has no place."""
    label = f"{SERIES_LABEL} kind={series.kind}"
    if series.axis_position_px is not None:
        label += f" axis_position_px={series.axis_position_px!r}"
    return label
