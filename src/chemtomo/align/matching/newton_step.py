"""A step of Newton's method on the likelihood of aligned projections, and its errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from chemtomo.align.matching.consistency import Newton

__all__ = ["errors_from_parts", "newton_step"]

_Real = npt.NDArray[np.float64]

_TYPICAL_PLACE = 0.7  # of the radius, away from the middle


def newton_step(
    newton: Newton, tilts: _Real, radius: float, refine_angle: bool = True, refine_along: bool = True
) -> tuple[_Real, _Real, float]:
    """Return Newton's step without what only moves the sample, and its standard errors.

    Parameters
    ----------
    newton : Newton
        Derivatives of the likelihood.
    tilts : numpy.ndarray, shape (tilt,)
        In radians.
    radius : float
        How far the sample reaches from the middle, in pixels.
    refine_angle, refine_along : bool
        Whether the angle of the tilt axis, and the shifts along it, may change.

    Returns
    -------
    step : numpy.ndarray, shape (2 tilt + 1,)
        Shifts along ``x`` and ``y`` in pixels, and the turn in radians.
    errors : numpy.ndarray, shape (tilt,)
        Of the shifts, and of what the angle does to them, as far as the model of the likelihood holds.
    angle_error : float
        Of the turn, in radians.
    """
    count = tilts.size
    unit = _units(count, radius)
    gradient = newton.gradient * unit
    hessian = newton.hessian * unit[:, np.newaxis] * unit
    if not refine_angle:
        gradient[-1] = hessian[-1] = hessian[:, -1] = 0
        hessian[-1, -1] = 1
    if not refine_along:
        gradient[count:-1] = hessian[count:-1] = hessian[:, count:-1] = 0
        hessian[count:-1, count:-1] = 1e6 * np.eye(count) * float(np.abs(np.diag(hessian)).max())
    directions, curvatures, places = _decomposed(hessian, tilts)
    step = -directions @ ((directions.T @ gradient) / curvatures)
    step -= places @ (places.T @ step)
    variances = ((directions**2) / curvatures).sum(axis=1)
    if not refine_angle:
        variances[-1] = 0.0
    return step * unit, *_errors(variances, unit[-1], radius)


def errors_from_parts(parts: Sequence[Newton], tilts: _Real, radius: float) -> tuple[_Real, float]:
    """Return standard errors from how far the gradients of independent parts of the data disagree.

    At the maximum of the likelihood the gradients of the parts add up to zero; how far apart they are is
    their error, whatever the likelihood says about it ("sandwich" estimate).

    Parameters
    ----------
    parts : sequence of Newton
        Derivatives from at least 4 parts of the projections, such as bands of rows, all at one alignment.
    tilts, radius
        As for `newton_step`.

    Returns
    -------
    errors : numpy.ndarray, shape (tilt,)
        Of the shifts, with what the angle does to them, in pixels.
    angle_error : float
        In radians.
    """
    count = tilts.size
    unit = _units(count, radius)
    hessian = np.sum([one.hessian for one in parts], axis=0) * unit[:, np.newaxis] * unit
    directions, curvatures, places = _decomposed(hessian, tilts)
    gradients = np.stack([one.gradient * unit for one in parts])
    apart = gradients - gradients.mean(axis=0)
    steps = ((apart @ directions) / curvatures) @ directions.T
    steps -= (steps @ places) @ places.T
    # Variances from a few parts are uncertain themselves: Student's distribution has this one.
    known = len(parts) - 1
    variances = (steps**2).sum(axis=0) * len(parts) / (known - 2)
    return _errors(variances, unit[-1], radius)


def _units(count: int, radius: float) -> _Real:
    """Pixels, and a turn in units in which it moves the sample by about a pixel."""
    unit = np.ones(2 * count + 1)
    unit[-1] = 2 / radius
    return unit


def _decomposed(hessian: _Real, tilts: _Real) -> tuple[_Real, _Real, _Real]:
    """Directions with their curvatures, and those that only move the sample, which are made stiff."""
    count = tilts.size
    places = np.zeros((2 * count + 1, 3))
    places[:count, 0], places[:count, 1], places[count:-1, 2] = np.cos(tilts), np.sin(tilts), 1
    places = np.linalg.qr(places)[0]
    scale = float(np.abs(np.diag(hessian)).mean())
    curvatures, directions = np.linalg.eigh(hessian + 1e3 * scale * places @ places.T)
    # A direction of negative curvature is gone down all the same.
    return directions, np.maximum(np.abs(curvatures), 1e-9 * scale), places


def _errors(variances: _Real, unit: float, radius: float) -> tuple[_Real, float]:
    """Errors of shifts and angle; what a wrong angle does to a particle somewhere belongs to the former."""
    count = variances.size // 2
    turned = variances[-1] * (unit * _TYPICAL_PLACE * radius) ** 2
    errors: _Real = np.sqrt(variances[:count] + variances[count:-1] + turned)
    return errors, float(np.sqrt(variances[-1]) * unit)
