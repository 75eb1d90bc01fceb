"""Fewer detector columns and fewer slices: empty ones cost as much as full ones."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import ParameterError

__all__ = ["crop_detector", "detector_support", "select_slices"]

# Stray counts: a rate at the detector's edges above this fraction of the brightest column is
# taken for signal, not for background.
_STRAY_FRACTION = 0.01
_EDGE_COLUMNS = 2
_WINDOW = 5
_FALSE_ALARM = 1e-3


def detector_support(dataset: Dataset, margin: int = 5) -> tuple[int, int]:
    """Find the detector columns that hold signal, symmetric about the tilt axis.

    A column is left out only when it is empty in every slice and tilt of every signal:

    - of an *intensity*, empty means zero. Data with a background that was not removed has no empty
      column, and nothing is cut;
    - of *counts*, empty means zero or stray counts. Their rate is that of the two outermost columns
      on each side. A column holds signal when the counts around it, in 5 x 5 pixels or in 5 columns
      of all slices, are more than such a rate would give anywhere in the stack, with odds of 1000
      to 1. Where the edges have more than 1 % of the counts of the brightest column they are taken
      for signal, and nothing is cut.

    Parameters
    ----------
    dataset : Dataset
        Signals of one geometry.
    margin : int
        Columns to keep beyond the outermost one with signal.

    Returns
    -------
    start, stop : int
        Keep the columns ``start <= x < stop``. All of them when none holds signal.

    Raises
    ------
    DataError
        When the signals differ in geometry or hold values that are not finite.
    """
    dataset.require_common_geometry()
    columns = dataset.series[0].shape[2]
    occupied = np.zeros(columns, dtype=bool)
    for series in dataset:
        series.require_finite()
        occupied |= _occupied_by_counts(series) if series.kind == "counts" else _nonzero(series.data)
    found = np.flatnonzero(occupied)
    if not found.size:
        return 0, columns
    axis = dataset.series[0].axis_position
    half = max(axis - found[0], found[-1] - axis) + margin
    return max(0, math.floor(axis - half)), min(columns, math.ceil(axis + half) + 1)


def crop_detector(series: TiltSeries, start: int, stop: int) -> TiltSeries:
    """Keep the detector columns ``start <= x < stop``; the tilt axis stays where it is in the sample.

    Raises
    ------
    ParameterError
        When the range does not lie on the detector.
    """
    columns = series.shape[2]
    _require_range("detector columns", series, start, stop, columns)
    axis: float | None = series.axis_position - start
    if axis == (stop - start - 1) / 2:
        axis = None
    entry = {"step": "crop_detector", "start": start, "stop": stop, "of": columns}
    return series.replace(
        data=series.data[:, :, start:stop],
        axis_position_px=axis,
        provenance=(*series.provenance, entry),
    )


def select_slices(series: TiltSeries, start: int, stop: int) -> TiltSeries:
    """Keep the rows ``start <= y < stop`` of every projection.

    Raises
    ------
    ParameterError
        When the range does not lie in the data.
    """
    rows = series.shape[1]
    _require_range("slices", series, start, stop, rows)
    entry = {"step": "select_slices", "start": start, "stop": stop, "of": rows}
    return series.replace(data=series.data[:, start:stop], provenance=(*series.provenance, entry))


def _nonzero(data: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    """Tell which columns hold anything but zeros, one projection at a time to spare memory."""
    found = np.zeros(data.shape[2], dtype=bool)
    for projection in data:
        found |= (projection != 0).any(axis=0)
    return found


def _occupied_by_counts(series: TiltSeries) -> npt.NDArray[np.bool_]:
    from scipy import stats  # takes half a second, and is seldom needed

    data = series.data
    pixels = data.shape[0] * data.shape[1]
    rates = sum(projection.sum(axis=0, dtype=np.float64) for projection in data) / pixels
    edges = np.concatenate([rates[:_EDGE_COLUMNS], rates[-_EDGE_COLUMNS:]])
    stray = float(edges.mean())
    if stray == 0 or stray > _STRAY_FRACTION * rates.max():
        return _nonzero(data)
    # With one test a pixel, the odds of a false alarm in any of them add up to at most _FALSE_ALARM.
    most_window, most_strip = (
        float(stats.poisson.isf(_FALSE_ALARM / data.size, stray * _WINDOW * rows))
        for rows in (_WINDOW, data.shape[1])
    )
    found = np.zeros(data.shape[2], dtype=bool)
    for projection in data:
        strip = ndimage.convolve1d(projection.astype(np.float64), np.ones(_WINDOW), axis=1, mode="constant")
        window = ndimage.convolve1d(strip, np.ones(_WINDOW), axis=0, mode="constant")
        found |= (window > most_window + 0.5).any(axis=0) | (strip.sum(axis=0) > most_strip + 0.5)
    return found


def _require_range(what: str, series: TiltSeries, start: int, stop: int, size: int) -> None:
    if not 0 <= start < stop <= size:
        raise ParameterError(
            f"{what} {start}:{stop} do not fit tilt series {series.name!r}; "
            f"expected 0 <= START < STOP <= {size}"
        )
