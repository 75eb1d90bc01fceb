"""The gains of projections that fit the data best, for an image as it is."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from chemtomo.functionals.problem import Problem
from chemtomo.operators.base import FloatArray, require_shape

__all__ = ["best_gains", "with_gains"]

_STEPS = 30
_SMALLEST, _LARGEST = 0.02, 50.0


def best_gains(problem: Problem, projections: FloatArray) -> npt.NDArray[np.float64]:
    """Minimise the data terms over a factor on every projection.

    For every channel and tilt ``min over g > 0: sum_pixels k D(g v + b, f)``, which is convex. Without a
    background that is ``sum k f / sum k v`` for the Kullback-Leibler divergence; with one, Newton's method
    finds the zero of the derivative. For squares it is ``sum k v (f - b) / sum k v^2``.

    Parameters
    ----------
    problem : Problem
        Its data, background and weights of the pixels.
    projections : numpy.ndarray, shape (channel, tilt, y, detector)
        ``v = A u``.

    Returns
    -------
    numpy.ndarray, shape (channel, tilt)
        ``g``, between 0.02 and 50; 1 where nothing was recorded or projected.
    """
    require_shape("gains", projections, problem.data.shape)
    gains = np.ones(problem.data.shape[:2])
    measured = problem.discrepancy.measured
    for channel, term in enumerate(problem.terms):
        for tilt in np.flatnonzero(problem.recorded[channel]).tolist():
            at = measured[channel, tilt]
            v = np.maximum(projections[channel, tilt][at].astype(np.float64), 0)
            f = problem.data[channel, tilt][at].astype(np.float64)
            b = np.zeros_like(v) if problem.background is None else problem.background[channel, tilt][at]
            k = np.ones_like(v) if problem.pixel_weights is None else problem.pixel_weights[channel, tilt][at]
            find = _of_counts if term == "kl" else _of_squares
            gains[channel, tilt] = find(v, f, b.astype(np.float64), k.astype(np.float64))
    return gains


def with_gains(problem: Problem, gains: npt.NDArray[np.float64]) -> Problem:
    """Return the problem whose projections are expected to be `gains` times as large, shape (channel, tilt).

    See `Problem`: the data and the background are divided by the gains, and the weights multiplied by them,
    or by their squares.
    """
    factors = gains.astype(np.float32)[:, :, np.newaxis, np.newaxis]
    powers = np.array([1.0 if term == "kl" else 2.0 for term in problem.terms])[:, np.newaxis]
    return dataclasses.replace(
        problem,
        data=problem.data / factors,
        background=None if problem.background is None else problem.background / factors,
        tilt_weights=problem.discrepancy.tilt_weight * gains**powers,
    )


_Values = npt.NDArray[np.float64]


def _of_counts(v: _Values, f: _Values, b: _Values, k: _Values) -> float:
    total = float((k * v).sum())
    if total <= 0:
        return 1.0
    gain = float(np.clip((k * np.maximum(f - b, 0)).sum() / total, _SMALLEST, _LARGEST))
    if not b.any():
        return float(np.clip((k * f).sum() / total, _SMALLEST, _LARGEST))
    for _ in range(_STEPS):
        expected = np.maximum(gain * v + b, 1e-30)
        slope = total - float((k * f * v / expected).sum())
        curvature = float((k * f * (v / expected) ** 2).sum())
        if curvature <= 0:
            break
        step = slope / curvature
        gain = min(max(gain - step, gain / 2, _SMALLEST), 2 * gain, _LARGEST)
        if abs(step) < 1e-9 * gain:
            break
    return gain


def _of_squares(v: _Values, f: _Values, b: _Values, k: _Values) -> float:
    squares = float((k * v**2).sum())
    if squares <= 0:
        return 1.0
    return float(np.clip((k * v * (f - b)).sum() / squares, _SMALLEST, _LARGEST))
