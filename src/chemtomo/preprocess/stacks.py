"""Apply a function to every projection of a stack, at once or lazily."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import TiltSeries

__all__ = ["each_projection", "lazy", "lazy_series", "recorded", "take"]

Projection = npt.NDArray[Any]


def lazy(stack: Any) -> Any:
    """Return a stack (tilt, y, x) as a dask array with one projection per chunk, without reading it."""
    import dask.array

    if not hasattr(stack, "dask"):
        # A unique name, because hashing a large array takes seconds.
        wrap: Any = dask.array.from_array
        return wrap(stack, chunks=(1, -1, -1), name=_name("stack"))
    if all(size == 1 for size in stack.chunks[0]) and len(stack.chunks[1]) == len(stack.chunks[2]) == 1:
        return stack
    return stack.rechunk((1, -1, -1))


def lazy_series(series: TiltSeries) -> TiltSeries:
    """Return the series with data, and background and valid pixels if there are any, as dask arrays."""
    background = None if series.background is None else lazy(series.background)
    valid = None if series.valid is None else lazy(series.valid)
    return series.replace(data=lazy(series.data), background=background, valid=valid, origin=series.origin)


def each_projection(
    stack: Any,
    function: Callable[[Projection, int], Projection],
    *,
    dtype: npt.DTypeLike | None = None,
    shape: tuple[int, int] | None = None,
) -> Any:
    """Apply a function to every projection; a lazy stack gives a lazy one.

    Parameters
    ----------
    stack : numpy.ndarray or dask array, shape (tilt, y, x)
        It is not modified. A dask array, or one that is still in its file, is read one projection at a
        time when the result is.
    function : callable
        Takes a projection (y, x), which it does not modify, and its number.
    dtype : dtype, optional
        Of the result; that of the stack by default.
    shape : (int, int), optional
        Rows and columns of the result; those of the stack by default.
    """
    kind = np.dtype(stack.dtype if dtype is None else dtype)
    tilts = stack.shape[0]
    rows, columns = stack.shape[1:] if shape is None else shape
    if isinstance(stack, np.ndarray) and not isinstance(stack, np.memmap):
        done = np.empty((tilts, rows, columns), dtype=kind)
        for tilt in range(tilts):
            done[tilt] = function(stack[tilt], tilt)
        return done
    import dask.array

    def block(values: Projection, block_id: tuple[int, ...]) -> Projection:
        one = np.asarray(function(values[0], block_id[0]), dtype=kind)
        return one[np.newaxis]

    on_blocks: Any = dask.array.map_blocks
    return on_blocks(
        block,
        lazy(stack),
        dtype=kind,
        chunks=((1,) * tilts, (rows,), (columns,)),
        meta=np.empty((0, 0, 0), dtype=kind),
        name=_name("projections"),
    )


def take(stack: Any, kept: list[int]) -> Any:
    """Return the projections with these numbers, in this order."""
    return None if stack is None else stack[np.asarray(kept)]


def recorded(series: TiltSeries, step: str, /, **parameters: Any) -> tuple[dict[str, Any], ...]:
    """Return the provenance of `series` with one entry more."""
    return (*series.provenance, {"step": step, **parameters})


def _name(what: str) -> str:
    return f"{what}-{uuid.uuid4().hex}"
