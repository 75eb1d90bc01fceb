"""The primal step in the Fourier-domain metric on a device: see ``kernels/metric.cl``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chemtomo.opencl.layout import Layout
from chemtomo.opencl.queue import Queue
from chemtomo.solvers.metric import FourierMetric

__all__ = ["DeviceMetric"]


class DeviceMetric:
    """A `FourierMetric` with its spectrum buffer on a device.

    Parameters
    ----------
    variables : Queue
        The queue on which the variables are, so that everything stays in order.
    defines : mapping of str to int
        Constants of the backend's kernels.
    layout : Layout
        Order of the variables.
    metric : FourierMetric
        What is applied.
    """

    def __init__(
        self, variables: Queue, defines: Mapping[str, int], layout: Layout, metric: FourierMetric
    ) -> None:
        self.metric = metric
        self._layout = layout
        nz, ny, nx = metric.grid
        grid = {"GRID_X": nx, "GRID_Y": ny, "GRID_Z": nz, "POSITIVITY_DUAL": 1}
        self._queue = variables.beside(dict(defines) | grid)
        self._channels = layout.channels
        fields = metric.dims + 1 if metric.second_order else 1
        self._fields = fields
        self._frequencies = nx // 2 + 1
        self._spectrum = self._queue.zeros(
            (fields, layout.blocks, self._frequencies, nz | 1, 2, layout.block)
        )
        spectra = np.broadcast_to(metric.spectrum, (self._channels, *metric.spectrum.shape[1:]))
        self._lambda = self._queue.upload(spectra.transpose(0, 2, 1).astype(np.float32))
        self._roots_half = self._roots(nx // 2)
        self._roots_x = self._roots(nx)
        self._roots_y = self._roots(ny)
        self._roots_z = self._roots(nz)
        # The inverse real transform along x is of half the length: its factor is 1 / nx.
        scale = 1 / (metric.norm * nz * ny * nx)
        constants = (metric.first, metric.second / 2, scale, *metric.data, *metric.positivity)
        self._constants = self._queue.upload(np.array(constants, dtype=np.float32))

    def _roots(self, n: int) -> Any:
        angles = -2 * np.pi * np.arange(n + 1) / n
        return self._queue.upload(np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32))

    @property
    def scratch(self) -> Any:
        """A buffer of at least a volume (two with the second order), free between updates."""
        return self._spectrum

    def release(self) -> None:
        """Give the memory back."""
        for buffer in (
            self._spectrum,
            self._lambda,
            self._constants,
            self._roots_half,
            self._roots_x,
            self._roots_y,
            self._roots_z,
        ):
            self._queue.release(buffer)

    def update(
        self, primal: Sequence[Any], dual: Sequence[Any], size: Sequence[Any], relaxation: float
    ) -> None:
        """Update ``(u, w)`` and their extrapolations from ``(p, q, s, A^T r)``."""
        layout, queue = self._layout, self._queue
        nz, ny, _ = self.metric.grid
        rows, _, columns, _ = (int(number) for number in size)
        channels = self._channels
        voxel_range, row_range = layout.chunk_range(rows, columns), layout.row_range(rows, channels)
        roots_x = (self._roots_half, self._roots_x)
        # The extrapolations are not needed between the iterations: they take the gradient.
        gradient = primal[2], primal[3]
        queue.run("metric", "saddle_gradient", *voxel_range, *dual, *gradient, *size)
        queue.run("metric", "rows_to_spectrum", *row_range, *gradient, self._spectrum, *roots_x, *size)
        lanes = layout.block // layout.width
        column_range = (lanes, self._frequencies, layout.blocks), (lanes, 1, 1)

        def on_every_field(kernel: str) -> None:
            for field in range(self._fields):
                common = self._spectrum, self._roots_z, size[0], size[3]
                queue.run("metric", kernel, *column_range, *common, np.int32(field))

        if ny == 1:
            queue.run(
                "metric",
                "columns",
                *column_range,
                self._spectrum,
                self._lambda,
                self._roots_z,
                self._roots_x,
                self._constants,
                size[0],
                size[3],
            )
        else:
            on_every_field("columns_forward")
            queue.run(
                "metric",
                "across_slices",
                (channels * -(-nz // layout.width), self._frequencies, 1),
                (channels, 1, 1),
                self._spectrum,
                self._lambda,
                self._roots_z,
                self._roots_y,
                self._roots_x,
                self._constants,
                size[1],
                size[3],
            )
            on_every_field("columns_backward")
        queue.run(
            "metric",
            "spectrum_to_rows",
            *row_range,
            self._spectrum,
            *primal,
            *roots_x,
            *size,
            np.float32(relaxation),
        )
