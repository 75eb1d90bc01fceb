"""SIRT on a device: see `chemtomo.recon.sirt`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor

import numpy as np
import numpy.typing as npt

from chemtomo.geometry import ParallelBeam
from chemtomo.opencl.device import DeviceInfo
from chemtomo.opencl.image import DeviceImage
from chemtomo.opencl.layout import Layout
from chemtomo.opencl.projector import DeviceProjection
from chemtomo.opencl.queue import Queue
from chemtomo.opencl.upload import Upload, marked
from chemtomo.operators import inverse_of_sums

__all__ = ["OpenCLSirt", "upload_ahead"]


class OpenCLSirt(DeviceImage):
    """The iterate of SIRT on an OpenCL device.

    Parameters
    ----------
    geometry : ParallelBeam
        Geometry of a slice.
    data : numpy.ndarray, shape (channel, tilt, y, detector)
        The projections, without background and divided by their gains.
    rows, columns : numpy.ndarray, shape (channel, tilt, detector) and (channel, z, x)
        Inverse sums of the projector: see `chemtomo.recon.sirt.inverse_sums`.
    weights : numpy.ndarray, shape (channel, tilt)
        Weight of every projection; 0 where there is none.
    nonnegative : bool
        Whether to stay at or above zero.
    device : DeviceInfo
        Where.
    upload : Upload, optional
        The projections, if they were sent ahead: see `upload_ahead`.
    valid : numpy.ndarray of bool, shape (channel, tilt, y, detector), optional
        Which pixels were measured; all by default.

    Raises
    ------
    DeviceMemoryError
        When the device cannot hold the variables.
    """

    def __init__(
        self,
        geometry: ParallelBeam,
        data: npt.NDArray[np.float32],
        rows: npt.NDArray[np.float32],
        columns: npt.NDArray[np.float32],
        weights: npt.NDArray[np.float64],
        nonnegative: bool,
        device: DeviceInfo,
        upload: Upload | None = None,
        valid: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        layout = Layout.for_device(data.shape[0], data.shape[2], device)
        queue = Queue(device, layout.defines() | {"VALIDITY": int(valid is not None)})
        self._projection = DeviceProjection(queue, layout, geometry)
        self._sinogram_shape = layout.shape(*geometry.sinogram_shape)
        shape = layout.shape(*geometry.volume_shape)
        super().__init__(queue, layout, queue.zeros(shape), shape)
        self._correction = self._queue.zeros(self._volume_shape)
        self._projected = self._queue.zeros(self._sinogram_shape)
        if upload is None:
            self._data = self._queue.upload(self._layout.pack(marked(data, valid)))
        else:
            (self._data,) = (self._queue.adopt(buffer) for buffer in upload.take())
        self._rows = self._queue.upload(rows)
        self._columns = self._queue.upload(columns if valid is None else self._sums_of(valid, weights))
        roots = np.broadcast_to(np.sqrt(weights)[:, :, np.newaxis], rows.shape)
        self._roots_of_weights = self._queue.upload(roots.astype(np.float32))
        self._chunks = np.int32(self._layout.chunks)
        self._nonnegative = np.int32(nonnegative)

    def variables(self) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Yield the iterate, which is all that there is."""
        yield "u", self.volume()

    def restore(self, variables: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Set the iterate to that of `variables`."""
        self._queue.write(self._image, self._layout.pack(variables["u"]))

    def advance(self) -> None:
        """Do one iteration."""
        self._residual(self._rows)
        self._projection.adjoint(self._projected, self._correction)
        pixels = self._volume_shape[1] * self._volume_shape[2]
        self._queue.run(
            "data_term",
            "weighted_correction",
            *self._layout.block_range(pixels),
            self._image,
            self._correction,
            self._columns,
            np.int32(pixels),
            self._chunks,
            self._nonnegative,
        )
        self._queue.finish()

    def residuals(self) -> npt.NDArray[np.float64]:
        """Half the weighted sum of the squares of ``T u - f``, one per channel."""
        self._residual(self._roots_of_weights)
        residual = self._queue.read(self._projected, self._sinogram_shape)
        return 0.5 * self._layout.sum_channels(residual**2)

    def _sums_of(
        self, valid: npt.NDArray[np.bool_], weights: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float32]:
        """Return the inverse sums of the columns over the valid pixels, as they lie on the device."""
        seen = np.where(valid, weights[:, :, np.newaxis, np.newaxis], 0).astype(np.float32)
        self._queue.write(self._projected, self._layout.pack(seen))
        self._projection.adjoint(self._projected, self._correction)
        sums = self._queue.read(self._correction, self._volume_shape)
        return inverse_of_sums(sums).astype(np.float32)

    def _residual(self, rows: object) -> None:
        self._projection.forward(self._image, self._projected)
        rays = self._sinogram_shape[1] * self._sinogram_shape[2]
        self._queue.run(
            "data_term",
            "weighted_residual",
            *self._layout.block_range(rays),
            self._projected,
            self._projected,
            self._data,
            rows,
            np.int32(rays),
            self._chunks,
        )


def upload_ahead(
    data: npt.NDArray[np.float32],
    valid: npt.NDArray[np.bool_] | None,
    device: DeviceInfo,
    executor: Executor,
) -> Upload:
    """Send projections (channel, tilt, y, detector) to the device while another computation runs there."""
    layout = Layout.for_device(data.shape[0], data.shape[2], device)
    return Upload(executor, device, lambda: [layout.pack(marked(data, valid))])
