"""The NumPy backend: each update by its formula, and iterations by where they end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.problems import PUBLISHED_MU, PUBLISHED_NORM, joint_problem, published_problem

from chemtomo.errors import DataError
from chemtomo.functionals import Problem
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector
from chemtomo.solvers.backend import DualStepSizes, PrimalStepSizes
from chemtomo.solvers.metric import FourierMetric
from chemtomo.solvers.numpy_backend import NumpyBackend

GEOMETRY = ParallelBeam([-60, -25, 0, 20, 55, 80], 13, (9, 10))
NORM = Projector(GEOMETRY, 1, 1).norm()
DUAL = DualStepSizes(first=0.3, second=0.4, data=(0.2, 0.5))
PRIMAL = PrimalStepSizes(image=(0.3, 0.2), field=(0.4, 0.1))

CASES = [
    {"data_term": data_term, "coupling": coupling, "second_order": second_order, "dims": dims}
    for data_term, coupling in (("kl", "frobenius"), ("l2", "none"), ("kl", "nuclear"))
    for second_order in (False, True)
    for dims in (2, 3)
]


def phantom() -> np.ndarray:
    """Two channels with a common edge, and a ramp in one of them, (channel, z, y, x)."""
    z, y, x = np.indices((9, 3, 10))
    inside = ((z - 4) ** 2 + (x - 5) ** 2 < 9).astype(np.float64)
    return np.stack([inside * (1 + 0.1 * x), inside * (1 + 0.2 * y)])


def problem(**changes: Any) -> Problem:
    projections = Projector(GEOMETRY, 2, 3).forward(phantom())
    data = np.random.default_rng(0).poisson(20 * projections).astype(np.float32) / 20
    common = {"weights": [3.0, 2.0], "alpha0": 0.4, "alpha1": 0.2, "operator_norm": NORM}
    return joint_problem(**({"geometry": GEOMETRY, "data": data} | common | changes))


@pytest.fixture(params=CASES, ids=lambda case: "-".join(str(value) for value in case.values()))
def any_problem(request: pytest.FixtureRequest) -> Problem:
    return problem(**request.param)


def diagonal_steps(some: Problem) -> tuple[DualStepSizes, PrimalStepSizes]:
    """Steps that converge: each primal step is 1 over a bound on its column of K^T Sigma K."""
    first, second, data = 0.1, 0.4, (0.5, 0.5)
    bound = 4 * some.dims * first
    image = tuple(0.9 / (bound + size) for size in data)
    field = (0.9 / (first + 4 * some.dims * second),) * 2
    return DualStepSizes(first, second, data), PrimalStepSizes(image, field)


def test_everything_starts_from_zero_and_returns_there(any_problem: Problem) -> None:
    backend = NumpyBackend(any_problem)
    assert not backend.volume().any()
    start = backend.objective()
    assert start.regulariser == pytest.approx(0, abs=1e-9 * start.total)
    for _ in range(3):
        backend.primal_update(PRIMAL, 1.0)
        backend.dual_update(DUAL, 1.0)
    assert backend.volume().any()
    assert backend.objective() != start
    backend.reset()
    assert not backend.volume().any()
    assert backend.objective() == start


def test_two_iterations_by_their_formulas(any_problem: Problem) -> None:
    """Written again with dense variables, dual first, relaxed by 1.5."""
    some, rho = any_problem, 1.5
    regulariser, projector = some.total_generalized_variation, some.projector
    gradient, strain = regulariser.gradient, regulariser.symmetrized_gradient
    tau_u, tau_w, sigma = (np.reshape(n, (-1, 1, 1, 1)) for n in (PRIMAL.image, PRIMAL.field, DUAL.data))
    second_order = some.second_order
    u = U = np.full(some.volume_shape, 0.0)
    w = W = np.zeros(some.vector_shape)
    p, q, r = np.zeros(some.vector_shape), np.zeros(some.tensor_shape), np.zeros(some.data.shape)
    backend = NumpyBackend(some)
    for _ in range(2):
        backend.dual_update(DUAL, rho)
        backend.primal_update(PRIMAL, rho)
        p = p + rho * (regulariser.norm1.project_dual(p + 0.3 * (gradient.forward(U) - W)) - p)
        q = q + rho * (regulariser.norm0.project_dual(q + 0.4 * strain.forward(W)) - q)
        argument = r + sigma * projector.forward(U) / NORM
        r = r + rho * (some.discrepancy.prox_conjugate(argument, DUAL.data) - r)
        u_new = np.maximum(0, u - tau_u * (gradient.adjoint(p) + projector.adjoint(r) / NORM))
        w_new = w - tau_w * (strain.adjoint(q) - p) if second_order else w
        U, W = 2 * u_new - u, 2 * w_new - w
        u, w = u + rho * (u_new - u), w + rho * (w_new - w)
    assert u.max() > 0
    np.testing.assert_allclose(backend.volume(), np.maximum(u, 0), atol=1e-5 * u.max())
    assert backend.objective().total == pytest.approx(some.objective(u, w), rel=1e-5)


def test_two_metric_updates_by_their_formulas(any_problem: Problem) -> None:
    """From the dual variables of a first update, with no other step in between."""
    some, rho = any_problem, 1.5
    positivity = (0.3, 0.7)
    metric = FourierMetric.of_problem(some, DUAL.first, DUAL.second, DUAL.data, positivity)
    backend = NumpyBackend(some)
    # Zero extrapolations leave p, q and s at zero, so r alone drives the image, and the image the field.
    backend.dual_update(DUAL, 1.0)
    r = some.discrepancy.prox_conjugate(np.zeros(some.data.shape), DUAL.data)
    field = np.zeros(some.vector_shape) if some.second_order else None
    du, dw = metric.solve(some.projector.adjoint(r) / NORM, field)
    backend.metric_update(metric, rho)
    backend.metric_update(metric, rho)
    u = -2 * rho * du
    w = np.zeros(some.vector_shape) if dw is None else -2 * rho * dw
    assert u.max() > 0
    np.testing.assert_allclose(backend.volume(), np.maximum(u, 0), atol=1e-5 * u.max())
    assert backend.objective().regulariser == pytest.approx(sum(some.regulariser_terms(u, w)), rel=1e-4)


def test_slices_are_those_of_the_volume_and_may_be_kept() -> None:
    backend = NumpyBackend(problem())
    backend.dual_update(DUAL, 1.0)
    backend.primal_update(PRIMAL, 1.0)
    volume, middle = backend.volume(), backend.slice(1)
    assert volume.shape == (2, 9, 3, 10)
    assert volume.dtype == middle.dtype == np.float32
    np.testing.assert_array_equal(middle, volume[:, :, 1])
    before = middle.copy()
    backend.dual_update(DUAL, 1.0)
    backend.primal_update(PRIMAL, 1.0)
    np.testing.assert_array_equal(middle, before)
    with pytest.raises(DataError, match="found y = 3; expected 0 to 2"):
        backend.slice(3)


def test_objective_has_the_terms_of_the_problem(any_problem: Problem) -> None:
    backend = NumpyBackend(any_problem)
    for _ in range(20):
        backend.dual_update(DUAL, 1.0)
        backend.primal_update(PRIMAL, 1.0)
    found = backend.objective()
    assert found.data == pytest.approx(any_problem.data_terms(backend.volume()))
    assert found.total == pytest.approx(np.dot(found.data, any_problem.weights) + found.regulariser)
    assert found.gap is not None
    assert 0 < found.gap < np.inf


def test_diagonal_steps_close_the_gap(any_problem: Problem) -> None:
    backend = NumpyBackend(any_problem)
    dual, primal = diagonal_steps(any_problem)
    for _ in range(400):
        backend.primal_update(primal, 1.8)
        backend.dual_update(dual, 1.8)
    assert backend.objective().gap == pytest.approx(0, abs=3e-3)


def test_metric_steps_reach_the_same_minimum(any_problem: Problem) -> None:
    """Another iteration, with the constraint as a dual variable, ends where the diagonal one does."""
    backend, other = NumpyBackend(any_problem), NumpyBackend(any_problem)
    dual, primal = diagonal_steps(any_problem)
    positivity = tuple(2 * np.sqrt(dual.first * size) for size in dual.data)
    metric = FourierMetric.of_problem(any_problem, dual.first, dual.second, dual.data, positivity)
    metric = metric.with_norm(2.0)  # more than enough for these few pixels
    with_positivity = DualStepSizes(dual.first, dual.second, dual.data, positivity)
    for _ in range(400):
        backend.primal_update(primal, 1.8)
        backend.dual_update(dual, 1.8)
        other.metric_update(metric, 1.8)
        other.dual_update(with_positivity, 1.8)
    found, expected = other.objective(), backend.objective()
    assert found.total == pytest.approx(expected.total, rel=2e-3)
    assert found.gap == pytest.approx(0, abs=3e-3)


def test_steps_for_another_number_of_channels() -> None:
    backend = NumpyBackend(problem())
    with pytest.raises(DataError, match="step sizes: found 3 for 2 channels; expected one each"):
        backend.dual_update(DualStepSizes(0.1, 0.1, (0.1, 0.1, 0.1)), 1.0)


def test_ten_published_iterations(data_folder: Path) -> None:
    """The published iteration on its own data, mirrored as it is stored: its objective.

    In normalised units its steps 1 / sqrt(17) are n / sqrt(17) for the dual and 1 / (n sqrt(17))
    for the primal variables, and its objective is ours divided by n squared.
    """
    folder = data_folder / "reference"
    some, norm, mu = published_problem(folder), PUBLISHED_NORM, PUBLISHED_MU
    sigma, tau = norm / np.sqrt(17), 1 / (norm * np.sqrt(17))
    backend = NumpyBackend(some)
    table = np.load(folder / "C_objs.npy")
    for iteration in range(1, 11):
        backend.dual_update(DualStepSizes(sigma, sigma, (sigma,) * 4), 1.0)
        backend.primal_update(PrimalStepSizes((tau,) * 4, (tau,) * 4), 1.0)
        if iteration in (1, 10):
            expected = table[table[:, 0] == iteration][0]
            found = backend.objective()
            np.testing.assert_allclose(mu * found.data, expected[2:6], rtol=1e-4)
            assert found.regulariser / norm**2 == pytest.approx(expected[6:].sum(), rel=1e-4)
