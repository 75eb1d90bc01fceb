"""The updates of the primal-dual iteration on a device: see `chemtomo.solvers.backend`.

The same as `chemtomo.solvers.numpy_backend`, in two passes over memory besides the projections.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from chemtomo.functionals import Problem
from chemtomo.opencl.device import DeviceInfo
from chemtomo.opencl.image import DeviceImage
from chemtomo.opencl.upload import Upload
from chemtomo.opencl.variational.metric import DeviceMetric
from chemtomo.opencl.variational.objective import evaluate_objective
from chemtomo.opencl.variational.variables import DeviceVariables
from chemtomo.solvers.backend import DualStepSizes, PrimalStepSizes
from chemtomo.solvers.loop import Objective
from chemtomo.solvers.metric import FourierMetric

__all__ = ["OpenCLBackend"]

_NO_LIMIT = np.float32(1e18)  # its square is still finite


class OpenCLBackend(DeviceImage):
    """The variables of one problem on an OpenCL device, and their updates.

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
        self._variables = DeviceVariables(problem, device, upload)
        own = self._variables
        super().__init__(own.queue, own.layout, own.u, own.volume_shape)
        self._metric: DeviceMetric | None = None

    @property
    def problem(self) -> Problem:
        """What is minimised."""
        return self._problem

    def reserve(self, metric: FourierMetric) -> None:
        """Take the memory that `metric_update` will need: see `Backend.reserve`."""
        self._variables.require_positivity_dual()
        if self._metric is None or self._metric.metric is not metric:
            if self._metric is not None:
                self._metric.release()
            self._metric = DeviceMetric(self._queue, self._variables.defines, self._layout, metric)

    def reset(self) -> None:
        """Set every variable to zero."""
        self._variables.reset()

    def variables(self) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Yield the variables by their names: see `Backend.variables`."""
        yield from self._variables.read()

    def restore(self, variables: Mapping[str, npt.NDArray[np.float32]], relaxation: float) -> None:
        """Set the variables: see `Backend.restore`."""
        self._variables.over_relaxed = relaxation > 1
        self._variables.write(variables)

    def dual_update(self, step_sizes: DualStepSizes, relaxation: float) -> None:
        """Update the dual variables from the extrapolated primal ones: see `Backend.dual_update`."""
        own = self._variables
        self._dual_volume_update(step_sizes, relaxation, self._problem.alpha1, self._problem.alpha0, 0.0)
        own.project(own.u_extrapolated)
        self._queue.run(
            "data_term",
            "data_dual_update",
            *own.ray_range,
            own.r,
            own.projected,
            own.data,
            own.background,
            own.pixel_weights,
            own.constants(
                (*own.per_projection(step_sizes.data), *own.projection_weights, *own.projection_terms)
            ),
            *own.ray_size,
            np.float32(relaxation),
        )

    def _dual_volume_update(
        self, step_sizes: DualStepSizes, relaxation: float, alpha1: float, alpha0: float, limit: float
    ) -> None:
        own = self._variables
        if step_sizes.positivity is not None:
            own.require_positivity_dual()
        own.over_relaxed |= relaxation > 1
        positivity = step_sizes.positivity or (0.0,) * self._problem.channels
        self._queue.run(
            "total_variation",
            "dual_update",
            *own.voxel_range,
            own.u_extrapolated,
            own.w_extrapolated,
            own.p,
            own.q,
            own.s,
            own.constants(own.per_channel(positivity)),
            *own.size,
            *(
                np.float32(number)
                for number in (step_sizes.first, step_sizes.second, alpha1, alpha0, relaxation, limit)
            ),
        )

    def primal_update(self, step_sizes: PrimalStepSizes, relaxation: float) -> None:
        """Update the primal variables by a step along the gradient: see `Backend.primal_update`."""
        own = self._variables
        own.back_project(own.r)
        self._queue.run(
            "total_variation",
            "primal_update",
            *own.voxel_range,
            own.u,
            own.w,
            own.u_extrapolated,
            own.w_extrapolated,
            own.p,
            own.q,
            own.scratch,
            own.constants((*own.per_channel(step_sizes.image), *own.per_channel(step_sizes.field))),
            *own.size,
            np.float32(relaxation),
        )

    def metric_update(self, metric: FourierMetric, relaxation: float) -> None:
        """Update the primal variables by a step in a metric: see `Backend.metric_update`."""
        self.reserve(metric)
        assert self._metric is not None
        own = self._variables
        own.back_project(own.r)
        self._metric.update(
            (own.u, own.w, own.u_extrapolated, own.w_extrapolated),
            (own.p, own.q, own.s, own.scratch),
            own.size,
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
        own, layout, queue = self._variables, self._layout, self._queue
        own.reset()
        queue.write(own.u_extrapolated, layout.pack(u))
        if w is not None:
            queue.write(own.w_extrapolated, layout.pack_all(w))
        self._dual_volume_update(step_sizes, 1.0, float(_NO_LIMIT), float(_NO_LIMIT), float(_NO_LIMIT))
        own.project(own.u_extrapolated)
        queue.run(
            "data_term",
            "scaled_projection",
            *own.ray_range,
            own.r,
            own.projected,
            own.data,
            own.constants(own.per_projection(step_sizes.data)),
            *own.ray_size,
        )
        self.metric_update(metric, -1.0)  # from zero: u = + M^-1 (...)
        image = layout.unpack(queue.read(own.u, own.volume_shape))
        if w is None:
            return image, None
        fields = queue.read(own.w, (self._problem.dims, *own.volume_shape))
        return image, layout.unpack_all(fields)

    def objective(self) -> Objective:
        """Evaluate the objective and the duality gap at ``max(u, 0)`` and ``w``, in normalised units."""
        return evaluate_objective(self._variables, self._metric.scratch if self._metric else None)

    def projections(self) -> npt.NDArray[np.float32]:
        """Return ``A max(u, 0)``: see `Backend.projections`."""
        own = self._variables
        self._queue.run("objective", "positive_part", *own.voxel_range, own.u, own.scratch, *own.size)
        own.project(own.scratch)
        return self._layout.unpack(self._queue.read(own.projected, own.sinogram_shape))

    def change_data(self, problem: Problem) -> None:
        """Take other data: see `Backend.change_data`."""
        self._problem = problem
        self._variables.change_data(problem)

    def slice(self, y: int) -> npt.NDArray[np.float32]:
        """Return the slice ``y`` of ``max(u, 0)``, shape (channel, z, x)."""
        return np.maximum(super().slice(y), 0)

    def volume(self) -> npt.NDArray[np.float32]:
        """Return ``max(u, 0)``, shape (channel, z, y, x)."""
        return np.maximum(super().volume(), 0)
