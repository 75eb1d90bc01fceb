"""The simultaneous iterative reconstruction technique, each channel alone.

``u <- u + C T'(R (f - T u))`` with ``R`` and ``C`` the inverse sums of the rows and columns of ``T``
(Gregor and Benson 2008), kept at or above zero if asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from chemtomo.geometry import ParallelBeam
from chemtomo.opencl import DeviceInfo
from chemtomo.opencl.memory import Need, sirt_need
from chemtomo.operators import Projector
from chemtomo.recon.frame import Frame
from chemtomo.recon.settings import Settings
from chemtomo.solvers.loop import Objective

__all__ = ["NumpySirt", "SirtMethod", "SirtStep", "inverse_sums"]


class SirtBackend(Protocol):
    """The iterate of SIRT on one device."""

    @property
    def allocated_bytes(self) -> int:
        """Device memory in use."""

    def release(self) -> None:
        """Give the device memory back."""

    def advance(self) -> None:
        """Do one iteration."""

    def residuals(self) -> npt.NDArray[np.float64]:
        """Half the sum of the squares of ``T u - f``, one a channel."""

    def slice(self, y: int) -> npt.NDArray[np.float32]:
        """Return a slice, shape (channel, z, x)."""

    def volume(self) -> npt.NDArray[np.float32]:
        """Return the iterate, shape (channel, z, y, x)."""


class SirtMethod:
    """SIRT of all channels: a `chemtomo.recon.reconstruction.Method`.

    Parameters
    ----------
    frame : Frame
        The data.
    settings : Settings
        Only ``nonnegative`` matters here.
    """

    overlap = False

    def __init__(self, frame: Frame, settings: Settings) -> None:
        self._geometry = frame.geometry
        self._data = frame.sinograms()
        self._rows, self._columns = inverse_sums(frame.geometry)
        self._nonnegative = settings.nonnegative

    def need(self, slices: int, device: DeviceInfo) -> Need:
        """Device memory for so many slices."""
        return sirt_need(self._geometry, len(self._data), slices, device=device)

    def step(
        self,
        first: int,
        last: int,
        device: DeviceInfo | None,
        should_stop: Callable[[], bool] | None = None,
    ) -> SirtStep:
        """Return the step for the slices ``first <= y < last``, at its start."""
        data = self._data[:, :, first:last]
        common = self._geometry, data, self._rows, self._columns, self._nonnegative
        if device is None:
            return SirtStep(NumpySirt(*common))
        from chemtomo.opencl.sirt import OpenCLSirt  # pyopencl is loaded when it is used

        return SirtStep(OpenCLSirt(*common, device))


class SirtStep:
    """SIRT on some slices: a `SlabStep`."""

    def __init__(self, backend: SirtBackend) -> None:
        self._backend = backend

    @property
    def allocated_bytes(self) -> int:
        """Device memory in use."""
        return self._backend.allocated_bytes

    def release(self) -> None:
        """Give the device memory back."""
        self._backend.release()

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

    def slice(self, y: int) -> npt.NDArray[np.float32]:
        """Return the slice `y` of the iterate, shape (channel, z, x)."""
        return self._backend.slice(y)

    def volume(self) -> npt.NDArray[np.float32]:
        """Return the iterate, shape (channel, z, y, x)."""
        return self._backend.volume()


def inverse_sums(geometry: ParallelBeam) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Inverse sums of the rows (tilt, detector) and columns (z, x) of the projector; 0 where a sum is 0."""
    matrix = Projector(geometry, 1, 1).matrix
    rows = matrix @ np.ones(matrix.shape[1])
    columns = matrix.T @ np.ones(matrix.shape[0])

    def inverse(sums: npt.NDArray[np.float64], shape: tuple[int, int]) -> npt.NDArray[np.float32]:
        # A ray that grazes a corner has a tiny sum: its inverse would amplify noise without limit.
        enough = sums > 1e-3 * sums.max(initial=0)
        return np.where(enough, 1 / np.where(enough, sums, 1), 0).astype(np.float32).reshape(shape)

    return inverse(rows, geometry.sinogram_shape), inverse(columns, geometry.volume_shape)


class NumpySirt:
    """SIRT in NumPy: the reference."""

    def __init__(
        self,
        geometry: ParallelBeam,
        data: npt.NDArray[np.float32],
        rows: npt.NDArray[np.float32],
        columns: npt.NDArray[np.float32],
        nonnegative: bool,
    ) -> None:
        self._projector = Projector(geometry, data.shape[0], data.shape[2])
        self._data = data
        self._rows = rows[np.newaxis, :, np.newaxis, :]
        self._columns = columns[np.newaxis, :, np.newaxis, :]
        self._nonnegative = nonnegative
        self._volume = np.zeros(self._projector.domain_shape, dtype=np.float32)

    allocated_bytes = 0

    def release(self) -> None:
        """Do nothing: it is in main memory."""

    def advance(self) -> None:
        """Do one iteration."""
        residual = self._rows * (self._data - self._projector.forward(self._volume))
        moved = self._volume + self._columns * self._projector.adjoint(residual)
        self._volume = (np.maximum(moved, 0) if self._nonnegative else moved).astype(np.float32)

    def residuals(self) -> npt.NDArray[np.float64]:
        """Half the sum of the squares of ``T u - f``, one a channel."""
        difference = (self._projector.forward(self._volume) - self._data).astype(np.float64)
        result: npt.NDArray[np.float64] = 0.5 * (difference**2).sum(axis=(1, 2, 3))
        return result

    def slice(self, y: int) -> npt.NDArray[np.float32]:
        """Return a slice, shape (channel, z, x)."""
        return self._volume[:, :, y]

    def volume(self) -> npt.NDArray[np.float32]:
        """Return the iterate, shape (channel, z, y, x)."""
        return self._volume
