"""Read EMD files of the NCEM (https://emdatasets.com/format/) and of tomviz, but not those of Velox.

A group with the attribute ``emd_group_type`` has an array ``data`` and a vector per axis,
``dim1``, ``dim2`` ... (``dim0`` ... in version 1.0), each with a name and a unit such as ``[n_m]``.

Source for tomviz: its ``EmdFormat.cxx``. It writes a tilt series to ``/data/tomography`` with the axes
``(angles, y, x)``, more channels to the group ``tomviz_scalars`` beside it, and takes the tilt axis to be
parallel to ``x``. Here it is parallel to ``y``: rows and columns are exchanged.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chemtomo.data import Volume
from chemtomo.errors import NoTiltSeriesError, ReadError
from chemtomo.io.description import KEY, TILT_SERIES, VOLUME, from_text, restore_series, restore_volume
from chemtomo.io.formats.volume_parts import require_fits_file, voxel_size_nm
from chemtomo.io.found import Found
from chemtomo.io.interpret.pixel_size import bare_unit
from chemtomo.io.labelled import Axis, LabelledArray, to_found
from chemtomo.io.storage.hdf5_heaps import check_heaps
from chemtomo.io.storage.lazy import lazy_hdf5, load_small
from chemtomo.io.tilts.axis import axis_angle_in_text, axis_from_imod, wrap_angle

__all__ = ["GROUP", "SCALARS", "description", "find", "is_emd", "read_volume"]

GROUP = "data/tomography"
"""The group of tomviz."""
SCALARS = "tomviz_scalars"
"""The group of its further channels."""
_ARRAYS = ("data", "datacube", "counted_datacube", "realslice")
_LONGEST_AXIS = 1 << 20
_ANGLES = ("deg", "rad")
# NCEM groups with microscope metadata.
_METADATA = ("microscope", "acquisition", "comments")
_AXES = {"y": 0.0, "x": 90.0}
# Default names of arrays in tomviz.
_NO_NAMES = {"", "data", "datacube", "tomography", "imagescalars", "scalars", "realslice"}


def is_emd(file: Any) -> bool:
    """Tell whether an open HDF5 file has a group as EMD files do."""
    return next(_groups(file), None) is not None


def find(path: Path) -> list[Found]:
    """Return the images, stacks and spectrum images in an EMD file of the NCEM or of tomviz.

    Each is named as its array or group is. The values are read when they are needed.

    Raises
    ------
    ReadError
        When it is not such a file, or holds none of these.
    """
    import h5py

    found, shapes = [], []
    with h5py.File(path, "r") as file:
        for group in _groups(file):
            restored = _restored(group, path)
            if restored is not None:
                return load_small(restored)
            for labelled in _arrays(path, group):
                named = ", ".join(repr(one.name) for one in labelled.axes)
                shapes.append(f"{tuple(labelled.data.shape)} with the axes {named}")
                if _is_volume(labelled):
                    continue
                one = to_found(labelled)
                if one is not None:
                    found.append(_of_tomviz(one) if _is_tomviz(group) else one)
    if not found:
        what = ", ".join(shapes) or "no EMD group"
        raise NoTiltSeriesError(
            f"{path}: found {what}; expected a tilt series, an image or a spectrum image with its axes"
        )
    return load_small(found)


def read_volume(path: Path) -> Volume:
    """Read the volume of an EMD file of tomviz, whose axes are ``(x, y, z)``.

    Raises
    ------
    ReadError
        When it holds none.
    """
    import h5py

    check_heaps(path)
    with h5py.File(path, "r") as file:
        group = file.get(GROUP)
        if not isinstance(group, h5py.Group) or not isinstance(group.get("data"), h5py.Dataset):
            raise ReadError(f"{path}: found no group {GROUP} with data; expected an EMD file of tomviz")
        arrays = list(_arrays(path, group))
        shapes = {one.data.shape for one in arrays}
        if len(shapes) != 1 or arrays[0].data.ndim != 3:
            raise ReadError(f"{path}: found arrays of shapes {shapes}; expected one of three axes")
        axis = arrays[0].axes[0]
        if bare_unit(axis.units) in _ANGLES:
            raise ReadError(f"{path}: found a tilt series; expected a volume")
        said = _said(group, path)
    x, y, z = arrays[0].data.shape
    require_fits_file(path, (len(arrays), x, y, z), arrays[0].data.dtype)
    data = np.empty((len(arrays), z, y, x), np.float32)
    for channel, one in zip(data, arrays, strict=True):
        channel[...] = np.asarray(one.data, np.float32).transpose(2, 1, 0)
    if said is None:
        size = voxel_size_nm(axis.scale, axis.units or "nm") if axis.size > 1 else 1.0
        said = {"names": [one.name for one in arrays], "voxel_size_nm": size}
    return restore_volume(said, data, str(path))


def description(path: Path) -> Mapping[str, Any] | None:
    """Return the description in an EMD file; of one of tomviz, whether it is a volume."""
    import h5py

    check_heaps(path)
    with h5py.File(path, "r") as file:
        group = file.get(GROUP)
        if group is None:
            return None
        said = _said(group, path)
        if said is not None:
            return said
        unit = _text(group["dim1"].attrs.get("units"))
        return {"kind": TILT_SERIES if bare_unit(unit) in _ANGLES else VOLUME}


def _said(group: Any, path: Path) -> dict[str, Any] | None:
    import h5py

    text = group.get(KEY)
    return from_text(text[()], str(path)) if isinstance(text, h5py.Dataset) and text.shape == () else None


def _restored(group: Any, path: Path) -> list[Found] | None:
    """Return the series that this program wrote to a group."""

    def array(place: str) -> Any:
        import h5py

        item = group.get(place)
        if not isinstance(item, h5py.Dataset) or item.ndim != 3:
            raise ReadError(f"{path}: found no stack {place!r}; expected one, as its description says")
        return lazy_hdf5(path, item).transpose(0, 2, 1)

    return restore_series(
        _said(group, path),
        str(path),
        lambda entry, index: array(f"{SCALARS}/{entry.get('scalars')}" if index else "data"),
        lambda entry: array(str(entry["background"])),
    )


def _groups(file: Any) -> Iterator[Any]:
    """Yield the groups that hold an array, in alphabetical order."""
    import h5py

    paths: list[str] = []

    def look(name: str, item: Any) -> None:
        if isinstance(item, h5py.Group) and "emd_group_type" in item.attrs and _array_name(item):
            paths.append(name)

    file.visititems(look)
    if not paths and GROUP in file and _array_name(file[GROUP]):
        paths.append(GROUP)
    for name in paths:
        yield file[name]


def _array_name(group: Any) -> str | None:
    import h5py

    return next((one for one in _ARRAYS if isinstance(group.get(one), h5py.Dataset)), None)


def _is_tomviz(group: Any) -> bool:
    return bool(group.name.strip("/") == GROUP or SCALARS in group)


def _arrays(path: Path, group: Any) -> Iterator[LabelledArray]:
    """Yield the array of a group, and the further channels of tomviz."""
    import h5py

    name = _array_name(group)
    if name is None:
        return
    dataset = group[name]
    own = _text(dataset.attrs.get("name"))
    if own.lower() in _NO_NAMES and not _is_tomviz(group):
        own = group.name.rsplit("/", 1)[-1]
    named = own.lower() not in _NO_NAMES
    axes = tuple(_axis(group, index, size) for index, size in enumerate(dataset.shape))
    first = LabelledArray(
        name=own if named else path.stem,
        named=named,
        data=lazy_hdf5(path, dataset),
        axes=axes,
        axis_angle_deg=_axis_angle(group, dataset),
    )
    yield first
    scalars = group.get(SCALARS)
    for key in scalars if scalars is not None else ():
        if isinstance(scalars.get(key, getlink=True), h5py.SoftLink):
            continue  # to the array above
        other = scalars[key]
        if isinstance(other, h5py.Dataset) and other.shape == dataset.shape:
            label = _text(other.attrs.get("name")) or key
            yield dataclasses.replace(first, name=label, named=True, data=lazy_hdf5(path, other))


def _axis(group: Any, index: int, size: int) -> Axis:
    # Version 1.0 counts from 0.
    dim = group.get(f"dim{index}" if "dim0" in group else f"dim{index + 1}")
    if dim is None or dim.ndim != 1 or dim.size > _LONGEST_AXIS or dim.dtype.kind not in "uif":
        return Axis(name="" if dim is None else _text(dim.attrs.get("name")), size=size)
    values = np.asarray(dim[...], dtype=np.float64)
    name, units = _text(dim.attrs.get("name")), _text(dim.attrs.get("units"))
    if values.size < 1:
        return Axis(name, size, units=units)
    step = float(values[1] - values[0]) if values.size > 1 else 1.0
    # In version 1.0 two values stand for an evenly spaced axis.
    listed = None if values.size == 2 else values
    return Axis(name, size, step, float(values[0]), units, listed)


def _axis_angle(group: Any, dataset: Any) -> float | None:
    """Return the tilt axis angle from an attribute of the data, its group or the file.

    The attribute is the name of an image axis, or an angle in IMOD's convention. The first row is the top
    row.
    """
    for place in (dataset, group, group.file, *(group.file.get(one) for one in _METADATA)):
        for key, value in () if place is None else place.attrs.items():
            text = _text(value)
            if key.strip().lower().replace("_", " ") in ("tilt axis", "tilt axis direction") and text:
                named = _AXES.get(text.lower())
                if named is not None:
                    return named
            said = axis_angle_in_text(f"{key} = {text}")
            if said is not None:
                return axis_from_imod(said, bottom_row_first=False)
    return None


def _is_volume(labelled: LabelledArray) -> bool:
    """Tell whether the axes are those of a reconstruction, which is no tilt series."""
    return sorted(axis.name.strip().lower() for axis in labelled.axes) == ["x", "y", "z"]


def _of_tomviz(one: Found) -> Found:
    """Exchange rows and columns: the tilt axis of tomviz is parallel to x."""
    if one.kind != "stack":
        return one
    note = "written by tomviz, which has the tilt axis parallel to x: rows and columns are exchanged"
    attributes = dict(one.attributes)
    if "axis_angle_deg" in attributes:
        attributes["axis_angle_deg"] = wrap_angle(90.0 - attributes["axis_angle_deg"])
    return one.replace(data=one.data.transpose(0, 2, 1), notes=(*one.notes, note), attributes=attributes)


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip("\0 ")
    return "" if value is None else str(value).strip("\0 ")
