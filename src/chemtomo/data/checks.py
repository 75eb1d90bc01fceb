"""Checks of the data of tilt series and spectrum images."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.errors import DataError

__all__ = ["as_stack", "check_pixel_size", "check_stack", "checked_tilts"]


def as_stack(data: Any) -> Any:
    """Return dask arrays as they are, and everything else as NumPy arrays."""
    return data if hasattr(data, "dask") else np.asanyarray(data)


def check_stack(data: Any, axes: tuple[str, ...], where: str) -> None:
    """Raise unless data has these axes, none of them empty, and real numbers.

    Raises
    ------
    DataError
        The message begins with `where`.
    """
    if data.ndim != len(axes):
        number = {3: "three", 4: "four"}[len(axes)]
        raise DataError(
            f"{where}: the data has shape {data.shape}; expected {number} axes ({', '.join(axes)})"
        )
    if 0 in data.shape:
        raise DataError(f"{where}: the data has shape {data.shape}; expected no empty axis")
    if data.dtype.kind not in "uif":
        raise DataError(f"{where}: the data has type {data.dtype}; expected real numbers")


def checked_tilts(tilts_deg: Any, count: int, what: str, where: str) -> npt.NDArray[np.float64]:
    """Return tilts as read-only float64, one for each of `count` images, which messages call `what`.

    Raises
    ------
    DataError
        When there are more or fewer, or some are not finite.
    """
    tilts = np.array(tilts_deg, dtype=np.float64)
    if tilts.ndim != 1 or tilts.size != count:
        raise DataError(f"{where}: found {tilts.size} tilts for {count} {what}; expected one each")
    if not np.isfinite(tilts).all():
        bad = np.flatnonzero(~np.isfinite(tilts)).tolist()
        raise DataError(f"{where}: the tilts at {bad} are not finite; expected degrees")
    tilts.setflags(write=False)
    return tilts


def check_pixel_size(pixel_size_nm: float, where: str) -> None:
    """Raise unless a pixel size is a positive length.

    Raises
    ------
    DataError
        The message begins with `where`.
    """
    if not (np.isfinite(pixel_size_nm) and pixel_size_nm > 0):
        raise DataError(f"{where}: the pixel size is {pixel_size_nm} nm; expected a positive number")
