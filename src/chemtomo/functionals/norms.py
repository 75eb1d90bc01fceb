"""Norms that are summed over the pixels of a volume, and so make edges sparse."""

from __future__ import annotations

import math
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from chemtomo.errors import DataError, ParameterError
from chemtomo.operators.base import FloatArray

__all__ = ["Coupling", "FrobeniusNorm", "NuclearNorm", "PointwiseNorm"]

Coupling = Literal["none", "frobenius", "nuclear"]
"""How the channels share their edges: not at all, by a `FrobeniusNorm` or by a `NuclearNorm`."""


class PointwiseNorm(Protocol):
    """``alpha`` times a norm at every pixel, summed. Acts on arrays (component, channel, z, y, x)."""

    alpha: float

    def value(self, p: FloatArray) -> float:
        """``alpha`` times the sum of the norm over the pixels."""

    def project_dual(self, p: FloatArray) -> FloatArray:
        """Project on the ball of radius ``alpha`` of the dual norm, at every pixel.

        This is the proximal map of the convex conjugate, for any step.
        """

    def scale_into_ball(self, p: FloatArray) -> FloatArray:
        """Divide by the dual norm over ``alpha`` where that is above 1.

        The result is in the same ball as that of `project_dual`, but need not be the nearest point there.
        """

    def dual_pointwise(self, p: FloatArray) -> npt.NDArray[np.float64]:
        """Dual norm at every pixel in float64, shape (1, channel or 1, z, y, x)."""


class FrobeniusNorm:
    """``alpha sum |p|`` with the Euclidean norm ``|p|`` of all components at a pixel: a `PointwiseNorm`.

    It is its own dual norm.

    Parameters
    ----------
    alpha : float
        Weight, positive.
    coupled : bool
        True: the norm at a pixel runs over components and channels, so that channels share their
        edges (Huber et al. 2019, equation 12). False: over the components of each channel alone.

    Raises
    ------
    ParameterError
        When `alpha` is not a positive number.
    """

    def __init__(self, alpha: float, coupled: bool) -> None:
        self.alpha = _positive(alpha)
        self.coupled = coupled

    def value(self, p: FloatArray) -> float:
        """``alpha sum |p|``."""
        return float(self.alpha * self.pointwise(p).sum())

    def project_dual(self, p: FloatArray) -> FloatArray:
        """Project on ``|p| <= alpha`` at every pixel: ``p / max(1, |p| / alpha)``."""
        scale = 1 / np.maximum(1, self.pointwise(p) / self.alpha)
        return p * scale.astype(p.dtype)

    def scale_into_ball(self, p: FloatArray) -> FloatArray:
        """Do what `project_dual` does: this ball is round."""
        return self.project_dual(p)

    def prox(self, p: FloatArray, tau: float) -> FloatArray:
        """Shrink the norm at every pixel by ``tau alpha``, but not below 0: ``p (1 - tau alpha / |p|)+``."""
        norm = self.pointwise(p)
        scale = np.maximum(0, 1 - tau * self.alpha / np.where(norm > 0, norm, 1))
        return p * scale.astype(p.dtype)

    def dual_pointwise(self, p: FloatArray) -> npt.NDArray[np.float64]:
        """``|p|``: see `pointwise`."""
        return self.pointwise(p)

    def pointwise(self, p: FloatArray) -> npt.NDArray[np.float64]:
        """``|p|`` at every pixel in float64, shape (1, channel or 1, z, y, x)."""
        _require_field(p)
        axes = (0, 1) if self.coupled else (0,)
        norm: npt.NDArray[np.float64] = np.sqrt(np.square(p, dtype=np.float64).sum(axes, keepdims=True))
        return norm


class NuclearNorm:
    """``alpha sum |p|`` with the nuclear norm of the matrix (component, channel) at a pixel.

    A `PointwiseNorm`. The nuclear norm is the sum of the singular values, and small where the matrix is
    nearly of rank one: where the edges of the channels have the same or the opposite direction (Holt 2014;
    Knoll et al. 2017). The dual norm is the largest singular value.

    Parameters
    ----------
    alpha : float
        Weight, positive.

    Raises
    ------
    ParameterError
        When `alpha` is not a positive number.
    """

    def __init__(self, alpha: float) -> None:
        self.alpha = _positive(alpha)

    def value(self, p: FloatArray) -> float:
        """``alpha sum |p|``."""
        return float(self.alpha * _singular_values(p).sum())

    def project_dual(self, p: FloatArray) -> FloatArray:
        """Project on matrices whose singular values are at most ``alpha``, by cutting these off."""
        left, values, right = np.linalg.svd(_matrices(p), full_matrices=False)
        cut_off = (left * np.minimum(values, self.alpha)[..., np.newaxis, :]) @ right
        inside = values[..., :1, np.newaxis] <= self.alpha
        return _field(np.where(inside, _matrices(p), cut_off)).astype(p.dtype)

    def scale_into_ball(self, p: FloatArray) -> FloatArray:
        """Divide by the largest singular value over ``alpha`` where that is above 1."""
        scale = 1 / np.maximum(1, self.dual_pointwise(p) / self.alpha)
        return p * scale.astype(p.dtype)

    def dual_pointwise(self, p: FloatArray) -> npt.NDArray[np.float64]:
        """Largest singular value at every pixel in float64, shape (1, 1, z, y, x)."""
        return _singular_values(p)[np.newaxis, np.newaxis, ..., 0]


def _positive(alpha: float) -> float:
    if not (math.isfinite(alpha) and alpha > 0):
        raise ParameterError(f"norm: found the weight {alpha}; expected a positive number")
    return alpha


def _require_field(p: FloatArray) -> None:
    if p.ndim != 5:
        raise DataError(f"norm: found an array of shape {p.shape}; expected (component, channel, z, y, x)")


def _matrices(p: FloatArray) -> npt.NDArray[np.float64]:
    """Bring (component, channel, z, y, x) to (z, y, x, component, channel), float64."""
    _require_field(p)
    return np.moveaxis(p.astype(np.float64), (0, 1), (-2, -1))


def _field(matrices: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Bring (z, y, x, component, channel) to (component, channel, z, y, x)."""
    return np.moveaxis(matrices, (-2, -1), (0, 1))


def _singular_values(p: FloatArray) -> npt.NDArray[np.float64]:
    return np.linalg.svd(_matrices(p), compute_uv=False).astype(np.float64, copy=False)
