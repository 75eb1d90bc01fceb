"""Every method of `chemtomo.solvers.backend.Backend`: a device does what the reference does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
from tests.opencl.backends import (
    CASES,
    SMALL,
    Case,
    assert_close,
    assert_constraints_matter,
    assert_same_objective,
    iterate_in_metric,
    iterate_plainly,
    metric_of,
    problem_of,
    steps_of,
)

from chemtomo.geometry import ParallelBeam
from chemtomo.solvers.backend import Backend
from chemtomo.solvers.numpy_backend import NumpyBackend


@pytest.mark.parametrize("case", CASES, ids=str)
def test_plain_updates(opencl_of: Callable[[Case], Backend], case: Case) -> None:
    reference, backend = NumpyBackend(problem_of(case)), opencl_of(case)
    for relaxation in (1.0, 1.8):
        reference.reset()
        backend.reset()
        iterate_plainly(reference, 4, relaxation)
        iterate_plainly(backend, 4, relaxation)
        assert_constraints_matter(reference)
        assert_close(backend.volume(), reference.volume())
        assert_same_objective(backend.objective(), reference.objective())
        # Evaluating it left the variables alone.
        iterate_plainly(reference, 2, relaxation)
        iterate_plainly(backend, 2, relaxation)
        assert_close(backend.volume(), reference.volume())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_metric_updates(opencl_of: Callable[[Case], Backend], case: Case) -> None:
    problem = problem_of(case)
    reference, backend = NumpyBackend(problem), opencl_of(case)
    dual, _ = steps_of(problem)
    metric = metric_of(problem, dual)
    for relaxation in (1.0, 1.8):
        reference.reset()
        backend.reset()
        iterate_in_metric(reference, metric, 4, relaxation)
        iterate_in_metric(backend, metric, 4, relaxation)
        assert_constraints_matter(reference)
        assert_close(backend.volume(), reference.volume())
        assert_same_objective(backend.objective(), reference.objective())
        # Evaluated between the two updates it leaves the extrapolations alone as well.
        reference.metric_update(metric, relaxation)
        backend.metric_update(metric, relaxation)
        assert_same_objective(backend.objective(), reference.objective())
        reference.dual_update(dual, relaxation)
        backend.dual_update(dual, relaxation)
        iterate_in_metric(reference, metric, 1, relaxation)
        iterate_in_metric(backend, metric, 1, relaxation)
        assert_close(backend.volume(), reference.volume())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_apply_preconditioned_normal(opencl_of: Callable[[Case], Backend], case: Case) -> None:
    problem = problem_of(case)
    reference, backend = NumpyBackend(problem), opencl_of(case)
    dual, _ = steps_of(problem)
    metric = metric_of(problem, dual)
    generator = np.random.default_rng(1)
    u = generator.standard_normal(problem.volume_shape).astype(np.float32)
    w = generator.standard_normal(problem.vector_shape).astype(np.float32) if problem.second_order else None
    iterate_in_metric(backend, metric, 1, 1.8)  # whatever was there before makes no difference
    image, field = backend.apply_preconditioned_normal(metric, dual, u, w)
    expected_image, expected_field = reference.apply_preconditioned_normal(metric, dual, u, w)
    assert_close(image, expected_image)
    assert (field is None) == (expected_field is None) == (w is None)
    if field is not None and expected_field is not None:
        assert_close(field, expected_field)


@pytest.mark.parametrize(("dims", "shape"), [(3, (1, 2)), (2, (12, 20)), (3, (21, 43))])
def test_apply_preconditioned_normal_for_other_sizes_of_the_grid(
    device: Any, dims: Literal[2, 3], shape: tuple[int, int]
) -> None:
    """The Fourier transforms are of 5, 16, 25 and 6, 24, 48 points: odd and even numbers of stages."""
    from chemtomo.opencl.variational import OpenCLBackend

    geometry = ParallelBeam([-50, 0, 70], 30, shape)
    problem = problem_of(
        dataclasses.replace(SMALL, dims=dims), geometry=geometry, data=np.ones((2, 3, 9, 30), np.float32)
    )
    dual, _ = steps_of(problem)
    metric = metric_of(problem, dual)
    assert metric.grid[::2] == {(1, 2): (5, 6), (12, 20): (16, 24), (21, 43): (25, 48)}[shape]
    generator = np.random.default_rng(1)
    u = generator.standard_normal(problem.volume_shape).astype(np.float32)
    w = generator.standard_normal(problem.vector_shape).astype(np.float32)
    image, field = OpenCLBackend(problem, device).apply_preconditioned_normal(metric, dual, u, w)
    expected_image, expected_field = NumpyBackend(problem).apply_preconditioned_normal(metric, dual, u, w)
    assert field is not None
    assert expected_field is not None
    assert_close(image, expected_image)
    assert_close(field, expected_field)


def test_another_metric_takes_the_place_of_the_first(opencl_of: Callable[[Case], Backend]) -> None:
    problem = problem_of(SMALL)
    reference, backend = NumpyBackend(problem), opencl_of(SMALL)
    dual, _ = steps_of(problem)
    for norm in (1.3, 2.6, 1.3):
        metric = metric_of(problem, dual, norm)
        iterate_in_metric(reference, metric, 2, 1.8)
        iterate_in_metric(backend, metric, 2, 1.8)
    assert_close(backend.volume(), reference.volume())


def test_memory_does_not_grow(opencl_of: Callable[[Case], Backend]) -> None:
    from chemtomo.opencl.variational import OpenCLBackend

    problem = problem_of(SMALL)
    backend = opencl_of(SMALL)
    assert isinstance(backend, OpenCLBackend)
    dual, _ = steps_of(problem)

    def use_everything() -> None:
        iterate_plainly(backend, 1, 1.8)
        iterate_in_metric(backend, metric_of(problem, dual), 1, 1.8)
        backend.objective()
        backend.reset()

    at_first = backend.allocated_bytes
    assert at_first > 4 * np.prod(problem.volume_shape)
    use_everything()
    with_metric = backend.allocated_bytes
    assert with_metric > at_first
    for _ in range(3):
        use_everything()
    assert backend.allocated_bytes == with_metric
