"""Read the files of HyperSpy, HSPY (HDF5) and ZSPY (Zarr): signals with axes and metadata.

Both have one group per signal with its array, one group of attributes per axis, and nested groups of
metadata. RosettaSciIO keeps HSPY files open, and reads ZSPY only with an old version of Zarr; so the few
groups that are needed are read directly.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import numpy as np
import numpy.typing as npt

from chemtomo.data import Volume
from chemtomo.data.notebook.hyperspy_signal import ARRAYS
from chemtomo.errors import NoTiltSeriesError, ReadError
from chemtomo.io.description import (
    KEY,
    TILT_SERIES,
    VOLUME,
    entry_index,
    from_text,
    restore_series,
    restore_volume,
)
from chemtomo.io.formats.hyperspy.noted import interpreted, noted_details
from chemtomo.io.formats.volume_parts import require_fits_file
from chemtomo.io.found import Found
from chemtomo.io.labelled import Axis, LabelledArray, lookup, number
from chemtomo.io.storage.hdf5_heaps import check_heaps
from chemtomo.io.storage.lazy import lazy_array, lazy_hdf5, load_small

__all__ = ["description", "find", "is_hyperspy", "labelled_signal", "read_volume"]

_EXPERIMENTS = "Experiments"
# Metadata arrays, such as tilts, are small.
_LARGEST_ENTRY = 1 << 16
_DEEPEST = 12
_TILTS = (
    "Acquisition_instrument.TEM.Stage.tilt_series_alpha",
    "Acquisition_instrument.TEM.Stage.tilt_alpha",
    "Acquisition_instrument.SEM.Stage.tilt_alpha",
    # Before HyperSpy 1.6, and before 0.8.
    "Acquisition_instrument.TEM.tilt_stage",
    "Acquisition_instrument.SEM.tilt_stage",
    "TEM.tilt_stage",
    "SEM.tilt_stage",
    "Tomography._tilts",
    "Tomography.tilts",
)


def is_hyperspy(root: Any) -> bool:
    """Tell whether an open HDF5 file, or group of Zarr, holds signals of HyperSpy."""
    return _EXPERIMENTS in root


def find(path: Path) -> list[Found]:
    """Return the images, stacks and spectrum images in a HSPY or ZSPY file.

    The tilts are those of the metadata if these have one tilt per image, or else of an axis in degrees. What
    `to_hyperspy` noted is restored. Values are read when they are needed.

    Raises
    ------
    ReadError
        When it is not such a file, or holds none of these.
    """
    signals = _signals(path)
    restored = _restored(signals, str(path))
    if restored is not None:
        return load_small(restored)
    if any(one.said is not None and one.said.get("kind") == VOLUME for one in signals):
        raise NoTiltSeriesError(f"{path}: found a volume; expected a tilt series")
    found = [
        one
        for signal in signals
        if (one := interpreted(signal.labelled, signal.details, signal.arrays)) is not None
    ]
    if not found:
        what = ", ".join(str(tuple(one.labelled.data.shape)) for one in signals) or "no signal"
        raise NoTiltSeriesError(
            f"{path}: found {what}; expected an image, a stack of images or a spectrum image"
        )
    return load_small(found)


def read_volume(path: Path) -> Volume:
    """Read a volume that this program wrote, one signal per channel.

    Raises
    ------
    ReadError
        When there is another signal in the file.
    """
    channels = []
    for one in _signals(path):
        if one.said is None or one.said.get("kind") != VOLUME:
            raise ReadError(f"{path}: found signals that are no channels of a volume; expected all to be")
        channels.append((int(one.said["channel"]), one.labelled.data, one.said))
    if not channels:
        raise ReadError(f"{path}: found no signal; expected at least one")
    channels.sort(key=lambda one: one[0])
    _, first, said = channels[0]
    require_fits_file(path, (len(channels), *first.shape), first.dtype)
    return restore_volume(said, np.stack([np.asarray(data) for _, data, _ in channels]), str(path))


def description(path: Path) -> Mapping[str, Any] | None:
    """Return the description of the first signal in a file; None for a file of another program."""
    return next((one.said for one in _signals(path)), None)


@dataclasses.dataclass(frozen=True)
class _Signal:
    """A signal of a file, with what this program left in its metadata.

    That is a description in files that it wrote, or the details and arrays that `to_hyperspy` noted.
    """

    labelled: LabelledArray
    said: dict[str, Any] | None
    details: dict[str, Any] | None
    arrays: dict[str, Any]


def _signals(path: Path) -> list[_Signal]:
    """Return the signals of a file; their values are read when they are needed."""
    zarr = path.is_dir() or path.suffix.lower() == ".zspy"
    if not zarr:
        check_heaps(path)
    with _opened(path, zarr) as root:
        if not is_hyperspy(root):
            raise ReadError(f"{path}: found no group {_EXPERIMENTS!r}; expected a file of HyperSpy")
        groups = {name: root[_EXPERIMENTS][name] for name in root[_EXPERIMENTS]}
        return [
            _signal(path, name, group, zarr)
            for name, group in groups.items()
            if hasattr(group, "keys") and "data" in group
        ]


def _signal(path: Path, name: str, group: Any, zarr: bool) -> _Signal:
    metadata = _tree(group["metadata"]) if "metadata" in group else {}
    axes = tuple(_axis(group, index, size) for index, size in enumerate(group["data"].shape))
    labelled = labelled_signal(metadata, _values(path, f"{name}/data", group["data"], zarr), axes, path.stem)
    noted = group.get(f"metadata/{KEY}", {})
    arrays = {
        one: _values(path, f"{name}/metadata/{KEY}/{one}", noted[one], zarr) for one in ARRAYS if one in noted
    }
    arrays = {one: values if values.ndim == 3 else np.asarray(values) for one, values in arrays.items()}
    details = noted_details(metadata, f"{path}: {name}")
    if details is not None:
        details["source"] = None  # it is this file
    return _Signal(labelled, _said(group, str(path)), details, arrays)


def _values(path: Path, name: str, array: Any, zarr: bool) -> Any:
    if not zarr:
        return lazy_hdf5(path, array)
    return lazy_array(ZarrValues(path, f"{_EXPERIMENTS}/{name}", array), array.chunks)


def _said(group: Any, where: str) -> dict[str, Any] | None:
    """Return the description in the metadata of a signal; it is a list of one text."""
    place = f"metadata/{KEY}/_list_description"
    if place not in group:
        return None
    (text,) = group[place][:1]
    return from_text(text, where)


def _restored(signals: list[_Signal], where: str) -> list[Found] | None:
    """Return the series that this program wrote; a background is a signal of its own."""
    series = [one for one in signals if one.said is not None and one.said.get("kind") == TILT_SERIES]
    backgrounds = {
        str(one.said["of"]): one.labelled.data for one in signals if one.said is not None and "of" in one.said
    }
    if not series or len(series) + len(backgrounds) != len(signals):
        return None
    restored: list[Found] = []
    for one in series:
        data, scale = one.labelled.data, one.labelled.axes[-1].scale

        def stack(entry: Mapping[str, Any], _: int, data: Any = data, scale: float = scale) -> Any:
            size = float(entry.get("pixel_size_nm", 0))
            return data if math.isclose(scale, size, rel_tol=1e-6) else None

        found = restore_series(one.said, where, stack, lambda entry: None)
        if found is None:
            return None
        restored += found
    order = [entry_index((one.said or {}).get("index"), 1 << 20, "place", where) for one in series]
    with_backgrounds = [_with_background(one, backgrounds.get(one.name)) for one in restored]
    return [with_backgrounds[index] for index in np.argsort(order, kind="stable")]


def _with_background(found: Found, background: Any) -> Found:
    if background is None:
        return found
    return found.replace(attributes={**found.attributes, "background": background})


class ZarrValues:
    """The values of an array of Zarr, opened for every read."""

    def __init__(self, path: Path, name: str, array: Any) -> None:
        self.path = path
        self.name = name
        self.shape = tuple(int(size) for size in array.shape)
        self.dtype = np.dtype(array.dtype)
        self.ndim = len(self.shape)

    def __getitem__(self, index: Any) -> npt.NDArray[Any]:
        try:
            with _opened(self.path, True) as root:
                return np.asarray(root[self.name][index])
        except (OSError, KeyError, RuntimeError, ValueError) as error:
            raise ReadError(
                f"{self.path}: the values of {self.name} cannot be read ({error}); "
                "expected the file to stay as it was when it was opened"
            ) from error


@contextmanager
def _opened(path: Path, zarr: bool) -> Iterator[Any]:
    if not zarr:
        import h5py

        with h5py.File(path, "r") as file:
            yield file
        return
    import zarr as library
    from zarr.storage import ZipStore

    if path.is_dir():
        yield library.open_group(str(path), mode="r")
        return
    if not is_zipfile(path):
        raise ReadError(f"{path}: found neither a folder nor a Zip file; expected a ZSPY of either form")
    with ZipStore(path, mode="r") as store:
        yield library.open_group(store, mode="r")


def labelled_signal(
    metadata: Mapping[str, Any], data: Any, axes: tuple[Axis, ...], fallback_name: str
) -> LabelledArray:
    """Interpret the metadata of a signal, in a file or in memory.

    Parameters
    ----------
    metadata : mapping
        The tree of HyperSpy's metadata.
    data, axes
        The array and its axes, in the order of the array.
    fallback_name : str
        The name of a signal without a title.
    """
    title = str(lookup(metadata, "General.title") or "").strip()
    named = bool(title) and title != "__unnamed__"
    labelled = LabelledArray(
        name=title if named else fallback_name,
        named=named,
        data=data,
        axes=axes,
        signal_type=str(lookup(metadata, "Signal.signal_type") or ""),
        quantity=str(lookup(metadata, "Signal.quantity") or ""),
        elements=_texts(lookup(metadata, "Sample.elements")),
        beam_energy_keV=number(
            lookup(metadata, "Acquisition_instrument.TEM.beam_energy")
            or lookup(metadata, "Acquisition_instrument.SEM.beam_energy")
        ),
    )
    return dataclasses.replace(labelled, tilts_deg=_tilts(metadata))


def _tilts(metadata: Mapping[str, Any]) -> Any:
    """Return the tilts in the metadata: a list, or else a single one."""
    for place in _TILTS:
        said = lookup(metadata, place)
        values = lookup(said, "data") if isinstance(said, Mapping) else said
        if values is None or isinstance(values, (str, bytes)):
            continue
        try:
            tilts = np.squeeze(np.asarray(values, dtype=np.float64))
        except (TypeError, ValueError):
            continue
        if tilts.ndim <= 1 and tilts.size:
            return tilts if tilts.ndim else float(tilts)
    return None


def _axis(group: Any, index: int, size: int) -> Axis:
    entry: Mapping[str, Any] = {}
    for key in (f"axis-{index}", f"_list_{len(group['data'].shape)}_axes/{index}"):
        if key in group:
            entry = _tree(group[key])
            break
    values = entry.get("axis")
    units = entry.get("units")
    scale, offset = number(entry.get("scale")), number(entry.get("offset"))
    return Axis(
        name=str(entry.get("name") or ""),
        size=size,
        scale=1.0 if scale is None else scale,
        offset=0.0 if offset is None else offset,
        units="" if units is None or "undefined" in str(units) else str(units),
        values=None if values is None else np.asarray(values, dtype=np.float64),
    )


def _tree(group: Any, depth: int = 0) -> dict[str, Any]:
    """Return the attributes, small arrays and groups of a group as nested dictionaries.

    The prefix that marks lists and tuples is removed from names.
    """
    found: dict[str, Any] = {}
    for key, value in group.attrs.items():
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if isinstance(value, str) and value == "_None_":
            value = None
        found[_plain(key)] = value
    if depth >= _DEEPEST:
        return found
    for key in _keys(group):
        try:
            item = group[key]
        except Exception:  # noqa: BLE001 - nearly anything, for arrays of a kind that the library does not know
            continue
        if hasattr(item, "keys"):
            inside = _tree(item, depth + 1)
            listed = key.startswith(("_list_", "_tuple_"))
            found[_plain(key)] = [inside[one] for one in sorted(inside)] if listed else inside
        elif int(np.prod(item.shape, dtype=object)) <= _LARGEST_ENTRY:
            try:
                values = item[...]
            except Exception:  # noqa: BLE001 - as above
                continue
            found[_plain(key)] = values.tolist() if values.dtype.kind in "OSUT" else np.asarray(values)
    return found


def _keys(group: Any) -> list[str]:
    """Return the names of the members of a group without opening them."""
    folder = getattr(getattr(group, "store", None), "root", None)
    if folder is not None and Path(folder).is_dir():
        inside = Path(folder) / group.path
        return sorted(one.name for one in inside.iterdir() if one.is_dir())
    return list(group)


def _plain(key: str) -> str:
    for mark in ("_list_empty_", "_tuple_empty_", "_list_", "_tuple_", "_sig_"):
        if key.startswith(mark):
            rest = key[len(mark) :]
            number_first, _, name = rest.partition("_")
            return name if number_first.isdigit() and name else rest
    return key


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, (list, tuple, np.ndarray)):
        return ()
    return tuple(one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in values)
