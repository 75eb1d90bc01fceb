"""The projector and its transpose on a device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chemtomo.errors import DataError
from chemtomo.geometry import ParallelBeam
from chemtomo.opencl.device import DeviceInfo
from chemtomo.opencl.layout import Layout
from chemtomo.opencl.queue import Queue
from chemtomo.operators import FloatArray, LinearOperator

__all__ = ["DeviceProjection", "OpenCLProjector"]


class DeviceProjection:
    """Projection and back-projection between buffers on a queue.

    Parameters
    ----------
    queue : Queue
        Compiled with the layout's constants.
    layout : Layout
        How the buffers are ordered.
    geometry : ParallelBeam
        Geometry of a slice.
    scale : float
        Factor on both directions, for a normalised projector.
    tilts : sequence of int, optional
        Which tilts take part, all by default. The projections at the others are neither written nor read.
    """

    def __init__(
        self,
        queue: Queue,
        layout: Layout,
        geometry: ParallelBeam,
        scale: float = 1.0,
        tilts: Sequence[int] | None = None,
    ) -> None:
        self.queue = queue
        self.layout = layout
        self.geometry = geometry
        everything = np.arange(geometry.tilts)
        directions = [geometry.cos, geometry.sin, geometry.detector_axes, everything]
        taking_part = everything if tilts is None else np.asarray(tilts)
        self.tilts = taking_part.size
        self.directions = queue.upload(np.stack(directions, axis=1)[taking_part].astype(np.float32))
        cz, cx = geometry.volume_axis
        nz, nx = geometry.volume_shape
        self._constants = (
            np.array([cx, cz], dtype=np.float32),
            np.int32(nz),
            np.int32(nx),
            np.int32(geometry.detector_pixels),
            np.int32(self.tilts),
            np.int32(geometry.tilts),
            np.float32(scale),
        )
        self._band = layout.rows_per_band(nx) or nz
        self._items = layout.block // (layout.lanes_per_vector * layout.vectors)
        self._group = (self._items, max(1, layout.group // self._items), 1)

    def forward(self, volume: Any, sinogram: Any) -> None:
        """Project a volume."""
        size = (self._items, self.geometry.detector_pixels, self.layout.blocks * self.tilts)
        nz, _ = self.geometry.volume_shape
        for start in range(0, nz, self._band):
            self.queue.run(
                "projector",
                "forward_project",
                size,
                self._group,
                volume,
                sinogram,
                self.directions,
                *self._constants,
                np.int32(start),
                np.int32(min(start + self._band, nz)),
            )

    def adjoint(self, sinogram: Any, volume: Any) -> None:
        """Back-project a sinogram."""
        nz, nx = self.geometry.volume_shape
        size = (self._items, nx, self.layout.blocks * nz)
        self.queue.run(
            "projector",
            "back_project",
            size,
            self._group,
            sinogram,
            volume,
            self.directions,
            *self._constants,
        )


class OpenCLProjector(LinearOperator):
    """The parallel-beam projector on an OpenCL device; the same contract as `chemtomo.operators.Projector`.

    Parameters
    ----------
    geometry : ParallelBeam
        Geometry of a slice.
    channels, slices : int
        Size of the volumes, (channel, z, y, x).
    device : DeviceInfo
        Where to compute, see `chemtomo.opencl.choose_device`.
    tilts : sequence of int, optional
        Which tilts take part, all by default: see `chemtomo.operators.Projector`.

    Raises
    ------
    DataError
        When there is no channel or no slice.
    """

    def __init__(
        self,
        geometry: ParallelBeam,
        channels: int,
        slices: int,
        device: DeviceInfo,
        tilts: Sequence[int] | None = None,
    ) -> None:
        if channels < 1 or slices < 1:
            raise DataError(
                f"projector: found {channels} channels and {slices} slices; expected at least one each"
            )
        nz, nx = geometry.volume_shape
        self.domain_shape = (channels, nz, slices, nx)
        self.range_shape = (channels, geometry.tilts, slices, geometry.detector_pixels)
        self.geometry = geometry
        self._layout = Layout.for_device(channels, slices, device)
        self._queue = Queue(device, self._layout.defines())
        self._projection = DeviceProjection(self._queue, self._layout, geometry, tilts=tilts)
        self._volume_shape = self._layout.shape(nz, nx)
        self._sinogram_shape = self._layout.shape(*geometry.sinogram_shape)
        self._volume = self._queue.zeros(self._volume_shape)
        self._sinogram = self._queue.zeros(self._sinogram_shape)

    def _forward(self, x: FloatArray, out: FloatArray) -> None:
        self._queue.write(self._volume, self._layout.pack(x))
        self._queue.fill(self._sinogram)  # also where no tilt takes part
        self._projection.forward(self._volume, self._sinogram)
        out[...] = self._layout.unpack(self._queue.read(self._sinogram, self._sinogram_shape))

    def _adjoint(self, y: FloatArray, out: FloatArray) -> None:
        self._queue.write(self._sinogram, self._layout.pack(y))
        self._projection.adjoint(self._sinogram, self._volume)
        out[...] = self._layout.unpack(self._queue.read(self._volume, self._volume_shape))
