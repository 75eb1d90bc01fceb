"""The workspace of the classical methods on a device: see `chemtomo.solvers.classical.workspace`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.opencl.device import DeviceInfo
from chemtomo.opencl.layout import Layout
from chemtomo.opencl.projector import DeviceProjection
from chemtomo.opencl.queue import Queue
from chemtomo.opencl.upload import Upload, marked
from chemtomo.solvers.classical.problem import Bounds, ProjectionData

__all__ = ["OpenCLWorkspace", "upload_ahead"]

_Floats = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class _Table:
    """Factors of one slice, for every channel."""

    buffer: Any


class OpenCLWorkspace:
    """Volumes and sinograms in the memory of a device.

    Parameters
    ----------
    problem : ProjectionData
        The projections.
    device : DeviceInfo
        Where.
    upload : Upload, optional
        The projections, if they were sent ahead: see `upload_ahead`.

    Raises
    ------
    DeviceMemoryError
        When the device cannot hold them.
    """

    def __init__(self, problem: ProjectionData, device: DeviceInfo, upload: Upload | None = None) -> None:
        self.problem = problem
        channels, all_tilts, slices, detectors = problem.data.shape
        self._layout = Layout.for_device(channels, slices, device)
        own = {"VALIDITY": int(problem.valid is not None), "BACKGROUND": int(problem.background is not None)}
        self._queue = Queue(device, self._layout.defines() | own)
        self._volume_shape = self._layout.shape(*problem.geometry.volume_shape)
        self._sinogram_shape = self._layout.shape(*problem.geometry.sinogram_shape)
        if upload is None:
            arrays = _packed(problem, self._layout)
            self._data, *background = (self._queue.upload(array) for array in arrays)
        else:
            self._data, *background = (self._queue.adopt(buffer) for buffer in upload.take())
        self._background = background[0] if background else self._data
        self._tables: dict[tuple[tuple[int, ...], bytes], _Table] = {}
        self._chunks = np.int32(self._layout.chunks)
        self._rays = np.int32(all_tilts), np.int32(detectors), self._chunks

    @property
    def allocated_bytes(self) -> int:
        """Device memory in use."""
        return self._queue.allocated_bytes

    def release(self) -> None:
        """Give the device memory back."""
        self._queue.release_all()

    def release_all_but(self, volume: Any) -> None:
        """Give the device memory back, but for one volume."""
        self._queue.release_all(but=(volume,))

    def finish(self) -> None:
        """Wait until everything is done."""
        self._queue.finish()

    def volume(self) -> Any:
        """Return a new volume of zeros."""
        return self._queue.zeros(self._volume_shape)

    def sinogram(self) -> Any:
        """Return a new sinogram of zeros."""
        return self._queue.zeros(self._sinogram_shape)

    def tilts_at(self, indices: Sequence[int]) -> DeviceProjection:
        """Choose tilts."""
        return DeviceProjection(self._queue, self._layout, self.problem.geometry, tilts=indices)

    def ray_factors(self, factors: npt.NDArray[np.floating[Any]]) -> _Table:
        """Take one factor for every ray of a slice."""
        return self._table(factors)

    def voxel_factors(self, factors: npt.NDArray[np.floating[Any]]) -> _Table:
        """Take one factor for every voxel of a slice."""
        return self._table(factors)

    def _table(self, factors: npt.NDArray[np.floating[Any]]) -> _Table:
        array = np.ascontiguousarray(factors, np.float32)
        key = array.shape, array.tobytes()
        if key not in self._tables:
            self._tables[key] = _Table(self._queue.upload(array))
        return self._tables[key]

    def read_volume(self, volume: Any) -> _Floats:
        """Return a volume."""
        return self._layout.unpack(self._queue.read(volume, self._volume_shape))

    def read_slice(self, volume: Any, y: int) -> _Floats:
        """Return a slice of a volume."""
        return self._layout.unpack_slice(self._queue.read(volume, self._volume_shape), y)

    def read_sinogram(self, sinogram: Any) -> _Floats:
        """Return a sinogram."""
        return self._layout.unpack(self._queue.read(sinogram, self._sinogram_shape))

    def write_volume(self, volume: Any, array: _Floats) -> None:
        """Set a volume."""
        self._queue.write(volume, self._layout.pack(array))

    def write_sinogram(self, sinogram: Any, array: _Floats) -> None:
        """Set a sinogram."""
        self._queue.write(sinogram, self._layout.pack(array))

    def project(self, volume: Any, sinogram: Any, tilts: DeviceProjection) -> None:
        """``sinogram <- T volume``."""
        tilts.forward(volume, sinogram)

    def back_project(self, sinogram: Any, volume: Any, tilts: DeviceProjection) -> None:
        """``volume <- T^T sinogram``."""
        tilts.adjoint(sinogram, volume)

    def subtract_from_data(self, sinogram: Any, factors: Any, tilts: DeviceProjection) -> None:
        """``sinogram <- factors (data - sinogram)``."""
        self._run_rays("subtract_from_data", tilts, sinogram, self._data, *_factors(factors))

    def scale_rays(self, sinogram: Any, scaled: Any, factors: Any, tilts: DeviceProjection) -> None:
        """``scaled <- factors sinogram``."""
        self._run_rays("scale_rays", tilts, sinogram, scaled, self._data, *_factors(factors), np.int32(0))

    def fill_rays(self, sinogram: Any, factors: Any, tilts: DeviceProjection) -> None:
        """``sinogram <- factors``."""
        self._run_rays("scale_rays", tilts, sinogram, sinogram, self._data, *_factors(factors), np.int32(1))

    def data_over(self, sinogram: Any, factors: Any, tilts: DeviceProjection) -> None:
        """``sinogram <- factors data / (sinogram + background)``."""
        self._run_rays("data_over", tilts, sinogram, self._data, self._background, *_factors(factors))

    def invert(self, sums: Any, least: npt.NDArray[np.float64], *, volume: bool = True) -> None:
        """Invert a volume or a sinogram."""
        pixels = self._pixels(volume)
        limits = self._table(least).buffer
        self._run_pixels("invert", pixels, sums, limits, np.int32(pixels), self._chunks)

    def add(self, volume: Any, change: Any, factors: Any, step: float, bounds: Bounds) -> None:
        """``volume <- volume + step factors change``."""
        numbers = np.array([step, bounds.lowest, bounds.highest], np.float32)
        pixels = self._pixels(True)
        self._run_pixels(
            "add", pixels, volume, change, *_factors(factors), *numbers, np.int32(pixels), self._chunks
        )

    def multiply(self, volume: Any, change: Any, factors: Any, bounds: Bounds) -> None:
        """``volume <- volume factors change``."""
        numbers = np.array([bounds.lowest, bounds.highest], np.float32)
        pixels = self._pixels(True)
        self._run_pixels(
            "multiply", pixels, volume, change, *_factors(factors), *numbers, np.int32(pixels), self._chunks
        )

    def combine(
        self, x: Any, y: Any, a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], *, volume: bool
    ) -> None:
        """``y <- a x + b y``."""
        pixels = self._pixels(volume)
        numbers = [self._layout.pack(one[:, np.newaxis, :, np.newaxis]) for one in (a, b)]
        buffers = [self._queue.upload(one) for one in numbers]
        self._run_pixels("combine", pixels, x, y, *buffers, np.int32(pixels))
        self._queue.finish()
        for buffer in buffers:
            self._queue.release(buffer)

    def dot(self, x: Any, y: Any, *, volume: bool) -> npt.NDArray[np.float64]:
        """Return the inner products, shape (channel, slice)."""
        blocks, rows, columns, lanes = self._volume_shape if volume else self._sinogram_shape
        partial = self._queue.zeros((blocks, rows, lanes))
        self._run_pixels("products", rows, x, y, partial, np.int32(rows), np.int32(columns))
        products = self._layout.sum_slices(self._queue.read(partial, (blocks, rows, lanes)))
        self._queue.release(partial)
        return products

    def segment(self, volume: Any, segmented: Any, levels: npt.NDArray[np.float32]) -> None:
        """Set every voxel of `segmented` to the nearest of its channel's levels."""
        buffer, count = self._table(levels).buffer, np.int32(levels.shape[1])
        self._run_voxels("segment", volume, segmented, buffer, count, after=(self._chunks,))

    def choose_free(self, segmented: Any, free: Any, share: float, seed: int, first: int) -> None:
        """``free <- 1`` at edges and at a random share."""
        numbers = np.float32(share), np.uint32(seed), np.uint32(first)
        self._run_voxels("choose_free", segmented, free, *numbers, after=(self._chunks,))

    def replace(self, volume: Any, other: Any, mask: Any) -> None:
        """``volume <- other`` where the mask is 0."""
        self._run_voxels("replace", volume, other, mask)

    def smooth(self, volume: Any, smoothed: Any, mask: Any, weight: float) -> None:
        """``smoothed <- volume``, and where the mask is not 0 partly the mean of the voxels around it."""
        self._run_voxels("smooth", volume, smoothed, mask, np.float32(weight))

    def _pixels(self, volume: bool) -> int:
        _, rows, columns, _ = self._volume_shape if volume else self._sinogram_shape
        return rows * columns

    def _run_rays(self, name: str, tilts: DeviceProjection, *arguments: Any) -> None:
        detectors = self.problem.geometry.detector_pixels
        everything = *arguments, tilts.directions, np.int32(tilts.tilts), *self._rays
        self._queue.run("classical", name, *self._layout.block_range(detectors, tilts.tilts), *everything)

    def _run_pixels(self, name: str, pixels: int, *arguments: Any) -> None:
        self._queue.run("classical", name, *self._layout.block_range(pixels), *arguments)

    def _run_voxels(self, name: str, *arguments: Any, after: tuple[Any, ...] = ()) -> None:
        _, nz, nx, _ = self._volume_shape
        everything = *arguments, np.int32(nz), np.int32(nx), *after
        self._queue.run("dart", name, *self._layout.block_range(nx, nz), *everything)


def _factors(factors: Any) -> tuple[Any, np.int32]:
    return (factors.buffer, np.int32(1)) if isinstance(factors, _Table) else (factors, np.int32(0))


def _packed(problem: ProjectionData, layout: Layout) -> list[_Floats]:
    arrays = [layout.pack(marked(problem.data, problem.valid))]
    if problem.background is not None:
        arrays.append(layout.pack(problem.background))
    return arrays


def upload_ahead(problem: ProjectionData, device: DeviceInfo, executor: Executor) -> Upload:
    """Send projections to the device while another computation runs there."""
    channels, _, slices, _ = problem.data.shape
    layout = Layout.for_device(channels, slices, device)
    return Upload(executor, device, lambda: _packed(problem, layout))
