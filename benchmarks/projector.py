"""Projection and back-projection, against ASTRA on all cores and a sparse matrix on one."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.astra_peer import DETECTOR_PIXELS, EDGE, TILTS_DEG, Astra, astra_on_all_cores
from benchmarks.machine import Limits
from benchmarks.measure import median_seconds
from chemtomo.geometry import ParallelBeam
from chemtomo.opencl import DeviceInfo
from chemtomo.opencl.layout import Layout
from chemtomo.opencl.projector import DeviceProjection, OpenCLProjector
from chemtomo.opencl.queue import Queue
from chemtomo.operators import Projector

CHANNELS = 4
GEOMETRY = ParallelBeam(TILTS_DEG, DETECTOR_PIXELS, (EDGE, EDGE))


class OnDevice:
    """A volume and a sinogram on the device, as an iteration has them."""

    def __init__(self, slices: int, device: DeviceInfo) -> None:
        layout = Layout.for_device(CHANNELS, slices, device)
        self._queue = Queue(device, layout.defines())
        self._projection = DeviceProjection(self._queue, layout, GEOMETRY)
        volume = np.random.default_rng(0).random(layout.shape(EDGE, EDGE), dtype=np.float32)
        self._volume = self._queue.zeros(volume.shape)
        self._queue.write(self._volume, volume)
        self._sinogram = self._queue.zeros(layout.shape(*GEOMETRY.sinogram_shape))

    def forward(self) -> None:
        self._projection.forward(self._volume, self._sinogram)
        self._queue.finish()

    def adjoint(self) -> None:
        self._projection.adjoint(self._sinogram, self._volume)
        self._queue.finish()


def run(device: DeviceInfo, limits: Limits, quick: bool) -> dict[str, Any]:
    sizes = (16, 64) if quick else (16, 64, 256)
    with astra_on_all_cores() as astra:
        results = [_measure(slices, device, limits, astra, 3 if quick else 5) for slices in sizes]
    return {
        "case": {
            "volume": [EDGE, EDGE],
            "tilts": len(TILTS_DEG),
            "detector_pixels": DETECTOR_PIXELS,
            "channels": CHANNELS,
        },
        "peer": {"astra": astra.version, "processes": astra.processes, "projector": "linear"}
        if isinstance(astra, Astra)
        else {"missing": astra},
        "results": [line for lines in results for line in lines],
    }


def _measure(
    slice_channels: int, device: DeviceInfo, limits: Limits, astra: Astra | str, repeats: int
) -> list[dict[str, Any]]:
    slices = slice_channels // CHANNELS
    mine = OnDevice(slices, device)
    host = OpenCLProjector(GEOMETRY, CHANNELS, slices, device)
    reference = Projector(GEOMETRY, CHANNELS, slices)
    volume = np.random.default_rng(0).random(reference.domain_shape, dtype=np.float32)
    sinogram = reference.forward(volume)
    multiply_adds = int(reference.matrix.nnz) * slice_channels
    touched = 4 * (EDGE**2 + len(TILTS_DEG) * DETECTOR_PIXELS) * slice_channels
    lines = []
    for direction, given in (("forward", volume), ("adjoint", sinogram)):
        actions = {
            "device": getattr(mine, direction),
            "with_transfers": lambda d=direction, g=given: getattr(host, d)(g),
            "sparse_matrix": lambda d=direction, g=given: getattr(reference, d)(g),
        }
        if isinstance(astra, Astra):
            actions["astra"] = lambda d=direction: astra.project(d, slice_channels)
        seconds = median_seconds(actions, repeats)
        own = seconds["device"]
        intensity = 2 * multiply_adds / touched
        gflop_per_s = 2e-9 * multiply_adds / own
        lines.append(
            {
                "direction": direction,
                "slice_channels": slice_channels,
                "seconds": seconds,
                "times_faster_than_astra": seconds["astra"] / own if "astra" in seconds else None,
                "times_faster_than_sparse_matrix": seconds["sparse_matrix"] / own,
                "gflop_per_s": gflop_per_s,
                "gb_per_s": 1e-9 * touched / own,
                "fraction_of_copy_bandwidth": 1e-9 * touched / own / limits.copy_gb_per_s,
                "flop_per_byte": intensity,
                "fraction_of_roofline": gflop_per_s / limits.roofline_gflop_per_s(intensity),
                "fraction_of_cached_multiply_adds": gflop_per_s / limits.cached_gflop_per_s,
            }
        )
    return lines
