"""The problem and its duality gap."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import minimize
from tests.problems import joint_problem

from chemtomo.errors import DataError, ParameterError
from chemtomo.functionals import Problem, duality_gap
from chemtomo.geometry import ParallelBeam

GEOMETRY = ParallelBeam([-60, -10, 20, 75], 7, (4, 5))

CASES = [
    {"data_term": data_term, "coupling": coupling, "second_order": second_order, "dims": dims}
    for data_term in ("kl", "l2")
    for coupling in ("none", "frobenius", "nuclear")
    for second_order in (False, True)
    for dims in (2, 3)
]


def problem(**changes: Any) -> Problem:
    counts = np.random.default_rng(0).poisson(3, (2, 4, 2, 7)).astype(np.float32)
    common = {
        "geometry": GEOMETRY,
        "data": counts,
        "weights": [0.5, 2.0],
        "alpha1": 1.5,
        "operator_norm": 3.7,
    }
    return joint_problem(**(common | changes))


def random(shape: tuple[int, ...], seed: int) -> npt.NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.fixture(params=CASES, ids=lambda case: "-".join(str(value) for value in case.values()))
def any_problem(request: pytest.FixtureRequest) -> Problem:
    return problem(**request.param)


def test_shapes() -> None:
    assert problem().channels == 2
    assert problem().slices == 2
    assert problem().volume_shape == (2, 4, 2, 5)
    assert problem().vector_shape == (3, 2, 4, 2, 5)
    assert problem().tensor_shape == (6, 2, 4, 2, 5)
    assert problem(dims=2).vector_shape == (2, 2, 4, 2, 5)
    assert problem(dims=2).tensor_shape == (3, 2, 4, 2, 5)


def test_objective_is_the_sum_of_its_terms(any_problem: Problem) -> None:
    u, w = np.abs(random(any_problem.volume_shape, 1)), random(any_problem.vector_shape, 2)
    first, second = any_problem.regulariser_terms(u, w)
    data = any_problem.data_terms(u)
    assert first > 0
    assert (second > 0) == any_problem.second_order
    assert any_problem.objective(u, w) == pytest.approx(0.5 * data[0] + 2 * data[1] + first + second)


def test_data_term_is_that_of_the_normalised_projections(any_problem: Problem) -> None:
    u = np.abs(random(any_problem.volume_shape, 1))
    projections = any_problem.projector.forward(u / 3.7)
    expected = any_problem.discrepancy.value(projections)
    np.testing.assert_allclose(any_problem.data_terms(u), expected)


def test_negative_parts_are_cut_off(any_problem: Problem) -> None:
    u, w = random(any_problem.volume_shape, 1), random(any_problem.vector_shape, 2)
    assert any_problem.objective(u, w) == any_problem.objective(np.maximum(u, 0), w)
    assert np.isfinite(any_problem.objective(-np.abs(u), w))


def test_float32_iterates_are_evaluated_in_float64(any_problem: Problem) -> None:
    u = random(any_problem.volume_shape, 1).astype(np.float32)
    w = random(any_problem.vector_shape, 2).astype(np.float32)
    exact = any_problem.objective(u.astype(np.float64), w.astype(np.float64))
    assert any_problem.objective(u, w) == exact


def test_the_normalisation_of_the_operator_is_a_choice_of_units() -> None:
    """With u in units of the norm n, weights m n and alpha stay the same problem."""
    u, w = np.abs(random((2, 4, 2, 5), 1)), random((3, 2, 4, 2, 5), 2)
    plain = problem(operator_norm=1.0).objective(u, w)
    scaled = problem(operator_norm=3.7, weights=[0.5 * 3.7, 2 * 3.7]).objective(3.7 * u, 3.7 * w)
    assert scaled == pytest.approx(3.7 * plain)


def test_without_the_second_order_the_field_is_not_needed() -> None:
    tv = problem(second_order=False)
    u = np.abs(random(tv.volume_shape, 1))
    assert tv.objective(u) == tv.objective(u, random(tv.vector_shape, 2))
    assert tv.objective(u) == pytest.approx(problem().objective(u, np.zeros(tv.vector_shape)))
    with pytest.raises(DataError, match=r"problem, w: found no array; expected one of shape \(3, 2,"):
        problem().objective(u)


def test_the_problem_does_not_follow_later_changes_of_the_weights() -> None:
    weights = np.array([0.5, 2.0])
    found = problem(weights=weights)
    weights[:] = 9
    np.testing.assert_array_equal(found.weights, [0.5, 2.0])
    with pytest.raises(ValueError, match="read-only"):
        found.weights[0] = 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": np.zeros((2, 5, 2, 7), np.float32)}, r"\(2, 5, 2, 7\); expected .* with 4 tilts and 7"),
        ({"data": np.zeros((2, 4, 2, 6), np.float32)}, r"\(2, 4, 2, 6\); expected .* with 4 tilts and 7"),
        ({"data": np.zeros((4, 2, 7), np.float32)}, r"\(4, 2, 7\); expected \(channel, tilt, y, detector"),
        ({"data": np.zeros((2, 4, 2, 7))}, "type float64; expected float32"),
        ({"data": np.full((2, 4, 2, 7), -1, np.float32)}, "is -1.0; expected none below 0"),
        ({"data": np.full((2, 4, 2, 7), np.nan, np.float32)}, "NaN or infinite values"),
        ({"weights": [1.0]}, r"shape \(1,\) for 2 channels"),
        ({"weights": [1.0, -1.0]}, "expected positive numbers"),
    ],
)
def test_bad_data_names_both_sides(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        problem(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dims": 4}, "found 4 dimensions; expected 2 or 3"),
        ({"data_term": "l1"}, "data term is 'l1'; expected 'kl' or 'l2'"),
        ({"alpha0": 0.0}, "alpha0 is 0.0; expected a positive number"),
        ({"alpha1": np.nan}, "alpha1 is nan; expected a positive number"),
        ({"operator_norm": -1.0}, "operator_norm is -1.0; expected a positive number"),
    ],
)
def test_bad_parameters_name_both_sides(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        problem(**changes)


def test_wrong_shape_of_the_volume() -> None:
    with pytest.raises(DataError, match=r"problem, u: found .* \(2, 4, 5\); expected \(2, 4, 2, 5\)"):
        problem().data_terms(np.zeros((2, 4, 5)))


def random_duals(any_problem: Problem, seed: int, size: float = 1.0) -> dict[str, Any]:
    return {
        "p": size * random(any_problem.vector_shape, seed),
        "q": size * random(any_problem.tensor_shape, seed + 1),
        "r": size * random(any_problem.data.shape, seed + 2),
    }


@pytest.mark.parametrize("size", [0.0, 0.3, 10.0])
def test_lower_bound_is_below_every_value_in_the_box(any_problem: Problem, size: float) -> None:
    """Weak duality: whatever the duals, also those that have to be made feasible first."""
    u, w = np.abs(random(any_problem.volume_shape, 1)), random(any_problem.vector_shape, 2)
    gap = duality_gap(any_problem, u, w, **random_duals(any_problem, 3, size))
    assert gap.primal == any_problem.objective(u, w)
    assert np.isfinite(gap.dual)
    generator = np.random.default_rng(7)
    for _ in range(20):
        other_u = 1.2 * u.max(axis=(1, 2, 3), keepdims=True) * generator.random(u.shape)
        largest = 1.2 * np.abs(w).max(axis=(0, 2, 3, 4), keepdims=True)
        other_w = largest * generator.uniform(-1, 1, w.shape)
        assert any_problem.objective(other_u, other_w) >= gap.dual
        assert any_problem.objective(0 * other_u, 0 * other_w) >= gap.dual


def test_lower_bound_is_the_minimum_of_the_lagrange_function(any_problem: Problem) -> None:
    """Against the values of the Lagrange function at the corners of the box that minimise it."""
    u, w = np.abs(random(any_problem.volume_shape, 1)), random(any_problem.vector_shape, 2)
    duals = random_duals(any_problem, 3, 0.1)
    regulariser = any_problem.total_generalized_variation
    gradient, strain = regulariser.gradient, regulariser.symmetrized_gradient
    p, q, r = duals["p"], duals["q"], duals["r"]
    projector, n = any_problem.projector, any_problem.operator_norm

    def lagrange(u: npt.NDArray[Any], w: npt.NDArray[Any]) -> float:
        value = np.vdot(gradient.forward(u), p) + np.vdot(projector.forward(u) / n, r)
        if any_problem.second_order:
            value += np.vdot(strain.forward(w), q) - np.vdot(w, p)
        return float(value) - any_problem.discrepancy.conjugate(r)

    slope_u = gradient.adjoint(p) + projector.adjoint(r) / n
    slope_w = strain.adjoint(q) - p
    corner_u = np.where(slope_u < 0, 1.2 * u.max(axis=(1, 2, 3), keepdims=True), 0)
    corner_w = -np.sign(slope_w) * 1.2 * np.abs(w).max(axis=(0, 2, 3, 4), keepdims=True)
    gap = duality_gap(any_problem, u, w, p, q, r)
    assert gap.dual == pytest.approx(lagrange(corner_u, corner_w))


def test_duals_are_made_feasible_first(any_problem: Problem) -> None:
    u, w = np.abs(random(any_problem.volume_shape, 1)), random(any_problem.vector_shape, 2)
    duals = random_duals(any_problem, 3, 10.0)
    regulariser = any_problem.total_generalized_variation
    feasible = {
        "p": regulariser.norm1.scale_into_ball(duals["p"]),
        "q": regulariser.norm0.scale_into_ball(duals["q"]),
        "r": any_problem.discrepancy.project_domain(duals["r"]),
    }
    expected = duality_gap(any_problem, u, w, **feasible).dual
    assert duality_gap(any_problem, u, w, **duals).dual == pytest.approx(expected)


def test_gap_closes_at_the_solution() -> None:
    """A problem of one pixel and one tilt, u = f: all duals 0 prove it."""
    one = joint_problem(
        ParallelBeam([0], 1, (1, 1)),
        np.full((1, 1, 1, 1), 2, np.float32),
        weights=np.array([3.0]),
        alpha0=1,
        dims=2,
        second_order=False,
    )
    solution = minimize(lambda u: one.objective(u.reshape(one.volume_shape)), [1.0]).x
    assert solution == pytest.approx(2.0, rel=1e-5)
    u, zero = np.full(one.volume_shape, 2.0), np.zeros(one.vector_shape)
    gap = duality_gap(one, u, None, zero, None, np.zeros(one.data.shape))
    assert gap.primal == gap.dual == gap.absolute == gap.relative == 0
    worse = duality_gap(one, 2 * u, None, zero, None, np.zeros(one.data.shape))
    assert worse.relative == 1


def test_gap_does_not_change_its_inputs(any_problem: Problem) -> None:
    arrays = {
        "u": random(any_problem.volume_shape, 1),
        "w": random(any_problem.vector_shape, 2),
        **random_duals(any_problem, 3, 10.0),
    }
    before = {name: array.copy() for name, array in arrays.items()}
    duality_gap(any_problem, **arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, before[name])


def test_gap_names_what_has_the_wrong_shape() -> None:
    some = problem()
    arrays = {
        "u": np.zeros(some.volume_shape),
        "w": np.zeros(some.vector_shape),
        **random_duals(some, 3),
    }
    for name, array in arrays.items():
        with pytest.raises(DataError, match=f", {name}: found an array of shape"):
            duality_gap(some, **(arrays | {name: array[..., :-1]}))


def test_a_problem_can_be_changed_and_is_checked_anew() -> None:
    assert dataclasses.replace(problem(), alpha0=2.0).alpha0 == 2.0
    with pytest.raises(ParameterError):
        dataclasses.replace(problem(), alpha0=-2.0)
