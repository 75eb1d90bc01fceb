"""Every method of `chemtomo.solvers.backend.Backend`: a device does what the reference does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest

from chemtomo.errors import DataError
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
    data_term: Literal["kl", "l2"]
    coupling: Literal["none", "frobenius", "nuclear"]
    order: Literal["tv", "tgv"]
    dims: Literal[2, 3]
    channels: int
    slices: int
    whole_model: bool = False
    """With gains, a background, channels without some of the projections, and pixels that are not valid."""
    factors: tuple[int, ...] | None = None
    """Edge of a detector pixel of every channel."""

    def __str__(self) -> str:
        size = f"{self.channels}x{self.slices}" + ("-whole model" if self.whole_model else "")
        size += "-binned" if self.factors else ""
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
    Case("cpu", "kl", "frobenius", "tgv", 3, 2, 9, whole_model=True),
    Case("cpu", "l2", "none", "tgv", 3, 2, 5, whole_model=True),
    Case("cpu", "kl", "none", "tv", 3, 1, 70, whole_model=True),
    Case("cpu", "kl", "frobenius", "tgv", 2, 5, 22, whole_model=True),
    Case("gpu", "kl", "frobenius", "tgv", 3, 3, 67, whole_model=True),
    Case("gpu", "l2", "frobenius", "tv", 2, 5, 22, whole_model=True),
]
SMALL, SMALL_SQUARES, LONG = CASES[0], CASES[1], CASES[2]

MakeBackend = Callable[[Problem], Backend]


@pytest.fixture
def opencl_of(device: Any, lie_as_on: Callable[[str], None]) -> Callable[[Case], Backend]:
    """The problem of a case on the device of this machine, lying in memory as the case wants."""
    from chemtomo.opencl.variational import OpenCLBackend

    def of_case(case: Case) -> Backend:
        lie_as_on(case.layout)
        return OpenCLBackend(problem_of(case), device)

    return of_case


@pytest.fixture(params=["numpy", "opencl"])
def backend_of(request: pytest.FixtureRequest) -> MakeBackend:
    """The class of the backend."""
    if request.param == "numpy":
        return NumpyBackend
    device = request.getfixturevalue("device")
    from chemtomo.opencl.variational import OpenCLBackend

    return lambda problem: OpenCLBackend(problem, device)


def specimen(channels: int, slices: int) -> npt.NDArray[np.float64]:
    """A tilted cylinder with ramps, smaller and brighter from channel to channel."""
    z, y, x = np.indices((8, slices, 11))
    return np.stack(
        [
            ((z - 3.5) ** 2 + (x - 5 - np.sin(y / 3)) ** 2 < 12 - c) * (1 + c + 0.1 * x + 0.2 * np.cos(y))
            for c in range(channels)
        ]
    )


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
        "data_term": case.data_term,
        "coupling": case.coupling,
        "second_order": case.order == "tgv",
        "operator_norm": NORM,
        "factors": case.factors,
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


def test_another_metric_takes_the_place_of_the_first(opencl_of: Callable[[Case], Backend]) -> None:
    problem = problem_of(SMALL)
    reference, backend = NumpyBackend(problem), opencl_of(SMALL)
    dual, _ = steps_of(problem)
    for norm in (1.3, 2.6, 1.3):
        metric = metric_of(problem, dual, norm)
        iterate_in_metric(reference, metric, 2, 1.8)
        iterate_in_metric(backend, metric, 2, 1.8)
    assert_close(backend.volume(), reference.volume())


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
