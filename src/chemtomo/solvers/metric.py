"""A metric for the primal variables that is diagonal in Fourier space.

A primal-dual iteration takes steps of ``u`` and ``w`` in a metric ``M`` that bounds ``K^T Sigma K``.
The published one is a multiple of the identity, so slow modes, the smooth ones, take thousands of
iterations. Derivatives and back-projected projections are nearly convolutions: with periodic symbols

- ``d_i = exp(i w_i) - 1`` of the forward difference, ``b_i = 1 - exp(-i w_i)`` of the backward one,
- ``lambda`` = modulus of the transform of ``A^T A`` applied to the delta at the centre, of the tilts
  that a channel has,

``M`` is for every frequency and channel the Hermitian matrix of order ``components + 1``

- ``M_uu = first sum_i |d_i|^2 + data lambda + positivity``
- ``M_ui = - first conj(d_i)``
- ``M_ij = first delta_ij + second (delta_ij sum_k |b_k|^2 + b_i conj(b_j)) / 2``

The block of ``w`` is the identity plus a matrix of rank one, so that ``M^-1`` has a closed form and
only ``lambda`` is stored.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import numpy.typing as npt
import scipy.fft

from chemtomo.functionals import Problem
from chemtomo.geometry import ParallelBeam

__all__ = ["FourierMetric", "periodic_grid"]

_Components = list[npt.NDArray[np.complex128]]

_ZERO_PADDING_PX = 4  # pixels of zeros around the image, so that opposite edges do not meet


@dataclasses.dataclass(frozen=True, eq=False)
class FourierMetric:
    """``M = norm * (M_uu, M_ui; M_iu, M_ij)``, see the module.

    Attributes
    ----------
    grid : tuple of int
        Periodic grid ``(z, y, x)``, larger than the image, with no prime factors but 2, 3 and 5, and ``x``
        even; ``y`` is 1 without derivatives across slices.
    dims : int
        3 with derivatives across slices, else 2.
    second_order : bool
        Whether there is a field ``w``.
    spectrum : numpy.ndarray, shape (1 or channel, z, x // 2 + 1)
        ``lambda``, float32; one where all channels have the same tilts.
    first, second : float
        Step sizes of ``p`` and ``q``.
    data, positivity : tuple of float
        Step sizes of ``r`` and ``s``, one per channel.
    norm : float
        Factor that makes ``M >= K^T Sigma K``.
    """

    grid: tuple[int, int, int]
    dims: int
    second_order: bool
    spectrum: npt.NDArray[np.float32]
    first: float
    second: float
    data: tuple[float, ...]
    positivity: tuple[float, ...]
    norm: float = 1.0

    @classmethod
    def of_problem(
        cls,
        problem: Problem,
        first: float,
        second: float,
        data: tuple[float, ...],
        positivity: tuple[float, ...],
    ) -> FourierMetric:
        """Build the metric, not yet normalised, for the geometry and the step sizes."""
        grid = periodic_grid(problem.geometry.volume_shape, problem.slices, problem.dims)
        recorded = problem.recorded
        spectrum = np.stack(
            [
                _projection_spectrum(problem.geometry, has, problem.operator_norm, grid[0], grid[2])
                for has in (recorded[:1] if (recorded == recorded[0]).all() else recorded)
            ]
        )
        return cls(grid, problem.dims, problem.second_order, spectrum, first, second, data, positivity)

    def with_norm(self, norm: float) -> FourierMetric:
        """Return the metric multiplied by `norm`."""
        return dataclasses.replace(self, norm=norm)

    @functools.cached_property
    def symbols(self) -> tuple[npt.NDArray[np.complex128], ...]:
        """``exp(i w)`` along the axes with derivatives, (z, y, x) or (z, x), on the half grid along x."""
        nz, ny, nx = self.grid
        waves = [np.exp(2j * np.pi * np.fft.fftfreq(nz)), np.exp(2j * np.pi * np.fft.rfftfreq(nx))]
        if self.dims == 3:
            waves.insert(1, np.exp(2j * np.pi * np.fft.fftfreq(ny)))
        return tuple(waves)

    def solve(
        self, image: npt.NDArray[np.floating], field: npt.NDArray[np.floating] | None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64] | None]:
        """Apply ``M^-1`` in NumPy (the reference for the devices).

        Parameters
        ----------
        image : numpy.ndarray, shape (channel, z, y, x)
        field : numpy.ndarray, shape (component, channel, z, y, x), optional
            None without the second order.

        Returns
        -------
        image, field : numpy.ndarray
            Of the same shapes, float64.
        """
        nz, ny, nx = image.shape[1:]
        axes = (-3, -2, -1) if self.grid[1] > 1 else (-3, -1)
        sizes = self.grid if self.grid[1] > 1 else (self.grid[0], self.grid[2])
        transform = functools.partial(scipy.fft.rfftn, s=sizes, axes=axes)

        def back(spectrum: npt.NDArray[np.complex128]) -> npt.NDArray[np.float64]:
            whole = scipy.fft.irfftn(spectrum, s=sizes, axes=axes)
            return np.asarray(whole[..., :nz, :ny, :nx], dtype=np.float64)

        forward = [symbol - 1 for symbol in self._broadcast_symbols()]
        backward = [1 - symbol.conj() for symbol in self._broadcast_symbols()]
        power = sum((np.abs(d) ** 2 for d in forward), start=np.zeros(1))
        per_channel = np.array(self.data)[:, None, None, None], np.array(self.positivity)[:, None, None, None]
        diagonal = self.first * power + per_channel[0] * self.spectrum[:, :, None, :] + per_channel[1]
        f_u = transform(np.asarray(image, np.float64))
        if field is None:
            return back(f_u / diagonal / self.norm), None
        f_w = [transform(np.asarray(component, np.float64)) for component in field]
        half = self.second / 2
        base = self.first + half * power
        rank_one = half / (base + half * power)

        def inner(a: _Components, b: _Components) -> npt.NDArray[np.complex128]:
            products = (one.conj() * other for one, other in zip(a, b, strict=True))
            return sum(products, start=np.zeros(1, np.complex128))

        def inverse_of_field_block(v: _Components) -> _Components:
            along = inner(backward, v)
            return [(part - rank_one * b * along) / base for b, part in zip(backward, v, strict=True)]

        t = inverse_of_field_block(f_w)
        e = inverse_of_field_block([d + 0 * f_u[:1] for d in forward])
        schur = diagonal - self.first**2 * inner(forward, e).real
        du = (f_u + self.first * inner(forward, t)) / schur
        dw = [part + self.first * du * direction for part, direction in zip(t, e, strict=True)]
        return back(du / self.norm), np.stack([back(part / self.norm) for part in dw])

    def _broadcast_symbols(self) -> list[npt.NDArray[np.complex128]]:
        shapes = [(-1, 1, 1), (1, -1, 1), (1, 1, -1)] if self.dims == 3 else [(-1, 1, 1), (1, 1, -1)]
        return [symbol.reshape(shape) for symbol, shape in zip(self.symbols, shapes, strict=True)]


def periodic_grid(slice_shape: tuple[int, int], slices: int, dims: int) -> tuple[int, int, int]:
    """Return the grid (z, y, x) for slices of (nz, nx) voxels, see `FourierMetric`."""
    nz, nx = slice_shape
    across = scipy.fft.next_fast_len(slices + 1, real=True) if dims == 3 and slices > 1 else 1
    half = scipy.fft.next_fast_len(-(-(nx + _ZERO_PADDING_PX) // 2), real=True)
    return scipy.fft.next_fast_len(nz + _ZERO_PADDING_PX, real=True), across, 2 * half


def _projection_spectrum(
    geometry: ParallelBeam, recorded: npt.NDArray[np.bool_], operator_norm: float, nz: int, nx: int
) -> npt.NDArray[np.float32]:
    """Modulus of the transform of ``A^T A`` of some tilts applied to the delta at the centre of a slice."""
    rows, columns = geometry.volume_shape
    centre_z, centre_x = rows // 2, columns // 2
    response = np.zeros((rows, columns))
    for tilt in np.flatnonzero(recorded).tolist():
        s = geometry.detector_coordinate(tilt)
        nearest = int(np.floor(s[centre_z, centre_x]))
        for pixel in (nearest, nearest + 1):
            if 0 <= pixel < geometry.detector_pixels:
                weight = max(0.0, 1 - abs(float(s[centre_z, centre_x]) - pixel))
                response += weight * np.maximum(0, 1 - np.abs(s - pixel))
    spectrum = np.abs(scipy.fft.rfft2(response, s=(nz, nx))) / operator_norm**2
    return spectrum.astype(np.float32)
