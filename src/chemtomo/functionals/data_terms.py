"""How far projections are from the data: Kullback-Leibler and squares."""

from __future__ import annotations

import abc

import numpy as np
import numpy.typing as npt
from scipy.special import kl_div

from chemtomo.errors import DataError
from chemtomo.operators.base import FloatArray, require_shape

__all__ = ["DataTerm", "KullbackLeibler", "SquaredL2"]


class DataTerm(abc.ABC):
    """A data term ``sum_c w_c D(v_c, f_c)`` of projections ``v`` given the data ``f``.

    Parameters
    ----------
    data : numpy.ndarray, shape (channel, tilt, y, detector)
        The data ``f``.
    weight : array_like, shape (channel,)
        The weight ``w_c`` of every channel, positive.

    Raises
    ------
    DataError
        When the shapes do not fit together, a weight is not positive or a value not finite.
    """

    def __init__(self, data: FloatArray, weight: npt.ArrayLike) -> None:
        where = type(self).__name__
        weights = np.asarray(weight, dtype=np.float64)
        if data.ndim != 4:
            raise DataError(
                f"{where}: the data has shape {data.shape}; expected (channel, tilt, y, detector)"
            )
        if weights.shape != data.shape[:1]:
            raise DataError(
                f"{where}: found weights of shape {weights.shape} for {data.shape[0]} channels; "
                "expected one each"
            )
        if not (np.isfinite(weights).all() and (weights > 0).all()):
            raise DataError(f"{where}: the weights are {weights.tolist()}; expected positive numbers")
        if not np.isfinite(data).all():
            raise DataError(f"{where}: the data holds NaN or infinite values; expected finite ones")
        self.data = data
        self.weight = weights

    @abc.abstractmethod
    def value(self, v: FloatArray) -> npt.NDArray[np.float64]:
        """``D(v_c, f_c)`` of every channel, without its weight, shape (channel,)."""

    @abc.abstractmethod
    def conjugate(self, r: FloatArray) -> float:
        """Evaluate the convex conjugate of the weighted sum over all channels."""

    @abc.abstractmethod
    def prox_conjugate(self, r: FloatArray, sigma: npt.ArrayLike) -> FloatArray:
        """Proximal map of the conjugate with the step ``sigma`` of every channel, shape (channel,).

        In a primal-dual iteration the argument is ``r + sigma v``.
        """

    @abc.abstractmethod
    def project_domain(self, r: FloatArray) -> FloatArray:
        """Change ``r`` as little as needed to make the conjugate finite there, and well so."""

    def _per_channel(self, array: FloatArray, numbers: npt.ArrayLike) -> FloatArray:
        """Give one number a channel the type of `array` and axes that broadcast against it."""
        require_shape(type(self).__name__, array, self.data.shape)
        values = np.broadcast_to(np.asarray(numbers), self.data.shape[:1])
        return values.astype(array.dtype).reshape(-1, 1, 1, 1)


class KullbackLeibler(DataTerm):
    """Kullback-Leibler divergence ``sum(v - f + f log(f / v))``, for counts (Poisson noise).

    Conventions: ``f log(f / v)`` is 0 where ``f = 0``; the value is infinite where ``v < 0``.
    A ray that misses the object has ``v = 0``, and where it has counts all the same the value is
    infinite, at which a report could not be read. So `value` replaces ``v`` where ``f > 0`` by at
    least ``1e-10`` times the largest value of the data of the channel. The conjugate and its
    proximal map belong to the divergence itself.

    Parameters
    ----------
    data : numpy.ndarray, shape (channel, tilt, y, detector)
        The data ``f``, not negative.
    weight : array_like, shape (channel,)
        The weight ``w_c`` of every channel, positive.

    Raises
    ------
    DataError
        When the data is negative somewhere, or see `DataTerm`.
    """

    floor_factor = 1e-10
    """Smallest projection that `value` sees where there is data, relative to the largest datum."""

    domain_margin = 1e-6
    """`project_domain` keeps ``1 - r / w`` at least this large where there is data."""

    def __init__(self, data: FloatArray, weight: npt.ArrayLike) -> None:
        super().__init__(data, weight)
        if data.size and data.min() < 0:
            raise DataError(
                f"KullbackLeibler: the smallest value of the data is {data.min()}; expected none below 0"
            )

    def value(self, v: FloatArray) -> npt.NDArray[np.float64]:
        """``sum(v - f + f log(f / v))`` of every channel, without its weight, shape (channel,)."""
        require_shape("KullbackLeibler.value", v, self.data.shape)
        divergence = np.empty(len(v))
        for channel, (f, projections) in enumerate(zip(self.data, v, strict=True)):
            f, projections = f.astype(np.float64), projections.astype(np.float64)
            floor = self.floor_factor * f.max(initial=0)
            too_small = (f > 0) & (projections >= 0) & (projections < floor)
            divergence[channel] = kl_div(f, np.where(too_small, floor, projections)).sum()
        return divergence

    def conjugate(self, r: FloatArray) -> float:
        """``sum(-w f log(1 - r / w))`` for ``r <= w``, infinite elsewhere."""
        w = self._per_channel(r, self.weight).astype(np.float64)
        f = self.data.astype(np.float64)
        remainder = 1 - r / w
        if (remainder < 0).any() or ((remainder == 0) & (f > 0)).any():
            return float("inf")
        return float(-(w * f * np.log(np.where(f > 0, remainder, 1))).sum())

    def prox_conjugate(self, r: FloatArray, sigma: npt.ArrayLike) -> FloatArray:
        """``r - (r - w + sqrt((r - w)^2 + 4 sigma w f)) / 2`` (Huber et al. 2019, equation 17 ff.).

        With ``b = r - w`` this is ``w + (b - sqrt(b^2 + 4 sigma w f)) / 2``, where the difference
        of two nearly equal numbers for large ``b`` is written as a quotient.
        """
        w = self._per_channel(r, self.weight)
        sigma_w_f = self._per_channel(r, sigma) * w * self.data.astype(r.dtype)
        b = r - w
        root = np.hypot(b, 2 * np.sqrt(sigma_w_f))
        quotient = -2 * sigma_w_f / np.where(b > 0, b + root, 1)
        return w + np.where(b > 0, quotient, (b - root) / 2)

    def project_domain(self, r: FloatArray) -> FloatArray:
        """``min(r, w)``, and a little below ``w`` where there is data: see `domain_margin`."""
        w = self._per_channel(r, self.weight)
        inside = w * r.dtype.type(1 - self.domain_margin)
        return np.minimum(r, np.where(self.data > 0, inside, w))


class SquaredL2(DataTerm):
    """Half the sum of squares, ``1/2 sum((v - f)^2)``, for Gaussian noise."""

    def value(self, v: FloatArray) -> npt.NDArray[np.float64]:
        """``1/2 sum((v - f)^2)`` of every channel, without its weight, shape (channel,)."""
        require_shape("SquaredL2.value", v, self.data.shape)
        residual = v.astype(np.float64) - self.data
        value: npt.NDArray[np.float64] = 0.5 * (residual**2).sum(axis=(1, 2, 3))
        return value

    def conjugate(self, r: FloatArray) -> float:
        """``sum(r f + r^2 / (2 w))``."""
        w = self._per_channel(r, self.weight).astype(np.float64)
        r64 = r.astype(np.float64)
        return float((r64 * self.data + r64**2 / (2 * w)).sum())

    def prox_conjugate(self, r: FloatArray, sigma: npt.ArrayLike) -> FloatArray:
        """``(r - sigma f) / (1 + sigma / w)``."""
        w = self._per_channel(r, self.weight)
        step = self._per_channel(r, sigma)
        return (r - step * self.data.astype(r.dtype)) / (1 + step / w)

    def project_domain(self, r: FloatArray) -> FloatArray:
        """Copy ``r``: the conjugate is finite everywhere."""
        require_shape("SquaredL2.project_domain", r, self.data.shape)
        return r.copy()
