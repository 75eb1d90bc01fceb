"""How far parts of the projections agree about an alignment, whatever the model of the noise says."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from chemtomo.align.matching.consistency import Consistency, Derivatives, Newton
from chemtomo.align.matching.newton_step import errors_from_parts, newton_step

__all__ = ["Agreement", "agreement_of", "bands_of"]

_Real = npt.NDArray[np.float64]

_BANDS = 6
_SMOOTH_TILTS = 7


@dataclasses.dataclass(frozen=True, eq=False)
class Agreement:
    """Standard errors, and how far halves disagree.

    Attributes
    ----------
    errors_px : numpy.ndarray, shape (tilt,)
        Standard errors of the shifts, with what the angle of the tilt axis does to them.
    angle_error_deg : float
        Standard error of the angle.
    disagreement_px : dict
        Root mean square distance of shifts from upper and lower rows, and of projections from where those
        at every second tilt predict them.
    """

    errors_px: _Real
    angle_error_deg: float
    disagreement_px: dict[str, float]


def bands_of(power: _Real) -> list[_Real]:
    """Return weights of rows, one array for each of some bands in which there is as much to be seen.

    Parameters
    ----------
    power : numpy.ndarray, shape (y,)
        How much there is to be seen in every row. The squares of the weights add up to 1.
    """
    place = (np.cumsum(power) - 0.5 * power) / max(float(power.sum()), 1e-30) * _BANDS - 0.5
    return [np.cos(np.clip((place - band) * np.pi / 2, -np.pi / 2, np.pi / 2)) for band in range(_BANDS)]


def agreement_of(
    consistency: Consistency,
    images: Derivatives,
    newton_of: Callable[[_Real], Newton],
    bands: list[_Real],
    tilts: _Real,
    radius: float,
) -> Agreement:
    """Compare bands of rows, and projections at every second tilt, with the rest.

    Parameters
    ----------
    consistency : Consistency
        The model in which projections predict each other.
    images : Derivatives
        Aligned projections, in order of their tilts.
    newton_of : callable
        Returns the derivatives of the likelihood of the rows with these weights, shape (y,).
    bands : list of numpy.ndarray, shape (y,)
        From `bands_of`.
    tilts : numpy.ndarray, shape (tilt,)
        In radians.
    radius : float
        How far the sample reaches from the middle, in pixels.
    """
    from scipy import ndimage

    parts = [newton_of(band) for band in bands]
    errors, angle_error = errors_from_parts(parts, tilts, radius)
    smooth = np.sqrt(ndimage.uniform_filter1d(errors**2, min(_SMOOTH_TILTS, errors.size), mode="nearest"))
    count = tilts.size
    halves = []
    for half in (parts[: _BANDS // 2], parts[_BANDS // 2 :]):
        both = dataclasses.replace(
            half[0],
            gradient=np.sum([one.gradient for one in half], axis=0),
            hessian=np.sum([one.hessian for one in half], axis=0),
        )
        halves.append(newton_step(both, tilts, radius, refine_angle=False)[0][:-1].reshape(2, count))
    rows = float(np.sqrt(((halves[0] - halves[1]) ** 2).sum(axis=0).mean()))
    missed = np.zeros((count, 2))
    odd = np.arange(count) % 2 == 1
    for known in (odd, ~odd):
        shifts = consistency.shifts_by_the_others(images, known)
        circle = np.stack([np.cos(tilts[~known]), np.sin(tilts[~known])], axis=1)
        shifts[:, 0] -= circle @ np.linalg.lstsq(circle, shifts[:, 0], rcond=None)[0]
        missed[~known] = shifts - [0.0, shifts[:, 1].mean()]
    return Agreement(
        errors_px=smooth,
        angle_error_deg=float(np.rad2deg(angle_error)),
        disagreement_px={
            "odd and even tilts": float(np.sqrt((missed**2).sum(axis=1).mean())),
            "upper and lower rows": rows,
        },
    )
