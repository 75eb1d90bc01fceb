"""The norm of the Fourier-domain metric: never too small, whatever the geometry, weights and slices."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest
from scipy.sparse.linalg import LinearOperator, eigsh
from tests.problems import joint_problem

from chemtomo.functionals import Problem
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector
from chemtomo.solvers.backend import DualStepSizes
from chemtomo.solvers.metric import FourierMetric
from chemtomo.solvers.metric_norm import MetricNorms, metric_norm
from chemtomo.solvers.numpy_backend import NumpyBackend

Array = npt.NDArray[np.float64]

FULL = np.arange(-90, 90, 5.0)
GEOMETRIES = {
    "full range": ParallelBeam(FULL, 9, (9, 9)),
    "60 degrees": ParallelBeam(np.linspace(-30, 30, 12), 9, (9, 9)),
    "three tilts": ParallelBeam([-60, 0, 50], 9, (9, 9)),
    "one tilt": ParallelBeam([10], 9, (9, 9)),
    "truncated": ParallelBeam(FULL, 6, (10, 10)),
    "axis aside": ParallelBeam(FULL, 9, (13, 9), detector_axis=2.3, volume_axis=(6, 2.3)),
}


def problem_of(geometry: ParallelBeam, slices: int, second_order: bool, dims: int = 3) -> Problem:
    data = np.ones((1, geometry.tilts, slices, geometry.detector_pixels), np.float32)
    norm = Projector(geometry, 1, 1).norm()
    return joint_problem(geometry, data, dims=dims, second_order=second_order, operator_norm=norm)


def steps_of(data: float) -> DualStepSizes:
    """Steps with the proportions of `fast_step_sizes`, and any weight of the data."""
    return DualStepSizes(10.0, 100.0, (data,), (2 * np.sqrt(10.0 * data),))


def largest_eigenvalue(problem: Problem, steps: DualStepSizes) -> float:
    """Of ``M^-1 K^T Sigma K``, by way of the symmetric ``Sigma^1/2 K M^-1 K^T Sigma^1/2``, in float64."""
    assert steps.positivity is not None
    metric = FourierMetric.of_problem(problem, steps.first, steps.second, steps.data, steps.positivity)
    regulariser, projector = problem.total_generalized_variation, problem.projector
    roots = np.sqrt([steps.first, steps.second, steps.data[0], steps.positivity[0]])
    shapes = [problem.vector_shape, problem.tensor_shape, problem.data.shape, problem.volume_shape]
    if not problem.second_order:
        shapes[1] = (0,)
    sizes = [int(np.prod(shape)) for shape in shapes]

    def apply(z: Array) -> Array:
        parts = np.split(z, np.cumsum(sizes)[:-1])
        p, q, r, s = (
            root * part.reshape(shape) for root, part, shape in zip(roots, parts, shapes, strict=True)
        )
        image = regulariser.gradient.adjoint(p) + projector.adjoint(r) / problem.operator_norm + s
        field = regulariser.symmetrized_gradient.adjoint(q) - p if problem.second_order else None
        u, w = metric.solve(image, field)
        first, second = regulariser.gradient.forward(u), np.zeros(0)
        if w is not None:
            first, second = first - w, regulariser.symmetrized_gradient.forward(w)
        back = (first, second, projector.forward(u) / problem.operator_norm, u)
        return np.concatenate([root * part.ravel() for root, part in zip(roots, back, strict=True)])

    size = sum(sizes)
    operator = LinearOperator((size, size), matvec=apply, dtype=np.float64)
    start = np.random.default_rng(1).standard_normal(size)
    return float(eigsh(operator, k=1, which="LA", v0=start, tol=1e-4, return_eigenvectors=False)[0])


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES.keys())
@pytest.mark.parametrize("second_order", [False, True], ids=["tv", "tgv"])
@pytest.mark.parametrize("data", [1e-2, 30.0, 1e4])
def test_the_norm_is_a_bound_and_a_tight_one(geometry: ParallelBeam, second_order: bool, data: float) -> None:
    """So that ``M - K^T Sigma K`` has no negative eigenvalue, and no step is wasted."""
    for slices, tight in ((1, 1.04), (2, 1.04 if second_order else 1.18)):
        problem = problem_of(geometry, slices, second_order)
        found = metric_norm(problem, steps_of(data), NumpyBackend).norm
        expected = largest_eigenvalue(problem, steps_of(data))
        assert expected <= found <= tight * expected


@pytest.mark.parametrize("second_order", [False, True], ids=["tv", "tgv"])
@pytest.mark.parametrize("data", [30.0, 1e4])
def test_the_norm_of_a_few_slices_is_a_bound_for_many(second_order: bool, data: float) -> None:
    geometry, steps = GEOMETRIES["full range"], steps_of(data)
    for slices in (5, 9, 17):
        problem = problem_of(geometry, slices, second_order)
        found = metric_norm(problem, steps, NumpyBackend).norm
        expected = largest_eigenvalue(problem, steps)
        assert expected <= found <= 1.07 * expected


@pytest.mark.parametrize("second_order", [False, True], ids=["tv", "tgv"])
def test_slices_by_themselves_have_one_norm(second_order: bool) -> None:
    steps = steps_of(30.0)
    one, many = (problem_of(GEOMETRIES["axis aside"], slices, second_order, dims=2) for slices in (1, 6))
    found = metric_norm(many, steps, NumpyBackend).norm
    assert largest_eigenvalue(many, steps) == pytest.approx(largest_eigenvalue(one, steps), rel=1e-3)
    assert found == metric_norm(one, steps, NumpyBackend).norm


def test_the_norm_of_channels_is_the_largest_of_each_alone() -> None:
    """Steps six orders of magnitude apart."""
    geometry = GEOMETRIES["full range"]
    alone = problem_of(geometry, 2, True)
    data = np.concatenate([alone.data, alone.data])
    both = joint_problem(geometry, data, operator_norm=alone.operator_norm)
    weak, strong = steps_of(1e-2), steps_of(1e4)
    assert weak.positivity is not None
    assert strong.positivity is not None
    together = DualStepSizes(10.0, 100.0, weak.data + strong.data, weak.positivity + strong.positivity)
    norms = [metric_norm(alone, steps, NumpyBackend).norm for steps in (weak, strong)]
    assert metric_norm(both, together, NumpyBackend).norm == pytest.approx(max(norms), rel=2e-3)
    assert norms[0] < 0.9 * norms[1]


def test_a_stop_ends_the_search_and_nothing_is_remembered() -> None:
    problem, steps = problem_of(GEOMETRIES["full range"], 2, True), steps_of(17.0)
    asked = []

    def stop() -> bool:
        asked.append(None)
        return len(asked) == 3

    norms = MetricNorms()
    stopped = metric_norm(problem, steps, NumpyBackend, stop, norms=norms).norm
    assert len(asked) == 3
    found = metric_norm(problem, steps, NumpyBackend, norms=norms).norm
    expected = largest_eigenvalue(problem, steps)
    assert expected <= found <= 1.05 * expected < stopped


def test_a_norm_does_not_depend_on_what_ran_before() -> None:
    """Steps that are nearly the same have norms of their own."""
    problem, norms = problem_of(GEOMETRIES["full range"], 2, True), MetricNorms()
    first, second = steps_of(30.0), steps_of(30.001)
    alone = [metric_norm(problem, steps, NumpyBackend).norm for steps in (first, second)]
    after = [metric_norm(problem, steps, NumpyBackend, norms=norms).norm for steps in (second, first)]
    assert after == alone[::-1]
    assert alone[0] != alone[1]


def test_a_norm_is_found_once_for_a_device() -> None:
    problem, steps, norms = problem_of(GEOMETRIES["three tilts"], 1, False), steps_of(30.0), MetricNorms()
    made: list[Problem] = []

    def backend_of(small: Problem) -> NumpyBackend:
        made.append(small)
        return NumpyBackend(small)

    for device in ("one", "one", "other"):
        metric_norm(problem, steps, backend_of, norms=norms, device=device)
    assert len(made) == 2


def test_few_norms_are_kept_those_that_were_asked_for_last() -> None:
    norms = MetricNorms(size=2)
    for key in ("a", "b", "a", "c"):
        norms.get(key, lambda: 1.0)
    assert norms.get("a", lambda: 2.0) == 1.0
    assert norms.get("b", lambda: 2.0) == 2.0


def test_norms_are_safe_between_threads() -> None:
    norms = MetricNorms(size=3)

    def ask(number: int) -> float:
        return norms.get(number % 7, lambda: float(number % 7))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(2000))) == [float(number % 7) for number in range(2000)]


def test_a_common_factor_of_the_steps_does_not_matter() -> None:
    """``M`` and ``K^T Sigma K`` both have it."""
    problem, steps = problem_of(GEOMETRIES["60 degrees"], 3, True), steps_of(30.0)
    assert steps.positivity is not None
    larger = DualStepSizes(70.0, 700.0, (7 * steps.data[0],), (7 * steps.positivity[0],))
    assert largest_eigenvalue(problem, larger) == pytest.approx(largest_eigenvalue(problem, steps), rel=1e-3)
    found = metric_norm(problem, larger, NumpyBackend).norm
    assert found == pytest.approx(metric_norm(problem, steps, NumpyBackend).norm, rel=5e-3)


@pytest.mark.parametrize("second_order", [False, True])
def test_channels_with_other_tilts_have_their_own_part_of_the_metric(second_order: bool) -> None:
    """Each channel, alone with its tilts, is bounded, and by hardly more than it needs."""
    geometry = ParallelBeam(FULL, 9, (9, 9), detector_shifts=np.linspace(-1, 1, FULL.size))
    few = np.zeros(FULL.size)
    few[::6] = 1
    problem = dataclasses.replace(
        problem_of(geometry, 1, second_order),
        data=np.ones((3, FULL.size, 1, 9), np.float32),
        weights=np.ones(3),
        tilt_weights=np.stack([np.ones(FULL.size), few, 0.5 * few]),
    )
    steps = DualStepSizes(10.0, 100.0, (40.0, 90.0, 4.0), tuple(2 * np.sqrt([400.0, 900.0, 40.0])))
    assert steps.positivity is not None
    metric = metric_norm(problem, steps, NumpyBackend)
    assert metric.spectrum.shape[0] == 3
    np.testing.assert_array_equal(metric.spectrum[1], metric.spectrum[2])
    needed = []
    for channel in range(3):
        kept = np.flatnonzero(problem.recorded[channel])
        of_its_own = ParallelBeam(FULL[kept], 9, (9, 9), detector_shifts=np.linspace(-1, 1, FULL.size)[kept])
        alone = dataclasses.replace(
            problem_of(of_its_own, 1, second_order), operator_norm=problem.operator_norm
        )
        own_steps = DualStepSizes(10.0, 100.0, (steps.data[channel],), (steps.positivity[channel],))
        needed.append(largest_eigenvalue(alone, own_steps))
    assert max(needed) <= metric.norm <= 1.06 * max(needed)
