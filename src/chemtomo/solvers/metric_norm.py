"""The factor that makes the Fourier-domain metric a bound: found, and remembered."""

from __future__ import annotations

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
_remembered: OrderedDict[Hashable, float] = OrderedDict()


class _StoppedError(Exception):
    """The caller wants no norm any more."""


def metric_norm(
    problem: Problem,
    steps: DualSteps,
    backend_of: Callable[[Problem], Backend],
    should_stop: Callable[[], bool] | None = None,
) -> FourierMetric:
    """Return the metric of a problem and its dual steps, normalised.

    The factor is the largest eigenvalue of ``M^-1 K' Sigma K`` and a margin of 3 %. It is found by
    Arnoldi's method, because an estimate that is too small makes the iteration settle elsewhere or
    diverge. It depends on the geometry and on ratios of the steps only, and is remembered.

    The channels do not mix in ``M^-1 K' Sigma K``, and the eigenvalue rises with the data step over the
    first-order step. So it is found for the channel with the largest data step, of those with the same tilts
    each. With derivatives
    across slices, one slice has the largest eigenvalue where the data dominate and two where the regulariser
    does, within 1 % of any number of slices; the larger of both is taken. (TV of just two slices could do
    with 15 % less.)

    Parameters
    ----------
    problem : Problem
        Whose metric.
    steps : DualSteps
        Its dual steps, with those of the positivity.
    backend_of : callable
        Puts a problem on a device: one channel of `problem`, of one or two slices.
    should_stop : callable, optional
        Asked now and then; ``True`` ends the search with a norm that is good for nothing.

    Raises
    ------
    SolverError
        When the eigenvalue is not found.
    """
    if steps.positivity is None:
        raise SolverError("found no positivity steps; expected one a channel for a Fourier-domain metric")
    metric = FourierMetric.of_problem(problem, steps.first, steps.second, steps.data, steps.positivity)
    groups: dict[bytes, list[int]] = {}
    for channel, has in enumerate(problem.recorded):
        groups.setdefault(has.tobytes(), []).append(channel)
    try:
        norms = [
            _of_channel(problem, steps, max(group, key=steps.data.__getitem__), backend_of, should_stop)
            for group in groups.values()
        ]
    except _StoppedError:
        return metric.with_norm(1e6)
    return metric.with_norm(_MARGIN * max(norms))


def _of_channel(
    problem: Problem,
    steps: DualSteps,
    channel: int,
    backend_of: Callable[[Problem], Backend],
    should_stop: Callable[[], bool] | None,
) -> float:
    """Largest eigenvalue for one channel, found or remembered."""
    positivity = (steps.positivity or ())[channel]
    one = DualSteps(steps.first, steps.second, (steps.data[channel],), (positivity,))
    ratios = (one.second / one.first, one.data[0] / one.first, positivity / one.first)
    across = problem.dims == 3 and problem.slices > 1
    key = (
        problem.geometry,
        problem.recorded[channel].tobytes(),
        across,
        problem.second_order,
        float(f"{problem.operator_norm:.6g}"),
        tuple(float(f"{ratio:.3g}") for ratio in ratios),
    )
    if key not in _remembered:
        _remembered[key] = max(
            _of_slices(problem, one, channel, slices, backend_of, should_stop)
            for slices in ((1, 2) if across else (1,))
        )
        while len(_remembered) > 64:
            _remembered.popitem(last=False)
    return _remembered[key]


def _of_slices(
    problem: Problem,
    steps: DualSteps,
    channel: int,
    slices: int,
    backend_of: Callable[[Problem], Backend],
    should_stop: Callable[[], bool] | None,
) -> float:
    """Largest eigenvalue for one channel of so many slices."""
    small = problem.part(slice(channel, channel + 1), slice(slices))
    backend = backend_of(small)
    positivity = steps.positivity or ()
    metric = FourierMetric.of_problem(small, steps.first, steps.second, steps.data, positivity)
    try:
        return _largest_eigenvalue(metric, steps, backend, should_stop)
    finally:
        backend.release()


def _largest_eigenvalue(
    metric: FourierMetric,
    steps: DualSteps,
    sizing: Backend,
    should_stop: Callable[[], bool] | None,
) -> float:
    problem = sizing.problem
    image_size = int(np.prod(problem.volume_shape))
    size = image_size + (int(np.prod(problem.vector_shape)) if problem.second_order else 0)

    def apply(z: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if should_stop is not None and should_stop():
            raise _StoppedError
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
            operator, k=1, which="LM", v0=start, ncv=12, tol=3e-3, maxiter=60, return_eigenvectors=False
        )
    except ArpackNoConvergence as error:
        raise SolverError(f"the norm of the metric was not found in {60} restarts") from error
    return float(np.real(found).max())
