"""Single pixels that are far too bright or too dark: X-rays on a camera, arcs, dead elements.

A pixel is compared with its neighbours in the same projection, and replaced only if it is an outlier. The
number of replaced pixels is recorded for every projection; nothing else is changed.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from chemtomo.data import TiltSeries
from chemtomo.errors import ParameterError
from chemtomo.preprocess.operation import SeriesOperation
from chemtomo.preprocess.stacks import each_projection, recorded

__all__ = ["HotPixels", "find_outlying_pixels", "remove_hot_pixels"]

Which = Literal["hot", "dead", "both"]
Values = npt.NDArray[Any]
Places = npt.NDArray[np.int64]

_RING = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
_WINDOW = [(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3) if (dy, dx) != (0, 0)]
# Projection of the 24 values around a pixel onto planes.
_TERMS = np.array([(1.0, dy, dx) for dy, dx in _WINDOW])
_PLANE = _TERMS @ np.linalg.pinv(_TERMS)
# Interquartile range of a normal distribution, in standard deviations.
_QUARTILES = 1.349
_NORMAL_MEDIAN = 0.6745
# In data without noise, steps below this fraction of the range of values are structure.
_LEAST_PART = 0.005


def remove_hot_pixels(
    series: TiltSeries, *, which: Which = "both", threshold: float = 8.0, false_alarms: float = 1e-3
) -> TiltSeries:
    """Replace pixels that differ too much from their neighbours by a mean or median of these.

    Parameters
    ----------
    series : TiltSeries
        It is not modified; a lazy one stays lazy.
    which : {"hot", "dead", "both"}
        Too bright, too dark, or both.
    threshold : float
        For intensities: by how many standard deviations of its surroundings a pixel has to exceed even
        the second brightest (or darkest) of its eight neighbours.
    false_alarms : float
        For counts: expected number of pixels of a whole stack that are replaced although they are no
        outliers. The rate of a pixel is taken to be that of its 5 x 5 surroundings, or the counts of its
        second brightest (darkest) neighbour if they are more (less); it is an outlier when the Poisson
        statistics of that rate make its counts too unlikely. A map of rare counts stays as it is.

    Returns
    -------
    TiltSeries
        Of the same type and kind. An intensity gets the median of the eight neighbours; a count the
        rounded mean of those eight without the largest and the smallest, and so stays a whole number.

    Raises
    ------
    ParameterError
        When the threshold or the number of false alarms is not positive.
    """
    for what, value in (("threshold", threshold), ("number of false alarms", false_alarms)):
        if not value > 0:
            raise ParameterError(f"found a {what} of {value:g}; expected a positive number")
    odds = false_alarms / float(np.prod(series.shape))
    counts = series.kind == "counts"

    def cleaned(projection: Values, tilt: int) -> Values:
        found = find_outlying_pixels(projection, counts=counts, which=which, threshold=threshold, odds=odds)
        if not len(found):
            return projection
        around = np.sort(_neighbours(projection, found, _RING).astype(np.float64), axis=1)
        values = np.rint(around[:, 1:-1].mean(axis=1)) if counts else around[:, 3:5].mean(axis=1)
        if projection.dtype.kind in "ui":
            values = np.rint(values)
        fixed = projection.copy()
        fixed[found[:, 0], found[:, 1]] = values.astype(projection.dtype)
        return fixed

    return series.replace(
        data=each_projection(series.data, cleaned),
        provenance=recorded(
            series, "remove_hot_pixels", which=which, threshold=threshold, false_alarms=false_alarms
        ),
    )


def find_outlying_pixels(
    projection: Values, *, counts: bool, which: Which = "both", threshold: float = 8.0, odds: float = 1e-9
) -> Places:
    """Return the places ``(y, x)`` of pixels that differ too much from their neighbours, shape (n, 2).

    Parameters
    ----------
    projection : numpy.ndarray, shape (y, x)
        At least 3 x 3 pixels; in a smaller one nothing is found.
    counts, which, threshold
        See `remove_hot_pixels`.
    odds : float
        For counts: the probability below which a number of counts is an outlier.
    """
    if min(projection.shape) < 3:
        return np.empty((0, 2), dtype=np.int64)
    found = []
    values = projection if projection.dtype.kind == "f" else projection.astype(np.float64)
    if which in ("hot", "both"):
        found.append(_hot_counts(values, odds) if counts else _hot(values, threshold))
    if which in ("dead", "both"):
        found.append(_dead_counts(values, odds) if counts else _hot(-values, threshold))
    return np.concatenate(found)


def _hot(values: Values, threshold: float) -> Places:
    second = _second_largest(values)
    # The noise between neighbours: a slope of the sample hardly adds to it.
    steps = np.abs(np.diff(values, axis=1))
    noise = float(np.median(steps)) / (_NORMAL_MEDIAN * np.sqrt(2))
    low, high = np.percentile(values[::2, ::2], [0.1, 99.9])
    noise = max(noise, _LEAST_PART * float(high - low))
    suspected = np.argwhere(values > second + threshold * noise)
    if not len(suspected):
        return suspected
    # Noise that grows with the brightness, and fine structure, are measured where the pixel is: by what
    # is left of its surroundings without a slope. Two that are hot themselves must not count.
    near = _neighbours(values, suspected, _WINDOW)
    ordered = np.sort(near, axis=1)
    near = np.clip(near, ordered[:, 2:3], ordered[:, -3:-2])
    low, high = np.percentile(near - near @ _PLANE, [25, 75], axis=1)
    around = np.maximum((high - low) / _QUARTILES, noise)
    y, x = suspected.T
    hot: Places = suspected[values[y, x] > second[y, x] + threshold * around]
    return hot


def _hot_counts(values: Values, odds: float) -> Places:
    from scipy import stats

    second = _second_largest(values)
    # Odds that matter are far beyond four standard deviations: the exact test is for few pixels.
    suspected = np.argwhere((values > second + 4 * np.sqrt(second)) & (values >= 2))
    if not len(suspected):
        return suspected
    y, x = suspected.T
    around = _neighbours(values, suspected, _WINDOW)
    # Without the largest, which may be hot itself, they leave the rate to a gamma distribution.
    total = around.sum(axis=1) - around.max(axis=1)
    pixels = around.shape[1] - 1
    by_mean = stats.nbinom.sf(values[y, x] - 1, total + 1, pixels / (pixels + 1))
    by_second = stats.poisson.sf(values[y, x] - 1, second[y, x])
    hot: Places = suspected[np.maximum(by_mean, by_second) < odds]
    return hot


def _dead_counts(values: Values, odds: float) -> Places:
    from scipy import stats

    second = -_second_largest(-values)
    suspected = np.argwhere(values < second - 4 * np.sqrt(second))
    if not len(suspected):
        return suspected
    y, x = suspected.T
    around = _neighbours(values, suspected, _WINDOW)
    total = around.sum(axis=1) - around.min(axis=1)
    pixels = around.shape[1] - 1
    by_mean = stats.nbinom.cdf(values[y, x], total + 1, pixels / (pixels + 1))
    by_second = stats.poisson.cdf(values[y, x], second[y, x])
    dead: Places = suspected[np.maximum(by_mean, by_second) < odds]
    return dead


def _second_largest(values: Values) -> Values:
    """Return the second largest of the eight neighbours of every pixel; at the rim they are mirrored."""
    padded = np.pad(values, 1, mode="reflect")
    height, width = values.shape
    first = np.full_like(values, -np.inf, dtype=values.dtype)
    second = first.copy()
    lesser = np.empty_like(first)
    for dy, dx in _RING:
        one = padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        np.minimum(first, one, out=lesser)
        np.maximum(second, lesser, out=second)
        np.maximum(first, one, out=first)
    return second


def _neighbours(values: Values, places: Places, offsets: list[tuple[int, int]]) -> Values:
    """Return the values around every place, shape (place, offset); at the rim they are mirrored."""
    around = np.asarray(offsets)
    index = places[:, np.newaxis, :] + around
    last = np.asarray(values.shape) - 1
    index = np.abs(index)
    index = np.where(index > last, 2 * last - index, index)
    neighbours: Values = values[index[..., 0], index[..., 1]]
    return neighbours


class HotPixels(SeriesOperation):
    """Replace single pixels that their neighbours cannot explain."""

    title: ClassVar[str] = "Hot and dead pixels"
    operation: ClassVar[str] = "hot_pixels"
    which: Literal["both", "hot", "dead"] = Field(
        "both", title="Which", description="Pixels that are too bright, too dark, or both."
    )
    threshold: float = Field(
        8.0,
        gt=0,
        le=1000,
        title="Threshold",
        description="Intensities: by how many standard deviations of the noise a pixel has to exceed its "
        "neighbours.",
    )
    false_alarms: float = Field(
        0.001,
        gt=0,
        le=1000,
        title="False alarms",
        description="Counts: expected number of pixels of a whole series that are changed by mistake.",
    )

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        return remove_hot_pixels(
            series, which=self.which, threshold=self.threshold, false_alarms=self.false_alarms
        )
