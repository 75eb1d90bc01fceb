"""Group the series of a dataset that can share one array in a file, and choose data types for files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chemtomo.data import TiltSeries

__all__ = ["group_alike", "storage_dtype", "value_range"]


def group_alike(series: Sequence[TiltSeries], *, same_type: bool = True) -> list[list[TiltSeries]]:
    """Group series of the same shape, tilts and pixel size, in the order of their first members.

    Parameters
    ----------
    series : sequence of TiltSeries
        The series.
    same_type : bool
        Whether series of a group must have the same data type.
    """
    groups: dict[Any, list[TiltSeries]] = {}
    for one in series:
        key = (
            one.shape,
            one.tilts_deg.tobytes(),
            float(one.pixel_size_nm),
            np.dtype(one.data.dtype).newbyteorder("=").str if same_type else None,
        )
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def storage_dtype(series: TiltSeries, names: Sequence[str]) -> tuple[np.dtype[Any], str | None]:
    """Choose the data type in which a format stores the values of a series.

    Parameters
    ----------
    series : TiltSeries
        The series.
    names : sequence of str
        Names of the data types of the format, smaller ones first; ``float32`` among them.

    Returns
    -------
    dtype : numpy.dtype
        That of the series if the format has it; else the first that holds all values exactly; else
        ``float64`` or ``float32``.
    note : str or None
        What is lost; None if nothing is.
    """
    own = np.dtype(series.data.dtype).newbyteorder("=")
    widest = np.dtype("float64" if "float64" in names else "float32")
    if own.name in names:
        return own, None
    if own.kind == "f":
        if own.itemsize < 4:
            return np.dtype(np.float32), None
        return widest, f"{series.name}: {own.name} was rounded to {widest.name}, which the format has"
    smallest, largest = value_range(series)
    for name in names:
        if np.dtype(name).kind in "ui":
            bounds = np.iinfo(name)
            if bounds.min <= smallest and largest <= bounds.max:
                return np.dtype(name), None
    exact = 1 << (np.finfo(widest).nmant + 1)
    note = None
    if max(-smallest, largest) > exact:
        note = f"{series.name}: integers beyond {exact} were rounded to {widest.name}, which the format has"
    return widest, note


def value_range(series: TiltSeries) -> tuple[int, int]:
    """Return the smallest and the largest value of a series of integers."""
    ends = [(int(one.min()), int(one.max())) for one in series.projections()]
    return min(low for low, _ in ends), max(high for _, high in ends)
