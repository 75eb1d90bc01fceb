"""Arrays whose values are read from the file when they are needed.

The file is opened for every read and closed afterwards: no file stays locked (which matters on Windows),
arrays can be sent to other processes, and a missing file raises a `ReadError` that names it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.errors import ReadError
from chemtomo.io.found import Found
from chemtomo.io.storage.library import collect_warnings

__all__ = ["HDF5Values", "LibraryValues", "lazy_array", "lazy_hdf5", "lazy_mapped", "load_small"]

_CHUNK_BYTES = 32 << 20
_LAZY_FROM_BYTES = 256 << 20


class HDF5Values:
    """The values of a dataset in an HDF5 file, read by indexing.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    dataset : h5py.Dataset
        The dataset, open. Only its name, shape and type are kept.
    """

    def __init__(self, path: Path, dataset: Any) -> None:
        self.path = path
        self.name = str(dataset.name)
        self.shape = tuple(int(size) for size in dataset.shape)
        self.dtype = np.dtype(dataset.dtype)
        self.ndim = len(self.shape)

    def __getitem__(self, index: Any) -> npt.NDArray[Any]:
        import h5py

        try:
            with h5py.File(self.path, "r") as file:
                return np.asarray(file[self.name][index])
        except (OSError, KeyError, RuntimeError, ValueError) as error:
            raise ReadError(
                f"{self.path}: the values of {self.name} cannot be read ({error}); "
                "expected the file to stay as it was when it was opened"
            ) from error


def load_small(found: list[Found]) -> list[Found]:
    """Read images and stacks of less than 256 MiB now; larger ones and spectra stay lazy."""
    return [
        one.replace(data=np.asarray(one.data))
        if one.kind != "spectrum image" and one.data.nbytes < _LAZY_FROM_BYTES
        else one
        for one in found
    ]


class _MappedValues:
    """The values of a memory-mapped file, read by indexing. Dask would copy and hash the whole array."""

    def __init__(self, mapped: np.memmap[Any, Any]) -> None:
        self.mapped = mapped
        self.shape, self.dtype, self.ndim = mapped.shape, mapped.dtype, mapped.ndim

    def __getitem__(self, index: Any) -> npt.NDArray[Any]:
        return np.array(self.mapped[index])

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        # The address distinguishes parts of one file; the file name, arrays that reuse an address.
        place = self.mapped.__array_interface__["data"][0]
        return str(self.mapped.filename), place, self.shape, str(self.dtype)


def lazy_mapped(mapped: np.memmap[Any, Any]) -> Any:
    """Return a dask array of a memory-mapped array, with one chunk per projection, without reading it."""
    return lazy_array(_MappedValues(mapped), (1, *mapped.shape[1:]))


class LibraryValues:
    """Values that a library reads when they are needed; its errors become a `ReadError`.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    data : dask array
        The array from the library.
    """

    def __init__(self, path: Path, data: Any) -> None:
        self.path = path
        self.data = data
        self.shape = tuple(int(size) for size in data.shape)
        self.dtype = np.dtype(data.dtype)
        self.ndim = len(self.shape)

    def __getitem__(self, index: Any) -> npt.NDArray[Any]:
        try:
            return collect_warnings(lambda: np.asarray(self.data[index]), wait=False)[0]
        except ReadError:
            raise
        except Exception as error:
            # Libraries raise nearly anything for a damaged file.
            raise ReadError(
                f"{self.path}: the values cannot be read ({type(error).__name__}: {error}); "
                "the file may be damaged, or no longer there"
            ) from error

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        # The graph may hold a memory-mapped file, which dask would hash completely.
        return str(self.path), self.data.name


def lazy_hdf5(path: Path, dataset: Any) -> Any:
    """Return a dask array of an `h5py.Dataset`, which may be closed afterwards."""
    return lazy_array(HDF5Values(path, dataset), dataset.chunks)


def lazy_array(values: Any, stored_chunks: Sequence[int] | None) -> Any:
    """Return a dask array of any object with a shape, a data type and indexing.

    Chunks are multiples of those in the file, up to about 32 MiB. Along the first of three or more axes, the
    tilts, they are no larger than in the file, so that one tilt is read without the others.
    """
    import dask.array  # slow to import

    da: Any = dask.array  # it has no types
    return da.from_array(
        values,
        chunks=_chunks(values.shape, values.dtype, stored_chunks),
        asarray=False,
        meta=np.empty((0,) * values.ndim, values.dtype),  # or dask opens the file to look
    )


def _chunks(shape: Sequence[int], dtype: np.dtype[Any], stored: Sequence[int] | None) -> tuple[int, ...]:
    chunks = [
        max(1, min(size, least)) for size, least in zip(shape, stored or (1,) * len(shape), strict=True)
    ]
    first = 1 if len(shape) > 2 else 0
    for axis in reversed(range(first, len(shape))):
        room = _CHUNK_BYTES // max(1, math.prod(chunks) * dtype.itemsize)
        if room > 1:
            chunks[axis] = min(shape[axis], chunks[axis] * room)
    return tuple(chunks)
