"""The updates of the primal-dual iteration on a device: see `chemtomo.solvers.backend`.

The same as `chemtomo.solvers.numpy_backend`, in two passes over memory besides the projections.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.errors import DataError
from chemtomo.functionals import KullbackLeibler, Problem
from chemtomo.opencl.device import DeviceInfo
from chemtomo.opencl.layout import Layout
from chemtomo.opencl.metric import DeviceMetric
from chemtomo.opencl.projector import DeviceProjection
from chemtomo.opencl.queue import Queue
from chemtomo.opencl.upload import Upload, marked
from chemtomo.solvers.backend import DualStepSizes, PrimalStepSizes
from chemtomo.solvers.loop import Objective
from chemtomo.solvers.metric import FourierMetric

__all__ = ["OpenCLBackend", "upload_ahead"]

_GAP_BOX = 1.2  # see chemtomo.functionals.duality_gap
_NO_LIMIT = np.float32(1e18)  # its square is still finite


class OpenCLBackend:
    """The variables of one problem on an OpenCL device.

    Parameters
    ----------
    problem : Problem
        What is minimised.
    device : DeviceInfo
        Where.
    upload : Upload, optional
        The data, if it was sent ahead: see `upload_ahead`.

    Raises
    ------
    DeviceMemoryError
        When the device cannot hold the variables.
    """

    def __init__(self, problem: Problem, device: DeviceInfo, upload: Upload | None = None) -> None:
        self._problem = problem
        channels, nz, slices, nx = problem.volume_shape
        self._layout = Layout.for_device(channels, slices, device)
        self._defines = self._layout.defines() | {
            "DIMS": problem.dims,
            "COUPLED": int(problem.coupled),
            "SECOND_ORDER": int(problem.second_order),
            "KULLBACK_LEIBLER": int(problem.data_term == "kl"),
            "BACKGROUND": int(problem.background is not None),
            "VALIDITY": int(problem.valid is not None),
        }
        self._queue = Queue(device, self._defines | {"POSITIVITY_DUAL": 0})
        self._size = (np.int32(nz), np.int32(slices), np.int32(nx), np.int32(self._layout.chunks))
        self._allocate(nz, nx, upload)
        self._projection = DeviceProjection(
            self._queue, self._layout, problem.geometry, 1 / problem.operator_norm
        )
        self._metric: DeviceMetric | None = None
        self._over_relaxed = False
        self._small: dict[tuple[float, ...], Any] = {}

    def _allocate(self, nz: int, nx: int, upload: Upload | None) -> None:
        volume = self._layout.shape(nz, nx)
        rays = self._layout.shape(*self._problem.geometry.sinogram_shape)
        self._volume_shape, self._sinogram_shape = volume, rays
        components = self._problem.dims
        pairs = components * (components + 1) // 2
        zeros = self._queue.zeros
        one = (1,)  # stands in for what a method does not have
        second = self._problem.second_order
        self._u, self._u_extrapolated = zeros(volume), zeros(volume)
        self._w = zeros((components, *volume) if second else one)
        self._w_extrapolated = zeros((components, *volume) if second else one)
        self._p = zeros((components, *volume))
        self._q = zeros((pairs, *volume) if second else one)
        self._s = zeros(one)  # grows when a metric needs it
        self._scratch = zeros(volume)
        self._r, self._projected = zeros(rays), zeros(rays)
        if upload is None:
            sent = [self._queue.upload(array) for array in _packed(self._problem, self._layout)]
        else:
            sent = [self._queue.adopt(buffer) for buffer in upload.take()]
        self._data, self._background = sent[0], sent[-1]  # the background is not read where there is none
        discrepancy = self._problem.discrepancy
        self._weights = (discrepancy.weight[:, np.newaxis] * discrepancy.tilt_weight).ravel().tolist()

    @property
    def problem(self) -> Problem:
        """What is minimised."""
        return self._problem

    @property
    def allocated_bytes(self) -> int:
        """Device memory in use."""
        return self._queue.allocated_bytes

    def reserve(self, metric: FourierMetric) -> None:
        """Take the memory that `metric_update` will need: see `Backend.reserve`."""
        self._require_positivity_dual()
        if self._metric is None or self._metric.metric is not metric:
            if self._metric is not None:
                self._metric.release()
            self._metric = DeviceMetric(self._queue, self._defines, self._layout, metric)

    def release(self) -> None:
        """Give the device memory back; the backend cannot be used any more."""
        self._queue.release_all()

    def release_all_but_image(self) -> None:
        """Give the device memory back, but for the image: only `slice` and `volume` work from now on."""
        self._queue.release_all(but=(self._u,))

    def reset(self) -> None:
        """Set every variable to zero."""
        self._over_relaxed = False
        for buffer in (
            self._u,
            self._u_extrapolated,
            self._w,
            self._w_extrapolated,
            self._p,
            self._q,
            self._s,
            self._r,
        ):
            self._queue.fill(buffer)

    def variables(self) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Yield the variables by their names: see `Backend.variables`."""
        for name, (buffer, shape) in self._named().items():
            yield name, self._layout.unpack_all(self._queue.read(buffer, shape))

    def restore(self, variables: Mapping[str, npt.NDArray[np.float32]], relaxation: float) -> None:
        """Set the variables: see `Backend.restore`."""
        self._over_relaxed = relaxation > 1
        for name, (buffer, _) in self._named().items():
            self._queue.write(buffer, self._layout.pack_all(variables[name]))

    def _named(self) -> dict[str, tuple[Any, tuple[int, ...]]]:
        volume, field = self._volume_shape, (self._problem.dims, *self._volume_shape)
        named = {"u": (self._u, volume), "U": (self._u_extrapolated, volume), "p": (self._p, field)}
        named["r"] = self._r, self._sinogram_shape
        if self._queue.defines["POSITIVITY_DUAL"]:
            named["s"] = self._s, volume
        if self._problem.second_order:
            pairs = self._problem.dims * (self._problem.dims + 1) // 2
            named |= {
                "w": (self._w, field),
                "W": (self._w_extrapolated, field),
                "q": (self._q, (pairs, *volume)),
            }
        return named

    def dual_update(self, step_sizes: DualStepSizes, relaxation: float) -> None:
        """Update the dual variables from the extrapolated primal ones: see `Backend.dual_update`."""
        self._dual_volume_update(step_sizes, relaxation, self._problem.alpha1, self._problem.alpha0, 0.0)
        self._projection.forward(self._u_extrapolated, self._projected)
        constants = self._constants((*self._per_projection(step_sizes.data), *self._weights))
        self._queue.run(
            "data_term",
            "data_dual_update",
            *self._ray_range(),
            self._r,
            self._projected,
            self._data,
            self._background,
            constants,
            *self._ray_size(),
            np.float32(relaxation),
        )

    def _dual_volume_update(
        self, step_sizes: DualStepSizes, relaxation: float, alpha1: float, alpha0: float, limit: float
    ) -> None:
        if step_sizes.positivity is not None:
            self._require_positivity_dual()
        self._over_relaxed |= relaxation > 1
        self._queue.run(
            "total_variation",
            "dual_update",
            *self._voxel_range(),
            self._u_extrapolated,
            self._w_extrapolated,
            self._p,
            self._q,
            self._s,
            self._constants(self._per_channel(step_sizes.positivity or (0.0,) * self._problem.channels)),
            *self._size,
            *(
                np.float32(number)
                for number in (step_sizes.first, step_sizes.second, alpha1, alpha0, relaxation, limit)
            ),
        )

    def primal_update(self, step_sizes: PrimalStepSizes, relaxation: float) -> None:
        """Update the primal variables by a step along the gradient: see `Backend.primal_update`."""
        self._projection.adjoint(self._r, self._scratch)
        self._queue.run(
            "total_variation",
            "primal_update",
            *self._voxel_range(),
            self._u,
            self._w,
            self._u_extrapolated,
            self._w_extrapolated,
            self._p,
            self._q,
            self._scratch,
            self._constants((*self._per_channel(step_sizes.image), *self._per_channel(step_sizes.field))),
            *self._size,
            np.float32(relaxation),
        )

    def metric_update(self, metric: FourierMetric, relaxation: float) -> None:
        """Update the primal variables by a step in a metric: see `Backend.metric_update`."""
        self.reserve(metric)
        assert self._metric is not None
        self._projection.adjoint(self._r, self._scratch)
        self._metric.update(
            (self._u, self._w, self._u_extrapolated, self._w_extrapolated),
            (self._p, self._q, self._s, self._scratch),
            self._size,
            relaxation,
        )

    def apply_preconditioned_normal(
        self,
        metric: FourierMetric,
        step_sizes: DualStepSizes,
        u: npt.NDArray[np.float32],
        w: npt.NDArray[np.float32] | None,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
        """Apply ``M^-1 K^T Sigma K``: see `Backend.apply_preconditioned_normal`."""
        self.reset()
        self._queue.write(self._u_extrapolated, self._layout.pack(u))
        if w is not None:
            packed = np.stack([self._layout.pack(component) for component in w])
            self._queue.write(self._w_extrapolated, packed)
        self._dual_volume_update(step_sizes, 1.0, float(_NO_LIMIT), float(_NO_LIMIT), float(_NO_LIMIT))
        self._projection.forward(self._u_extrapolated, self._projected)
        self._queue.run(
            "data_term",
            "scaled_projection",
            *self._ray_range(),
            self._r,
            self._projected,
            self._data,
            self._constants(self._per_projection(step_sizes.data)),
            *self._ray_size(),
        )
        self.metric_update(metric, -1.0)  # from zero: u = + M^-1 (...)
        image = self._layout.unpack(self._queue.read(self._u, self._volume_shape))
        if w is None:
            return image, None
        fields = self._queue.read(self._w, (self._problem.dims, *self._volume_shape))
        return image, np.stack([self._layout.unpack(field) for field in fields])

    def objective(self) -> Objective:
        """Evaluate the objective and the duality gap at ``max(u, 0)`` and ``w``, in normalised units."""
        problem, layout, queue = self._problem, self._layout, self._queue
        _, nz, _, _ = problem.volume_shape
        tilts = problem.geometry.tilts

        queue.run("objective", "positive_part", *self._voxel_range(), self._u, self._scratch, *self._size)
        partial_shape = (2, layout.chunks, nz, layout.chunk)
        partial = queue.zeros(partial_shape)
        queue.run(
            "objective", "regulariser_sums", *self._row_range(), self._scratch, self._w, partial, *self._size
        )
        first, second = queue.read(partial, partial_shape).reshape(2, -1).sum(axis=1, dtype=np.float64)
        regulariser = problem.alpha1 * float(first) + problem.alpha0 * float(second) * problem.second_order
        self._queue.release(partial)

        self._projection.forward(self._scratch, self._projected)
        largest = problem.data.max(axis=(1, 2, 3))
        floors = (KullbackLeibler.floor_factor * largest).tolist()
        partial_shape = (2, layout.blocks, tilts, layout.block)
        partial = queue.zeros(partial_shape)
        queue.run(
            "objective",
            "data_sums",
            (layout.block // layout.width, tilts, layout.blocks),
            (1, 1, 1),
            self._projected,
            self._data,
            self._background,
            self._r,
            self._constants((*self._weights, *problem.discrepancy.tilt_weight.ravel().tolist(), *floors)),
            partial,
            *self._ray_size(),
        )
        primal, dual = queue.read(partial, partial_shape)
        self._queue.release(partial)
        data = layout.sum_channels(primal)
        total = float(problem.weights @ data) + regulariser
        lower = float(layout.sum_channels(dual).sum()) - self._slope_penalty()
        gap = (total - lower) / total if total > 0 else 0.0
        return Objective(total, tuple(data.tolist()), regulariser, gap)

    def _slope_penalty(self) -> float:
        """Return what the slopes of the Lagrange function cost in the box: `functionals.duality_gap`.

        ``self._projected`` holds the feasible ``r`` and ``self._scratch`` is free.
        """
        layout, queue = self._layout, self._queue
        _, nz, _, _ = self._problem.volume_shape
        own_scales = None
        scales = self._scratch  # not read
        if self._over_relaxed:  # only then have the dual variables left their balls
            if self._metric is not None:
                scales = self._metric.scratch
            else:
                scales = own_scales = queue.zeros((2, *self._volume_shape))
            queue.run(
                "objective",
                "dual_scales",
                *self._voxel_range(),
                self._p,
                self._q,
                scales,
                *self._size,
                np.float32(self._problem.alpha1),
                np.float32(self._problem.alpha0),
            )
        self._projection.adjoint(self._projected, self._scratch)
        shape = (4, layout.blocks, nz, layout.block)
        partial = queue.zeros(shape)
        queue.run(
            "feasible_objective" if self._over_relaxed else "objective",
            "slope_sums",
            *self._row_range(),
            self._u,
            self._w,
            self._p,
            self._q,
            self._scratch,
            scales,
            partial,
            *self._size,
        )
        slope_u, slope_w, largest_u, largest_w = queue.read(partial, shape)
        queue.release(partial)
        if own_scales is not None:
            queue.release(own_scales)
        penalty = layout.max_channels(largest_u) @ layout.sum_channels(slope_u)
        penalty += layout.max_channels(largest_w) @ layout.sum_channels(slope_w)
        return _GAP_BOX * float(penalty)

    def slice(self, y: int) -> npt.NDArray[np.float32]:
        """Return the slice ``y`` of ``max(u, 0)``, shape (channel, z, x)."""
        if not 0 <= y < self._problem.slices:
            raise DataError(f"slice: found y = {y}; expected 0 to {self._problem.slices - 1}")
        return np.maximum(self._layout.unpack_slice(self._queue.read(self._u, self._volume_shape), y), 0)

    def volume(self) -> npt.NDArray[np.float32]:
        """Return ``max(u, 0)``, shape (channel, z, y, x)."""
        return np.maximum(self._layout.unpack(self._queue.read(self._u, self._volume_shape)), 0)

    def finish(self) -> None:
        """Wait until the device has done everything asked of it."""
        self._queue.finish()

    def _require_positivity_dual(self) -> None:
        """Give ``s`` its memory, and compile the kernels that update it."""
        if self._queue.defines["POSITIVITY_DUAL"]:
            return
        self._queue.release(self._s)
        self._s = self._queue.zeros(self._volume_shape)
        self._queue.redefine(self._defines | {"POSITIVITY_DUAL": 1})

    def _constants(self, numbers: tuple[float, ...]) -> Any:
        """Small arrays of constants, uploaded once each."""
        if numbers not in self._small:
            self._small[numbers] = self._queue.upload(np.array(numbers, dtype=np.float32))
        return self._small[numbers]

    def _per_channel(self, numbers: tuple[float, ...]) -> tuple[float, ...]:
        if len(numbers) != self._problem.channels:
            raise DataError(
                f"step sizes: found {len(numbers)} for {self._problem.channels} channels; expected one each"
            )
        return tuple(numbers)

    def _per_projection(self, numbers: tuple[float, ...]) -> tuple[float, ...]:
        """Repeat one number per channel for each of its projections; 0 where it has none."""
        table = np.array(self._per_channel(numbers))[:, np.newaxis] * self._problem.recorded
        return tuple(table.ravel().tolist())

    def _voxel_range(self) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        layout = self._layout
        items = layout.chunk // layout.width
        _, nz, nx, _ = self._volume_shape
        return (items, nx, nz * layout.chunks), (items, max(1, layout.group // items), 1)

    def _row_range(self) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        items = self._layout.chunk // self._layout.width
        return (items, 1, self._volume_shape[1] * self._layout.chunks), (items, 1, 1)

    def _ray_range(self) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        layout = self._layout
        items = layout.block // layout.width
        _, tilts, detectors, _ = self._sinogram_shape
        return (items, detectors, layout.blocks * tilts), (items, max(1, layout.group // items), 1)

    def _ray_size(self) -> tuple[np.int32, np.int32, np.int32]:
        """Tilts, detector pixels and chunks, for the kernels."""
        _, tilts, detectors, _ = self._sinogram_shape
        return np.int32(tilts), np.int32(detectors), self._size[3]


def upload_ahead(problem: Problem, device: DeviceInfo, executor: Executor) -> Upload:
    """Send the data of a problem to the device while another computation runs there.

    Parameters
    ----------
    problem : Problem
        That of the `OpenCLBackend` that will take the data.
    device : DeviceInfo
        Where.
    executor : concurrent.futures.Executor
        Gives the thread.
    """
    channels, _, slices, _ = problem.volume_shape
    layout = Layout.for_device(channels, slices, device)
    return Upload(executor, device, lambda: _packed(problem, layout))


def _packed(problem: Problem, layout: Layout) -> list[npt.NDArray[np.float32]]:
    """Return the data, and the background where there is one, as the device has them."""
    packed = [layout.pack(marked(problem.data, problem.valid))]
    return packed if problem.background is None else [*packed, layout.pack(problem.background)]
