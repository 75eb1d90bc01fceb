"""Norms that are summed over the pixels of a volume, and so make edges sparse."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from chemtomo.errors import DataError, ParameterError
from chemtomo.operators.base import FloatArray

__all__ = ["FrobeniusNorm"]


class FrobeniusNorm:
    """``alpha sum |p|`` with the Euclidean norm ``|p|`` of all components at a pixel.

    Acts on arrays (component, channel, z, y, x).

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
        if not (math.isfinite(alpha) and alpha > 0):
            raise ParameterError(f"norm: found the weight {alpha}; expected a positive number")
        self.alpha = alpha
        self.coupled = coupled

    def value(self, p: FloatArray) -> float:
        """``alpha sum |p|``."""
        return float(self.alpha * self.pointwise(p).sum())

    def project_dual(self, p: FloatArray) -> FloatArray:
        """Project on ``|p| <= alpha`` at every pixel: ``p / max(1, |p| / alpha)``.

        This is the proximal map of the convex conjugate, for any step.
        """
        scale = 1 / np.maximum(1, self.pointwise(p) / self.alpha)
        return p * scale.astype(p.dtype)

    def prox(self, p: FloatArray, tau: float) -> FloatArray:
        """Shrink the norm at every pixel by ``tau alpha``, to 0 at least: ``p (1 - tau alpha / |p|)+``."""
        norm = self.pointwise(p)
        scale = np.maximum(0, 1 - tau * self.alpha / np.where(norm > 0, norm, 1))
        return p * scale.astype(p.dtype)

    def pointwise(self, p: FloatArray) -> npt.NDArray[np.float64]:
        """``|p|`` at every pixel in float64, shape (1, channel or 1, z, y, x)."""
        if p.ndim != 5:
            raise DataError(
                f"norm: found an array of shape {p.shape}; expected (component, channel, z, y, x)"
            )
        axes = (0, 1) if self.coupled else (0,)
        norm: npt.NDArray[np.float64] = np.sqrt(np.square(p, dtype=np.float64).sum(axes, keepdims=True))
        return norm
