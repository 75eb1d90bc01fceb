"""The factor that makes the Fourier-domain metric a bound: found, and kept."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

import numpy as np
import numpy.typing as npt
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs

from chemtomo.errors import SolverError
from chemtomo.functionals import Problem
from chemtomo.solvers.backend import Backend, DualStepSizes
from chemtomo.solvers.metric import FourierMetric

__all__ = ["MetricNorms", "metric_norm"]

_SAFETY_FACTOR = 1.03
_MOST_RESTARTS = 60


class MetricNorms:
    """Eigenvalues that were found, for other slabs and later runs on the same data; safe between threads.

    Parameters
    ----------
    size : int
        How many are kept; those that were not asked for the longest go first.
    """

    def __init__(self, size: int = 64) -> None:
        self._size = size
        self._found: OrderedDict[Hashable, float] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, find: Callable[[], float]) -> float:
        """Return the value of a key; the first time it is found by `find`, and not kept if that raises."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]
        value = find()  # outside of the lock: others need not wait for it
        with self._lock:
            self._found[key] = value
            while len(self._found) > self._size:
                self._found.popitem(last=False)
        return value


class _StoppedError(Exception):
    """The caller wants no norm any more."""


def metric_norm(
    problem: Problem,
    step_sizes: DualStepSizes,
    backend_of: Callable[[Problem], Backend],
    should_stop: Callable[[], bool] | None = None,
    *,
    norms: MetricNorms | None = None,
    device: Hashable = None,
) -> FourierMetric:
    """Return the metric of a problem and its dual step sizes, normalised.

    The factor is the largest eigenvalue of ``M^-1 K^T Sigma K`` and a margin of 3 %. It is found by
    Arnoldi's method, because an estimate that is too small makes the iteration settle elsewhere or
    diverge. It depends on the geometry and on ratios of the step sizes only.

    The channels do not mix in ``M^-1 K^T Sigma K``, and the eigenvalue rises with the ratio of the step size
    of the data to that of the first order. So among channels with the same tilts only the one with the
    largest step size of the data is looked at. With derivatives across slices, one slice has the largest
    eigenvalue where the data dominate and two slices where the regulariser does, within 1 % of any number of
    slices; the larger of the two is taken. (TV of just two slices could do with 15 % less.)

    Parameters
    ----------
    problem : Problem
        Whose metric.
    step_sizes : DualStepSizes
        Its dual steps, with those of the positivity.
    backend_of : callable
        Puts a problem on a device: one channel of `problem`, of one or two slices.
    should_stop : callable, optional
        Asked regularly; ``True`` ends the search with a norm that must not be used.
    norms : MetricNorms, optional
        Where what is found is kept.
    device : hashable, optional
        Where `backend_of` computes: another device rounds differently.

    Raises
    ------
    SolverError
        When the eigenvalue is not found.
    """
    if step_sizes.positivity is None:
        raise SolverError(
            "found no step sizes of the positivity; expected one per channel for a Fourier-domain metric"
        )
    metric = FourierMetric.of_problem(
        problem, step_sizes.first, step_sizes.second, step_sizes.data, step_sizes.positivity
    )
    groups: dict[bytes, list[int]] = {}
    for channel, has in enumerate(problem.recorded):
        groups.setdefault(has.tobytes(), []).append(channel)
    kept = MetricNorms() if norms is None else norms
    try:
        largest = max(
            _of_channel(
                problem,
                step_sizes,
                max(group, key=step_sizes.data.__getitem__),
                backend_of,
                should_stop,
                kept,
                device,
            )
            for group in groups.values()
        )
    except _StoppedError:
        return metric.with_norm(1e6)
    return metric.with_norm(_SAFETY_FACTOR * largest)


def _of_channel(
    problem: Problem,
    step_sizes: DualStepSizes,
    channel: int,
    backend_of: Callable[[Problem], Backend],
    should_stop: Callable[[], bool] | None,
    norms: MetricNorms,
    device: Hashable,
) -> float:
    """Largest eigenvalue for one channel, found or kept."""
    positivity = (step_sizes.positivity or ())[channel]
    own = DualStepSizes(step_sizes.first, step_sizes.second, (step_sizes.data[channel],), (positivity,))
    across = problem.dims == 3 and problem.slices > 1
    # Everything that the eigenvalue depends on, to the last bit: it must not depend on earlier runs.
    key = (
        device,
        problem.geometry,
        problem.recorded[channel].tobytes(),
        across,
        problem.second_order,
        problem.operator_norm,
        own,
    )
    return norms.get(
        key,
        lambda: max(
            _of_slices(problem, own, channel, slices, backend_of, should_stop)
            for slices in ((1, 2) if across else (1,))
        ),
    )


def _of_slices(
    problem: Problem,
    step_sizes: DualStepSizes,
    channel: int,
    slices: int,
    backend_of: Callable[[Problem], Backend],
    should_stop: Callable[[], bool] | None,
) -> float:
    """Largest eigenvalue for one channel of so many slices."""
    # With all pixels, none of them binned: both only lower the eigenvalue, and couple or tell apart slices.
    everywhere = dataclasses.replace(problem, valid=None, factors=None)
    small = everywhere.part(slice(channel, channel + 1), slice(slices))
    backend = backend_of(small)
    positivity = step_sizes.positivity or ()
    metric = FourierMetric.of_problem(small, step_sizes.first, step_sizes.second, step_sizes.data, positivity)
    try:
        return _largest_eigenvalue(metric, step_sizes, backend, should_stop)
    finally:
        backend.release()


def _largest_eigenvalue(
    metric: FourierMetric,
    step_sizes: DualStepSizes,
    backend: Backend,
    should_stop: Callable[[], bool] | None,
) -> float:
    problem = backend.problem
    image_size = int(np.prod(problem.volume_shape))
    size = image_size + (int(np.prod(problem.vector_shape)) if problem.second_order else 0)

    def apply(z: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if should_stop is not None and should_stop():
            raise _StoppedError
        u = np.ascontiguousarray(z[:image_size], dtype=np.float32).reshape(problem.volume_shape)
        w = None
        if problem.second_order:
            w = np.ascontiguousarray(z[image_size:], dtype=np.float32).reshape(problem.vector_shape)
        image, field = backend.apply_preconditioned_normal(metric, step_sizes, u, w)
        return image.ravel() if field is None else np.concatenate([image.ravel(), field.ravel()])

    start = np.random.default_rng(0).standard_normal(size).astype(np.float32)
    start[:image_size] += 1
    operator = LinearOperator((size, size), matvec=apply, dtype=np.float32)
    try:
        found = eigs(
            operator,
            k=1,
            which="LM",
            v0=start,
            ncv=12,
            tol=3e-3,
            maxiter=_MOST_RESTARTS,
            return_eigenvectors=False,
        )
    except ArpackNoConvergence as error:
        raise SolverError(f"the norm of the metric was not found in {_MOST_RESTARTS} restarts") from error
    return float(np.real(found).max())
