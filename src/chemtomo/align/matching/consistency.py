"""Likelihood of aligned projections: reconstruction and reprojection in closed form.

The sample lies within a cylinder of radius ``R`` about the tilt axis, and is modelled there as white
noise. Then the Fourier coefficients ``q(k)`` of one frequency ``k`` along the detector, of all tilts
``t``, are correlated as the sample's coefficients at ``k (cos t, sin t)`` are:

``<q_i conj(q_j)> = S J(2 pi k R |u_i - u_j|) + N delta_ij``,  ``<q_i q_j> = S J(2 pi k R |u_i + u_j|)``

with ``J(x) = 2 J1(x) / x``, the transform of a disc, and ``u = (cos t, sin t)``. The mean of one projection,
given the others, is the reprojection of their least-squares reconstruction within the cylinder, so that
the likelihood of all projections says how well every one fits a reconstruction from the others. No
reconstruction has to converge first: the sample is eliminated exactly, and Newton's method on the likelihood
moves all projections at once.

Real and imaginary parts of ``q(k, y)`` are independent, with the correlations ``(J- + J+) / 2`` and
``(J- - J+) / 2``. Rows ``y`` are independent too; their frequencies are kept apart because signal ``S`` and
noise ``N`` depend on them. Both are measured: the eigenvectors of the correlations with the smallest
eigenvalues are what no sample in the cylinder can make.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

__all__ = ["Consistency", "Derivatives", "Newton"]

_Real = npt.NDArray[np.float64]
_Images = npt.NDArray[np.float32]
_Complex = npt.NDArray[np.complex64]

_NOISE_EIGENVECTORS = 24  # the fewest with which the noise is measured
# log(noise / signal) is rounded to multiples of this, so that matrices can be shared between frequencies.
_LOG_NOISE_ROUNDING = 1.5
_LARGEST_LOG_NOISE = 4.5  # of log(noise / signal): frequencies with more noise hold no information
# A sample is not white noise in a cylinder. The error of that model counts as noise: at least this fraction
# of the signal.
_MODEL_ERROR = 1e-2


@dataclasses.dataclass(frozen=True)
class Derivatives:
    """Aligned projections and how they change, shape (tilt, y, x) each.

    Attributes
    ----------
    values : numpy.ndarray
        The projections.
    first : tuple of numpy.ndarray
        Derivatives for a shift along ``x``, one along ``y``, and a turn of all.
    second : dict
        Second derivatives for pairs of them, by their numbers: ``(0, 0)``, ``(0, 1)``, ``(1, 1)``,
        ``(0, 2)``, ``(1, 2)``, ``(2, 2)``.
    """

    values: _Images
    first: tuple[_Images, _Images, _Images]
    second: dict[tuple[int, int], _Images]


@dataclasses.dataclass(frozen=True)
class Newton:
    """Derivatives of the negative logarithm of the likelihood.

    The unknowns are the shifts of all projections along ``x``, those along ``y``, and one rotation of all.

    Attributes
    ----------
    gradient : numpy.ndarray, shape (2 tilt + 1,)
        First derivatives.
    hessian : numpy.ndarray, shape (2 tilt + 1, 2 tilt + 1)
        Second derivatives.
    misfit : numpy.ndarray, shape (tilt, y)
        Squared difference of the rows from what the other projections predict, over what is expected:
        about 1.
    noise : float
        Noise over signal, the geometric mean over frequencies.
    """

    gradient: _Real
    hessian: _Real
    misfit: _Real
    noise: float


class Consistency:
    """The correlations for some tilts, a radius and a number of detector pixels.

    Parameters
    ----------
    tilts_deg : array_like, shape (tilt,)
        Tilts in degrees.
    radius : float
        Of the cylinder, in pixels.
    pixels : int
        Detector pixels; the tilt axis is in their middle.
    highest : float
        Highest frequency in use, in cycles per pixel.
    """

    def __init__(self, tilts_deg: npt.ArrayLike, radius: float, pixels: int, highest: float) -> None:
        from scipy.special import j1

        tilts = np.deg2rad(np.asarray(tilts_deg, dtype=np.float64))
        directions = np.stack([np.cos(tilts), np.sin(tilts)], axis=1)
        apart, opposite = (
            np.linalg.norm(directions[:, np.newaxis] + sign * directions, axis=-1) for sign in (-1, 1)
        )
        frequencies = np.fft.rfftfreq(pixels)
        self.tilts = tilts.size
        self.frequencies = frequencies[frequencies <= highest]
        self._to_axis = np.exp(2j * np.pi * self.frequencies * (pixels - 1) / 2).astype(np.complex64)

        def disc(distance: _Real) -> _Real:
            argument = np.maximum(2 * np.pi * radius * distance, 1e-9)
            transform: _Real = 2 * j1(argument) / argument
            return transform

        same = disc(self.frequencies[:, np.newaxis, np.newaxis] * apart)
        mirrored = disc(self.frequencies[:, np.newaxis, np.newaxis] * opposite)
        # Index 0 for real parts, 1 for imaginary ones: shape (2, frequency, tilt[, tilt]).
        values, vectors = np.linalg.eigh(np.stack([same + mirrored, same - mirrored]) / 2)
        self._values = np.maximum(values, 0)
        self._vectors = vectors.astype(np.float32)

    def newton(self, images: Derivatives) -> Newton:
        """Return the derivatives of the likelihood, with signal and noise as these images have them."""
        values = self._split(images.values)
        first = [self._split(image) for image in images.first]
        second = {pair: self._split(image) for pair, image in images.second.items()}
        rows = images.values.shape[1]
        weights = _row_weights(rows)
        projected = np.swapaxes(self._vectors, -1, -2) @ values
        signal, logarithm = self._spectra(projected)
        tilts = self.tilts
        gradient = np.zeros(2 * tilts + 1)
        hessian = np.zeros((2 * tilts + 1, 2 * tilts + 1))
        misfit = np.zeros((tilts, rows))
        for k in range(len(self.frequencies)):
            for part in range(2):
                self._add(
                    (gradient, hessian, misfit),
                    (part, k),
                    projected[part, k],
                    [image[part, k] for image in first],
                    {pair: image[part, k] for pair, image in second.items()},
                    signal[k],
                    weights,
                    logarithm[k],
                )
        misfit /= max(misfit.mean(), 1e-300)
        return Newton(gradient, hessian, misfit, float(np.exp(logarithm.mean())))

    def held_out(self, values: _Images) -> _Real:
        """Return the squared error of every projection, predicted from all others, over its square."""
        split = self._split(values)
        weights = _row_weights(values.shape[1])
        projected = np.swapaxes(self._vectors, -1, -2) @ split
        _, logarithm = self._spectra(projected)
        error, power = np.zeros(self.tilts), np.zeros(self.tilts)
        for k in range(len(self.frequencies)):
            for part in range(2):
                vectors = self._vectors[part, k]
                inverse = 1 / (self._values[part, k][:, np.newaxis] + np.exp(logarithm[k]))
                missed = (vectors @ (projected[part, k] * inverse)) / ((vectors**2) @ inverse)
                error += (np.abs(missed) ** 2) @ weights
                power += (np.abs(split[part, k]) ** 2) @ weights
        relative: _Real = error / np.maximum(power, 1e-300)
        return relative

    def shifts_by_the_others(self, images: Derivatives, known: npt.NDArray[np.bool_]) -> _Real:
        """Return how far some projections are from where the other ones predict them, along ``(x, y)``.

        Parameters
        ----------
        images : Derivatives
            Windowed projections; the second derivatives are not looked at.
        known : numpy.ndarray of bool, shape (tilt,)
            Those that predict the others.

        Returns
        -------
        numpy.ndarray, shape (tilt that is not known, 2)
            In pixels.
        """
        split = self._split(images.values)
        slopes = [self._split(one) for one in images.first[:2]]
        weights = _row_weights(images.values.shape[1])
        signal, logarithm = self._spectra(np.swapaxes(self._vectors, -1, -2) @ split)
        held = ~known
        normal, right = np.zeros((int(held.sum()), 2, 2)), np.zeros((int(held.sum()), 2))
        for k in range(len(self.frequencies)):
            for part in range(2):
                vectors, values = self._vectors[part, k], self._values[part, k].astype(np.float32)
                correlation = (vectors * values) @ vectors.T
                for level in np.unique(logarithm[k]):
                    chosen = logarithm[k] == level
                    noise = np.float32(np.exp(level)) * np.eye(int(known.sum()), dtype=np.float32)
                    gain = np.linalg.solve(
                        correlation[np.ix_(known, known)] + noise, correlation[known][:, held]
                    )
                    left = np.diag(correlation)[held] - (gain * correlation[known][:, held]).sum(axis=0)
                    trust = (weights / signal[k])[chosen] / (left + np.exp(level))[:, np.newaxis]
                    missed = split[part, k][held][:, chosen] - gain.T @ split[part, k][known][:, chosen]
                    # Slopes of what is predicted: those of the projections themselves hold their noise.
                    first = [gain.T @ one[part, k][known][:, chosen] for one in slopes]
                    for a in range(2):
                        right[:, a] += _inner(first[a], missed * trust)
                        for b in range(2):
                            normal[:, a, b] += _inner(first[a], first[b] * trust)
        scale = np.trace(normal, axis1=1, axis2=2)[:, np.newaxis, np.newaxis] + 1e-30
        normal += 1e-9 * scale * np.eye(2)
        shifts = -np.linalg.solve(normal, right[:, :, np.newaxis])[:, :, 0]
        return np.asarray(shifts, dtype=np.float64)

    def _split(self, images: _Images) -> _Complex:
        """Real and imaginary parts about the axis, transformed along y: (2, frequency, tilt, ky)."""
        from scipy import fft

        along_x = fft.rfft(images, axis=2)[:, :, : len(self.frequencies)] * self._to_axis
        parts = np.stack([along_x.real, along_x.imag]).transpose(0, 3, 1, 2)
        split: _Complex = fft.rfft(np.ascontiguousarray(parts), axis=3)
        return split

    def _spectra(self, projected: _Complex) -> tuple[_Real, _Real]:
        """Signal, and the logarithm of noise over signal, shape (frequency, ky)."""
        power = projected.real**2 + projected.imag**2
        total = power.sum(axis=(0, 2), dtype=np.float64) / self.tilts
        both = np.moveaxis(self._values, 0, 1).reshape(len(self.frequencies), -1)
        squares = np.moveaxis(power, 0, 1).reshape(len(both), 2 * self.tilts, -1)
        limit = np.sort(both, axis=1)[:, min(_NOISE_EIGENVECTORS, 2 * self.tilts) - 1]
        noise = _mean_where(
            squares, np.repeat((both <= limit[:, np.newaxis])[:, :, np.newaxis], squares.shape[2], axis=2)
        )
        # With a first estimate, more eigenvectors are known to hold nothing but noise.
        limits = np.maximum(limit[:, np.newaxis], 0.05 * noise / np.maximum(total, 1e-300))
        noise = _mean_where(squares, both[:, :, np.newaxis] <= limits[:, np.newaxis])
        floor = 1e-9 * total.max() + 1e-30
        signal = np.maximum(total - 2 * noise, 0.02 * total) + floor
        noise = np.maximum(noise, _MODEL_ERROR * signal)
        return signal, np.minimum(
            np.round(np.log(noise / signal) / _LOG_NOISE_ROUNDING) * _LOG_NOISE_ROUNDING, _LARGEST_LOG_NOISE
        )

    def _add(
        self,
        sums: tuple[_Real, _Real, _Real],
        at: tuple[int, int],
        projected: _Complex,
        first: list[_Complex],
        second: dict[tuple[int, int], _Complex],
        signal: _Real,
        multiplicity: _Real,
        logarithm: _Real,
    ) -> None:
        """Add what one frequency and part tell: ``Re(d* C^-1 d + d2* C^-1 q)``."""
        gradient, hessian, misfit = sums
        tilts = self.tilts
        values, vectors = self._values[at], self._vectors[at]
        weights = (multiplicity / signal).astype(np.float32)
        inverse = (1 / (values[:, np.newaxis] + np.exp(logarithm))).astype(np.float32)
        solved = vectors @ (projected * inverse)
        weighted = solved * weights
        for number, image in enumerate(first):
            gradient[_place(number, tilts)] += _keep(_inner(image, weighted), number)
        for (one, other), image in second.items():
            own = _inner(image, weighted)
            if one == other == 2:
                hessian[-1, -1] += own.sum()
                continue
            a = np.arange(tilts) + one * tilts
            b = np.full(tilts, 2 * tilts) if other == 2 else np.arange(tilts) + other * tilts
            hessian[a, b] += own
            if one != other:
                hessian[b, a] += own
        single = (vectors**2) @ inverse  # diagonal of the inverse, by which one is predicted from all others
        left = np.fft.irfft(solved / np.sqrt(signal * single).astype(np.float32), n=misfit.shape[1], axis=1)
        misfit += left**2
        for level in np.unique(logarithm):
            chosen = logarithm == level
            shared = (vectors / (values + np.exp(level)).astype(np.float32)) @ vectors.T
            x, y, turn = (image[:, chosen] * np.sqrt(weights[chosen]) for image in first)
            solved_turn = shared @ turn
            hessian[:tilts, :tilts] += shared * (x @ x.conj().T).real
            hessian[tilts:-1, tilts:-1] += shared * (y @ y.conj().T).real
            mixed = shared * (x @ y.conj().T).real
            hessian[:tilts, tilts:-1] += mixed
            hessian[tilts:-1, :tilts] += mixed.T
            for number, image in enumerate((x, y)):
                with_turn = _inner(image, solved_turn)
                hessian[_place(number, tilts), -1] += with_turn
                hessian[-1, _place(number, tilts)] += with_turn
            hessian[-1, -1] += _inner(turn, solved_turn).sum()


def _inner(one: _Complex, other: _Complex) -> _Real:
    product: _Real = (one.real * other.real + one.imag * other.imag).sum(axis=1, dtype=np.float64)
    return product


def _place(number: int, tilts: int) -> slice:
    """Where the unknowns of a kind are."""
    return slice(number * tilts, (number + 1) * tilts if number < 2 else None)


def _keep(one_each: _Real, number: int) -> _Real | np.floating:
    """Add up what tells the turn, which is common to all tilts."""
    return one_each.sum() if number == 2 else one_each


def _mean_where(squares: npt.NDArray[np.floating], chosen: npt.NDArray[np.bool_]) -> _Real:
    mean: _Real = np.where(chosen, squares, 0).sum(axis=1) / chosen.sum(axis=1)
    return mean


def _row_weights(rows: int) -> _Real:
    """How often a coefficient of the half spectrum along y stands in the whole."""
    weights = np.full(rows // 2 + 1, 2.0)
    weights[0] = 1
    if rows % 2 == 0:
        weights[-1] = 1
    return weights
