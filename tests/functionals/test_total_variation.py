"""Total variation and total generalised variation, by their laws."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from chemtomo.functionals import Coupling, TotalGeneralizedVariation, TotalVariation
from chemtomo.operators import Gradient

DIMS = pytest.mark.parametrize("dims", [2, 3])
COUPLINGS = pytest.mark.parametrize("coupling", ["none", "frobenius", "nuclear"])
SHAPE = (2, 5, 4, 6)


def volume() -> npt.NDArray[np.float64]:
    return np.random.default_rng(0).random(SHAPE)


@DIMS
@COUPLINGS
def test_total_variation_is_a_seminorm(dims: int, coupling: Coupling) -> None:
    tv = TotalVariation(SHAPE, dims, 0.7, coupling)
    u, v = volume(), volume()[:, ::-1]
    assert tv.value(np.ones(SHAPE)) == 0
    assert tv.value(u + 3) == pytest.approx(tv.value(u))
    assert tv.value(-2 * u) == pytest.approx(2 * tv.value(u))
    assert tv.value(u + v) <= tv.value(u) + tv.value(v)


@DIMS
def test_total_variation_of_a_slab_is_its_surface(dims: int) -> None:
    u = np.zeros((1, 6, 4, 5))
    u[:, 2:4] = 3
    assert TotalVariation(u.shape, dims, 1.0, coupling="frobenius").value(u) == pytest.approx(3 * 2 * 4 * 5)


def test_the_same_edge_in_two_channels() -> None:
    u = np.zeros((2, 6, 4, 5))
    u[:, 2:4] = 3
    alone = TotalVariation((1, 6, 4, 5), 3, 1.0, coupling="frobenius").value(u[:1])
    assert TotalVariation(u.shape, 3, 1.0, coupling="none").value(u) == pytest.approx(2 * alone)
    assert TotalVariation(u.shape, 3, 1.0, coupling="frobenius").value(u) == pytest.approx(np.sqrt(2) * alone)


def test_the_nuclear_norm_wants_edges_of_the_same_direction() -> None:
    """Parallel edges cost what they cost with the Frobenius norm, perpendicular ones as much as alone."""
    parallel, crossed = np.zeros((2, 2, 6, 4, 6))
    parallel[:, 2:4] = crossed[0, 2:4] = 3
    crossed[1, :, :, 2:4] = 3

    def value(u: npt.NDArray[np.float64], coupling: Coupling) -> float:
        return TotalVariation(u.shape, 3, 1.0, coupling).value(u)

    assert value(parallel, "nuclear") == pytest.approx(value(parallel, "frobenius"))
    assert value(crossed, "nuclear") == pytest.approx(value(crossed, "none"))
    assert value(crossed, "frobenius") < value(crossed, "nuclear")
    negative = parallel * np.array([1, -2]).reshape(2, 1, 1, 1)
    assert value(negative, "nuclear") == pytest.approx(value(negative, "frobenius"))


@DIMS
@COUPLINGS
def test_tgv_without_a_field_is_tv_and_with_the_gradient_leaves_the_second_order(
    dims: int, coupling: Coupling
) -> None:
    u = volume()
    tgv = TotalGeneralizedVariation(SHAPE, dims, 4.0, 0.7, coupling)
    gradient = Gradient(SHAPE, dims).forward(u)
    tv = TotalVariation(SHAPE, dims, 0.7, coupling).value(u)
    assert tgv.terms(u, 0 * gradient) == (pytest.approx(tv), 0)
    first, second = tgv.terms(u, gradient)
    assert first == 0
    assert second > 0
    assert tgv.value(u, 0.5 * gradient) == pytest.approx((tv + second) / 2)


@DIMS
def test_tgv_of_an_affine_function_is_nothing_inside(dims: int) -> None:
    """With w the constant slope, only the last indices are left, where differences are set to 0."""
    z, y, x = np.indices((5, 4, 6)).astype(np.float64)
    slopes = [2.0, -0.5, 1.5] if dims == 3 else [2.0, 1.5]
    u = (2 * z + 1.5 * x - (0.5 * y if dims == 3 else 0))[np.newaxis]
    w = np.ones((dims, *u.shape)) * np.reshape(slopes, (-1, 1, 1, 1, 1))
    tgv = TotalGeneralizedVariation(u.shape, dims, 4.0, 1.0, coupling="frobenius")
    rest = tgv.norm1.pointwise(tgv.gradient.forward(u) - w)[0, 0]
    inside = rest[:-1, :-1, :-1] if dims == 3 else rest[:-1, :, :-1]
    np.testing.assert_allclose(inside, 0, atol=1e-14)
    assert tgv.terms(u, w)[1] == 0
    assert TotalVariation(u.shape, dims, 1.0, coupling="frobenius").value(u) > 3 * tgv.value(u, w) / 2


def test_tgv_prefers_a_ramp_and_tv_a_step() -> None:
    """Of the same height: the ramp costs TV the same, and TGV (with a fitting w) less."""
    x = np.arange(12.0)
    ramp = np.broadcast_to(np.clip(x - 3, 0, 6) / 6, (1, 4, 1, 12))
    step = np.broadcast_to((x > 6).astype(np.float64), (1, 4, 1, 12))
    tv = TotalVariation(ramp.shape, 2, 1.0, coupling="frobenius")
    assert tv.value(ramp) == pytest.approx(tv.value(step))
    tgv = TotalGeneralizedVariation(ramp.shape, 2, 1.0, 1.0, coupling="frobenius")
    w = Gradient(ramp.shape, 2).forward(ramp)
    assert tgv.value(ramp, w) < 0.5 * tv.value(ramp)
