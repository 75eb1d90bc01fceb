"""The updates of the primal-dual iteration in NumPy: slow, and the specification of the fast ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from chemtomo.errors import DataError
from chemtomo.functionals import Problem, duality_gap
from chemtomo.operators import FloatArray
from chemtomo.solvers.backend import DualStepSizes, MainMemory, PrimalStepSizes
from chemtomo.solvers.loop import Objective
from chemtomo.solvers.metric import FourierMetric

__all__ = ["NumpyBackend"]

_VARIABLES = {
    "u": "_u",
    "w": "_w",
    "U": "_u_extrapolated",
    "W": "_w_extrapolated",
    "p": "_p",
    "q": "_q",
    "r": "_r",
    "s": "_s",
}


class NumpyBackend(MainMemory):
    """The variables of one problem in main memory, float32: see `chemtomo.solvers.backend.Backend`.

    Parameters
    ----------
    problem : Problem
        What is minimised.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._regulariser = problem.total_generalized_variation
        self.reset()

    @property
    def problem(self) -> Problem:
        """What is minimised."""
        return self._problem

    def reserve(self, metric: FourierMetric) -> None:
        """Do nothing: main memory is taken as needed."""

    def reset(self) -> None:
        """Set every variable to zero."""
        problem = self.problem
        self._u = _zeros(problem.volume_shape)
        self._w = _zeros(problem.vector_shape)
        self._u_extrapolated = _zeros(problem.volume_shape)
        self._w_extrapolated = _zeros(problem.vector_shape)
        self._p = _zeros(problem.vector_shape)
        self._q = _zeros(problem.tensor_shape)
        self._r = _zeros(problem.data.shape)
        self._s = _zeros(problem.volume_shape)

    def variables(self) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Yield the variables by their names: see `Backend.variables`."""
        for name, attribute in _VARIABLES.items():
            yield name, getattr(self, attribute)

    def restore(self, variables: Mapping[str, npt.NDArray[np.float32]], relaxation: float) -> None:
        """Set the variables: see `Backend.restore`."""
        self.reset()
        for name, attribute in _VARIABLES.items():
            if name in variables:
                setattr(self, attribute, variables[name])

    def dual_update(self, step_sizes: DualStepSizes, relaxation: float) -> None:
        """Update the dual variables from the extrapolated primal ones: see `Backend.dual_update`."""
        U, W = self._u_extrapolated, self._w_extrapolated
        regulariser = self._regulariser

        p = self._p + np.float32(step_sizes.first) * (regulariser.gradient.forward(U) - W)
        self._p = _relaxed(self._p, regulariser.norm1.project_dual(p), relaxation)

        if self.problem.second_order:
            q = self._q + np.float32(step_sizes.second) * regulariser.symmetrized_gradient.forward(W)
            self._q = _relaxed(self._q, regulariser.norm0.project_dual(q), relaxation)

        r = self._r + self._per_channel(step_sizes.data) * self._project(
            U
        )  # prox_conjugate adds the background
        proximal = self.problem.discrepancy.prox_conjugate(r, step_sizes.data)
        self._r = _relaxed(self._r, proximal, relaxation)

        if step_sizes.positivity is not None:
            s = np.minimum(0, self._s + self._per_channel(step_sizes.positivity) * U)
            self._s = _relaxed(self._s, s, relaxation)

    def primal_update(self, step_sizes: PrimalStepSizes, relaxation: float) -> None:
        """Update the primal variables by a step along the gradient: see `Backend.primal_update`."""
        u = np.maximum(0, self._u - self._per_channel(step_sizes.image) * self._slope_u())
        self._u_extrapolated = (2 * u - self._u).astype(np.float32)
        self._u = _relaxed(self._u, u, relaxation)

        if self.problem.second_order:
            w = self._w - self._per_channel(step_sizes.field) * self._slope_w()
            self._w_extrapolated = (2 * w - self._w).astype(np.float32)
            self._w = _relaxed(self._w, w, relaxation)

    def metric_update(self, metric: FourierMetric, relaxation: float) -> None:
        """Update the primal variables by a step in a metric: see `Backend.metric_update`."""
        slope_w = self._slope_w() if self.problem.second_order else None
        du, dw = metric.solve(self._slope_u() + self._s, slope_w)

        self._u_extrapolated = (self._u - 2 * du).astype(np.float32)
        self._u = (self._u - relaxation * du).astype(np.float32)

        if dw is not None:
            self._w_extrapolated = (self._w - 2 * dw).astype(np.float32)
            self._w = (self._w - relaxation * dw).astype(np.float32)

    def apply_preconditioned_normal(
        self,
        metric: FourierMetric,
        step_sizes: DualStepSizes,
        u: npt.NDArray[np.float32],
        w: npt.NDArray[np.float32] | None,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
        """Apply ``M^-1 K^T Sigma K``: see `Backend.apply_preconditioned_normal`."""
        regulariser = self._regulariser
        field = np.zeros(self.problem.vector_shape, np.float32) if w is None else w
        self._p = (np.float32(step_sizes.first) * (regulariser.gradient.forward(u) - field)).astype(
            np.float32
        )
        self._q = np.float32(step_sizes.second) * regulariser.symmetrized_gradient.forward(field)
        measured = self.problem.discrepancy.measured
        self._r = (measured * self._per_channel(step_sizes.data) * self._project(u)).astype(np.float32)
        positivity = self._per_channel(step_sizes.positivity or (0.0,) * len(u))
        slope_u = self._slope_u() + positivity * u
        image, moved = metric.solve(slope_u, None if w is None else self._slope_w())
        self.reset()
        return image.astype(np.float32), None if moved is None else moved.astype(np.float32)

    def projections(self) -> npt.NDArray[np.float32]:
        """Return ``A max(u, 0)``: see `Backend.projections`."""
        return self._project(np.maximum(self._u, 0)).astype(np.float32)

    def change_data(self, problem: Problem) -> None:
        """Take other data: see `Backend.change_data`."""
        self._problem = problem

    def finish(self) -> None:
        """Do nothing: all is done when a method returns."""

    def objective(self) -> Objective:
        """Evaluate the objective and the duality gap at ``max(u, 0)`` and ``w``, in normalised units."""
        problem = self.problem
        gap = duality_gap(problem, self._u, self._w, self._p, self._q, self._r)
        data = problem.data_terms(self._u)
        return Objective(
            total=gap.primal,
            data=tuple(data.tolist()),
            regulariser=gap.primal - float(problem.weights @ data),
            gap=gap.relative,
        )

    def slice(self, y: int) -> npt.NDArray[np.float32]:
        """Return the slice ``y`` of ``max(u, 0)``, shape (channel, z, x)."""
        if not 0 <= y < self.problem.slices:
            raise DataError(f"slice: found y = {y}; expected 0 to {self.problem.slices - 1}")
        return np.maximum(self._u[:, :, y], 0)

    def volume(self) -> npt.NDArray[np.float32]:
        """Return ``max(u, 0)``, shape (channel, z, y, x)."""
        return np.maximum(self._u, 0)

    def _project(self, u: FloatArray) -> FloatArray:
        """Return ``A u``."""
        return self.problem.projector.forward(u) / np.float32(self.problem.operator_norm)

    def _slope_u(self) -> FloatArray:
        """Return ``grad^T p + A^T r``."""
        back_projection = self.problem.projector.adjoint(self._r) / np.float32(self.problem.operator_norm)
        return self._regulariser.gradient.adjoint(self._p) + back_projection

    def _slope_w(self) -> FloatArray:
        """``sym^T q - p``."""
        return self._regulariser.symmetrized_gradient.adjoint(self._q) - self._p

    def _per_channel(self, numbers: tuple[float, ...]) -> npt.NDArray[np.float32]:
        """One number per channel, against the axes (..., channel, *, *, *)."""
        if len(numbers) != self.problem.channels:
            raise DataError(
                f"step sizes: found {len(numbers)} for {self.problem.channels} channels; expected one each"
            )
        return np.array(numbers, np.float32).reshape(-1, 1, 1, 1)


def _zeros(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    return np.zeros(shape, np.float32)


def _relaxed(old: FloatArray, new: FloatArray, relaxation: float) -> npt.NDArray[np.float32]:
    """``old + relaxation (new - old)``, and exactly `new` without relaxation."""
    if relaxation == 1:
        return new.astype(np.float32, copy=False)
    return (old + np.float32(relaxation) * (new - old)).astype(np.float32, copy=False)
