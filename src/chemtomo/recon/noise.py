"""The noise of an intensity, as the data say it: a variance that grows with the signal."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import TiltSeries

__all__ = ["NoiseModel"]

_Array = npt.NDArray[np.float64]

_BINS = 24
_LEAST_PER_BIN = 50
_MOST_SAMPLES = 2_000_000
_REFITS = 20
_SIGMA_OF_MAD = 1.4826
# The variance of a pixel is at least this share of that at the typical value: an outlier must not rule.
_LEAST_SHARE = 0.02
_EDGE_SIGMA = 3.0


@dataclasses.dataclass(frozen=True)
class NoiseModel:
    """``variance = offset + gain * signal``: readout, and counting noise of a detector with a gain.

    Attributes
    ----------
    offset : float
        Variance without signal, in units of the data squared; not negative.
    gain : float
        Value of one detected particle, in units of the data; not negative.
    """

    offset: float
    gain: float

    @classmethod
    def of(cls, series: TiltSeries) -> NoiseModel | None:
        """Estimate the noise of an intensity from its second differences.

        They cancel smooth structure. Pixels are grouped by the mean of their neighbourhood (photon transfer;
        Janesick 2007); the variance of a group is from the median of the absolute differences, which edges
        in less than half of the pixels do not reach. A line is fitted to the variances of the groups, weighed
        by their errors; what lies above it, because of structure in most pixels, loses its weight.
        Neighbouring pixels are taken to be independent: after an interpolation the noise comes out too small,
        for all signals alike.

        Returns
        -------
        NoiseModel, optional
            None where there are too few pixels, or no noise.
        """
        means, squares = _samples(series)
        if means.size < 4 * _LEAST_PER_BIN:
            return None
        order = np.argsort(means)
        groups = np.array_split(order, min(_BINS, means.size // _LEAST_PER_BIN))
        x = np.array([means[group].mean() for group in groups])
        y = np.array([(_SIGMA_OF_MAD * np.median(np.abs(squares[group]))) ** 2 for group in groups])
        if not y.max() > 0:
            return None
        offset, gain = _line(x, y)
        return cls(offset, gain) if offset + gain * x.max() > 0 else None

    def variance(self, signal: npt.NDArray[Any] | float) -> _Array:
        """Return the variance at a signal; what is below 0 counts as none."""
        variance: _Array = self.offset + self.gain * np.maximum(signal, 0)
        return variance

    def weights(self, series: TiltSeries, typical: float) -> npt.NDArray[np.float32]:
        """Return the inverse variance of every pixel over that at a typical signal, shape (tilt, y, x).

        The variance is that of the mean signal of 3 x 3 pixels: that of the pixel itself would give those of
        too little signal by chance too much weight, and so a result that is too dark. At an edge, where the
        pixel is farther from the mean than noise explains, it is that of the pixel.
        """
        reference = float(self.variance(typical))
        least = _LEAST_SHARE * reference
        weights = []
        for image, valid in zip(series.projections(), series.valid_pixels(), strict=True):
            mean = _mean_of_neighbours(image, valid)
            noise = np.sqrt(np.maximum(self.variance(mean), self.variance(image)))
            signal = np.where(valid & (np.abs(image - mean) > _EDGE_SIGMA * noise), image, mean)
            weights.append((reference / np.maximum(self.variance(signal), least)).astype(np.float32))
        return np.stack(weights)


def _mean_of_neighbours(image: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> _Array:
    """Return the mean of the valid pixels among 3 x 3; 0 where there is none."""
    from scipy import ndimage  # slow to import

    sums = ndimage.uniform_filter(np.where(valid, image, 0).astype(np.float64), 3, mode="nearest")
    shares = ndimage.uniform_filter(valid.astype(np.float64), 3, mode="nearest")
    mean: _Array = np.where(shares > 1e-6, sums / np.maximum(shares, 1e-6), 0.0)
    return mean


def _samples(series: TiltSeries) -> tuple[_Array, _Array]:
    """Return means of neighbourhoods, and second differences of the variance of a pixel."""
    axes = [axis for axis in (0, 1) if series.shape[1 + axis] >= 3]
    means, differences = [np.zeros(0)], [np.zeros(0)]
    if not axes:
        return means[0], differences[0]
    every = max(1, series.data.size // _MOST_SAMPLES)
    for image, valid in zip(series.projections(), series.valid_pixels(), strict=True):
        difference = np.where(valid, image, 0).astype(np.float64)
        mean, known = difference, valid
        for axis in axes:
            difference = np.diff(difference, 2, axis=axis)
            before, here, after = _neighbours(mean, axis)
            mean = (before + here + after) / 3
            one, two, three = _neighbours(known, axis)
            known = one & two & three
        # the squares of the weights 1, -2, 1 add up to 6
        means.append(mean[known][::every])
        differences.append(difference[known][::every] / 6 ** (len(axes) / 2))
    return np.concatenate(means), np.concatenate(differences)


def _neighbours(array: npt.NDArray[Any], axis: int) -> tuple[npt.NDArray[Any], ...]:
    moved = np.moveaxis(array, axis, 0)
    return tuple(np.moveaxis(one, 0, axis) for one in (moved[:-2], moved[1:-1], moved[2:]))


def _line(x: _Array, y: _Array) -> tuple[float, float]:
    """Fit ``y = a + g x`` with ``a, g >= 0`` and errors in proportion to the values, robustly."""
    from scipy import optimize  # slow to import

    matrix = np.stack([np.ones_like(x), np.maximum(x, 0)], axis=1)
    fitted = np.maximum(y, 1e-3 * y.max())
    trust = np.ones_like(y)
    solution = np.zeros(2)
    for _ in range(_REFITS):
        roots = np.sqrt(trust) / fitted
        scale = np.array([1.0, max(float(np.abs(x).max()), 1e-30)])
        solution = optimize.nnls(matrix / scale * roots[:, None], y * roots)[0] / scale
        fitted = np.maximum(matrix @ solution, 1e-3 * y.max())
        excess = y / fitted - 1
        width = max(_SIGMA_OF_MAD * float(np.median(np.abs(excess))), 0.02)
        trust = 1 / (1 + (np.maximum(excess, 0) / (2 * width)) ** 2) ** 2
    return float(solution[0]), float(solution[1])
