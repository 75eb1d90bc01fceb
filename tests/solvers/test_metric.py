"""The Fourier-domain metric: its inverse against the operator written in real space."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
from tests.problems import joint_problem

from chemtomo.errors import SolverError
from chemtomo.functionals import Problem
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector, as_matrix
from chemtomo.solvers.backend import DualStepSizes
from chemtomo.solvers.metric import FourierMetric, periodic_grid
from chemtomo.solvers.metric_norm import MetricNorms, metric_norm
from chemtomo.solvers.numpy_backend import NumpyBackend

Array = npt.NDArray[np.float64]


def forward(u: Array, axis: int) -> Array:
    return np.roll(u, -1, axis) - u


def forward_transposed(p: Array, axis: int) -> Array:
    return np.roll(p, 1, axis) - p


def backward(w: Array, axis: int) -> Array:
    return w - np.roll(w, 1, axis)


def backward_transposed(q: Array, axis: int) -> Array:
    return q - np.roll(q, -1, axis)


def apply_in_real_space(metric: FourierMetric, u: Array, w: Array | None) -> tuple[Array, Array | None]:
    """``M (u, w)`` on the periodic grid from differences and a convolution, as the module defines it."""
    axes = (1, 2, 3) if metric.dims == 3 else (1, 3)
    data, positivity = (np.reshape(steps, (-1, 1, 1, 1)) for steps in (metric.data, metric.positivity))
    convolved = np.fft.irfftn(
        np.fft.rfftn(u, axes=(1, 3)) * metric.spectrum[:, :, None, :], s=(u.shape[1], u.shape[3]), axes=(1, 3)
    )
    first = metric.first * np.stack([forward(u, axis) for axis in axes])
    if w is not None:
        first = first - metric.first * w
    image = sum(forward_transposed(part, axis) for part, axis in zip(first, axes, strict=True))
    image = image + data * convolved + positivity * u
    if w is None:
        return metric.norm * image, None
    field = -first
    for i, j in itertools.product(range(len(axes)), repeat=2):
        entry = (backward(w[j], axes[i]) + backward(w[i], axes[j])) / 2  # of the symmetric matrix
        field[j] += metric.second * backward_transposed(entry, axes[i])
    return metric.norm * image, metric.norm * field


@pytest.mark.parametrize("second_order", [False, True])
@pytest.mark.parametrize(
    ("dims", "grid", "slices"), [(2, (6, 1, 8), 3), (3, (6, 5, 8), 5), (3, (5, 1, 6), 1)]
)
def test_solve_inverts_the_operator_in_real_space(
    second_order: bool, dims: int, grid: tuple[int, int, int], slices: int
) -> None:
    generator = np.random.default_rng(0)
    metric = FourierMetric(
        grid=grid,
        dims=dims,
        second_order=second_order,
        spectrum=_even_spectrum(grid),
        first=0.7,
        second=3.0,
        data=(0.4, 2.0),
        positivity=(0.1, 0.5),
        norm=1.7,
    )
    image = generator.standard_normal((2, grid[0], slices, grid[2]))
    field = generator.standard_normal((dims, *image.shape)) if second_order else None
    du, dw = metric.solve(image, field)
    found_image, found_field = apply_in_real_space(metric, du, dw)
    np.testing.assert_allclose(found_image, image, atol=1e-12)
    assert (found_field is None) == (field is None)
    if found_field is not None and field is not None:
        np.testing.assert_allclose(found_field, field, atol=1e-12)


def _even_spectrum(grid: tuple[int, int, int]) -> npt.NDArray[np.float32]:
    """Something positive and symmetric, so that its convolution is real and self-adjoint."""
    kz, kx = np.fft.fftfreq(grid[0])[:, None], np.fft.rfftfreq(grid[2])[None]
    return (1 / (0.1 + kz**2 + 3 * kx**2)).astype(np.float32)[np.newaxis]


def problem_of(
    dims: Literal[2, 3] = 3, slices: int = 3, second_order: bool = True, **geometry: Any
) -> Problem:
    beam = ParallelBeam(
        **({"tilts_deg": [-70, -20, 0, 35, 60], "detector_pixels": 12, "volume_shape": (7, 9)} | geometry)
    )
    return joint_problem(
        beam,
        np.ones((2, beam.tilts, slices, beam.detector_pixels), np.float32),
        weights=np.array([2.0, 3.0]),
        dims=dims,
        second_order=second_order,
        operator_norm=Projector(beam, 1, 1).norm(),
    )


@pytest.mark.parametrize(("dims", "slices"), [(2, 1), (2, 5), (3, 1), (3, 2), (3, 64)])
def test_the_grid_has_a_margin_and_small_factors(dims: Literal[2, 3], slices: int) -> None:
    for nz, nx in [(1, 1), (7, 9), (26, 303), (61, 128)]:
        grid = periodic_grid((nz, nx), slices, dims)
        assert grid[0] >= nz + 4
        assert grid[2] >= nx + 4
        assert grid[2] % 2 == 0
        assert (grid[1] > slices) if dims == 3 and slices > 1 else (grid[1] == 1)
        for size in (grid[0], grid[1], grid[2] // 2):
            for factor in (2, 3, 5):
                while size % factor == 0:
                    size //= factor
            assert size == 1


def test_the_spectrum_is_that_of_projecting_and_back_projecting_a_point() -> None:
    problem = problem_of()
    metric = FourierMetric.of_problem(problem, 1.0, 1.0, (1.0, 1.0), (1.0, 1.0))
    projector = Projector(problem.geometry, 1, 1)
    point = np.zeros((1, 7, 1, 9))
    point[0, 3, 0, 4] = 1
    response = projector.adjoint(projector.forward(point))[0, :, 0] / problem.operator_norm**2
    assert metric.spectrum.dtype == np.float32
    assert metric.spectrum.shape == (1, metric.grid[0], metric.grid[2] // 2 + 1)
    expected = np.abs(np.fft.fft2(response, s=(metric.grid[0], metric.grid[2])))[:, : metric.grid[2] // 2 + 1]
    np.testing.assert_allclose(metric.spectrum[0], expected, rtol=1e-5, atol=1e-7)


def matrices(problem: Problem, metric: FourierMetric) -> tuple[Array, Array]:
    """``M^-1`` and ``K^T Sigma K`` of a problem with one channel, with its positivity."""
    image_size = int(np.prod(problem.volume_shape))
    field_size = int(np.prod(problem.vector_shape)) if problem.second_order else 0

    def solve(z: Array) -> Array:
        field = z[image_size:].reshape(problem.vector_shape) if problem.second_order else None
        du, dw = metric.solve(z[:image_size].reshape(problem.volume_shape), field)
        return du.ravel() if dw is None else np.concatenate([du.ravel(), dw.ravel()])

    inverse = np.stack([solve(unit) for unit in np.eye(image_size + field_size)], axis=1)
    first, second, data, positivity = metric.first, metric.second, metric.data[0], metric.positivity[0]
    regulariser = problem.total_generalized_variation
    gradient, strain = as_matrix(regulariser.gradient), as_matrix(regulariser.symmetrized_gradient)
    projector = as_matrix(problem.projector) / problem.operator_norm
    whole = np.zeros((image_size + field_size,) * 2)
    whole[:image_size, :image_size] = (
        first * gradient.T @ gradient + data * projector.T @ projector + positivity * np.eye(image_size)
    )
    if problem.second_order:
        whole[image_size:, :image_size] = -first * gradient
        whole[:image_size, image_size:] = -first * gradient.T
        whole[image_size:, image_size:] = first * np.eye(field_size) + second * strain.T @ strain
    return inverse, whole


@pytest.mark.parametrize("second_order", [False, True])
@pytest.mark.parametrize("dims", [2, 3])
def test_a_symmetric_positive_operator_near_the_true_one(dims: Literal[2, 3], second_order: bool) -> None:
    """The eigenvalues of ``M^-1 K^T Sigma K`` are around 1, and `metric_norm` finds the largest."""
    problem = small_problem(dims, second_order)
    steps = DualStepSizes(10.0, 100.0, (2.0,), (9.0,))
    metric = FourierMetric.of_problem(problem, steps.first, steps.second, steps.data, (9.0,))
    inverse, whole = matrices(problem, metric)
    np.testing.assert_allclose(inverse, inverse.T, atol=1e-12)
    assert np.linalg.eigvalsh(inverse).min() > 0
    eigenvalues = np.linalg.eigvals(inverse @ whole).real
    assert 0.1 < eigenvalues.min() < np.median(eigenvalues) < eigenvalues.max() < 3

    normed = metric_norm(problem, steps, NumpyBackend)
    tight = 1.04 if second_order or dims == 2 else 1.18  # TV across two slices is given more than it needs
    assert eigenvalues.max() <= normed.norm <= tight * eigenvalues.max()
    np.testing.assert_array_equal(normed.spectrum, metric.spectrum)


def small_problem(dims: Literal[2, 3], second_order: bool) -> Problem:
    problem = problem_of(dims, 2, second_order, detector_pixels=9, volume_shape=(5, 6))
    return dataclasses.replace(problem, data=problem.data[:1], weights=problem.weights[:1])


def test_the_norm_is_found_once() -> None:
    """For the same geometry and steps, whatever the data."""
    asked: list[Problem] = []
    norms = MetricNorms()

    def counted(problem: Problem) -> NumpyBackend:
        asked.append(problem)
        return NumpyBackend(problem)

    problem = small_problem(2, True)
    steps = DualStepSizes(3.21, 43.2, (1.23,), (4.56,))
    found = metric_norm(problem, steps, counted, norms=norms)
    again = metric_norm(dataclasses.replace(problem, data=2 * problem.data), steps, counted, norms=norms)
    assert again.norm == found.norm
    assert len(asked) == 1
    metric_norm(problem, dataclasses.replace(steps, first=6.42), counted, norms=norms)
    assert len(asked) == 2


def test_a_norm_needs_positivity_steps() -> None:
    with pytest.raises(SolverError, match="found no step sizes of the positivity; expected one per channel"):
        metric_norm(small_problem(2, False), DualStepSizes(1.0, 1.0, (1.0,)), NumpyBackend)


def test_the_norm_multiplies_the_metric() -> None:
    metric = FourierMetric.of_problem(problem_of(2), 1.0, 2.0, (1.0, 3.0), (0.5, 0.5))
    generator = np.random.default_rng(0)
    image, field = generator.standard_normal((2, 7, 3, 9)), generator.standard_normal((2, 2, 7, 3, 9))
    du, dw = metric.solve(image, field)
    half_du, half_dw = metric.with_norm(2.0).solve(image, field)
    assert dw is not None
    assert half_dw is not None
    np.testing.assert_allclose(half_du, du / 2)
    np.testing.assert_allclose(half_dw, dw / 2)
