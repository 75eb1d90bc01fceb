"""Curves of a held-out score against the strength, and what is read off them."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
from scipy.interpolate import Akima1DInterpolator

__all__ = ["Curve", "Reading", "read"]

_FINE = 65
_ERRORS = 1.5


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """Held-out scores of one channel along a path of strengths.

    Attributes
    ----------
    strengths : numpy.ndarray, shape (strength,)
        Rising.
    scores : numpy.ndarray, shape (strength, sample)
        How far the held-out data of every sample (a tilt in one division of the data) are from their
        prediction; less is better.
    """

    strengths: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]

    @property
    def against_best(self) -> npt.NDArray[np.float64]:
        """Sums of the scores less the smallest one, and their standard errors, shape (2, strength).

        The errors are those of the differences: what all strengths have in common cancels.
        """
        sums = self.scores.sum(axis=1)
        differences = self.scores - self.scores[int(sums.argmin())]
        return np.stack([differences.sum(axis=1), standard_error(differences)])


@dataclasses.dataclass(frozen=True)
class Reading:
    """What a curve says.

    Attributes
    ----------
    best : float
        The strength that predicts best.
    chosen : float
        The largest strength that predicts as well, within 1.5 standard errors.
    inside : bool
        Whether the best one is not at an end of the path.
    """

    best: float
    chosen: float
    inside: bool


def standard_error(differences: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the standard error of the sums over the last axis, from the scatter of the samples."""
    count = differences.shape[-1]
    if count < 2:
        return np.zeros(differences.shape[:-1])
    error: npt.NDArray[np.float64] = differences.std(axis=-1, ddof=1) * np.sqrt(count)
    return error


def read(curve: Curve) -> Reading:
    """Read the strength off the curve of a channel.

    Of all strengths that predict as well as the best one, within 1.5 standard errors, the largest is chosen:
    what predicts projections best is a little less smooth than what is nearest to the sample, because a
    projection averages noise that the volume has.
    """
    place = np.log2(curve.strengths)
    if place.size < 3:
        only = float(curve.strengths[int(curve.scores.sum(axis=1).argmin())])
        return Reading(only, only, True)
    fine = np.linspace(place[0], place[-1], _FINE)
    excess, error = curve.against_best
    smooth = Akima1DInterpolator(place, excess)(fine)
    best = int(smooth.argmin())
    allowed = _ERRORS * np.interp(fine, place, error)
    worse = np.flatnonzero(smooth[best:] - smooth[best] > allowed[best:])
    last = best + int(worse[0]) - 1 if worse.size else fine.size - 1
    edge = int(excess.argmin())
    return Reading(
        best=float(2 ** fine[best]),
        chosen=float(2 ** fine[max(last, best)]),
        inside=0 < edge < place.size - 1,
    )
