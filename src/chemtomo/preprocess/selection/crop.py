"""Crop and pad projections. Empty columns and slices take as much time and memory as full ones."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from chemtomo.data import Alignment, Dataset, TiltSeries
from chemtomo.errors import ParameterError
from chemtomo.geometry.frames import in_other_pixels
from chemtomo.parameters import Range
from chemtomo.preprocess.operation import SeriesOperation
from chemtomo.preprocess.stacks import each_projection, recorded

__all__ = ["Crop", "Pad", "crop", "crop_detector", "detector_support", "pad", "select_slices"]

# Stray counts: a rate at the detector's edges above this fraction of the brightest column is
# taken for signal, not for background.
_STRAY_FRACTION = 0.01
_EDGE_COLUMNS = 2
_WINDOW = 5
_FALSE_ALARM = 1e-3


def detector_support(dataset: Dataset, margin: int = 5) -> tuple[int, int]:
    """Find the detector columns that hold signal, symmetric about the tilt axis.

    Where projections are shifted (`TiltSeries.detector_shifts_px`) the signal is looked for about the
    axis of each, and the columns are those that hold it in all of them.

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
    axis = dataset.series[0].axis_position
    radius = largest_shift = -math.inf
    for series in dataset:
        series.require_finite()
        shifts = np.zeros(series.shape[0])
        if series.detector_shifts_px is not None:
            shifts = series.detector_shifts_px
        largest_shift = max(largest_shift, float(np.abs(shifts).max()))
        occupied = _occupied_by_counts(series) if series.kind == "counts" else _nonzero(series)
        for here, columns_of_tilt in zip(axis + shifts, occupied, strict=True):
            found = np.flatnonzero(columns_of_tilt)
            if found.size:
                radius = max(radius, here - found[0], found[-1] - here)
    if radius < 0:
        return 0, columns
    half = radius + largest_shift + margin
    return max(0, math.floor(axis - half)), min(columns, math.ceil(axis + half) + 1)


def crop(
    series: TiltSeries, x: tuple[int, int] | None = None, y: tuple[int, int] | None = None
) -> TiltSeries:
    """Keep the columns ``x[0] <= x < x[1]`` and the rows ``y[0] <= y < y[1]`` of every projection.

    Raises
    ------
    ParameterError
        When a range does not lie in the projections.
    """
    cropped = series if x is None else crop_detector(series, *x)
    return cropped if y is None else select_slices(cropped, *y)


def crop_detector(series: TiltSeries, start: int, stop: int) -> TiltSeries:
    """Keep the detector columns ``start <= x < stop``; the tilt axis stays where it is in the sample.

    Raises
    ------
    ParameterError
        When the range does not lie on the detector.
    """
    columns = series.shape[2]
    _require_range("detector columns", series, start, stop, columns)
    return series.replace(
        data=series.data[:, :, start:stop],
        background=None if series.background is None else series.background[:, :, start:stop],
        valid=None if series.valid is None else series.valid[:, :, start:stop],
        axis_position_px=_axis_moved(series, -start, stop - start),
        alignment=_alignment_moved(series, (series.shape[1], stop - start), 0, start),
        first_pixel_nm=series.pixel_moved(0, start),
        provenance=recorded(series, "crop_detector", start=start, stop=stop, of=columns),
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
    return series.replace(
        data=series.data[:, start:stop],
        background=None if series.background is None else series.background[:, start:stop],
        valid=None if series.valid is None else series.valid[:, start:stop],
        alignment=_alignment_moved(series, (stop - start, series.shape[2]), start, 0),
        first_pixel_nm=series.pixel_moved(start, 0),
        provenance=recorded(series, "select_slices", start=start, stop=stop, of=rows),
    )


def pad(series: TiltSeries, x: int = 0, y: int = 0, *, edges: bool = False) -> TiltSeries:
    """Add columns at both sides, and rows at top and bottom, of every projection.

    The tilt axis stays where it is in the sample. It brings a series to the size of another one.
    Added pixels were not measured: they are not valid.

    Parameters
    ----------
    series : TiltSeries
        It is not modified; a lazy one stays lazy.
    x, y : int
        Columns at each side, rows at each end.
    edges : bool
        Repeat the values at the edge instead of zeros. Not for counts: there were none recorded there.

    Raises
    ------
    ParameterError
        When a number is negative, or counts are to be repeated.
    """
    if x < 0 or y < 0:
        raise ParameterError(
            f"tilt series {series.name!r}: found a padding of {x} columns and {y} rows; expected 0 or more"
        )
    if edges and series.kind == "counts":
        raise ParameterError(
            f"tilt series {series.name!r}: the edges of counts cannot be repeated, because nothing was "
            "recorded there; expected padding with zeros"
        )
    _, height, width = series.shape
    shape = (height + 2 * y, width + 2 * x)

    def enlarged(stack: Any) -> Any:
        def padded(projection: npt.NDArray[Any], tilt: int) -> npt.NDArray[Any]:
            return np.pad(projection, ((y, y), (x, x)), mode="edge" if edges else "constant")

        return each_projection(stack, padded, shape=shape)

    return series.replace(
        data=enlarged(series.data),
        background=None if series.background is None else enlarged(series.background),
        valid=_padded_valid(series, x, y),
        axis_position_px=_axis_moved(series, x, shape[1]),
        alignment=_alignment_moved(series, shape, -y, -x),
        first_pixel_nm=series.pixel_moved(-y, -x),
        provenance=recorded(series, "pad", x=x, y=y, edges=edges),
    )


def _padded_valid(series: TiltSeries, x: int, y: int) -> Any:
    if x == y == 0:
        return series.valid
    _, height, width = series.shape
    shape = (height + 2 * y, width + 2 * x)
    known = series.valid

    def padded(projection: npt.NDArray[Any], tilt: int) -> npt.NDArray[np.bool_]:
        own = np.ones((height, width), np.bool_) if known is None else np.asarray(known[tilt])
        return np.pad(own, ((y, y), (x, x)))

    return each_projection(series.data, padded, dtype=np.bool_, shape=shape)


def _axis_moved(series: TiltSeries, by: int, width: int) -> float | None:
    """Return the position of the tilt axis after the columns are renumbered; None for the middle."""
    axis = series.axis_position + by
    return None if axis == (width - 1) / 2 else axis


def _alignment_moved(series: TiltSeries, shape: tuple[int, int], y: int, x: int) -> Alignment | None:
    """Return the alignment for projections of another shape, whose first pixel was ``(y, x)``."""
    if series.alignment is None:
        return None
    return in_other_pixels(series.alignment, shape, origin=(y, x), before=series.shape[1:])


def _nonzero(series: TiltSeries) -> Iterator[npt.NDArray[np.bool_]]:
    """Yield, for every projection, which columns hold anything but zeros."""
    for projection in series.projections():
        yield (projection != 0).any(axis=0)


def _occupied_by_counts(series: TiltSeries) -> Iterator[npt.NDArray[np.bool_]]:
    from scipy import ndimage, stats  # slow to import

    tilts, rows, columns = series.shape
    rates = np.zeros(columns)
    for projection in series.projections():
        rates += projection.sum(axis=0, dtype=np.float64) / (tilts * rows)
    edges = np.concatenate([rates[:_EDGE_COLUMNS], rates[-_EDGE_COLUMNS:]])
    stray = float(edges.mean())
    if stray == 0 or stray > _STRAY_FRACTION * rates.max():
        yield from _nonzero(series)
        return
    # With one test per pixel, the probabilities of a false alarm add up to at most _FALSE_ALARM.
    most_window, most_strip = (
        float(stats.poisson.isf(_FALSE_ALARM / (tilts * rows * columns), stray * _WINDOW * height))
        for height in (_WINDOW, rows)
    )
    for projection in series.projections():
        strip = ndimage.convolve1d(projection.astype(np.float64), np.ones(_WINDOW), axis=1, mode="constant")
        window = ndimage.convolve1d(strip, np.ones(_WINDOW), axis=0, mode="constant")
        yield (window > most_window + 0.5).any(axis=0) | (strip.sum(axis=0) > most_strip + 0.5)


def _require_range(what: str, series: TiltSeries, start: int, stop: int, size: int) -> None:
    if not 0 <= start < stop <= size:
        raise ParameterError(
            f"{what} {start}:{stop} do not fit tilt series {series.name!r}; "
            f"expected 0 <= START < STOP <= {size}"
        )


class Crop(SeriesOperation):
    """Keep a part of every projection. The tilt axis stays where it is in the sample."""

    title: ClassVar[str] = "Crop"
    operation: ClassVar[str] = "crop"
    by_itself: ClassVar[bool] = False
    x: Range | None = Field(
        None, title="Columns x", description="Detector columns to keep, START:STOP. All if not given."
    )
    y: Range | None = Field(None, title="Rows y", description="Rows to keep, START:STOP. All if not given.")

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        return crop(series, self.x, self.y)


class Pad(SeriesOperation):
    """Add empty columns and rows around every projection."""

    title: ClassVar[str] = "Pad"
    operation: ClassVar[str] = "pad"
    by_itself: ClassVar[bool] = False
    x: int = Field(0, ge=0, title="Columns", description="Columns to add at the left and at the right.")
    y: int = Field(0, ge=0, title="Rows", description="Rows to add at the top and at the bottom.")
    edges: bool = Field(
        False,
        title="Repeat edges",
        description="Repeat the values at the edges instead of zeros; not for counts.",
    )

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        return pad(series, self.x, self.y, edges=self.edges)
