"""Find bad projections: blurred, displaced, or of another brightness than their neighbours.

A projection is compared with its neighbours in tilt, which show nearly the same. The result is a
proposal: the user decides.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Generator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from chemtomo.data import TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.progress import TaskProgress, blocking

__all__ = ["ProjectionScores", "score_projections", "score_projections_job"]

Measure = Literal["blur", "jump", "contrast"]
Numbers = npt.NDArray[np.float64]

_NORMAL_MEDIAN = 0.6745
_BLUR_PIXELS = 512
_JUMP_PIXELS = 128
# How many neighbours on either side a projection is compared with.
_REACH = 3
# Deviations that are acceptable, however small the scatter of the series is: of the logarithm of the fine
# detail, of the logarithm of the brightness, of the shift as a fraction of the width, of the correlation.
_TOLERATED_BLUR = 0.08
_TOLERATED_CONTRAST = 0.015
_TOLERATED_SHIFT = 0.01
_TOLERATED_CORRELATION = 0.02
_LARGEST_PART = 0.25
# Below these no score is given: energy of fine detail over that of noise, correlation of neighbours.
_LEAST_DETAIL = 0.3
_LEAST_CORRELATION = 0.4


@dataclasses.dataclass(frozen=True, eq=False)
class ProjectionScores:
    """How far every projection is from its neighbours, in robust standard deviations.

    Attributes
    ----------
    name : str
        Name of the series.
    tilts_deg : numpy.ndarray, shape (tilt,)
        Tilts of the projections, in the order of the series.
    blur, jump, contrast : numpy.ndarray, shape (tilt,)
        How much less fine detail it has than its neighbours; how far it is shifted from them, or how
        badly it agrees with them after a shift; how much brighter or darker it is.
    combined : numpy.ndarray, shape (tilt,)
        The largest of the three.
    proposed : tuple of int
        Numbers of the projections that are proposed to be left out, from 0, rising.
    reasons : dict
        For each of them, what is bad: ``{7: ("blur",)}``.
    limit : float
        The score above which a projection is proposed.
    """

    name: str
    tilts_deg: Numbers
    blur: Numbers
    jump: Numbers
    contrast: Numbers
    combined: Numbers
    proposed: tuple[int, ...]
    reasons: dict[int, tuple[Measure, ...]]
    limit: float

    def to_json(self) -> dict[str, Any]:
        """Return the scores as JSON values."""
        names = ("tilts_deg", "blur", "jump", "contrast", "combined")
        return {
            "name": self.name,
            **{name: [round(float(one), 4) for one in getattr(self, name)] for name in names},
            "proposed": list(self.proposed),
            "reasons": {str(one): list(why) for one, why in self.reasons.items()},
            "limit": self.limit,
        }


@dataclasses.dataclass(frozen=True)
class _Measurements:
    """Measurements on each projection alone, in the order of the tilts."""

    detail: Numbers
    clear: Numbers
    brightness: Numbers
    spread: Numbers
    noise: Numbers
    small: list[npt.NDArray[np.float64]]


def score_projections_job(
    series: TiltSeries, limit: float = 5.0
) -> Generator[TaskProgress, None, ProjectionScores]:
    """Score every projection by its neighbours in tilt and propose which to leave out.

    The worst projection is set aside and those that are left are compared anew, until no score is
    above the limit: a bad projection does not make its neighbours look bad. At most a quarter of the
    projections is proposed.

    Parameters
    ----------
    series : TiltSeries
        At least 5 projections. A signal with much contrast (HAADF) tells most.
    limit : float
        Robust standard deviations above which a projection is proposed.

    Yields
    ------
    TaskProgress
        After every projection.

    Raises
    ------
    DataError
        When there are fewer than 5 projections, or values that are not finite.
    ParameterError
        When the limit is not positive.
    """
    if not limit > 0:
        raise ParameterError(f"found a limit of {limit:g}; expected a positive number")
    count = series.shape[0]
    if count < 5:
        raise DataError(
            f"tilt series {series.name!r}: found {count} projections; expected at least 5, to compare each "
            "with its neighbours"
        )
    order = np.argsort(series.tilts_deg, kind="stable")
    rows = []
    for done, number in enumerate(order):
        rows.append(_measure(series, int(number)))
        yield TaskProgress(done + 1, count, "scoring the projections")
    numbers = np.array([row[:-1] for row in rows], dtype=np.float64).T
    detail, clear, brightness, spread, noise = numbers
    measured = _Measurements(detail, clear, brightness, spread, noise, [row[-1] for row in rows])
    shifts: dict[tuple[int, int], tuple[Numbers, float]] = {}
    good = list(range(count))
    scores = np.zeros((3, count))
    # A projection that is set aside keeps the scores that it had then.
    reasons: dict[int, tuple[Measure, ...]] = {}
    names: tuple[Measure, ...] = ("blur", "jump", "contrast")
    while len(good) >= 5:
        scores[:, good] = _scores(measured, good, shifts)
        worst = good[int(scores[:, good].max(axis=0).argmax())]
        if scores[:, worst].max() <= limit or len(reasons) >= max(1, int(_LARGEST_PART * count)):
            break
        reasons[worst] = tuple(
            name for name, score in zip(names, scores[:, worst], strict=True) if score > limit
        )
        good.remove(worst)
    placed = np.empty_like(scores)
    placed[:, order] = scores
    found = {int(order[place]): why for place, why in sorted(reasons.items(), key=lambda one: order[one[0]])}
    return ProjectionScores(
        series.name,
        np.array(series.tilts_deg),
        blur=placed[0],
        jump=placed[1],
        contrast=placed[2],
        combined=placed.max(axis=0),
        proposed=tuple(found),
        reasons=found,
        limit=limit,
    )


score_projections = blocking(score_projections_job)


def _measure(series: TiltSeries, number: int) -> tuple[float, float, float, float, float, Numbers]:
    """Return fine detail, detail over noise, brightness, spread, noise of the brightness, a small image."""
    from scipy import ndimage  # slow to import

    image = np.asarray(series.data[number], dtype=np.float64)
    if not np.isfinite(image).all():
        raise DataError(
            f"tilt series {series.name!r}: projection {number} has values that are not finite; "
            "expected numbers"
        )
    counts = float(image.sum()) if series.kind == "counts" else 0.0
    if series.background is not None:
        image = image - np.asarray(series.background[number], dtype=np.float64)
    if series.gains is not None:
        image = image / series.gains[number]
    mean = float(image.mean())
    # Counts have Poisson noise; other values are taken as exact.
    noise = float(np.sqrt(max(counts, 1.0)) / max(abs(image.sum()), 1e-30)) if counts else 0.0
    sharp = _shrunk(image, _BLUR_PIXELS)
    small = _shrunk(image, _JUMP_PIXELS)
    small = ndimage.gaussian_filter(small, 1.0)
    brightness, spread = float(np.log(max(mean, 1e-30))), float(np.log(small.std() + 1e-30))
    return *_detail(sharp), brightness, spread, noise, small


def _detail(image: Numbers) -> tuple[float, float]:
    """Return the logarithm of the energy of fine detail over that of coarse detail, and over the noise."""
    tapered = (image - np.median(image)) * np.outer(np.hanning(image.shape[0]), np.hanning(image.shape[1]))
    power = np.abs(np.fft.rfft2(tapered)) ** 2
    radius = np.hypot(np.fft.fftfreq(image.shape[0])[:, np.newaxis], np.fft.rfftfreq(image.shape[1]))
    white = float(np.median(power[radius > 0.4])) / np.log(2)  # of an exponential distribution
    fine = float(power[(radius > 0.06) & (radius < 0.25)].mean()) - white
    coarse = float(power[(radius > 0) & (radius < 0.06)].mean()) - white
    # Detail below a fraction of the noise cannot be told from none.
    ratio = np.log(max(fine, 0.1 * white, 1e-30)) - np.log(max(coarse, 0.1 * white, 1e-30))
    return float(ratio), fine / max(white, 1e-30)


def _shrunk(image: Numbers, largest: int) -> Numbers:
    """Return means of blocks, so that the shorter edge has at most `largest` pixels, or twice as many."""
    factor = max(1, min(image.shape) // largest)
    rows, columns = (size // factor for size in image.shape)
    blocks = image[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor)
    shrunk: Numbers = blocks.mean(axis=(1, 3))
    return shrunk


def _scores(
    measured: _Measurements, good: list[int], shifts: dict[tuple[int, int], tuple[Numbers, float]]
) -> Numbers:
    """Return the scores of the projections `good`, shape (3, good)."""
    blur = -_deviation(measured.detail[good])
    if np.median(measured.clear[good]) < _LEAST_DETAIL:
        blur[:] = 0
    contrast = np.maximum(
        np.abs(_deviation(measured.brightness[good]))
        / _robust_deviation(_deviation(measured.brightness[good]), _TOLERATED_CONTRAST),
        np.abs(_deviation(measured.spread[good]))
        / _robust_deviation(_deviation(measured.spread[good]), 2 * _TOLERATED_CONTRAST),
    )
    # Counts may differ by their noise.
    noisy = np.abs(_deviation(measured.brightness[good])) / np.maximum(1.5 * measured.noise[good], 1e-12)
    contrast = np.minimum(contrast, np.where(measured.noise[good] > 0, noisy, np.inf))
    displaced, unlike = _displacements(measured, good, shifts)
    width = min(measured.small[0].shape)
    jump = np.maximum(
        displaced / _robust_deviation(displaced, max(_TOLERATED_SHIFT * width, 1.0)),
        unlike / _robust_deviation(unlike, _TOLERATED_CORRELATION),
    )
    found: Numbers = np.stack(
        [np.clip(blur / _robust_deviation(blur, _TOLERATED_BLUR), 0, None), jump, contrast]
    )
    return found


def _deviation(values: Numbers) -> Numbers:
    """Return by how much each value differs from the line through the medians of its neighbours."""
    away = np.empty_like(values)
    for index in range(values.size):
        before = np.arange(max(0, index - _REACH), index)
        after = np.arange(index + 1, min(values.size, index + _REACH + 1))
        if before.size and after.size:
            left, right = np.median(values[before]), np.median(values[after])
            at_left, at_right = before.mean(), after.mean()
            expected = left + (right - left) * (index - at_left) / (at_right - at_left)
        else:
            expected = np.median(values[before if before.size else after])
        away[index] = values[index] - expected
    return away


def _robust_deviation(deviations: Numbers, least: float) -> float:
    """Return the robust standard deviation of some values, but at least `least`."""
    middle = float(np.median(np.abs(deviations - np.median(deviations)))) / _NORMAL_MEDIAN
    return max(middle, least)


def _displacements(
    measured: _Measurements, good: list[int], shifts: dict[tuple[int, int], tuple[Numbers, float]]
) -> tuple[Numbers, Numbers]:
    """Return how far each is displaced from the mean of its two neighbours, and how badly it correlates."""
    pairs = list(itertools.pairwise(good))
    for pair in pairs:
        if pair not in shifts:
            shifts[pair] = _shift(measured.small[pair[0]], measured.small[pair[1]])
    steps = np.array([shifts[pair][0] for pair in pairs])
    unlike = np.array([1 - shifts[pair][1] for pair in pairs])
    displaced = np.zeros(len(good))
    displaced[1:-1] = np.hypot(*((steps[:-1] - steps[1:]) / 2).T)
    # At an end there is only one neighbour: the step to it is compared with the usual steps.
    usual = np.median(steps, axis=0)
    # It has less weight than that of a neighbour which is shifted against both of its own.
    for end in (0, -1):
        displaced[end] = 0.75 * np.hypot(*(steps[end] - usual))
    if np.median(unlike) > 1 - _LEAST_CORRELATION:
        return np.zeros(len(good)), np.zeros(len(good))
    against = np.zeros(len(good))
    against[1:-1] = np.minimum(unlike[:-1], unlike[1:])  # a bad one is unlike both of its neighbours
    against[0], against[-1] = unlike[0], unlike[-1]
    return displaced, np.clip(_deviation(against), 0, None)


def _shift(one: Numbers, other: Numbers) -> tuple[Numbers, float]:
    """Return the shift (dy, dx) from one image to the other, and their correlation after it."""
    size = [2 * length for length in one.shape]
    first, second = (image - image.mean() for image in (one, other))
    product = np.fft.irfft2(np.fft.rfft2(second, size) * np.conj(np.fft.rfft2(first, size)), size)
    energy = np.sqrt((first**2).sum() * (second**2).sum())
    at = np.unravel_index(int(product.argmax()), product.shape)
    shift = [place - length if place > length // 2 else place for place, length in zip(at, size, strict=True)]
    return np.array(shift, dtype=np.float64), float(product[at] / energy) if energy > 0 else 0.0
