"""Data terms: the Kullback-Leibler divergence and half the sum of squares."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import kl_div

from chemtomo.errors import DataError
from chemtomo.operators.base import FloatArray, require_shape

__all__ = ["DataTerm", "DataTermName", "KullbackLeibler", "SeparateDataTerms", "SquaredL2"]

DataTermName = Literal["kl", "l2"]


class DataTerm(abc.ABC):
    """A data term ``sum_c w_c sum_t k_ct D(v_ct + b_ct, f_ct)`` of projections ``v`` given the data ``f``.

    A subclass says what ``D`` is, without a background: a background moves the argument of the
    proximal map by ``sigma b``, and takes ``<r, b>`` from the conjugate.

    Parameters
    ----------
    data : numpy.ndarray, shape (channel, tilt, y, detector)
        The data ``f``.
    weight : array_like, shape (channel,)
        The weight ``w_c`` of every channel, positive.
    tilt_weight : array_like, shape (channel, tilt), optional
        The weight ``k_ct`` of every projection in its channel, 1 by default. 0 for a projection that
        the channel does not have: its data are ignored, and its dual variable is 0.
    background : numpy.ndarray, shape (channel, tilt, y, detector), optional
        The expected value ``b`` without a sample, 0 by default.
    valid : numpy.ndarray of bool, shape (channel, tilt, y, detector), optional
        Which pixels were measured; all by default. The sum leaves the others out: their data are
        ignored, whatever they are, and their dual variables are 0.
    pixel_weight : numpy.ndarray, shape (channel, tilt, y, detector), optional
        A factor on ``D`` at every pixel, positive where it is valid; 1 by default. The inverse of its
        variance, for squares.

    Raises
    ------
    DataError
        When the shapes do not fit together, a weight is not positive or the value of a valid pixel not
        finite.
    """

    def __init__(
        self,
        data: FloatArray,
        weight: npt.ArrayLike,
        tilt_weight: npt.ArrayLike | None = None,
        background: FloatArray | None = None,
        valid: npt.NDArray[np.bool_] | None = None,
        pixel_weight: FloatArray | None = None,
    ) -> None:
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
        if valid is not None:
            require_shape(f"{where}, valid pixels", valid, data.shape)
            data = np.where(valid, data, data.dtype.type(0))
        if not np.isfinite(data).all():
            raise DataError(f"{where}: the data holds NaN or infinite values; expected finite ones")
        if tilt_weight is None:
            tilt_weight = np.ones(data.shape[:2])
        tilt_weights = np.asarray(tilt_weight, dtype=np.float64)
        require_shape(f"{where}, weights of the projections", tilt_weights, data.shape[:2])
        if not (np.isfinite(tilt_weights).all() and (tilt_weights >= 0).all()):
            raise DataError(
                f"{where}: the weights of the projections reach from {tilt_weights.min()} to "
                f"{tilt_weights.max()}; expected none below 0"
            )
        if not (tilt_weights > 0).any(axis=1).all():
            empty = np.flatnonzero(~(tilt_weights > 0).any(axis=1)).tolist()
            raise DataError(
                f"{where}: the channels {empty} have no projection with a weight; expected at least one each"
            )
        if background is not None:
            require_shape(f"{where}, background", background, data.shape)
            if valid is not None:
                background = np.where(valid, background, background.dtype.type(0))
            if not np.isfinite(background).all():
                raise DataError(f"{where}: the background holds NaN or infinite values; expected finite ones")
        if pixel_weight is not None:
            require_shape(f"{where}, weights of the pixels", pixel_weight, data.shape)
            if valid is not None:
                pixel_weight = np.where(valid, pixel_weight, pixel_weight.dtype.type(1))
            if not (np.isfinite(pixel_weight).all() and (pixel_weight > 0).all()):
                raise DataError(
                    f"{where}: the weights of the pixels reach from {pixel_weight.min():g} to "
                    f"{pixel_weight.max():g}; expected positive numbers"
                )
        self.data = data
        self.pixel_weight = pixel_weight
        self.weight = weights
        self.tilt_weight = tilt_weights
        self.background = background
        self.valid = valid
        self._product = (weights[:, np.newaxis] * tilt_weights)[:, :, np.newaxis, np.newaxis]
        if pixel_weight is not None:
            self._product = self._product * pixel_weight
        self._check_values()

    @property
    def measured(self) -> npt.NDArray[np.bool_]:
        """Which pixels count, shape (channel, tilt, y, detector)."""
        recorded = np.broadcast_to(self._product > 0, self.data.shape)
        return recorded if self.valid is None else recorded & self.valid

    def value(self, v: FloatArray) -> npt.NDArray[np.float64]:
        """``sum_t k_ct D(v_ct + b_ct, f_ct)`` of every channel, without its weight, shape (channel,)."""
        require_shape(f"{type(self).__name__}.value", v, self.data.shape)
        values = np.empty(len(v))
        for channel, (f, own, weights) in enumerate(zip(self.data, v, self.tilt_weight, strict=True)):
            expected = own.astype(np.float64)
            if self.background is not None:
                expected = expected + self.background[channel]
            has = weights > 0
            pixels = self._values(expected[has], f[has].astype(np.float64))
            if self.valid is not None:
                pixels = np.where(self.valid[channel, has], pixels, 0)
            if self.pixel_weight is not None:
                pixels = pixels * self.pixel_weight[channel, has]
            values[channel] = weights[has] @ pixels.sum(axis=(1, 2))
        return values

    def conjugate(self, r: FloatArray) -> float:
        """Evaluate the convex conjugate of the weighted sum over all channels: ``D* - <r, b>``."""
        require_shape(f"{type(self).__name__}.conjugate", r, self.data.shape)
        r64 = r.astype(np.float64)
        has = self.measured
        if (r64[~has] != 0).any():
            return float("inf")
        weight = np.broadcast_to(self._product, self.data.shape)
        total = self._conjugate(r64[has], weight[has], self.data[has].astype(np.float64))
        return total if self.background is None else total - float((r64 * self.background).sum())

    def prox_conjugate(self, r: FloatArray, sigma: npt.ArrayLike) -> FloatArray:
        """Proximal map of the conjugate with the step ``sigma`` of every channel, shape (channel,).

        In a primal-dual iteration the argument is ``r + sigma v``.
        """
        require_shape(f"{type(self).__name__}.prox_conjugate", r, self.data.shape)
        steps = np.broadcast_to(np.asarray(sigma), self.data.shape[:1])
        step = steps.astype(r.dtype).reshape(-1, 1, 1, 1)
        if self.background is not None:
            r = r + step * self.background.astype(r.dtype)
        weight = np.where(self._product > 0, self._product, 1).astype(r.dtype)
        found = self._prox_conjugate(r, step, weight, self.data.astype(r.dtype))
        return np.where(self.measured, found, r.dtype.type(0))

    def project_domain(self, r: FloatArray) -> FloatArray:
        """Move ``r`` to the nearest point at which the conjugate is finite, with a small margin."""
        require_shape(f"{type(self).__name__}.project_domain", r, self.data.shape)
        inside = self._project_domain(r, self._product.astype(r.dtype))
        return np.where(self.measured, inside, r.dtype.type(0))

    def _check_values(self) -> None:  # noqa: B027 - nothing to check by default
        """Raise `DataError` where the data or the background has a value that ``D`` does not take."""

    @abc.abstractmethod
    def _values(self, v: FloatArray, f: FloatArray) -> FloatArray:
        """``D(v, f)`` of every pixel (tilt, y, detector) of a channel, in float64."""

    @abc.abstractmethod
    def _conjugate(self, r: FloatArray, w: FloatArray, f: FloatArray) -> float:
        """Conjugate of ``w D(., f)`` at ``r``, in float64."""

    @abc.abstractmethod
    def _prox_conjugate(self, r: FloatArray, sigma: FloatArray, w: FloatArray, f: FloatArray) -> FloatArray:
        """Proximal map of the conjugate of ``w D(., f)``, ``w`` positive."""

    @abc.abstractmethod
    def _project_domain(self, r: FloatArray, w: FloatArray) -> FloatArray:
        """Change ``r`` to where the conjugate of ``w D(., f)`` is finite."""


class KullbackLeibler(DataTerm):
    """Kullback-Leibler divergence ``sum(v - f + f log(f / v))``, for counts (Poisson noise).

    With a background ``v`` is the projection and the background together.

    Conventions: ``f log(f / v)`` is 0 where ``f = 0``; the value is infinite where ``v < 0``.
    A ray that misses the object has ``v = 0``, and where it has counts all the same the value is
    infinite, at which a report could not be read. So `value` replaces ``v`` where ``f > 0`` by at
    least ``1e-10`` times the largest value of the data of the channel. The conjugate and its
    proximal map belong to the divergence itself.

    Parameters
    ----------
    data : numpy.ndarray, shape (channel, tilt, y, detector)
        The data ``f``, not negative.
    weight, tilt_weight, background, valid, pixel_weight
        See `DataTerm`; no background is negative.

    Raises
    ------
    DataError
        When the data or the background is negative somewhere, or see `DataTerm`.
    """

    floor_factor = 1e-10
    """Smallest projection that `value` sees where there is data, relative to the largest datum."""

    domain_margin = 1e-6
    """`project_domain` keeps ``1 - r / w`` at least this large where there is data."""

    def _check_values(self) -> None:
        """Raise where the data or the background is negative."""
        for what, array in (("data", self.data), ("background", self.background)):
            if array is not None and array.size and array.min() < 0:
                raise DataError(
                    f"KullbackLeibler: the smallest value of the {what} is {array.min()}; "
                    "expected none below 0"
                )

    def _values(self, v: FloatArray, f: FloatArray) -> FloatArray:
        """``v - f + f log(f / v)``."""
        floor = self.floor_factor * f.max(initial=0)
        too_small = (f > 0) & (v >= 0) & (v < floor)
        divergence: FloatArray = kl_div(f, np.where(too_small, floor, v))
        return divergence

    def _conjugate(self, r: FloatArray, w: FloatArray, f: FloatArray) -> float:
        """``sum(-w f log(1 - r / w))`` for ``r <= w``, infinite elsewhere."""
        remainder = 1 - r / w
        if (remainder < 0).any() or ((remainder == 0) & (f > 0)).any():
            return float("inf")
        return float(-(w * f * np.log(np.where(f > 0, remainder, 1))).sum())

    def _prox_conjugate(self, r: FloatArray, sigma: FloatArray, w: FloatArray, f: FloatArray) -> FloatArray:
        """``r - (r - w + sqrt((r - w)^2 + 4 sigma w f)) / 2`` (Huber et al. 2019, equation 17 ff.).

        With ``b = r - w`` this is ``w + (b - sqrt(b^2 + 4 sigma w f)) / 2``, where the difference
        of two nearly equal numbers for large ``b`` is written as a quotient.
        """
        sigma_w_f = sigma * w * f
        b = r - w
        root = np.hypot(b, 2 * np.sqrt(sigma_w_f))
        quotient = -2 * sigma_w_f / np.where(b > 0, b + root, 1)
        return w + np.where(b > 0, quotient, (b - root) / 2)

    def _project_domain(self, r: FloatArray, w: FloatArray) -> FloatArray:
        """``min(r, w)``, and a little below ``w`` where there is data: see `domain_margin`."""
        inside = w * r.dtype.type(1 - self.domain_margin)
        return np.minimum(r, np.where(self.data > 0, inside, w))


class SquaredL2(DataTerm):
    """Half the sum of squares, ``1/2 sum((v - f)^2)``, for Gaussian noise.

    Noise that is not the same everywhere is weighed by the inverse of its variance, as the weights of the
    pixels.
    """

    def _values(self, v: FloatArray, f: FloatArray) -> FloatArray:
        """``1/2 (v - f)^2``."""
        return 0.5 * (v - f) ** 2

    def _conjugate(self, r: FloatArray, w: FloatArray, f: FloatArray) -> float:
        """``sum(r f + r^2 / (2 w))``."""
        return float((r * f + r**2 / (2 * w)).sum())

    def _prox_conjugate(self, r: FloatArray, sigma: FloatArray, w: FloatArray, f: FloatArray) -> FloatArray:
        """``(r - sigma f) / (1 + sigma / w)``."""
        return (r - sigma * f) / (1 + sigma / w)

    def _project_domain(self, r: FloatArray, w: FloatArray) -> FloatArray:
        """Copy ``r``: the conjugate is finite everywhere."""
        return r.copy()


_KINDS: dict[DataTermName, type[DataTerm]] = {"kl": KullbackLeibler, "l2": SquaredL2}


class SeparateDataTerms:
    """A data term of its own for every channel; it has what a `DataTerm` has.

    Parameters
    ----------
    kinds : sequence of {"kl", "l2"}
        That of every channel.
    data, weight
        See `DataTerm`.
    *more
        Tilt weights, background, valid pixels and pixel weights, in the order of `DataTerm`.

    Raises
    ------
    DataError
        See `DataTerm`.
    """

    def __init__(
        self, kinds: Sequence[DataTermName], data: FloatArray, weight: npt.ArrayLike, *more: Any
    ) -> None:
        arrays: tuple[Any, ...] = (data, np.asarray(weight), *more)
        if len(kinds) != len(data):
            raise DataError(f"data terms: found {len(kinds)} for {len(data)} channels; expected one each")
        parts: list[list[Any]] = [
            [None if one is None else one[c : c + 1] for one in arrays] for c in range(len(kinds))
        ]
        self.terms: tuple[DataTerm, ...] = tuple(
            _KINDS[kind](*part) for kind, part in zip(kinds, parts, strict=True)
        )
        self.data = _joined([one.data for one in self.terms])
        self.weight = _joined([one.weight for one in self.terms])
        self.tilt_weight = _joined([one.tilt_weight for one in self.terms])
        self.background = _joined([one.background for one in self.terms])
        self.valid = _joined([one.valid for one in self.terms])
        self.pixel_weight = _joined([one.pixel_weight for one in self.terms])

    @property
    def measured(self) -> npt.NDArray[np.bool_]:
        """See `DataTerm.measured`."""
        return np.concatenate([one.measured for one in self.terms])

    def value(self, v: FloatArray) -> npt.NDArray[np.float64]:
        """See `DataTerm.value`."""
        return np.concatenate([one.value(part) for one, part in self._with(v)])

    def conjugate(self, r: FloatArray) -> float:
        """See `DataTerm.conjugate`."""
        return sum(one.conjugate(part) for one, part in self._with(r))

    def prox_conjugate(self, r: FloatArray, sigma: npt.ArrayLike) -> FloatArray:
        """See `DataTerm.prox_conjugate`."""
        steps = np.broadcast_to(np.asarray(sigma), self.data.shape[:1])
        return np.concatenate(
            [one.prox_conjugate(part, step) for (one, part), step in zip(self._with(r), steps, strict=True)]
        )

    def project_domain(self, r: FloatArray) -> FloatArray:
        """See `DataTerm.project_domain`."""
        return np.concatenate([one.project_domain(part) for one, part in self._with(r)])

    def _with(self, arrays: FloatArray) -> list[tuple[DataTerm, FloatArray]]:
        require_shape("SeparateDataTerms", arrays, self.data.shape)
        return [(one, arrays[c : c + 1]) for c, one in enumerate(self.terms)]


def _joined(arrays: Sequence[Any]) -> Any:
    return None if arrays[0] is None else np.concatenate(arrays)
