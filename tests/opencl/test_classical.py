"""The classical methods: every backend does what the formulas say, in both memory layouts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector
from chemtomo.solvers.classical.back_projection import FilteredBackProjection
from chemtomo.solvers.classical.cgls import ConjugateGradients
from chemtomo.solvers.classical.dart import DiscreteTomography, DiscreteTomographySettings
from chemtomo.solvers.classical.mlem import ExpectationMaximisation
from chemtomo.solvers.classical.numpy_workspace import NumpyWorkspace, chance
from chemtomo.solvers.classical.ordered_subsets import OrderedSubsets
from chemtomo.solvers.classical.problem import Bounds, ProjectionData
from chemtomo.solvers.classical.subsets import Subsets
from chemtomo.solvers.classical.workspace import Workspace

GEOMETRY = ParallelBeam(
    [-61, -30, 0, 25, 70, 90], 11, (9, 12), detector_axis=4.6, detector_shifts=[0, 0.3, -1.2, 2, 0, -0.5]
)
ANYTHING, NONNEGATIVE, BOX = Bounds(), Bounds(0), Bounds(0.1, 0.6)
SIZES = pytest.mark.parametrize(("channels", "slices"), [(1, 1), (2, 9), (3, 70)])

Array = npt.NDArray[np.floating]
MakeWorkspace = Callable[[ProjectionData], Workspace]


@pytest.fixture(params=["numpy", "opencl, layout of a cpu", "opencl, layout of a gpu"])
def workspace_of(request: pytest.FixtureRequest) -> MakeWorkspace:
    """A workspace of a problem, on a backend."""
    if request.param == "numpy":
        return NumpyWorkspace
    device = request.getfixturevalue("device")
    request.getfixturevalue("lie_as_on")(request.param.split()[-1])
    from chemtomo.opencl.classical import OpenCLWorkspace

    return lambda problem: OpenCLWorkspace(problem, device)


@pytest.fixture(params=[False, True], ids=["whole", "masked"])
def masked(request: pytest.FixtureRequest) -> bool:
    """Whether some pixels were not measured."""
    return bool(request.param)


def problem_of(channels: int, slices: int, masked: bool, *, counts: bool = False) -> ProjectionData:
    """Noisy projections, of which a row has no valid pixel at some tilts."""
    generator = np.random.default_rng(0)
    volume = generator.random((channels, 9, slices, 12)) ** 4
    data = Projector(GEOMETRY, channels, slices).forward(volume)
    background = None
    if counts:
        background = generator.random(data.shape).astype(np.float32)
        data = generator.poisson(3 * data + background)
    else:
        data = data + generator.standard_normal(data.shape)
    valid = generator.random(data.shape) > 0.1
    valid[:, :2, 0] = False
    # A channel with all projections, one with gains, one that has not got some projections.
    weights = np.array([[1, 1, 1, 1, 1, 1], [1, 0.7, 2, 0.3, 1, 1], [0, 1, 0.5, 1, 0, 1]])[:channels]
    return ProjectionData(GEOMETRY, data.astype(np.float32), weights, valid if masked else None, background)


class Formulas:
    """What is written in the docstrings, in float64 and with nothing but the projector."""

    def __init__(self, problem: ProjectionData) -> None:
        self.projector = Projector(GEOMETRY, *problem.data.shape[::2])
        valid = np.ones(problem.data.shape) if problem.valid is None else problem.valid
        self.weights = problem.weights[:, :, None, None] * valid
        self.data = np.where(self.weights > 0, problem.data, 0).astype(np.float64)
        self.background = 0.0 if problem.background is None else problem.background.astype(np.float64)
        sums = self.projector.forward(np.ones(self.projector.domain_shape))
        self.rows = np.where(sums > 1e-3 * sums.max(), 1 / np.maximum(sums, 1e-9), 0)

    def some(self, tilts: npt.NDArray[np.intp]) -> Array:
        """The weights at some of the tilts only."""
        chosen = np.zeros((1, 6, 1, 1))
        chosen[:, tilts] = 1
        return self.weights * chosen

    def columns(self, weights: Array, all_weights: Array) -> Array:
        """Inverse sums of the columns, 0 where there is next to nothing."""
        sums = self.projector.adjoint(weights)
        least = 1e-3 * all_weights.sum(axis=1)[:, None, None, None]
        return np.where(sums > least, 1 / np.maximum(sums, 1e-9), 0)

    def misfit(self, u: Array) -> Array:
        """Half the weighted squares, of every channel."""
        squares = self.weights * (self.projector.forward(u) - self.data) ** 2
        return 0.5 * squares.sum(axis=(1, 2, 3))


def assert_iterate(iteration: Any, expected: Array) -> None:
    volume = iteration.volume()
    assert volume.dtype == np.float32
    np.testing.assert_allclose(volume, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    last = expected.shape[2] - 1
    np.testing.assert_array_equal(iteration.slice(last), volume[:, :, last])


@SIZES
@pytest.mark.parametrize(("bounds", "count"), [(ANYTHING, 1), (NONNEGATIVE, 1), (NONNEGATIVE, 2), (BOX, 6)])
def test_ordered_subsets(
    workspace_of: MakeWorkspace, masked: bool, channels: int, slices: int, bounds: Bounds, count: int
) -> None:
    problem = problem_of(channels, slices, masked)
    subsets = Subsets(GEOMETRY, count)
    relaxation = 1.0 if count == 1 else 0.7
    iteration = OrderedSubsets(workspace_of(problem), bounds, subsets, relaxation)
    by_formula = Formulas(problem)
    u = np.zeros((channels, 9, slices, 12))
    for sweep in range(3):
        iteration.advance()
        for number in subsets.sweep(sweep):
            weights = by_formula.some(subsets.indices[number])
            residual = by_formula.data - by_formula.projector.forward(u)
            correction = by_formula.projector.adjoint(weights * by_formula.rows * residual)
            columns = by_formula.columns(weights, problem.weights[:, subsets.indices[number]])
            u = np.clip(u + relaxation * columns * correction, bounds.lowest, bounds.highest)
    assert (u < 0).any() == (bounds == ANYTHING)
    assert u.max() <= bounds.highest
    assert_iterate(iteration, u)
    np.testing.assert_allclose(iteration.objective().data, by_formula.misfit(u), rtol=1e-5)
    assert_iterate(iteration, u)


@SIZES
def test_conjugate_gradients(workspace_of: MakeWorkspace, masked: bool, channels: int, slices: int) -> None:
    """Of every slice alone: the first step goes down the steepest way as far as it leads down."""
    problem = problem_of(channels, slices, masked)
    iteration = ConjugateGradients(workspace_of(problem), ANYTHING)
    by_formula = Formulas(problem)
    roots = np.sqrt(by_formula.weights)
    u = np.zeros((channels, 9, slices, 12))
    r = roots * by_formula.data
    s = by_formula.projector.adjoint(roots * r)
    p = s
    for _ in range(4):
        iteration.advance()
        q = roots * by_formula.projector.forward(p)
        gamma = (s**2).sum(axis=(1, 3), keepdims=True)
        squares = (q**2).sum(axis=(1, 3), keepdims=True)
        alpha = gamma / np.where(squares > 0, squares, 1)
        u, r = u + alpha * p, r - alpha * q
        s = by_formula.projector.adjoint(roots * r)
        p = s + (s**2).sum(axis=(1, 3), keepdims=True) / np.where(gamma > 0, gamma, 1) * p
    assert_iterate(iteration, u)
    np.testing.assert_allclose(iteration.objective().data, by_formula.misfit(u), rtol=1e-5)


@SIZES
@pytest.mark.parametrize("count", [1, 3])
def test_expectation_maximisation(
    workspace_of: MakeWorkspace, masked: bool, channels: int, slices: int, count: int
) -> None:
    problem = problem_of(channels, slices, masked, counts=True)
    subsets = Subsets(GEOMETRY, count)
    start = np.arange(1.0, 1 + channels)
    iteration = ExpectationMaximisation(workspace_of(problem), NONNEGATIVE, subsets, start)
    by_formula = Formulas(problem)
    u = start[:, None, None, None] * (by_formula.columns(by_formula.weights, problem.weights) > 0)
    assert_iterate(iteration, u)
    for sweep in range(3):
        iteration.advance()
        for number in subsets.sweep(sweep):
            weights = by_formula.some(subsets.indices[number])
            expected = by_formula.projector.forward(u) + by_formula.background
            ratio = np.where(expected > 0, by_formula.data / np.where(expected > 0, expected, 1), 0)
            columns = by_formula.columns(weights, problem.weights[:, subsets.indices[number]])
            u = np.where(columns > 0, u * columns * by_formula.projector.adjoint(weights * ratio), u)
    assert_iterate(iteration, u)
    expected, f = by_formula.projector.forward(u) + by_formula.background, by_formula.data
    logarithm = np.log(np.where(f > 0, f / np.maximum(expected, 1e-30), 1))
    divergence = (by_formula.weights * (expected - f + f * logarithm)).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(iteration.objective().data, divergence, rtol=1e-4)


def test_filtered_back_projection(workspace_of: MakeWorkspace) -> None:
    """The workspace has the filtered projections; the residual is that of the measured ones."""
    filtered, measured = problem_of(3, 9, False), problem_of(3, 9, True)
    iteration = FilteredBackProjection(workspace_of(filtered), ANYTHING, measured)
    iteration.advance()
    expected = Projector(GEOMETRY, 3, 9).adjoint(filtered.data.astype(np.float64))
    assert_iterate(iteration, expected)
    np.testing.assert_allclose(iteration.objective().data, Formulas(measured).misfit(expected), rtol=1e-5)


@SIZES
def test_discrete_tomography(workspace_of: MakeWorkspace, masked: bool, channels: int, slices: int) -> None:
    problem = problem_of(channels, slices, masked)
    levels = np.array([[0, 0.4, 1.1], [0, 0.6, 1.3], [-0.2, 0.5, 1]])[:channels]
    settings = DiscreteTomographySettings(4, 3, 0.3, 0.25, seed=7)
    iteration = DiscreteTomography(workspace_of(problem), NONNEGATIVE, levels, settings, first_slice=5)
    by_formula = Formulas(problem)
    columns = by_formula.columns(by_formula.weights, problem.weights)

    def fitted(u: Array, iterations: int, rows: Array, columns: Array) -> Array:
        for _ in range(iterations):
            residual = by_formula.data - by_formula.projector.forward(u)
            u = np.maximum(
                u + columns * by_formula.projector.adjoint(by_formula.weights * rows * residual), 0
            )
        return u

    def around(u: Array) -> list[Array]:
        padded = np.pad(u, ((0, 0), (1, 1), (0, 0), (1, 1)), mode="edge")
        return [padded[:, i : i + 9, :, j : j + 12] for i in range(3) for j in range(3) if (i, j) != (1, 1)]

    def segmented(u: Array) -> Array:
        nearest = np.abs(u[..., None] - levels[:, None, None, None]).argmin(axis=-1)
        return np.take_along_axis(levels[:, None, None], nearest, axis=-1)

    iteration.advance()
    u = fitted(np.zeros((channels, 9, slices, 12)), 4, by_formula.rows, columns)
    for number in range(1, 3):
        iteration.advance()
        fixed = segmented(u)
        free = np.zeros(u.shape, bool)
        free[:] = chance((9, slices, 12), (7 * 0x9E3779B1 + number) % 2**32, 5) < 0.3
        for neighbour in around(fixed):
            free |= neighbour != fixed
        assert 0.1 < free.mean() < 0.95
        u = np.where(free, u, fixed)
        sums = by_formula.projector.forward(free.astype(np.float64))
        least = 1e-3 * by_formula.projector.forward(np.ones(u.shape)).max()
        u = fitted(u, 3, np.where(sums > least, 1 / np.maximum(sums, 1e-9), 0), columns * free)
        u = np.where(free, 0.75 * u + 0.25 / 8 * np.sum(around(u), axis=0), u)
    # Rounding may bring a voxel to the other side of a threshold, but hardly ever does.
    found = dict(iteration.variables())["u"]
    assert (np.abs(found - u) > 1e-5).mean() < 1e-3
    assert (iteration.volume() != segmented(found).astype(np.float32)).mean() < 1e-3
    np.testing.assert_allclose(iteration.objective().data, by_formula.misfit(iteration.volume()), rtol=1e-5)


METHODS: dict[str, Callable[[Workspace], Any]] = {
    "sirt": lambda workspace: OrderedSubsets(workspace, NONNEGATIVE, Subsets(GEOMETRY)),
    "sart": lambda workspace: OrderedSubsets(workspace, NONNEGATIVE, Subsets(GEOMETRY, 6, "random"), 0.9),
    "cgls": lambda workspace: ConjugateGradients(workspace, ANYTHING),
    "osem": lambda workspace: ExpectationMaximisation(
        workspace, NONNEGATIVE, Subsets(GEOMETRY, 2, "random"), np.ones(len(workspace.problem.data))
    ),
    "dart": lambda workspace: DiscreteTomography(
        workspace,
        NONNEGATIVE,
        np.tile([0.0, 0.5, 1.0], (len(workspace.problem.data), 1)),
        DiscreteTomographySettings(),
    ),
}


@pytest.mark.parametrize("method", METHODS)
def test_values_at_invalid_pixels_have_no_influence(workspace_of: MakeWorkspace, method: str) -> None:
    problem = problem_of(2, 9, True, counts=True)
    assert problem.valid is not None
    other = ProjectionData(
        GEOMETRY,
        np.where(problem.valid, problem.data, np.float32(1e20)),
        problem.weights,
        problem.valid,
        problem.background,
    )
    volumes = []
    for one in (problem, other):
        iteration = METHODS[method](workspace_of(one))
        iteration.advance()
        iteration.advance()
        volumes.append(iteration.volume())
        assert np.isfinite(iteration.objective().total)
    np.testing.assert_array_equal(*volumes)


@pytest.mark.parametrize("method", METHODS)
def test_an_iteration_goes_on_from_its_variables(workspace_of: MakeWorkspace, method: str) -> None:
    problem = problem_of(2, 9, False, counts=True)
    whole, first, second = (METHODS[method](workspace_of(problem)) for _ in range(3))
    for number in range(5):
        whole.advance()
        if number < 2:
            first.advance()
    second.restore(dict(first.variables()), 2)
    for _ in range(3):
        second.advance()
    np.testing.assert_array_equal(second.volume(), whole.volume())


@pytest.mark.parametrize("method", ["sirt", "cgls"])
def test_the_residual_falls(workspace_of: MakeWorkspace, method: str) -> None:
    make = {
        "sirt": lambda workspace: OrderedSubsets(workspace, ANYTHING, Subsets(GEOMETRY)),
        "cgls": METHODS["cgls"],
    }[method]
    iteration = make(workspace_of(problem_of(2, 9, False)))
    residuals = [iteration.objective().data]
    for _ in range(8):
        iteration.advance()
        residuals.append(iteration.objective().data)
    assert (np.diff(residuals, axis=0) < 0).all()


@given(
    tilts=st.lists(st.floats(-90, 90), min_size=1, max_size=40, unique=True),
    count=st.integers(1, 50),
    order=st.sampled_from(["golden", "sequential", "random"]),
    seed=st.integers(0, 5),
)
def test_a_sweep_takes_every_tilt_once(tilts: list[float], count: int, order: Any, seed: int) -> None:
    """And the same tilts in the same order, however they are ordered in the file."""
    subsets = Subsets(ParallelBeam(tilts, 3, (3, 3)), count, order, seed)
    assert len(subsets) == min(count, len(tilts))
    for number in range(2):
        sweep = [subsets.indices[one] for one in subsets.sweep(number)]
        assert sorted(np.concatenate(sweep)) == list(range(len(tilts)))
        other = Subsets(ParallelBeam(sorted(tilts), 3, (3, 3)), count, order, seed)
        for own, others in zip(sweep, other.sweep(number), strict=True):
            expected = np.sort(np.array(sorted(tilts))[other.indices[others]])
            np.testing.assert_array_equal(np.sort(np.array(tilts)[own]), expected)


def test_the_golden_order_takes_far_neighbours() -> None:
    sweep = Subsets(ParallelBeam(np.arange(60), 3, (3, 3)), 60).sweep(0)
    steps = np.abs(np.diff(sweep))
    assert np.minimum(steps, 60 - steps).min() >= 60 / 3
    assert len(set(sweep)) == 60


def test_chance_is_uniform_and_of_its_place_alone() -> None:
    numbers = chance((40, 30, 50), 3, 10)
    counts, _ = np.histogram(numbers, 10, (0, 1))
    assert abs(counts / numbers.size - 0.1).max() < 0.01
    assert numbers.min() >= 0
    assert numbers.max() < 1
    np.testing.assert_array_equal(chance((40, 5, 50), 3, 18), numbers[:, 8:13])
    assert (chance((40, 30, 50), 4, 10) != numbers).mean() > 0.99
    for axis in range(3):  # neighbours know nothing of each other
        pairs = np.take(numbers, range(1, 30), axis).ravel(), np.take(numbers, range(29), axis).ravel()
        assert abs(np.corrcoef(*pairs)[0, 1]) < 0.02
