"""Tilt series back from the files that `chemtomo.io.write_dataset` wrote, with everything they had.

The readers of the formats ask here first. None is the answer for a file of another program, and for one
that another program changed: where shapes or pixel sizes are no longer those of the description, the
file counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chemtomo.errors import NoTiltSeriesError, ReadError
from chemtomo.io.description import KEY, TILT_SERIES, VOLUME, described, from_text, series_entries
from chemtomo.io.formats.emd.write import SCALARS
from chemtomo.io.found import Found

__all__ = ["from_emd", "from_hspy", "from_npz", "from_tiff", "from_zarr", "tiff_description"]


def from_tiff(
    ome: str | None, images: Sequence[Any], values: Callable[[Any, int], Any], where: str
) -> list[Found] | None:
    """Return the series of an OME-TIFF file.

    Parameters
    ----------
    ome : str or None
        Its OME-XML.
    images : sequence
        Its images, as the library gives them.
    values : callable
        Reads an image, given with its number.
    where : str
        The file, for messages.
    """
    found = tiff_description(ome, where)
    if found is None or found.get("kind") != TILT_SERIES:
        return None
    read: dict[int, Any] = {}

    def image(number: Any) -> Any:
        at = _index(number, len(images), "image", where)
        if at not in read:
            read[at] = values(images[at], at)
        return read[at]

    restored = []
    for entry in series_entries(found, where):
        shape = _shape(entry, where)
        stacks = image(entry.get("image"))
        channels = _channels(stacks, shape, where)
        at = _index(entry.get("channel"), channels, "channel", where)
        background = None
        if entry.get("background") is not None:
            background = image(entry["background"])
            _channels(background, shape, where)
            background = background.reshape(shape)
        data = stacks.reshape(channels, *shape)[at]
        restored.append(described(entry, data, where, background=background))
    return restored


def tiff_description(ome: str | None, where: str) -> dict[str, Any] | None:
    """Return the description in the OME-XML of a TIFF file; None when there is none."""
    if not ome or KEY not in ome:
        return None
    from xml.etree import ElementTree as ET

    for element in ET.fromstring(ome).iter():
        if element.tag.endswith("}M") and element.get("K") == KEY:
            return from_text(element.text or "", where)
    return None


def from_zarr(root: Any, values: Callable[[Any], Any], where: str) -> list[Found] | None:
    """Return the series of an OME-Zarr group.

    Parameters
    ----------
    root : zarr.Group
        The group.
    values : callable
        Reads an array, or makes a lazy one of it.
    where : str
        The file, for messages.
    """
    found = dict(root.attrs).get(KEY)
    if not isinstance(found, dict) or found.get("kind") != TILT_SERIES or "series" not in found:
        return None
    read: dict[str, Any] = {}

    def array(place: Any) -> Any:
        if not isinstance(place, str) or place not in root:
            raise ReadError(f"{where}: found no array {place!r}; expected one, as its description says")
        if place not in read:
            read[place] = values(root[place])
        return read[place]

    restored = []
    for entry in series_entries(found, where):
        image = entry.get("image", "")
        stacks = array(f"{image}/0" if image else "0")
        if stacks.ndim != 4:
            raise ReadError(f"{where}: found an array of shape {stacks.shape}; expected (t, c, y, x)")
        at = _index(entry.get("channel"), stacks.shape[1], "channel", where)
        background = entry.get("background")
        data = stacks[:, at]
        if tuple(data.shape) != _shape(entry, where):
            return None
        restored.append(
            described(entry, data, where, background=None if background is None else array(background))
        )
    return restored


def from_emd(group: Any, values: Callable[[Any], Any], where: str) -> list[Found] | None:
    """Return the series of the group of an EMD file.

    Parameters
    ----------
    group : h5py.Group
        The group.
    values : callable
        Makes a lazy array of one of HDF5.
    where : str
        The file, for messages.
    """
    import h5py

    text = group.get(KEY)
    if not isinstance(text, h5py.Dataset) or text.shape != ():
        return None
    found = from_text(text[()], where)
    if found.get("kind") != TILT_SERIES:
        return None

    def array(place: str) -> Any:
        item = group.get(place)
        if not isinstance(item, h5py.Dataset) or item.ndim != 3:
            raise ReadError(f"{where}: found no stack {place!r}; expected one, as its description says")
        return values(item).transpose(0, 2, 1)

    restored = []
    for index, entry in enumerate(series_entries(found, where)):
        background = entry.get("background")
        data = array(f"{SCALARS}/{entry.get('scalars')}" if index else "data")
        if tuple(data.shape) != _shape(entry, where):
            return None
        restored.append(
            described(entry, data, where, background=None if background is None else array(str(background)))
        )
    return restored


def from_hspy(signals: Sequence[tuple[Any, float, str | None]], where: str) -> list[Found] | None:
    """Return the series of a file of HyperSpy.

    Parameters
    ----------
    signals : sequence of (array, float, str or None)
        The values of every signal, the scale of its last axis, and its description.
    where : str
        The file, for messages.
    """
    read = [(data, scale, from_text(text, where)) for data, scale, text in signals if text is not None]
    series = [one for one in read if one[2].get("kind") == TILT_SERIES]
    backgrounds = {str(found["of"]): data for data, _, found in read if "of" in found}
    if len(series) + len(backgrounds) != len(signals):
        return None
    series.sort(key=lambda one: _index(one[2].get("index"), 1 << 20, "place", where))
    restored = []
    for data, scale, found in series:
        entry = series_entries(found, where)[0]
        if tuple(data.shape) != _shape(entry, where) or not math.isclose(
            scale, float(entry.get("pixel_size_nm", 0)), rel_tol=1e-6
        ):
            return None
        background = backgrounds.get(str(entry.get("name")))
        restored.append(described(entry, data, where, background=background))
    return restored


def from_npz(arrays: Mapping[str, Any], where: str) -> list[Found] | None:
    """Return the series of the arrays of an NPZ file.

    Parameters
    ----------
    arrays : mapping
        The arrays by their names.
    where : str
        The file, for messages.

    Raises
    ------
    NoTiltSeriesError
        When they are those of a volume.
    """
    if KEY not in arrays:
        return None
    found = from_text(arrays[KEY].tobytes(), where)
    if found.get("kind") == VOLUME:
        raise NoTiltSeriesError(f"{where}: found a volume; expected a tilt series")
    restored = []
    for entry in series_entries(found, where):
        data = arrays.get(str(entry.get("array")))
        if data is None or tuple(data.shape) != _shape(entry, where):
            return None
        background = entry.get("background")
        restored.append(
            described(entry, data, where, background=None if background is None else arrays[str(background)])
        )
    return restored


def _index(value: Any, count: int, what: str, where: str) -> int:
    if not isinstance(value, int) or not 0 <= value < count:
        raise ReadError(f"{where}: found {what} {value!r}; expected one of {count}")
    return value


def _shape(entry: dict[str, Any], where: str) -> tuple[int, int, int]:
    shape = entry.get("shape")
    if not isinstance(shape, list) or len(shape) != 3 or not all(isinstance(n, int) and n > 0 for n in shape):
        raise ReadError(f"{where}: found the shape {shape!r}; expected three sizes")
    return shape[0], shape[1], shape[2]


def _channels(stacks: Any, shape: tuple[int, int, int], where: str) -> int:
    channels, rest = divmod(math.prod(int(size) for size in stacks.shape), math.prod(shape))
    if rest or not channels:
        raise ReadError(f"{where}: found an image of shape {stacks.shape}; expected stacks of {shape}")
    return channels
