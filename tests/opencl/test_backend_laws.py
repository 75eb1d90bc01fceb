"""Laws that every `chemtomo.solvers.backend.Backend` obeys, in NumPy and on a device."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import pytest
from tests.opencl.backends import (
    CASES,
    LONG,
    SMALL,
    SMALL_SQUARES,
    MakeBackend,
    assert_close,
    assert_same_objective,
    iterate_in_metric,
    iterate_plainly,
    metric_of,
    problem_of,
    steps_of,
)

from chemtomo.errors import DataError
from chemtomo.solvers import Objective
from chemtomo.solvers.backend import DualStepSizes, PrimalStepSizes


@pytest.mark.parametrize("data_term", ["kl", "l2"])
def test_values_at_invalid_pixels_have_no_influence(
    backend_of: MakeBackend, data_term: Literal["kl", "l2"]
) -> None:
    """Whatever is there, to the last bit; what is valid has some."""
    case = dataclasses.replace(SMALL, data_term=data_term, whole_model=True)
    problem = problem_of(case)
    assert problem.valid is not None
    other = problem.data.copy()
    other[~problem.valid] = np.random.default_rng(2).choice([-7, 1e30, np.nan, 3], (~problem.valid).sum())
    changed = problem.data.copy()
    changed[problem.valid] += 1
    images, objectives = [], []
    for data in (problem.data, other, changed):
        backend = backend_of(problem_of(case, data=data))
        iterate_in_metric(backend, metric_of(problem, steps_of(problem)[0]), 3, 1.8)
        images.append(backend.volume())
        objectives.append(backend.objective())
    np.testing.assert_array_equal(images[1], images[0])
    assert objectives[1] == objectives[0]
    assert np.abs(images[2] - images[0]).max() > 1e-3


def test_a_problem_without_the_invalid_pixels_is_the_same(backend_of: MakeBackend) -> None:
    """Tilts that are invalid in every pixel are tilts that a channel has not got."""
    problem = problem_of(SMALL)
    left_out = [1, 4]
    valid = np.ones(problem.data.shape, bool)
    valid[-1, left_out] = False
    weights = np.ones(problem.data.shape[:2])
    weights[-1, left_out] = 0
    masked = backend_of(problem_of(SMALL, valid=valid))
    without = backend_of(problem_of(SMALL, tilt_weights=weights))
    for backend in (masked, without):
        iterate_in_metric(backend, metric_of(problem, steps_of(problem)[0]), 3, 1.8)
    assert_close(masked.volume(), without.volume(), 1e-6)
    assert_same_objective(masked.objective(), without.objective())


def test_apply_preconditioned_normal_is_linear(backend_of: MakeBackend) -> None:
    """Very large and very small arguments are neither cut off nor lost: powers of two are exact."""
    problem = problem_of(SMALL)
    backend = backend_of(problem)
    dual, _ = steps_of(problem)
    metric = metric_of(problem, dual)
    generator = np.random.default_rng(1)
    u = generator.standard_normal(problem.volume_shape).astype(np.float32)
    w = generator.standard_normal(problem.vector_shape).astype(np.float32)
    image, field = backend.apply_preconditioned_normal(metric, dual, u, w)
    assert field is not None
    for factor in (np.float32(2**40), np.float32(2**-40), np.float32(-1)):
        scaled_image, scaled_field = backend.apply_preconditioned_normal(metric, dual, factor * u, factor * w)
        assert scaled_field is not None
        assert_close(scaled_image, factor * image, 1e-6)
        assert_close(scaled_field, factor * field, 1e-6)


@pytest.mark.parametrize("data_term", ["kl", "l2"])
@pytest.mark.parametrize("scale", [2.0**-50, 2.0**50])
def test_the_unit_of_the_data_does_not_matter(
    backend_of: MakeBackend, data_term: Literal["kl", "l2"], scale: float
) -> None:
    """Data times c: the image is c times as large, the dual variables are the same.

    The steps are scaled along. With squares the weights are divided by c. For a power of two
    every number keeps its digits, as long as nothing over- or underflows.
    """
    case = SMALL if data_term == "kl" else SMALL_SQUARES
    problem = problem_of(case)
    weights = problem.weights / (scale if data_term == "l2" else 1)
    scaled_problem = problem_of(case, data=problem.data * np.float32(scale), weights=weights)
    plain, scaled = backend_of(problem), backend_of(scaled_problem)
    metric = metric_of(problem, steps_of(problem)[0])
    scaled_metric = metric_of(scaled_problem, steps_of(problem, scale)[0])
    for backend, unit, own_metric in ((plain, 1.0, metric), (scaled, scale, scaled_metric)):
        dual, primal = steps_of(problem, unit)
        for _ in range(3):
            backend.dual_update(dual, 1.8)
            backend.primal_update(primal, 1.8)
            backend.metric_update(own_metric, 1.8)
    assert_close(scaled.volume() / scale, plain.volume(), 1e-6)
    found, expected = scaled.objective(), plain.objective()
    assert found.total / scale == pytest.approx(expected.total, rel=1e-6)
    assert found.regulariser / scale == pytest.approx(expected.regulariser, rel=1e-6)
    assert found.gap == pytest.approx(expected.gap, rel=1e-5)


def test_reset_returns_to_zero(backend_of: MakeBackend) -> None:
    problem = problem_of(SMALL)
    backend = backend_of(problem)
    start = backend.objective()
    assert not backend.volume().any()
    assert start.data == pytest.approx(problem.data_terms(np.zeros(problem.volume_shape)), rel=1e-5)
    metric = metric_of(problem, steps_of(problem)[0])
    for _ in range(2):
        iterate_plainly(backend, 2, 1.8)
        iterate_in_metric(backend, metric, 2, 1.8)
        after = backend.volume()
        assert after.any()
        backend.reset()
        assert not backend.volume().any()
        assert backend.objective() == start
    iterate_plainly(backend, 2, 1.8)
    iterate_in_metric(backend, metric, 2, 1.8)
    np.testing.assert_array_equal(backend.volume(), after)


def test_slices_are_those_of_the_volume_and_may_be_kept(backend_of: MakeBackend) -> None:
    problem = problem_of(LONG)
    backend = backend_of(problem)
    iterate_plainly(backend, 2, 1.0)
    backend.finish()
    volume = backend.volume()
    assert volume.shape == problem.volume_shape
    assert volume.dtype == np.float32
    assert volume.min() == 0
    slices = {y: backend.slice(y) for y in (0, 63, 64, 69)}
    iterate_plainly(backend, 1, 1.0)
    for y, found in slices.items():
        np.testing.assert_array_equal(found, volume[:, :, y])
    for y in (-1, 70):
        with pytest.raises(DataError, match=f"found y = {y}; expected 0 to 69"):
            backend.slice(y)


def test_no_counts_at_all_give_nothing(backend_of: MakeBackend) -> None:
    """f = 0: zero is the minimum, and certified to be."""
    zeros = np.zeros_like(problem_of(SMALL).data)
    problem = problem_of(SMALL, data=zeros)
    backend = backend_of(problem)
    assert backend.objective() == Objective(0.0, (0.0, 0.0), 0.0, 0.0)
    iterate_plainly(backend, 3, 1.8)
    iterate_in_metric(backend, metric_of(problem, steps_of(problem)[0]), 3, 1.8)
    assert not backend.volume().any()
    assert backend.objective() == Objective(0.0, (0.0, 0.0), 0.0, 0.0)


def test_data_that_were_not_recorded_make_no_difference(backend_of: MakeBackend) -> None:
    """Whatever stands where a channel has no projection."""
    case = next(case for case in CASES if case.whole_model)
    problem = problem_of(case)
    data, background = problem.data.copy(), problem.background.copy()
    data[-1, [1, 4]] = 7
    background[-1, [1, 4]] = 3
    backends = backend_of(problem), backend_of(dataclasses.replace(problem, data=data, background=background))
    metric = metric_of(problem, steps_of(problem)[0])
    for backend in backends:
        iterate_plainly(backend, 2, 1.8)
        iterate_in_metric(backend, metric, 2, 1.8)
    np.testing.assert_array_equal(backends[0].volume(), backends[1].volume())
    assert backends[0].objective().total == pytest.approx(backends[1].objective().total, rel=1e-6)


def test_a_channel_without_counts_stays_empty(backend_of: MakeBackend) -> None:
    data = problem_of(SMALL).data.copy()
    data[1] = 0
    backend = backend_of(problem_of(SMALL, data=data))
    iterate_plainly(backend, 5, 1.8)
    volume = backend.volume()
    assert volume[0].any()
    assert not volume[1].any()
    assert backend.objective().data[1] == 0


@pytest.mark.parametrize("data_term", ["kl", "l2"])
def test_what_diverges_is_seen_in_the_objective(
    backend_of: MakeBackend, data_term: Literal["kl", "l2"]
) -> None:
    """No NaN is taken for a zero: the loop could not stop."""
    problem = problem_of(dataclasses.replace(SMALL, data_term=data_term))
    backend = backend_of(problem)
    dual, _ = steps_of(problem)
    metric = metric_of(problem, dual, norm=1e-30)
    with np.errstate(all="ignore"):
        for _ in range(10):
            backend.metric_update(metric, 1.8)
            backend.dual_update(dual, 1.8)
        assert not np.isfinite(backend.volume()).all()
        assert not np.isfinite(backend.objective().total)


def test_steps_for_another_number_of_channels(backend_of: MakeBackend) -> None:
    backend = backend_of(problem_of(SMALL))
    three = (0.1, 0.1, 0.1)
    for call in (
        lambda: backend.dual_update(DualStepSizes(0.1, 0.1, three), 1.0),
        lambda: backend.dual_update(DualStepSizes(0.1, 0.1, three[:2], three), 1.0),
        lambda: backend.primal_update(PrimalStepSizes(three, three[:2]), 1.0),
        lambda: backend.primal_update(PrimalStepSizes(three[:2], three), 1.0),
    ):
        with pytest.raises(DataError, match="step sizes: found 3 for 2 channels; expected one each"):
            call()


def test_memory_can_be_reserved_before(backend_of: MakeBackend) -> None:
    """And makes no difference to the result."""
    problem = problem_of(SMALL)
    backend, reserved = backend_of(problem), backend_of(problem)
    metric = metric_of(problem, steps_of(problem)[0])
    iterate_in_metric(backend, metric, 2, 1.8)
    reserved.reserve(metric)
    in_use = reserved.allocated_bytes
    iterate_in_metric(reserved, metric, 2, 1.8)
    np.testing.assert_array_equal(reserved.volume(), backend.volume())
    small_constants = 1000
    assert in_use <= reserved.allocated_bytes <= in_use + small_constants
    reserved.release()
    assert reserved.allocated_bytes == 0
