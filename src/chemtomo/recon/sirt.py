"""The simultaneous iterative reconstruction technique, each channel alone.

``u <- u + C T'(R (f - T u))`` with ``R`` and ``C`` the inverse sums of the rows and columns of ``T``
(Gregor and Benson 2008), kept at or above zero if asked.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from chemtomo.data import Volume
from chemtomo.geometry import ParallelBeam
from chemtomo.opencl import DeviceInfo
from chemtomo.operators import Projector
from chemtomo.recon.frame import Frame
from chemtomo.recon.settings import Settings
from chemtomo.solvers.loop import Objective

__all__ = ["SirtReconstruction"]


class SirtBackend(Protocol):
    """The iterate of SIRT on one device."""

    def advance(self) -> None:
        """Do one iteration."""

    def residuals(self) -> npt.NDArray[np.float64]:
        """Half the sum of the squares of ``T u - f``, one a channel."""

    def slice(self, y: int) -> npt.NDArray[np.float32]:
        """Return a slice, shape (channel, z, x)."""

    def volume(self) -> npt.NDArray[np.float32]:
        """Return the iterate, shape (channel, z, y, x)."""


class SirtReconstruction:
    """SIRT of all channels on one device: a `chemtomo.recon.Reconstruction`.

    Parameters
    ----------
    frame : Frame
        The data.
    settings : Settings
        Only ``nonnegative`` matters here.
    device : DeviceInfo, optional
        OpenCL device; NumPy without one.
    """

    def __init__(self, frame: Frame, settings: Settings, device: DeviceInfo | None) -> None:
        self._frame = frame
        self._device = device
        data = frame.sinograms()
        rows, columns = inverse_sums(frame.geometry)
        self._backend: SirtBackend
        if device is None:
            self._backend = NumpySirt(frame.geometry, data, rows, columns, settings.nonnegative)
        else:
            from chemtomo.opencl.sirt import OpenCLSirt  # pyopencl is loaded when it is used

            self._backend = OpenCLSirt(frame.geometry, data, rows, columns, settings.nonnegative, device)

    @property
    def device(self) -> str:
        """Name of the device."""
        return "numpy" if self._device is None else self._device.name

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the channels."""
        return self._frame.dataset.names

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
        """Return the slice `y` of the iterate in the frame of the result, shape (channel, z, x)."""
        return self._frame.to_slice(self._backend.slice(y))

    def volume(self) -> npt.NDArray[np.float32]:
        """Return the iterate in the frame of the result, shape (channel, z, y, x)."""
        return self._frame.to_volume(self._backend.volume())

    def result(self) -> Volume:
        """Return the iterate as a volume."""
        pixel = self._frame.dataset.series[0].pixel_size_nm
        return Volume(self.volume(), self.names, pixel, self._frame.origin_px)


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
