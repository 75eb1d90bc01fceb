"""Estimates of the device memory of a reconstruction."""

from __future__ import annotations

import dataclasses

from chemtomo.geometry import ParallelBeam
from chemtomo.opencl.device import DeviceInfo
from chemtomo.opencl.layout import Layout
from chemtomo.solvers.classical.problem import Needs
from chemtomo.solvers.metric import periodic_grid

__all__ = ["MemoryEstimate", "estimate_classical_memory", "estimate_variational_memory"]


@dataclasses.dataclass(frozen=True)
class MemoryEstimate:
    """Device memory in bytes.

    Attributes
    ----------
    total : int
        Of all buffers together.
    largest : int
        Of the largest buffer.
    streaming : int
        Additional memory with several slabs: the data of the next one and the image of the previous one.
    """

    total: int
    largest: int
    streaming: int = 0


def estimate_variational_memory(
    geometry: ParallelBeam,
    channels: int,
    slices: int,
    *,
    dims: int,
    second_order: bool,
    fast: bool,
    device: DeviceInfo,
    background: bool = False,
) -> MemoryEstimate:
    """Memory of `chemtomo.opencl.variational.OpenCLBackend`.

    Per voxel and channel, with the vectors of three and tensors of six components of TGV in 3D: two
    for u, two for w, one each for p and q, one for the back-projection; with the fast steps one for
    the positivity and four spectra. That is 18 floats and about 24. A background is one more sinogram.
    """
    layout = Layout.for_device(channels, slices, device)
    volume = _bytes(layout, *geometry.volume_shape)
    rays = _bytes(layout, *geometry.sinogram_shape)
    pairs = dims * (dims + 1) // 2
    volumes = 3 + dims
    largest = dims * volume
    if second_order:
        volumes += 2 * dims + pairs
        largest = pairs * volume
    total = volumes * volume + (4 if background else 3) * rays
    if fast:
        nz, _, nx = periodic_grid(geometry.volume_shape, slices, dims)
        fields = dims + 1 if second_order else 1
        spectrum = fields * _bytes(layout, nz | 1, 2 * (nx // 2 + 1))
        total += volume + spectrum + 4 * channels * nz * (nx // 2 + 1)
        largest = max(largest, spectrum)
    return MemoryEstimate(total + _SMALL_BUFFERS_BYTES, largest, volume + (2 if background else 1) * rays)


def estimate_classical_memory(
    geometry: ParallelBeam,
    channels: int,
    slices: int,
    *,
    needs: Needs,
    background: bool,
    device: DeviceInfo,
) -> MemoryEstimate:
    """Memory of a classical method on `chemtomo.opencl.classical.OpenCLWorkspace`.

    `needs` is besides the data; a background is one more sinogram.
    """
    layout = Layout.for_device(channels, slices, device)
    volume = _bytes(layout, *geometry.volume_shape)
    rays = _bytes(layout, *geometry.sinogram_shape)
    nz, nx = geometry.volume_shape
    tables = needs.voxel_tables * nz * nx + needs.ray_tables * geometry.tilts * geometry.detector_pixels
    data = 2 if background else 1
    return MemoryEstimate(
        needs.volumes * volume
        + (needs.sinograms + data) * rays
        + 4 * channels * tables
        + _SMALL_BUFFERS_BYTES,
        max(volume, rays),
        volume + data * rays,
    )


_SMALL_BUFFERS_BYTES = 2 * 2**20  # tables, constants, partial sums


def _bytes(layout: Layout, rows: int, columns: int) -> int:
    return 4 * layout.blocks * layout.block * rows * columns
