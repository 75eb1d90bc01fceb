"""Likelihood of aligned projections of a layer that fills the field.

A point ``(x, z)`` of a layer in the plane ``z = 0`` is seen at ``s = x cos t + z sin t``. In the coordinate
``u = s / cos t`` that is ``x + z tan t``: what lies in the plane stays, and what lies above or below moves
with the tangent of the tilt. Stretched like that, all projections are parts of stationary random images. The
Fourier coefficients ``q(k)`` along ``u`` of a layer of thickness ``T`` that is white noise along ``z`` are
correlated as

``<q_i conj(q_j)> = S 1/T int cos(2 pi k z d) A(z d) dz + N delta_ij``,  ``d = tan t_i - tan t_j``,

with ``A`` the autocorrelation of the window: what moves out of it is lost. All the rest, Newton's method on
the likelihood included, is as for a specimen in a cylinder (`chemtomo.align.matching.consistency`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from chemtomo.align.matching.consistency import Consistency

__all__ = ["SlabConsistency"]

_Real = npt.NDArray[np.float64]
_Images = npt.NDArray[np.float32]
_Complex = npt.NDArray[np.complex64]

_DEPTHS = 48  # at which the integral over z is evaluated
_RESOLVED = 0.42  # cycles a recorded pixel: above it, pixels and interpolation change the values
# Logarithms of noise over signal that are tried. Less noise than the first does not occur: a layer of uneven
# thickness is no white noise.
_LOG_NOISE = np.arange(-6.0, 4.6, 1.5)
_SMOOTHED = (3, 1, 5)  # frequencies along x and y over which the likelihood of a noise is averaged


class SlabConsistency(Consistency):
    """The correlations for some tilts of a layer.

    Parameters
    ----------
    tilts_deg : array_like, shape (tilt,)
        Tilts against the normal of the layer, in degrees, less than 90.
    thickness : float
        Of the layer, in pixels.
    window : numpy.ndarray, shape (x,)
        Weights of the columns.
    highest : float
        Highest frequency in use, in cycles a pixel of the stretched projections.
    """

    def __init__(self, tilts_deg: npt.ArrayLike, thickness: float, window: _Real, highest: float) -> None:
        tilts = np.deg2rad(np.asarray(tilts_deg, dtype=np.float64))
        pixels = window.size
        frequencies = np.fft.rfftfreq(pixels)
        self.tilts = tilts.size
        self.frequencies = frequencies[frequencies <= highest]
        self._to_axis = np.exp(2j * np.pi * self.frequencies * (pixels - 1) / 2).astype(np.complex64)
        self._resolved = self.frequencies[:, np.newaxis] <= _RESOLVED * np.cos(tilts)
        apart, pair = np.unique(
            np.round(np.abs(np.tan(tilts)[:, np.newaxis] - np.tan(tilts)), 9), return_inverse=True
        )
        moved = np.outer(apart, (np.arange(_DEPTHS) + 0.5) / _DEPTHS * thickness / 2)
        overlap = np.correlate(window, window, "full")[pixels - 1 :]
        left = np.interp(moved, np.arange(pixels + 1), np.append(overlap / overlap[0], 0.0))
        correlation = np.stack(
            [
                (np.cos(2 * np.pi * k * moved) * left).mean(axis=1)[pair.reshape(tilts.size, tilts.size)]
                for k in self.frequencies
            ]
        )
        correlation *= self._resolved[:, :, np.newaxis] & self._resolved[:, np.newaxis]
        values, vectors = np.linalg.eigh(correlation / 2)
        # Real and imaginary parts are correlated alike.
        self._values = np.maximum(np.stack([values, values]), 0)
        self._vectors = np.stack([vectors, vectors]).astype(np.float32)

    def log_likelihood(self, values: _Images) -> float:
        """Return the logarithm of the likelihood, of windowed projections, but for a constant."""
        projected = np.swapaxes(self._vectors, -1, -2) @ self._split(values)
        likelihoods, _, chosen = self._levels(projected)
        return float(np.take_along_axis(likelihoods, chosen[:, np.newaxis], axis=1).sum())

    def _split(self, images: _Images) -> _Complex:
        """Real and imaginary parts; those of a projection that does not resolve a frequency are 0."""
        split: _Complex = super()._split(images) * self._resolved[:, :, np.newaxis].astype(np.float32)
        return split

    def _spectra(self, projected: _Complex) -> tuple[_Real, _Real]:
        """Signal, and the logarithm of noise over signal, of the highest likelihood: (frequency, ky)."""
        _, signals, chosen = self._levels(projected)
        signal = np.take_along_axis(signals, chosen[:, np.newaxis], axis=1)[:, 0]
        return signal + 1e-9 * signal.max() + 1e-30, _LOG_NOISE[chosen]

    def _levels(self, projected: _Complex) -> tuple[_Real, _Real, npt.NDArray[np.intp]]:
        """Likelihood and signal of every noise, shape (frequency, level, ky), and the number of the best."""
        from scipy import ndimage

        power = projected.real**2 + projected.imag**2
        seen = np.maximum(self._resolved.sum(axis=1), 1)[:, np.newaxis]
        likelihoods, signals = [], []
        for level in _LOG_NOISE:
            expected = self._values + np.exp(level)
            signal = np.einsum("pkty,pkt->ky", power, 1 / expected) / (2 * seen) + 1e-30
            # Frequencies that a projection does not resolve have the value 0, and tell nothing.
            volume = np.log(expected).sum(axis=(0, 2))[:, np.newaxis] - 2 * (self.tilts - seen) * level
            likelihoods.append(-2 * seen * np.log(signal) - volume)
            signals.append(ndimage.uniform_filter1d(signal, _SMOOTHED[2], axis=1, mode="nearest"))
        likelihood = np.stack(likelihoods, axis=1)
        smooth = ndimage.uniform_filter(likelihood, _SMOOTHED, mode="nearest")
        return likelihood, np.stack(signals, axis=1), smooth.argmax(axis=1)
