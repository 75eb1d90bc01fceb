"""The two iterations: rules for the steps, the published algorithm, and where they end."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.problems import joint_problem

from chemtomo.functionals import Problem
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector
from chemtomo.solvers.metric_norm import metric_norm
from chemtomo.solvers.numpy_backend import NumpyBackend
from chemtomo.solvers.primal_dual import FastIteration, PaperIteration, PrimalDualIteration, fast_step_sizes

GEOMETRY = ParallelBeam([-70, -45, -10, 15, 40, 75], 12, (8, 9), detector_axis=5.6)
NORM = Projector(GEOMETRY, 1, 1).norm()

COMBINATIONS = [
    {"data_term": data_term, "coupling": coupling, "second_order": second_order, "dims": dims}
    for (data_term, coupling), second_order, dims in itertools.product(
        (("kl", "frobenius"), ("l2", "none"), ("kl", "nuclear")), (True, False), (2, 3)
    )
]


def names(case: dict[str, Any]) -> str:
    return "-".join(
        (
            case["data_term"],
            case["coupling"],
            "tgv" if case["second_order"] else "tv",
            f"{case['dims']}d",
        )
    )


def problem(**changes: Any) -> Problem:
    """Two channels with a common edge, a ramp in one of them, and noise."""
    z, y, x = np.indices((8, 2, 9))
    inside = ((z - 3.5) ** 2 + (x - 4) ** 2 < 9).astype(np.float64)
    projections = Projector(GEOMETRY, 2, 2).forward(np.stack([inside * (1 + 0.1 * x), inside * (2 + y)]))
    data = np.random.default_rng(0).poisson(20 * projections).astype(np.float32) / 100
    common = {"weights": np.array([3.0, 2.0]), "alpha0": 0.4, "alpha1": 0.2, "operator_norm": NORM}
    return joint_problem(**({"geometry": GEOMETRY, "data": data} | common | changes))


def whole_model(**changes: Any) -> Problem:
    """The two channels with gains and a background, the second without some of the projections, shifted."""
    shifts = [0.4, -1.2, 0, 0.7, 0, 1.5]
    geometry = ParallelBeam(GEOMETRY.tilts_deg, 13, (8, 9), detector_axis=5.8, detector_shifts=shifts)
    gains = np.array([[1, 0.5, 0.8, 1.2, 2, 1], [0, 1, 0.7, 0.4, 0, 1]])
    z, y, x = np.indices((8, 2, 9))
    inside = ((z - 3.5) ** 2 + (x - 4) ** 2 < 9).astype(np.float64)
    projections = Projector(geometry, 2, 2).forward(np.stack([inside * (1 + 0.1 * x), inside * (2 + y)]))
    background = np.where(
        gains[:, :, None, None] > 0, 0.5 + 0.1 * projections.max() * np.ones_like(projections), 0
    )
    counts = np.random.default_rng(0).poisson(
        20 * (gains > 0)[:, :, None, None] * projections + 20 * background
    )
    return problem(
        geometry=geometry,
        data=counts.astype(np.float32) / 100,
        tilt_weights=gains,
        background=(background / 5).astype(np.float32),
        operator_norm=Projector(geometry, 1, 1).norm(),
        **changes,
    )


def fast(some: Problem) -> FastIteration:
    steps = fast_step_sizes(some)
    return FastIteration(NumpyBackend(some), steps, metric_norm(some, steps, NumpyBackend))


def advance(steps: PrimalDualIteration, iterations: int) -> PrimalDualIteration:
    for _ in range(iterations):
        steps.advance()
    return steps


# The rules for the steps


@pytest.mark.parametrize("data_term", ["kl", "l2"])
def test_steps_follow_the_unit_of_the_data(data_term: str) -> None:
    """In another unit the minimiser is another multiple, and all dual steps shrink by that factor."""
    some = problem(data_term=data_term)
    factor = 37.0
    weights = some.weights if data_term == "kl" else some.weights / factor
    other = problem(data_term=data_term, data=some.data * np.float32(factor), weights=weights)
    steps, others = fast_step_sizes(some), fast_step_sizes(other)
    assert steps.positivity is not None
    assert others.positivity is not None
    for name in ("first", "second"):
        assert getattr(others, name) == pytest.approx(getattr(steps, name) / factor, rel=1e-5)
    assert others.data == pytest.approx(np.array(steps.data) / factor, rel=1e-5)
    assert others.positivity == pytest.approx(np.array(steps.positivity) / factor, rel=1e-5)


def test_steps_of_every_channel_are_its_own() -> None:
    some = problem()
    swapped = problem(data=some.data[::-1], weights=some.weights[::-1])
    steps, others = fast_step_sizes(some), fast_step_sizes(swapped)
    assert (others.first, others.second) == (steps.first, steps.second)
    assert others.data == steps.data[::-1]
    assert others.positivity is not None
    assert others.positivity == (steps.positivity or ())[::-1]
    heavier = fast_step_sizes(problem(weights=some.weights * [1, 5]))
    assert heavier.data == pytest.approx([steps.data[0], 5 * steps.data[1]])


def test_the_typical_value_of_the_image_sets_the_steps_of_the_regulariser() -> None:
    """A disc with the normalised value 3 has a first-order step of 3 / 3, up to a factor of 2."""
    geometry = ParallelBeam(np.arange(-90, 90, 10.0), 32, (32, 32))
    z, x = np.indices((32, 32)) - 15.5
    disc = 3.0 * (z**2 + x**2 < 100)[np.newaxis, :, np.newaxis]
    projector = Projector(geometry, 1, 1)
    data = (projector.forward(disc) / projector.norm()).astype(np.float32)
    some = problem(geometry=geometry, data=data, weights=[1.0], operator_norm=projector.norm())
    steps = fast_step_sizes(some)
    assert 1 <= steps.first <= 2
    assert steps.second == pytest.approx(10 * steps.first)


def test_steps_with_gains_and_a_background() -> None:
    """The unit of the gains does not matter, missing data neither, and the image is above the background."""
    some = whole_model()
    assert some.tilt_weights is not None
    steps = fast_step_sizes(some)
    halved = dataclasses.replace(some, weights=some.weights / 2, tilt_weights=2 * some.tilt_weights)
    np.testing.assert_allclose(fast_step_sizes(halved).data, steps.data)
    brighter = dataclasses.replace(some, data=some.data + 7, background=some.background + np.float32(7))
    assert fast_step_sizes(brighter).first == pytest.approx(steps.first, rel=1e-4)
    assert fast_step_sizes(dataclasses.replace(some, background=None)).first < 0.95 * steps.first
    alone = fast_step_sizes(some.part(slice(1, 2)))
    kept = [1, 2, 3, 5]
    recorded = dataclasses.replace(
        some.part(slice(1, 2)),
        geometry=ParallelBeam(
            np.array(some.geometry.tilts_deg)[kept],
            13,
            (8, 9),
            detector_axis=5.8,
            detector_shifts=np.array(some.geometry.detector_shifts)[kept],
        ),
        data=some.data[1:, kept],
        tilt_weights=some.tilt_weights[1:, kept],
        background=some.background[1:, kept],
    )
    assert fast_step_sizes(recorded).first == pytest.approx(alone.first)
    assert fast_step_sizes(recorded).data == pytest.approx(alone.data)


def test_data_of_zeros_has_steps() -> None:
    steps = fast_step_sizes(problem(data=np.zeros_like(problem().data)))
    assert np.isfinite([steps.first, steps.second, *steps.data, *(steps.positivity or ())]).all()


# The published algorithm


def published(some: Problem, mu: npt.NDArray[np.float64], iterations: int) -> npt.NDArray[np.float64]:
    """Huber et al. 2019, algorithm 1, in its own variables: the image ``u`` of ``T u``, no metric.

    Minimises ``sum_c mu_c KL((T / n) u_c, f_c / n) + (TGV of u) / n^2`` with ``sigma = tau = 1 / sqrt(17)``.
    """
    n, step = some.operator_norm, 1 / np.sqrt(17)
    gradient = some.total_generalized_variation.gradient
    strain = some.total_generalized_variation.symmetrized_gradient
    mu, f = mu.reshape(-1, 1, 1, 1), some.data.astype(np.float64) / n

    def on_ball(p: npt.NDArray[np.float64], radius: float) -> npt.NDArray[np.float64]:
        return p / np.maximum(1, np.sqrt((p**2).sum(axis=(0, 1))) / radius)

    u = U = np.zeros(some.volume_shape)
    w = W = np.zeros(some.vector_shape)
    p, q, r = np.zeros(some.vector_shape), np.zeros(some.tensor_shape), np.zeros(some.data.shape)
    for _ in range(iterations):
        p = on_ball(p + step * (gradient.forward(U) - W), some.alpha1 / n**2)
        q = on_ball(q + step * strain.forward(W), some.alpha0 / n**2)
        a = r + step * some.projector.forward(U) / n
        r = (a + mu - np.sqrt((a - mu) ** 2 + 4 * step * mu * f)) / 2
        u_old, w_old = u, w
        u = np.maximum(0, u - step * (gradient.adjoint(p) + some.projector.adjoint(r) / n))
        w = w - step * (strain.adjoint(q) - p)
        U, W = 2 * u - u_old, 2 * w - w_old
    return u


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("iterations", [1, 2, 40])
def test_paper_steps_are_the_published_algorithm(dims: int, iterations: int) -> None:
    mu = np.array([0.05, 0.02])
    some = problem(dims=dims, weights=mu * NORM**2)
    expected = published(some, mu, iterations)
    found = advance(PaperIteration(NumpyBackend(some)), iterations).volume() / NORM
    assert expected.max() > 0
    np.testing.assert_allclose(found, expected, atol=2e-5 * expected.max())


# Where they end


@pytest.mark.parametrize("case", COMBINATIONS, ids=names)
def test_fast_steps_close_the_gap(case: dict[str, Any]) -> None:
    """The duality gap certifies the minimum, whatever the iteration."""
    some = problem(**case)
    found = advance(fast(some), 400).objective()
    assert found.gap is not None
    assert 0 < found.gap < 1e-2


@pytest.mark.parametrize("case", [COMBINATIONS[1], COMBINATIONS[4]], ids=names)
def test_both_iterations_have_the_same_minimum(case: dict[str, Any]) -> None:
    some = problem(**case)
    accelerated, plain = advance(fast(some), 400), advance(PaperIteration(NumpyBackend(some)), 1000)
    expected, found = plain.objective(), accelerated.objective()
    assert found.total == pytest.approx(expected.total, rel=1e-4)
    assert found.data == pytest.approx(expected.data, rel=1e-2)
    distance = np.linalg.norm(accelerated.volume() - plain.volume())
    assert distance < 0.01 * np.linalg.norm(plain.volume())


@pytest.mark.parametrize("case", COMBINATIONS, ids=names)
def test_the_gap_closes_for_the_whole_model(case: dict[str, Any]) -> None:
    """With gains, a background, shifts and missing projections: the answer is certified by its own bound."""
    some = whole_model(**case)
    steps = fast(some)
    gaps = [advance(steps, 250).objective().gap or 0.0 for _ in range(3)]
    assert 0 < gaps[-1] < 3e-4
    assert (np.diff(gaps) < 0).all()
    plain = advance(PaperIteration(NumpyBackend(some)), 1500)
    assert steps.objective().total == pytest.approx(plain.objective().total, rel=1e-3)


def test_fast_steps_need_fewer_iterations() -> None:
    some = problem()
    minimum = advance(fast(some), 400).objective().total
    accelerated, plain = (
        advance(fast(some), 50).objective(),
        advance(PaperIteration(NumpyBackend(some)), 50).objective(),
    )
    assert accelerated.total - minimum < 0.3 * (plain.total - minimum)


@pytest.mark.parametrize("weight", [1e-3, 1e3])
def test_fast_steps_with_extreme_weights(weight: float) -> None:
    """Channels three orders of magnitude apart, either way: nothing diverges or settles elsewhere."""
    some = problem(weights=problem().weights * [1, weight])
    steps = fast(some)
    gaps = [advance(steps, 150).objective().gap or 0.0 for _ in range(4)]
    assert (np.diff(gaps) < 0).all()
    assert 0 < gaps[-1] < 0.3 * gaps[0]


# The change of the image


def test_the_change_is_that_since_half_of_the_iterations() -> None:
    steps = fast(problem())
    images, asked = [steps.volume()], []
    for iteration in range(1, 101):
        steps.advance()
        images.append(steps.volume())
        if iteration % 5 == 0:
            asked.append((iteration, steps.change()))
    assert asked[0] == (5, None)
    assert all(change is not None for _, change in asked[1:])
    for iteration, change in asked[1:]:
        now = images[iteration]
        size = np.sqrt((now**2).sum(axis=(1, 2, 3)))
        since = [
            (np.sqrt(((now - before) ** 2).sum(axis=(1, 2, 3))) / size).max()
            for before in images[iteration // 4 : iteration // 2 + 1]
        ]
        assert change is not None
        assert min(abs(change - one) for one in since) < 2e-3
    assert asked[-1][1] is not None
    assert asked[1][1] is not None
    assert asked[-1][1] < 0.5 * asked[1][1]


def test_a_slice_is_one_of_the_volume() -> None:
    steps = advance(fast(problem()), 40)
    np.testing.assert_array_equal(steps.slice(1), steps.volume()[:, :, 1])
    assert steps.volume().min() == 0 < steps.volume().max()


def test_channels_alone_are_reconstructed_alone() -> None:
    """Uncoupled, the minimum of a channel does not depend on what else is there."""
    some = problem(coupling="none")
    both = advance(fast(some), 400).volume()
    for channel in range(2):
        one = dataclasses.replace(
            some, data=some.data[channel : channel + 1], weights=some.weights[channel : channel + 1]
        )
        alone = advance(fast(one), 400).volume()[0]
        assert np.linalg.norm(both[channel] - alone) < 5e-3 * np.linalg.norm(alone)
