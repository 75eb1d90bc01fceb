"""The metadata of tilt series and volumes as JSON, in one form for all file formats.

Other programs' formats have places for names, pixel sizes and sometimes tilts, but none for the rest:
whether values are counts, the tilt axis, gains, alignment, provenance. All of it is stored as one object
under the key `KEY`, wherever a format has room for other programs' data. The places of the format itself
are filled too, for programs that do not know this object.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import Alignment, TiltSeries, Volume
from chemtomo.errors import DataError, ReadError
from chemtomo.io.found import Found

__all__ = [
    "DESCRIPTION_SUFFIX",
    "KEY",
    "TILT_SERIES",
    "VOLUME",
    "check_version",
    "describe_dataset",
    "describe_series",
    "describe_volume",
    "entry_index",
    "entry_shape",
    "from_text",
    "load_description",
    "restore_one_series",
    "restore_series",
    "restore_volume",
    "series_entries",
    "to_json",
    "to_text",
]

KEY = "chemtomo"
DESCRIPTION_SUFFIX = ".chemtomo.json"
"""Ending of the file beside MRC files with what their header has no place for."""

TILT_SERIES = "tilt series"
VOLUME = "volume"
_VERSION = 1
_LARGEST_FILE = 64 << 20
_REQUIRED = ("name", "signal", "pixel_size_nm")


def describe_dataset(series: Sequence[TiltSeries]) -> dict[str, Any]:
    """Describe all of `series`, in order, as JSON values."""
    return {"version": _VERSION, "kind": TILT_SERIES, "series": [describe_series(one) for one in series]}


def describe_series(series: TiltSeries) -> dict[str, Any]:
    """Describe a series except for its values and its background, as JSON values.

    Reading restores exactly the same numbers. The pixels that are not valid are
    a compressed mask, in base64.
    """
    shifts, gains = series.detector_shifts_px, series.gains
    entry: dict[str, Any] = to_json(
        {
            "name": series.name,
            "signal": series.kind,
            "shape": series.shape,
            "tilts_deg": series.tilts_deg,
            "pixel_size_nm": float(series.pixel_size_nm),
            "axis_position_px": series.axis_position_px,
            "axis_angle_deg": series.axis_angle_deg,
            "detector_shifts_px": shifts,
            "gains": gains,
            "alignment": None if series.alignment is None else series.alignment.to_json(),
            "has_background": series.background is not None,
            "invalid": None if series.valid is None else _packed_mask(series),
            "source": series.source,
            "notes": series.notes,
            "provenance": series.provenance,
        }
    )
    return {name: value for name, value in entry.items() if value is not None}


def restore_one_series(
    entry: Mapping[str, Any], data: Any, where: str, *, background: Any = None, notes: Sequence[str] = ()
) -> Found:
    """Restore a series from its description by `describe_series` and its values.

    Parameters
    ----------
    entry : mapping
        The description.
    data, background : array, shape (tilt, y, x)
        The values; NumPy or dask.
    where : str
        The file, for messages.
    notes : sequence of str
        What to add to the notes.

    Raises
    ------
    ReadError
        When something is missing or inconsistent; the message starts with `where`.
    """
    missing = [name for name in _REQUIRED if name not in entry]
    if missing:
        raise ReadError(f"{where}: found no {', '.join(missing)}; expected the description of a tilt series")
    if entry["signal"] not in ("counts", "intensity"):
        raise ReadError(f"{where}: found values of the kind {entry['signal']!r}; expected counts")
    alignment = entry.get("alignment")
    attributes = {
        **{
            name: None if entry.get(name) is None else float(entry[name])
            for name in ("axis_position_px", "axis_angle_deg")
        },
        "detector_shifts_px": _numbers(entry.get("detector_shifts_px")),
        "gains": _numbers(entry.get("gains")),
        "background": background,
        "valid": _unpacked_mask(entry.get("invalid"), data.shape, where),
        "alignment": None if alignment is None else Alignment.from_json(alignment, where),
        "provenance": tuple(dict(step) for step in entry.get("provenance", ())) or None,
    }
    try:
        return Found(
            name=str(entry["name"]),
            data=data,
            kind="stack",
            tilts_deg=_numbers(entry.get("tilts_deg")),
            tilt_unit="deg",
            pixel_size_nm=float(entry["pixel_size_nm"]),
            signal=entry["signal"],
            notes=(*_texts(entry.get("notes", ())), *notes),
            attributes={name: value for name, value in attributes.items() if value is not None},
        )
    except (DataError, TypeError, ValueError) as error:
        raise ReadError(f"{where}: {error}") from error


def restore_series(
    found: Mapping[str, Any] | None,
    where: str,
    stack: Callable[[Mapping[str, Any], int], Any],
    background: Callable[[Mapping[str, Any]], Any],
) -> list[Found] | None:
    """Restore the series of a dataset from their description by `describe_dataset`.

    Parameters
    ----------
    found : mapping or None
        The description in the file.
    where : str
        The file, for messages.
    stack : callable
        Returns the values ``(tilt, y, x)`` of a series, given its description and its number; None where the
        file has none.
    background : callable
        Returns the background of a series, given its description, where that names one.

    Returns
    -------
    list of Found or None
        None for a file of another program, and for one that another program changed: where shapes are no
        longer those of the description, what the format itself says counts.

    Raises
    ------
    ReadError
        When the description is damaged.
    """
    if found is None or found.get("kind") != TILT_SERIES:
        return None
    restored = []
    for index, entry in enumerate(series_entries(found, where)):
        data = stack(entry, index)
        if data is None or tuple(data.shape) != entry_shape(entry, where):
            return None
        behind = None if entry.get("background") is None else background(entry)
        restored.append(restore_one_series(entry, data, where, background=behind))
    return restored


def entry_index(value: Any, count: int, what: str, where: str) -> int:
    """Return a number in a description; `ReadError` unless it is one of `count`."""
    if not isinstance(value, int) or not 0 <= value < count:
        raise ReadError(f"{where}: found {what} {value!r}; expected one of {count}")
    return value


def entry_shape(entry: Mapping[str, Any], where: str) -> tuple[int, int, int]:
    """Return the shape in the description of a series; `ReadError` unless it is three sizes."""
    shape = entry.get("shape")
    if not isinstance(shape, list) or len(shape) != 3 or not all(isinstance(n, int) and n > 0 for n in shape):
        raise ReadError(f"{where}: found the shape {shape!r}; expected three sizes")
    return shape[0], shape[1], shape[2]


def describe_volume(volume: Volume) -> dict[str, Any]:
    """Describe a volume except for its values, as JSON values."""
    return {
        "version": _VERSION,
        "kind": VOLUME,
        "names": list(volume.names),
        "voxel_size_nm": float(volume.voxel_size_nm),
        "origin_px": [float(index) for index in volume.origin_px],
        "recipe": to_json(volume.provenance),
    }


def restore_volume(found: Mapping[str, Any], data: Any, where: str) -> Volume:
    """Restore a volume from its description by `describe_volume` and its values (channel, z, y, x).

    Raises
    ------
    ReadError
        When something is missing or inconsistent; the message starts with `where`.
    """
    try:
        z, y, x = (float(index) for index in found.get("origin_px", (0.0, 0.0, 0.0)))
        return Volume(
            data=np.asarray(data, dtype=np.float32),
            names=_texts(found["names"]),
            voxel_size_nm=float(found["voxel_size_nm"]),
            origin_px=(z, y, x),
            provenance=dict(found.get("recipe", {})),
        )
    except KeyError as error:
        raise ReadError(f"{where}: found no {error}; expected the description of a volume") from error
    except (DataError, TypeError, ValueError) as error:
        raise ReadError(f"{where}: {error}") from error


def series_entries(found: Any, where: str) -> list[dict[str, Any]]:
    """Return the descriptions of the single series in the description of a file.

    Raises
    ------
    ReadError
        When it is of a later version, or does not describe tilt series.
    """
    check_version(found, where)
    entries = found.get("series")
    if found.get("kind") != TILT_SERIES or not isinstance(entries, list) or not entries:
        raise ReadError(f"{where}: found a {found.get('kind')}; expected tilt series")
    if not all(isinstance(entry, dict) for entry in entries):
        raise ReadError(f"{where}: found no description of every series; expected one per series")
    return entries


def check_version(found: Any, where: str) -> None:
    """Raise `ReadError` unless `found` is a description of a version that this program can read."""
    if not isinstance(found, Mapping) or found.get("version") != _VERSION:
        version = found.get("version") if isinstance(found, Mapping) else type(found).__name__
        raise ReadError(f"{where}: found a description of version {version!r}; expected {_VERSION}")


def to_text(found: Mapping[str, Any]) -> str:
    """Return a description as ASCII text, for formats that store text."""
    return json.dumps(found)


def from_text(text: str | bytes, where: str) -> dict[str, Any]:
    """Return the description that `to_text` wrote.

    Raises
    ------
    ReadError
        When the text is not a description.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ReadError(f"{where}: found no JSON ({error}); expected a description") from error
    check_version(found, where)
    return dict(found)


def load_description(path: Path) -> dict[str, Any]:
    """Read a description from a file.

    Raises
    ------
    ReadError
        When it cannot be read, is too long, or is not a description.
    """
    try:
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise ReadError(f"{path}: found {size} bytes; expected a description, which is short")
        return from_text(path.read_bytes(), str(path))
    except ReadError:
        raise
    except OSError as error:
        raise ReadError(f"{path}: cannot be read ({error.strerror or error})") from error


def to_json(value: Any) -> Any:
    """Convert a value to types that JSON has.

    NumPy numbers and arrays, tuples and paths become plain numbers, lists and text. Numbers that are not
    finite, which JSON cannot express, become text.
    """
    if isinstance(value, Mapping):
        return {str(key): to_json(one) for key, one in value.items()}
    if hasattr(value, "tolist"):
        return to_json(value.tolist())
    if isinstance(value, (list, tuple)):
        return [to_json(one) for one in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)


def _packed_mask(series: TiltSeries) -> str:
    bits = b"".join(np.packbits(~valid).tobytes() for valid in series.valid_pixels())
    return base64.b64encode(zlib.compress(bits)).decode("ascii")


def _unpacked_mask(text: Any, shape: tuple[int, ...], where: str) -> npt.NDArray[np.bool_] | None:
    if text is None:
        return None
    count, pixels = shape[0], math.prod(shape[1:])
    expected = count * -(-pixels // 8)
    try:
        bits = zlib.decompressobj().decompress(base64.b64decode(str(text), validate=True), expected + 1)
    except (ValueError, zlib.error) as error:
        raise ReadError(f"{where}: the mask of invalid pixels is damaged ({error})") from error
    if len(bits) != expected:
        raise ReadError(f"{where}: found no mask of {expected} bytes; expected one for {shape} pixels")
    rows = np.frombuffer(bits, np.uint8).reshape(count, -1)
    valid: npt.NDArray[np.bool_] = np.unpackbits(rows, axis=1, count=pixels).reshape(shape) == 0
    return valid


def _numbers(values: Any) -> Any:
    return None if values is None else np.asarray(values, dtype=np.float64)


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(str(one) for one in values)
