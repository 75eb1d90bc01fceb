"""The parallel-beam projector: sums along the beam, for every channel and slice."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from chemtomo.errors import DataError, SolverError
from chemtomo.geometry import ParallelBeam
from chemtomo.operators.base import FloatArray, LinearOperator

if TYPE_CHECKING:
    from scipy import sparse

__all__ = ["Projector", "inverse_of_sums"]


class Projector(LinearOperator):
    """Projection of a volume (channel, z, y, x) to tilt series (channel, tilt, y, detector).

    Every voxel contributes to the two detector pixels next to its detector coordinate
    ``s``: the weight on detector pixel ``i`` is ``max(0, 1 - |s - i|)`` (Huber et al. 2019,
    equation 8, with the detector pixel as the unit of length). What falls outside the detector is
    lost. All channels and slices have the same weights.

    Parameters
    ----------
    geometry : ParallelBeam
        The geometry of one slice.
    channels, slices : int
        Number of channels and of slices ``y``.
    tilts : sequence of int, optional
        Which tilts take part, by their index; all by default. The projections at the others are 0, and
        have no part in the transpose.

    Raises
    ------
    DataError
        When there is no channel or no slice.
    """

    def __init__(
        self, geometry: ParallelBeam, channels: int, slices: int, tilts: Sequence[int] | None = None
    ) -> None:
        if channels < 1 or slices < 1:
            raise DataError(
                f"projector: found {channels} channels and {slices} slices; expected at least one each"
            )
        nz, nx = geometry.volume_shape
        self.geometry = geometry
        self.domain_shape = (channels, nz, slices, nx)
        self.range_shape = (channels, geometry.tilts, slices, geometry.detector_pixels)
        self._taking_part = frozenset(range(geometry.tilts) if tilts is None else tilts)

    @functools.cached_property
    def matrix(self) -> sparse.csr_array:
        """Weights of one slice, float64, shape (tilt * detector, nz * nx)."""
        blocks = [self._matrix_of_tilt(index) for index in range(self.geometry.tilts)]
        from scipy import sparse  # slow to import

        weights: sparse.csr_array = sparse.vstack(blocks, format="csr")
        return weights

    def _matrix_of_tilt(self, tilt_index: int) -> sparse.csr_array:
        from scipy import sparse  # slow to import

        pixels = self.geometry.detector_pixels
        if tilt_index not in self._taking_part:
            return sparse.csr_array((pixels, self.geometry.volume_shape[0] * self.geometry.volume_shape[1]))
        s = self.geometry.detector_coordinate(tilt_index).ravel()
        volume_index = np.arange(s.size, dtype=np.int32)
        left = np.floor(s)
        detector_index = np.concatenate([left, left + 1])
        weight = np.concatenate([1 - (s - left), s - left])
        volume_index = np.concatenate([volume_index, volume_index])
        on_detector = (detector_index >= 0) & (detector_index < pixels) & (weight > 0)
        row = detector_index[on_detector].astype(np.int32)
        return sparse.csr_array(
            (weight[on_detector], (row, volume_index[on_detector])), shape=(pixels, s.size)
        )

    @functools.cached_property
    def _matrix_float32(self) -> sparse.csr_array:
        return self.matrix.astype(np.float32)

    def _matrix_like(self, array: FloatArray) -> sparse.csr_array:
        return self._matrix_float32 if array.dtype == np.float32 else self.matrix

    def _forward(self, x: FloatArray, out: FloatArray) -> None:
        _apply(self._matrix_like(x), x, out)

    def _adjoint(self, y: FloatArray, out: FloatArray) -> None:
        _apply(self._matrix_like(y).T, y, out)

    def norm(self, tolerance: float = 1e-10, iterations: int = 100_000) -> float:
        """Compute the operator norm, which is the same for one slice and for all.

        Power iteration on ``T^T T`` from an image of ones: the weights are not negative, so the
        leading singular vector has no sign change (Perron and Frobenius) and the start is close
        to it. The estimates rise; the step that is left is extrapolated from the last two.

        Parameters
        ----------
        tolerance : float
            Relative error at which the iteration stops, as estimated from its rate.
        iterations : int
            Limit of iterations.

        Returns
        -------
        float
            The norm; 0 if nothing falls on the detector.

        Raises
        ------
        SolverError
            When the limit is reached first.
        """
        x = np.ones(self.matrix.shape[1])
        x /= np.linalg.norm(x)
        estimate, rise = 0.0, np.inf
        for _ in range(iterations):
            image = self.matrix @ x
            previous_estimate, estimate = estimate, float(np.linalg.norm(image))
            if estimate == 0:
                return 0.0
            previous_rise, rise = rise, estimate - previous_estimate
            rate = min(max(rise / previous_rise, 0.0), 1 - 1e-6) if previous_rise > 0 else 0.0
            if rise * max(1.0, rate / (1 - rate)) <= tolerance * estimate:
                return estimate
            x = self.matrix.T @ image
            x /= np.linalg.norm(x)
        raise SolverError(
            f"norm of the projector: the estimate {estimate} still rises by {rise:.1e} after "
            f"{iterations} iterations; expected a relative error below {tolerance:.1e}"
        )


def inverse_of_sums(sums: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the inverses of sums of rows or columns of a projector, 0 where a sum is next to 0."""
    # A ray that grazes a corner has a tiny sum: its inverse would amplify noise without limit.
    enough = sums > 1e-3 * sums.max(initial=0)
    inverse: npt.NDArray[Any] = np.where(enough, 1 / np.where(enough, sums, 1), 0)
    return inverse


def _apply(matrix: Any, given: FloatArray, out: FloatArray) -> None:
    """Apply the matrix of one slice to every channel and slice (channel, a, y, b) of `given`."""
    channels, _, slices, _ = given.shape
    columns = given.transpose(1, 3, 0, 2).reshape(-1, channels * slices)
    image: npt.NDArray[Any] = matrix @ columns
    rows, pixels = out.shape[1], out.shape[3]
    out[...] = image.reshape(rows, pixels, channels, slices).transpose(2, 0, 3, 1)
