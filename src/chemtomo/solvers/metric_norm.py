"""The factor that makes the Fourier-domain metric a bound: found, and remembered."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Hashable

import numpy as np
import numpy.typing as npt
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs

from chemtomo.errors import SolverError
from chemtomo.functionals import Problem
from chemtomo.solvers.backend import Backend, DualSteps
from chemtomo.solvers.metric import FourierMetric

__all__ = ["metric_norm"]

_MARGIN = 1.03
_SLICES = 4
_remembered: OrderedDict[Hashable, float] = OrderedDict()


def metric_norm(
    problem: Problem, steps: DualSteps, backend_of: Callable[[Problem], Backend]
) -> FourierMetric:
    """Return the metric of a problem and its dual steps, normalised.

    The factor is the largest eigenvalue of ``M^-1 K' Sigma K`` and a margin of 3 %. It is found by
    Arnoldi's method, because an estimate that is too small makes the iteration settle elsewhere or
    diverge. It depends on the geometry and the steps only, and is remembered.

    Parameters
    ----------
    problem : Problem
        Whose metric.
    steps : DualSteps
        Its dual steps, with those of the positivity.
    backend_of : callable
        Puts a problem on a device: the same problem with a few slices, on which the norm hardly depends.

    Raises
    ------
    SolverError
        When the eigenvalue is not found.
    """
    if steps.positivity is None:
        raise SolverError("found no positivity steps; expected one a channel for a Fourier-domain metric")
    constants = (steps.first, steps.second, steps.data, steps.positivity)
    metric = FourierMetric.of_problem(problem, *constants)
    slices = min(problem.slices, _SLICES if problem.dims == 3 else 1)
    key = (
        problem.geometry,
        slices,
        problem.dims,
        problem.second_order,
        round(problem.operator_norm, 6),
        tuple(float(f"{number:.3g}") for number in (steps.first, steps.second, *steps.data)),
    )
    if key not in _remembered:
        sizing = backend_of(dataclasses.replace(problem, data=problem.data[:, :, :slices]))
        _remembered[key] = _largest_eigenvalue(
            FourierMetric.of_problem(sizing.problem, *constants), steps, sizing
        )
        sizing.release()
        while len(_remembered) > 64:
            _remembered.popitem(last=False)
    return metric.with_norm(_MARGIN * _remembered[key])


def _largest_eigenvalue(metric: FourierMetric, steps: DualSteps, sizing: Backend) -> float:
    problem = sizing.problem
    image_size = int(np.prod(problem.volume_shape))
    size = image_size + (int(np.prod(problem.vector_shape)) if problem.second_order else 0)

    def apply(z: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        u = np.ascontiguousarray(z[:image_size], dtype=np.float32).reshape(problem.volume_shape)
        w = None
        if problem.second_order:
            w = np.ascontiguousarray(z[image_size:], dtype=np.float32).reshape(problem.vector_shape)
        image, field = sizing.linear_round(metric, steps, u, w)
        return image.ravel() if field is None else np.concatenate([image.ravel(), field.ravel()])

    start = np.random.default_rng(0).standard_normal(size).astype(np.float32)
    start[:image_size] += 1
    operator = LinearOperator((size, size), matvec=apply, dtype=np.float32)
    try:
        found = eigs(
            operator, k=1, which="LM", v0=start, ncv=12, tol=1e-3, maxiter=60, return_eigenvectors=False
        )
    except ArpackNoConvergence as error:
        raise SolverError(f"the norm of the metric was not found in {60} restarts") from error
    return float(np.real(found).max())
