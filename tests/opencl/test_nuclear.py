"""The closed form of singular values on a device, against `numpy.linalg.svd`."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chemtomo.functionals import NuclearNorm, Problem
from chemtomo.geometry import ParallelBeam
from chemtomo.opencl.variational import OpenCLBackend
from chemtomo.solvers.backend import DualStepSizes

ALPHA = 1.0
PIXELS = (4, 3, 5)
GEOMETRY = ParallelBeam([0.0], 5, (4, 5))
SIZES = st.sampled_from([0.0, 1e-12, 1e-6, 1e-3, 0.3, 0.9999999, 1.0, 1.0000001, 1.7, 6.0, 40.0])
"""Singular values: none, next to none, about the radius of the ball, and large ones; also repeated."""


@pytest.fixture(scope="module", params=[(2, 1), (2, 2), (2, 4), (3, 1), (3, 2), (3, 3), (3, 5)], ids=str)
def backend(request: pytest.FixtureRequest, device: Any) -> OpenCLBackend:
    """A problem whose dual field can be set: (dims, channels)."""
    dims, channels = request.param
    data = np.ones((channels, 1, PIXELS[1], 5), np.float32)
    return OpenCLBackend(problem_of(dims, data), device)


def problem_of(dims: Literal[2, 3], data: npt.NDArray[np.float32]) -> Problem:
    return Problem(GEOMETRY, data, np.ones(len(data)), 4.0, ALPHA, dims, "kl", "nuclear", False, 1.0)


def matrices_of(backend: OpenCLBackend, sizes: list[float], seed: int) -> npt.NDArray[np.float32]:
    """Matrices of these singular values in random directions, (component, channel, z, y, x).

    The first pixels have axes along the directions, exactly; the last ones are plain random numbers.
    """
    dims, channels = backend.problem.dims, backend.problem.channels
    generator = np.random.default_rng(seed)
    left = np.linalg.qr(generator.standard_normal((*PIXELS, dims, dims)))[0]
    right = np.linalg.qr(generator.standard_normal((*PIXELS, channels, channels)))[0]
    left[0], right[0] = np.eye(dims), np.eye(channels)
    rank = min(dims, channels)
    matrices = (left[..., :rank] * sizes[:rank]) @ right[..., :rank, :]
    matrices[-1, -1] = generator.standard_normal(matrices.shape[2:])
    return np.moveaxis(matrices, (-2, -1), (0, 1)).astype(np.float32)


def projected(backend: OpenCLBackend, p: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What a dual step of length 0 makes of p: its projection."""
    variables = dict(backend.variables()) | {"p": p}
    backend.restore(variables, 1.0)
    channels = backend.problem.channels
    backend.dual_update(DualStepSizes(0.0, 0.0, (0.0,) * channels), 1.0)
    return dict(backend.variables())["p"]


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(SIZES, min_size=3, max_size=3), seed=st.integers(0, 9999))
def test_projection_on_the_ball_of_the_spectral_norm(
    backend: OpenCLBackend, sizes: list[float], seed: int
) -> None:
    p = matrices_of(backend, sizes, seed)
    found = projected(backend, p)
    expected = NuclearNorm(ALPHA).project_dual(p.astype(np.float64))
    largest = NuclearNorm(ALPHA).dual_pointwise(p)
    # The Gram matrix has the squares: a small singular value beside a large one loses as many digits.
    assert (np.abs(found - expected) <= 3e-7 * (1 + largest + largest**2)).all()
    inside = np.broadcast_to(np.square(p).sum(axis=(0, 1), keepdims=True) < 0.999, p.shape)
    np.testing.assert_allclose(found[inside], p[inside], rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(SIZES, min_size=3, max_size=3), seed=st.integers(0, 9999))
def test_the_value_keeps_its_digits_whatever_the_rank(
    backend: OpenCLBackend, sizes: list[float], seed: int
) -> None:
    """Of a volume whose Jacobians have these singular values at the inner pixels."""
    problem = backend.problem
    generator = np.random.default_rng(seed)
    z, y, x = np.indices(PIXELS)
    slopes = matrices_of(backend, sizes, seed)[:, :, 2, 1, 2]
    places = np.stack([z, y, x] if problem.dims == 3 else [z, x]).astype(np.float64)
    u = np.tensordot(slopes.astype(np.float64), places, axes=(0, 0)) + 200
    u[:, -1] += 1e-3 * generator.random(u[:, -1].shape)
    u = u.astype(np.float32)
    backend.restore(dict(backend.variables()) | {"u": u}, 1.0)
    found = backend.objective().regulariser
    expected = problem.total_variation.value(u)
    # u itself is rounded to 200 eps, the same for both.
    assert found == pytest.approx(expected, rel=2e-6, abs=1e-9)
