"""SIRT: every backend does what the formula says, in both memory layouts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector
from chemtomo.recon.sirt import NumpySirt, SirtBackend, inverse_sums

GEOMETRY = ParallelBeam(
    [-61, -30, 0, 25, 70, 90], 11, (9, 12), detector_axis=4.6, detector_shifts=[0, 0.3, -1.2, 2, 0, -0.5]
)

MakeSirt = Callable[[npt.NDArray[np.float32], bool], SirtBackend]


KINDS = ["numpy", "opencl, layout of a cpu", "opencl, layout of a gpu"]


@pytest.fixture(params=[*KINDS, *(f"{kind}, masked" for kind in KINDS)])
def sirt_of(request: pytest.FixtureRequest) -> MakeSirt:
    """SIRT of some data, non-negative or not, on a backend."""

    masked = request.param.endswith("masked")

    def arguments(data: npt.NDArray[np.float32], nonnegative: bool) -> tuple[Any, ...]:
        weights = weights_of(len(data))
        return GEOMETRY, data, *inverse_sums(GEOMETRY, weights), weights, nonnegative

    def mask(data: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_] | None:
        return valid_of(data) if masked else None

    def of(data: npt.NDArray[np.float32], nonnegative: bool) -> SirtBackend:
        if request.param.startswith("numpy"):
            return NumpySirt(*arguments(data, nonnegative), mask(data))
        device = request.getfixturevalue("device")
        request.getfixturevalue("lie_as_on")(request.param.removesuffix(", masked").split()[-1])
        from chemtomo.opencl.sirt import OpenCLSirt

        return OpenCLSirt(*arguments(data, nonnegative), device, valid=mask(data))

    of.masked = masked  # type: ignore[attr-defined]
    return of


def valid_of(data: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Some pixels that are not valid, and a row without any in some tilts."""
    valid = np.random.default_rng(5).random(data.shape) > 0.1
    valid[:, :2, 0] = False
    return valid


def weights_of(channels: int) -> npt.NDArray[np.float64]:
    """A channel with all projections, one with gains, one that has not got some projections."""
    return np.array([[1, 1, 1, 1, 1, 1], [1, 0.7, 2, 0.3, 1, 1], [0, 1, 0.5, 1, 0, 1]])[:channels]


def noisy_data(channels: int, slices: int) -> npt.NDArray[np.float32]:
    generator = np.random.default_rng(0)
    volume = generator.random((channels, 9, slices, 12)) ** 4
    projections = Projector(GEOMETRY, channels, slices).forward(volume)
    return (projections + generator.standard_normal(projections.shape)).astype(np.float32)


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize(("channels", "slices"), [(1, 1), (2, 9), (3, 70)])
def test_iterations_by_their_formula(
    sirt_of: MakeSirt, channels: int, slices: int, nonnegative: bool
) -> None:
    data = noisy_data(channels, slices)
    sirt = sirt_of(data, nonnegative)
    projector = Projector(GEOMETRY, channels, slices)
    weights = weights_of(channels)[:, :, None, None]
    if sirt_of.masked:  # type: ignore[attr-defined]
        weights = weights * valid_of(data)
    row_sums = projector.forward(np.ones(projector.domain_shape))
    inverse_row_sums = np.where(row_sums > 1e-3 * row_sums.max(), 1 / np.maximum(row_sums, 1e-9), 0)
    column_sums = projector.adjoint(weights * np.ones(projector.range_shape))
    columns = np.where(column_sums > 1e-3 * column_sums.max(), 1 / np.maximum(column_sums, 1e-9), 0)
    u = np.zeros(projector.domain_shape)
    for _ in range(4):
        sirt.advance()
        u = u + columns * projector.adjoint(weights * inverse_row_sums * (data - projector.forward(u)))
        if nonnegative:
            u = np.maximum(u, 0)
    assert (u < 0).any() != nonnegative
    assert (u == 0).any() == nonnegative
    volume = sirt.volume()
    assert volume.dtype == np.float32
    np.testing.assert_allclose(volume, u, atol=1e-5 * np.abs(u).max())
    np.testing.assert_array_equal(sirt.slice(slices - 1), volume[:, :, slices - 1])
    squares = 0.5 * (weights * (projector.forward(u) - data) ** 2).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(sirt.residuals(), squares, rtol=1e-5)
    np.testing.assert_array_equal(sirt.volume(), volume)


@pytest.mark.parametrize("sirt_of", [f"{kind}, masked" for kind in KINDS], indirect=True)
def test_values_at_invalid_pixels_have_no_influence(sirt_of: MakeSirt) -> None:
    data = noisy_data(2, 9)
    other = data.copy()
    other[~valid_of(data)] = 1e20
    volumes = []
    for one in (data, other):
        sirt = sirt_of(one, True)
        sirt.advance()
        sirt.advance()
        volumes.append(sirt.volume())
    np.testing.assert_array_equal(*volumes)


def test_the_residual_falls(sirt_of: MakeSirt) -> None:
    sirt = sirt_of(noisy_data(2, 9), False)
    residuals = [sirt.residuals()]
    for _ in range(10):
        sirt.advance()
        residuals.append(sirt.residuals())
    assert (np.diff(residuals, axis=0) < 0).all()
