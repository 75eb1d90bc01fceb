"""Problems of every kind, and their iterations on a backend, for the tests of backends."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest

from chemtomo.functionals import Problem
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector
from chemtomo.solvers import Objective
from chemtomo.solvers.backend import Backend, DualStepSizes, PrimalStepSizes
from chemtomo.solvers.metric import FourierMetric
from chemtomo.solvers.numpy_backend import NumpyBackend

GEOMETRY = ParallelBeam(
    [-80.2, -41, -20, 0, 15, 45, 90],
    14,
    (8, 11),
    detector_axis=6.2,
    volume_axis=(3.6, 4.9),
    detector_shifts=[0, 1.3, -0.6, 0, 0.01, -2, 1],
)
NORM = Projector(GEOMETRY, 1, 1).norm()


@dataclasses.dataclass(frozen=True)
class Case:
    """A kind of problem, and how it lies in memory."""

    layout: Literal["cpu", "gpu"]
    data_term: Literal["kl", "l2", "mixed"]
    coupling: Literal["none", "frobenius", "nuclear"]
    order: Literal["tv", "tgv"]
    dims: Literal[2, 3]
    channels: int
    slices: int
    whole_model: bool = False
    """With gains, a background, channels without some of the projections, and pixels that are not valid."""
    factors: tuple[int, ...] | None = None
    """Edge of a detector pixel of every channel."""
    pixel_weights: bool = False
    """With a weight of its own for every pixel."""

    def __str__(self) -> str:
        size = f"{self.channels}x{self.slices}" + ("-whole model" if self.whole_model else "")
        size += "-binned" if self.factors else ""
        size += "-weighted" if self.pixel_weights else ""
        return f"{self.layout}-{self.data_term}-{self.coupling}-{self.order}-{self.dims}d-{size}"


# Every value of every column, and all ways in which slices and channels can share blocks.
CASES = [
    Case("cpu", "kl", "frobenius", "tgv", 3, 2, 9),  # padded lanes in a block of two channels
    Case("cpu", "l2", "none", "tgv", 2, 3, 5),
    Case("cpu", "kl", "none", "tv", 3, 1, 70),  # two chunks, the second not full
    Case("cpu", "l2", "frobenius", "tv", 2, 5, 22),  # a block with a channel to spare
    Case("cpu", "kl", "frobenius", "tgv", 3, 3, 130),  # three chunks
    Case("cpu", "l2", "none", "tgv", 3, 2, 1),  # one slice has no derivative across slices
    Case("gpu", "kl", "frobenius", "tgv", 3, 3, 9),
    Case("gpu", "l2", "none", "tgv", 3, 2, 67),
    Case("gpu", "kl", "frobenius", "tv", 2, 5, 22),
    Case("cpu", "kl", "nuclear", "tgv", 3, 4, 9),
    Case("cpu", "l2", "nuclear", "tv", 2, 3, 5),
    Case("gpu", "kl", "nuclear", "tgv", 3, 3, 9),
    Case("gpu", "kl", "nuclear", "tv", 2, 5, 22),
    Case("cpu", "kl", "frobenius", "tgv", 3, 3, 10, factors=(1, 2, 2)),
    Case("cpu", "l2", "nuclear", "tv", 2, 2, 70, factors=(7, 1), whole_model=True),  # cells in two chunks
    Case("gpu", "kl", "frobenius", "tgv", 3, 2, 4, factors=(1, 2)),
    Case("gpu", "l2", "none", "tv", 2, 2, 70, factors=(1, 7)),
    Case("cpu", "l2", "frobenius", "tv", 2, 5, 22, pixel_weights=True),
    Case("cpu", "mixed", "frobenius", "tgv", 3, 5, 9, whole_model=True, pixel_weights=True),
    Case("gpu", "mixed", "none", "tv", 2, 3, 4, pixel_weights=True),
    Case("gpu", "mixed", "nuclear", "tgv", 3, 2, 6, factors=(2, 1)),
    Case("cpu", "kl", "frobenius", "tgv", 3, 2, 9, whole_model=True),
    Case("cpu", "l2", "none", "tgv", 3, 2, 5, whole_model=True),
    Case("cpu", "kl", "none", "tv", 3, 1, 70, whole_model=True),
    Case("cpu", "kl", "frobenius", "tgv", 2, 5, 22, whole_model=True),
    Case("gpu", "kl", "frobenius", "tgv", 3, 3, 67, whole_model=True),
    Case("gpu", "l2", "frobenius", "tv", 2, 5, 22, whole_model=True),
]
SMALL, SMALL_SQUARES, LONG = CASES[0], CASES[1], CASES[2]

MakeBackend = Callable[[Problem], Backend]


def specimen(channels: int, slices: int) -> npt.NDArray[np.float64]:
    """A tilted cylinder with ramps, smaller and brighter from channel to channel."""
    z, y, x = np.indices((8, slices, 11))
    return np.stack(
        [
            ((z - 3.5) ** 2 + (x - 5 - np.sin(y / 3)) ** 2 < 12 - c) * (1 + c + 0.1 * x + 0.2 * np.cos(y))
            for c in range(channels)
        ]
    )


def weights_of_pixels(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    return np.random.default_rng(5).uniform(0.2, 3, shape).astype(np.float32)


def problem_of(case: Case, **changes: Any) -> Problem:
    projections = Projector(GEOMETRY, case.channels, case.slices).forward(
        specimen(case.channels, case.slices)
    )
    model: dict[str, Any] = {}
    expected = projections / NORM
    if case.whole_model:
        generator = np.random.default_rng(9)
        gains = generator.uniform(0.4, 2, (case.channels, GEOMETRY.tilts))
        gains[-1, [1, 4]] = 0
        background = generator.uniform(0.01, 0.4, projections.shape) * (gains > 0)[:, :, None, None]
        valid = generator.random(projections.shape) > 0.2
        model = {"tilt_weights": gains, "background": background.astype(np.float32), "valid": valid}
        expected = expected * (gains > 0)[:, :, None, None] + background
    counts = np.random.default_rng(0).poisson(4 * expected)
    assert (counts == 0).any()
    arguments: dict[str, Any] = {
        "geometry": GEOMETRY,
        "data": counts.astype(np.float32) / 4,
        "weights": 2 + np.arange(case.channels),
        "alpha0": 0.03,
        "alpha1": 0.25,
        "dims": case.dims,
        "data_term": ("kl", "l2", "l2", "kl", "l2")[: case.channels]
        if case.data_term == "mixed"
        else case.data_term,
        "coupling": case.coupling,
        "second_order": case.order == "tgv",
        "operator_norm": NORM,
        "factors": case.factors,
        "pixel_weights": weights_of_pixels(projections.shape) if case.pixel_weights else None,
        **model,
    }
    return Problem(**(arguments | changes))


def steps_of(problem: Problem, scale: float = 1.0) -> tuple[DualStepSizes, PrimalStepSizes]:
    """Steps that differ from channel to channel, for an image of that scale."""
    c = np.arange(problem.channels)
    dual = DualStepSizes(
        0.3 / scale,
        0.2 / scale,
        tuple(((1.5 + 0.1 * c) / scale).tolist()),
        tuple(((0.3 + 0.1 * c) / scale).tolist()),
    )
    primal = PrimalStepSizes(
        tuple((scale * (0.5 + 0.02 * c)).tolist()), tuple((scale * (0.2 - 0.01 * c)).tolist())
    )
    return dual, primal


def metric_of(problem: Problem, dual: DualStepSizes, norm: float = 1.3) -> FourierMetric:
    assert dual.positivity is not None
    return FourierMetric.of_problem(problem, dual.first, dual.second, dual.data, dual.positivity).with_norm(
        norm
    )


def iterate_plainly(backend: Backend, iterations: int, relaxation: float) -> None:
    dual, primal = steps_of(backend.problem)
    dual = dataclasses.replace(dual, positivity=None)
    for _ in range(iterations):
        backend.dual_update(dual, relaxation)
        backend.primal_update(primal, relaxation)


def iterate_in_metric(backend: Backend, metric: FourierMetric, iterations: int, relaxation: float) -> None:
    dual, _ = steps_of(backend.problem)
    for _ in range(iterations):
        backend.metric_update(metric, relaxation)
        backend.dual_update(dual, relaxation)


def assert_close(found: npt.NDArray[Any], expected: npt.NDArray[Any], relative: float = 1e-5) -> None:
    assert found.shape == expected.shape
    assert np.linalg.norm(expected) > 0
    assert np.linalg.norm(found.astype(np.float64) - expected) <= relative * np.linalg.norm(expected)


def assert_constraints_matter(reference: NumpyBackend) -> None:
    """Some dual vectors are on or beyond their balls and some inside, and the image is cut off at 0."""
    norms = reference.problem.total_generalized_variation
    shares = [(norms.norm1.dual_pointwise(reference._p) > 0.999 * norms.norm1.alpha).mean()]
    if reference.problem.second_order:
        shares.append((norms.norm0.pointwise(reference._q) > 0.999 * norms.norm0.alpha).mean())
    shares.append((reference.volume() == 0).mean())
    assert all(0 < share < 1 for share in shares), shares


def assert_same_objective(found: Objective, expected: Objective) -> None:
    assert found.total == pytest.approx(expected.total, rel=1e-5)
    assert found.data == pytest.approx(expected.data, rel=1e-5)
    assert found.regulariser == pytest.approx(expected.regulariser, rel=1e-5)
    assert found.gap == pytest.approx(expected.gap, rel=1e-5)
