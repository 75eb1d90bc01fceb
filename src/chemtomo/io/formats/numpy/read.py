"""Read NPY and NPZ files of NumPy.

An NPY file is a stack ``(tilt, y, x)``, an image ``(y, x)``, or several stacks ``(channel, tilt, y, x)``.
In an NPZ file every array of two or three axes is a stack or image, named by its key. ``tilts_deg``,
``tilts`` or ``angles`` are the tilts in degrees, ``tilts_rad`` or ``angles_rad`` in radians, and
``pixel_size_nm`` is the pixel size.

Objects (pickles) are refused: they could run arbitrary code.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import Volume
from chemtomo.errors import NoTiltSeriesError, ReadError
from chemtomo.io.description import KEY, VOLUME, from_text, restore_series, restore_volume
from chemtomo.io.found import Found
from chemtomo.io.tilts.units import AngleUnit, as_degrees

__all__ = ["description", "find_npy", "find_npz", "read_volume", "recognises_npy", "recognises_npz"]

_TILT_KEYS: dict[str, AngleUnit | None] = {
    "tilts_deg": "deg",
    "angles_deg": "deg",
    "tilts_rad": "rad",
    "angles_rad": "rad",
    "tilts": None,
    "angles": None,
}
_PIXEL_KEY = "pixel_size_nm"
_MAP_FROM_BYTES = 512 << 20
_LARGEST_HEADER = 10_000
# The largest compression of deflate, which limits how much a small file can claim to hold.
_LARGEST_COMPRESSION = 1032


def recognises_npy(head: bytes) -> bool:
    """Tell whether the first bytes of a file are those of an NPY file."""
    return head[:6] == b"\x93NUMPY"


def recognises_npz(head: bytes) -> bool:
    """Tell whether the first bytes of a file are those of a ZIP file that starts with an array."""
    return head[:4] == b"PK\3\4" and b".npy" in head[30:512]


def find_npy(path: Path) -> list[Found]:
    """Find the stack, or the stacks of several channels, in an NPY file.

    Files of 512 MiB and more are memory-mapped.

    Raises
    ------
    ReadError
        When it is not an NPY file, is truncated, or does not hold real numbers.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        shape, dtype, order = _header(file, str(path))
        start = file.tell()
    expected = start + math.prod(shape) * dtype.itemsize
    if size < expected:
        raise ReadError(
            f"{path}: truncated: found {size} bytes; expected {expected} for {dtype.name} of shape {shape}"
        )
    if expected >= _MAP_FROM_BYTES:
        data: npt.NDArray[Any] = np.memmap(path, dtype, "r", start, shape, order)
    else:
        data = np.fromfile(path, dtype, math.prod(shape), offset=start).reshape(shape, order=order)
    if data.ndim == 4:
        note = f"an array of four axes; taken for {len(data)} channels of (tilt, y, x)"
        return [
            _found(f"{path.stem} {index + 1}", channel, str(path), notes=(note,))
            for index, channel in enumerate(data)
        ]
    return [_found(path.stem, data, str(path), named=False)]


def find_npz(path: Path) -> list[Found]:
    """Find the stacks in an NPZ file, with the tilts and the pixel size stored with them.

    Raises
    ------
    ReadError
        When it is not an NPZ file, holds no stack, or an array is damaged.
    """
    arrays, left_out = _arrays(path)
    said = _description(arrays, path)
    if said is not None and said.get("kind") == VOLUME:
        raise NoTiltSeriesError(f"{path}: found a volume; expected a tilt series")
    restored = restore_series(
        said,
        str(path),
        lambda entry, _: arrays.get(str(entry.get("array"))),
        lambda entry: arrays[str(entry["background"])],
    )
    if restored is not None:
        return restored
    key_of_tilts = next((key for key in _TILT_KEYS if key in arrays), "")
    tilts = arrays.pop(key_of_tilts, None)
    pixel_size = _number(arrays.pop(_PIXEL_KEY, None), f"{path}: {_PIXEL_KEY}")
    stacks = {key: array for key, array in arrays.items() if array.ndim in (2, 3)}
    if not stacks:
        raise NoTiltSeriesError(
            f"{path}: found the arrays {', '.join(sorted(arrays)) or 'none'}; "
            f"expected one of the axes (tilt, y, x){''.join(f'; {one}' for one in left_out)}"
        )
    found = []
    for key, array in stacks.items():
        notes = tuple(f"left out: {one}" for one in left_out)
        one = _found(key, array, f"{path}: {key}", pixel_size_nm=pixel_size, notes=notes)
        if tilts is not None and one.kind == "stack":
            if tilts.size == array.shape[0]:
                unit = _TILT_KEYS[key_of_tilts]
                one = one.replace(
                    tilts_deg=as_degrees(np.ravel(tilts).astype(np.float64), unit), tilt_unit=unit
                )
            else:
                one = one.replace(wrong_tilt_count=tilts.size)  # an error, unless tilts are given by hand
        found.append(one)
    return found


def read_volume(path: Path) -> Volume:
    """Read a volume that this program wrote, one array per channel."""
    arrays, _ = _arrays(path)
    said = _description(arrays, path)
    if said is None or said.get("kind") != VOLUME:
        raise ReadError(f"{path}: found no description of a volume; expected one that this program wrote")
    try:
        data = np.stack([arrays[name] for name in said["arrays"]])
    except (KeyError, TypeError, ValueError) as error:
        raise ReadError(f"{path}: found other arrays than its description says ({error})") from error
    return restore_volume(said, data, str(path))


def description(path: Path) -> dict[str, Any] | None:
    """Return the description in an NPZ file; None for a file of another program."""
    return _description(_arrays(path)[0], path)


def _description(arrays: Mapping[str, npt.NDArray[Any]], path: Path) -> dict[str, Any] | None:
    return from_text(arrays[KEY].tobytes(), str(path)) if KEY in arrays else None


def _arrays(path: Path) -> tuple[dict[str, npt.NDArray[Any]], list[str]]:
    """Return the arrays of real numbers, and the names of other entries."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    left_out: list[str] = []
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            key = info.filename.removesuffix(".npy")
            if key != info.filename:
                try:
                    arrays[key] = _member(archive, info, f"{path}: {key}")
                except NoTiltSeriesError as error:
                    left_out.append(str(error).removeprefix(f"{path}: "))
    return arrays, left_out


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> npt.NDArray[Any]:
    with archive.open(info) as stream:
        shape, dtype, order = _header(stream, where)
        size = math.prod(shape) * dtype.itemsize
        if size > info.file_size or size > info.compress_size * _LARGEST_COMPRESSION:
            raise ReadError(
                f"{where}: found {info.file_size} bytes; expected more than {size} for {dtype.name} of "
                f"shape {shape}"
            )
        values = stream.read(size)
    if len(values) < size:
        raise ReadError(f"{where}: truncated: found {len(values)} bytes; expected {size}")
    return np.frombuffer(values, dtype).reshape(shape, order=order)


def _header(file: IO[bytes], where: str) -> tuple[tuple[int, ...], np.dtype[Any], Any]:
    """Read the header of an array, before memory for it is allocated."""
    version = np.lib.format.read_magic(io.BytesIO(head := file.read(8)))  # raises for other files
    length = int.from_bytes(file.read(2 if version == (1, 0) else 4), "little")
    if length > _LARGEST_HEADER:
        raise ReadError(f"{where}: found a header of {length} bytes; expected at most {_LARGEST_HEADER}")
    text = length.to_bytes(2 if version == (1, 0) else 4, "little") + file.read(length)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    del head
    shape, fortran, dtype = read(io.BytesIO(text))
    if dtype.kind not in "uifb" or dtype.hasobject:
        raise NoTiltSeriesError(f"{where}: found values of the type {dtype}; expected real numbers")
    return tuple(int(size) for size in shape), dtype, "F" if fortran else "C"


def _found(
    name: str,
    data: npt.NDArray[Any],
    where: str,
    *,
    named: bool = True,
    pixel_size_nm: float | None = None,
    notes: tuple[str, ...] = (),
) -> Found:
    if data.ndim not in (2, 3):
        raise NoTiltSeriesError(f"{where}: found an array of shape {data.shape}; expected (tilt, y, x)")
    if data.dtype.kind == "b":
        data = data.astype(np.uint8)
    elif not data.dtype.isnative and not isinstance(data, np.memmap):
        data = data.astype(data.dtype.newbyteorder("="))
    kind: Any = "stack" if data.ndim == 3 else "image"
    return Found(name, data, kind, pixel_size_nm=pixel_size_nm, named=named, notes=notes)


def _number(value: npt.NDArray[Any] | None, where: str) -> float | None:
    if value is None:
        return None
    if value.size != 1 or not (np.isfinite(value).all() and (value > 0).all()):
        raise ReadError(f"{where}: found {value.tolist()}; expected one positive number")
    return float(value.reshape(()))
