"""Write NPZ: NumPy arrays named after the signals, with tilts and pixel size.

An NPZ file is a Zip archive of NPY files. All other metadata are JSON, as bytes, in the entry ``chemtomo``.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import TiltSeries, Volume
from chemtomo.io.description import KEY, describe_dataset, describe_volume, to_text
from chemtomo.io.formats.target import Target, Written
from chemtomo.io.storage.names import file_name, link_name, unique_names

__all__ = ["write_series", "write_volume"]

_TILTS, _PIXEL_SIZE = "tilts_deg", "pixel_size_nm"
# Names of entries that are not signals.
_RESERVED = (KEY, _TILTS, _PIXEL_SIZE, "tilts", "angles")


def write_series(series: Sequence[TiltSeries], target: Target) -> Written:
    """Write every series as an array ``(tilt, y, x)``, and tilts and pixel size where all have the same."""
    found = describe_dataset(series)
    names = _keys([*(one.name for one in series), *(f"{one.name} background" for one in series)])
    with _archive(target) as archive:
        for one, entry, name, behind in zip(
            series, found["series"], names, names[len(series) :], strict=False
        ):
            entry["array"] = name
            _write(archive, name, one.data)
            if one.background is not None:
                entry["background"] = behind
                _write(archive, behind, one.background)
        if len({one.tilts_deg.tobytes() for one in series}) == 1:
            _write(archive, _TILTS, series[0].tilts_deg)
        if len({float(one.pixel_size_nm) for one in series}) == 1:
            _write(archive, _PIXEL_SIZE, np.array(series[0].pixel_size_nm, np.float64))
        _write(archive, KEY, _bytes(found))
    return Written([target.path])


def write_volume(volume: Volume, target: Target) -> Written:
    """Write a volume as one array ``(z, y, x)`` per channel."""
    names = _keys(volume.names)
    with _archive(target) as archive:
        for name, channel in zip(names, volume.data, strict=True):
            _write(archive, name, np.asarray(channel, np.float32))
        _write(archive, KEY, _bytes(describe_volume(volume) | {"arrays": names}))
    return Written([target.path])


@contextmanager
def _archive(target: Target) -> Iterator[zipfile.ZipFile]:
    with target.writing([target.path]) as (path,), zipfile.ZipFile(path, "w") as archive:
        yield archive


def _keys(names: Iterable[str]) -> list[str]:
    return unique_names([*_RESERVED, *names], lambda name: file_name(link_name(name)))[len(_RESERVED) :]


def _bytes(description: dict[str, Any]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(to_text(description).encode(), np.uint8)


def _write(archive: zipfile.ZipFile, name: str, data: Any) -> None:
    """Write an array, lazy ones one projection after the other."""
    dtype = np.dtype(data.dtype).newbyteorder("=")
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": data.shape}
    with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
        np.lib.format.write_array_header_2_0(stream, header)
        for part in _parts(data):
            stream.write(np.ascontiguousarray(part, dtype).tobytes())


def _parts(data: Any) -> Iterator[Any]:
    if data.ndim < 3:
        yield np.asarray(data)
        return
    for index in range(data.shape[0]):
        yield np.asarray(data[index])
