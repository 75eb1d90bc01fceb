"""What the path of the centre of mass says about shifts across the tilt axis."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from chemtomo.align.matching.consistency import Newton

__all__ = ["MassPath", "mass_path"]

_Real = npt.NDArray[np.float64]

_INTERPOLATION_ERROR_PX = 2e-3  # of the centre of mass
_NORMAL_MAD = 1.4826
_SMOOTHING_TILTS = 5  # over which the matter at the edges is averaged


@dataclasses.dataclass(frozen=True)
class MassPath:
    """A quadratic term for the shifts ``d`` across the axis: ``1/2 d rest d - d gradient``.

    Attributes
    ----------
    gradient : numpy.ndarray, shape (tilt,)
        First derivative of the term at zero shift, with the sign reversed.
    rest : numpy.ndarray, shape (tilt, tilt)
        Its curvature. Zero along ``cos t`` and ``sin t``: such shifts only move the sample.
    place : numpy.ndarray, shape (tilt,)
        Shifts that would put the centre of mass on the tilt axis, ``a cos t + b sin t``.
    """

    gradient: _Real
    rest: _Real
    place: _Real

    def added_to(self, newton: Newton) -> Newton:
        """Return the derivatives of a likelihood with those of this term."""
        count = self.gradient.size
        gradient, hessian = newton.gradient.copy(), newton.hessian.copy()
        gradient[:count] -= self.gradient
        hessian[:count, :count] += self.rest
        return dataclasses.replace(newton, gradient=gradient, hessian=hessian)


def mass_path(
    images: npt.NDArray[np.float32], unmasked: npt.NDArray[np.float32], tilts: _Real, radius: float
) -> MassPath:
    """Return the term of the centres of mass for Newton's method.

    The centre of mass of any sample moves as ``a cos t + b sin t``. This fixes shifts that vary slowly with
    the tilt, such as an offset of the axis, which the likelihood of the reprojections hardly determines.
    The error of the path is estimated from its roughness from tilt to tilt and, if the surroundings of the
    sample are not empty, from the mass that may be missing or in excess.

    Parameters
    ----------
    images : numpy.ndarray, shape (tilt, y, x)
        Aligned projections, 0 away from the sample.
    unmasked : numpy.ndarray, shape (tilt, row, x)
        Rows of the same without the mask.
    tilts : numpy.ndarray, shape (tilt,)
        Tilts in radians.
    radius : float
        How far from the axis the sample reaches, in pixels.
    """
    width = images.shape[2]
    x = np.arange(width) - (width - 1) / 2
    profile = images.sum(axis=1, dtype=np.float64)
    mass = np.maximum(np.abs(profile.sum(axis=1)), 1e-30)
    path = (profile * x).sum(axis=1) / mass
    waves = np.stack([np.cos(tilts), np.sin(tilts)], axis=1)
    outer = min(1.15 * radius, width / 2)
    beside = np.abs(np.abs(x) - outer) <= max(0.1 * radius, 1.5)
    surplus = unmasked[:, :, beside].sum(axis=1, dtype=np.float64).mean(axis=1) * 2 * radius / mass
    variance = (
        np.maximum(_roughness(path), _INTERPOLATION_ERROR_PX) ** 2 + (0.5 * radius * _smooth(surplus)) ** 2
    )
    weight = 1 / variance
    # Minimised over a and b, the weighted squares of path - shift - a cos t - b sin t keep this curvature.
    weighted = weight[:, np.newaxis] * waves
    rest = np.diag(weight) - weighted @ np.linalg.solve(waves.T @ weighted, weighted.T)
    with_offset = np.column_stack([waves, np.ones(tilts.size)])
    place = waves @ np.linalg.lstsq(with_offset, path, rcond=None)[0][:2]
    return MassPath(gradient=rest @ path, rest=rest, place=place)


def _roughness(path: _Real) -> float:
    """Return the standard deviation of the path about a smooth one, robustly, from its bends."""
    bends = path[:-2] - 2 * path[1:-1] + path[2:]
    return _NORMAL_MAD * float(np.median(np.abs(bends - np.median(bends)))) / 6**0.5


def _smooth(values: _Real) -> _Real:
    from scipy import ndimage

    smooth: _Real = ndimage.uniform_filter1d(values, min(_SMOOTHING_TILTS, values.size), mode="nearest")
    return smooth
