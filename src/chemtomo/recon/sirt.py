"""The simultaneous iterative reconstruction technique, each channel alone.

``u <- u + C T^T W R ((f - b) / g - T u)`` with ``R`` and ``C`` the inverse sums of the rows of ``T`` and
of the columns of ``W T`` (Gregor and Benson 2008), kept at or above zero if asked: least squares of the
projections without their background ``b`` and divided by their gains ``g``. The weights ``W`` are the
gains, because what was recorded with less gain is noisier after the division, and 0 for tilts
that a channel has not got and for pixels that are not valid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from chemtomo.geometry import ParallelBeam
from chemtomo.opencl import DeviceInfo
from chemtomo.opencl.memory import MemoryEstimate, estimate_sirt_memory
from chemtomo.operators import Projector, inverse_of_sums
from chemtomo.recon.frame import Frame
from chemtomo.recon.method import BackendIteration
from chemtomo.recon.parameters import ReconstructParameters
from chemtomo.solvers.backend import ImageStorage, MainMemory
from chemtomo.solvers.loop import Objective

if TYPE_CHECKING:
    from chemtomo.opencl.upload import Upload

__all__ = ["NumpySirt", "SirtIteration", "SirtMethod", "inverse_sums"]


class SirtBackend(ImageStorage, Protocol):
    """The iterate of SIRT on one device."""

    def variables(self) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Yield the iterate, which is all that there is."""

    def restore(self, variables: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Set the iterate to that of `variables`."""

    def advance(self) -> None:
        """Do one iteration."""

    def residuals(self) -> npt.NDArray[np.float64]:
        """Half the weighted sum of the squares of ``T u - f``, one per channel."""


class SirtMethod:
    """SIRT of all channels: a `chemtomo.recon.method.Method`.

    Parameters
    ----------
    frame : Frame
        The data.
    settings : ReconstructParameters
        Only ``nonnegative`` matters here.
    """

    overlap = False

    def __init__(self, frame: Frame, settings: ReconstructParameters) -> None:
        self._geometry = frame.geometry
        self._data = frame.sinograms()
        background = frame.backgrounds()
        if background is not None:
            self._data -= background
        self._weights = frame.gains
        if (self._weights != 1).any():
            has = self._weights > 0
            gains = np.where(has, self._weights, 1).astype(np.float32)
            self._data *= (has / gains).astype(np.float32)[:, :, np.newaxis, np.newaxis]
        self._valid = frame.valid()
        if self._valid is not None:
            self._data = np.where(self._valid, self._data, np.float32(0))
        self._rows, self._columns = inverse_sums(frame.geometry, self._weights)
        self._nonnegative = settings.nonnegative

    def estimate_memory(self, slices: int, device: DeviceInfo) -> MemoryEstimate:
        """Device memory for so many slices."""
        return estimate_sirt_memory(
            self._geometry, len(self._data), slices, device=device, masked=self._valid is not None
        )

    def upload(self, first: int, last: int, device: DeviceInfo, executor: Executor) -> Upload:
        """Send the data of some slices ahead, for an `iteration` of the same slices."""
        from chemtomo.opencl.sirt import upload_ahead  # pyopencl is loaded when it is used

        return upload_ahead(self._data[:, :, first:last], self._valid_of(first, last), device, executor)

    def iteration(
        self,
        first: int,
        last: int,
        device: DeviceInfo | None,
        should_stop: Callable[[], bool] | None = None,
        upload: Upload | None = None,
    ) -> SirtIteration:
        """Return the iteration of the slices ``first <= y < last``, at its start."""
        data = self._data[:, :, first:last]
        valid = self._valid_of(first, last)
        common = self._geometry, data, self._rows, self._columns, self._weights, self._nonnegative
        if device is None:
            return SirtIteration(NumpySirt(*common, valid))
        from chemtomo.opencl.sirt import OpenCLSirt  # pyopencl is loaded when it is used

        return SirtIteration(OpenCLSirt(*common, device, upload, valid))

    def _valid_of(self, first: int, last: int) -> npt.NDArray[np.bool_] | None:
        return None if self._valid is None else self._valid[:, :, first:last]


class SirtIteration(BackendIteration[SirtBackend]):
    """SIRT on some slices: a `SlabIteration`."""

    def variables(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Yield all that `restore` needs to go on from here, by names."""
        yield from self._backend.variables()

    def restore(self, variables: Mapping[str, npt.NDArray[Any]], iterations: int) -> None:
        """Go on from `variables`; SIRT does not depend on the number of iterations done."""
        self._backend.restore(variables)

    def advance(self) -> None:
        """Do one iteration."""
        self._backend.advance()

    def objective(self) -> Objective:
        """Half the sum of the squared residuals, in the units of the data."""
        residuals = self._backend.residuals()
        return Objective(float(residuals.sum()), tuple(residuals.tolist()), 0.0)

    def change(self) -> float | None:
        """SIRT has no stopping rule: its iterations are its regularisation."""
        return None


def inverse_sums(
    geometry: ParallelBeam, weights: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Inverse sums of the rows and columns of the projector, 0 where a sum is 0.

    Parameters
    ----------
    geometry : ParallelBeam
        Geometry of one slice.
    weights : numpy.ndarray, shape (channel, tilt)
        Weight of every projection; 0 where a channel has none.

    Returns
    -------
    rows : numpy.ndarray, shape (channel, tilt, detector)
        Weight over the sum of a row.
    columns : numpy.ndarray, shape (channel, z, x)
        Inverse weighted sum of a column.
    """
    matrix = Projector(geometry, 1, 1).matrix
    sums = matrix @ np.ones(matrix.shape[1])
    inverse_rows = inverse_of_sums(sums)
    rows = [np.repeat(own, geometry.detector_pixels) * inverse_rows for own in weights]
    columns = [inverse_of_sums(matrix.T @ np.repeat(own, geometry.detector_pixels)) for own in weights]
    shapes = (-1, *geometry.sinogram_shape), (-1, *geometry.volume_shape)
    return (
        np.stack(rows).astype(np.float32).reshape(shapes[0]),
        np.stack(columns).astype(np.float32).reshape(shapes[1]),
    )


class NumpySirt(MainMemory):
    """SIRT in NumPy: the reference. The parameters are those of `chemtomo.opencl.sirt.OpenCLSirt`."""

    def __init__(
        self,
        geometry: ParallelBeam,
        data: npt.NDArray[np.float32],
        rows: npt.NDArray[np.float32],
        columns: npt.NDArray[np.float32],
        weights: npt.NDArray[np.float64],
        nonnegative: bool,
        valid: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        self._projector = Projector(geometry, data.shape[0], data.shape[2])
        self._data = data
        self._rows = rows[:, :, np.newaxis, :]
        self._columns = columns[:, :, np.newaxis, :]
        self._weights = weights[:, :, np.newaxis, np.newaxis]
        if valid is not None:
            self._rows = self._rows * valid
            self._weights = self._weights * valid
            seen = self._weights.astype(np.float32)
            self._columns = inverse_of_sums(self._projector.adjoint(seen)).astype(np.float32)
        self._nonnegative = nonnegative
        self._volume = np.zeros(self._projector.domain_shape, dtype=np.float32)

    def variables(self) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Yield the iterate, which is all that there is."""
        yield "u", self._volume

    def restore(self, variables: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Set the iterate to that of `variables`."""
        self._volume = variables["u"]

    def advance(self) -> None:
        """Do one iteration."""
        residual = self._rows * (self._data - self._projector.forward(self._volume))
        moved = self._volume + self._columns * self._projector.adjoint(residual)
        self._volume = (np.maximum(moved, 0) if self._nonnegative else moved).astype(np.float32)

    def residuals(self) -> npt.NDArray[np.float64]:
        """Half the weighted sum of the squares of ``T u - f``, one per channel."""
        difference = (self._projector.forward(self._volume) - self._data).astype(np.float64)
        result: npt.NDArray[np.float64] = 0.5 * (self._weights * difference**2).sum(axis=(1, 2, 3))
        return result

    def slice(self, y: int) -> npt.NDArray[np.float32]:
        """Return a slice, shape (channel, z, x)."""
        return self._volume[:, :, y]

    def volume(self) -> npt.NDArray[np.float32]:
        """Return the iterate, shape (channel, z, y, x)."""
        return self._volume
