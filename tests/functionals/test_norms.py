"""The norms of the regularisers: values, projections and the proximal map."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from chemtomo.errors import DataError, ParameterError
from chemtomo.functionals import FrobeniusNorm, NuclearNorm
from chemtomo.functionals.norms import PointwiseNorm

SHAPE = (3, 2, 3, 2, 4)
COUPLED = pytest.mark.parametrize("coupled", [False, True])
NORMS: dict[str, Callable[[float], PointwiseNorm]] = {
    "apart": lambda alpha: FrobeniusNorm(alpha, coupled=False),
    "frobenius": lambda alpha: FrobeniusNorm(alpha, coupled=True),
    "nuclear": NuclearNorm,
}
ANY_NORM = pytest.mark.parametrize("norm_of", NORMS.values(), ids=NORMS)


def field(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> npt.NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal(shape)


def test_value_is_its_formula() -> None:
    p = field()
    coupled = sum(np.linalg.norm(p[:, :, z, y, x]) for z, y, x in np.ndindex(SHAPE[2:]))
    apart = sum(np.linalg.norm(p[:, c, z, y, x]) for c, z, y, x in np.ndindex(SHAPE[1:]))
    assert FrobeniusNorm(0.7, coupled=True).value(p) == pytest.approx(0.7 * coupled)
    assert FrobeniusNorm(0.7, coupled=False).value(p) == pytest.approx(0.7 * apart)


def test_coupling_makes_common_edges_cheap_and_does_nothing_to_one_channel() -> None:
    together = np.zeros(SHAPE)
    together[0, :, 1, 1, 1] = 1
    apart = np.zeros(SHAPE)
    apart[0, 0, 1, 1, 1] = apart[0, 1, 2, 0, 3] = 1
    norm = FrobeniusNorm(1.0, coupled=True)
    assert norm.value(together) == pytest.approx(np.sqrt(2))
    assert norm.value(apart) == pytest.approx(2)
    one = field()[:, :1]
    assert norm.value(one) == FrobeniusNorm(1.0, coupled=False).value(one)


@ANY_NORM
def test_value_is_summed_in_float64(norm_of: Callable[[float], PointwiseNorm]) -> None:
    p = np.full((2, 1, 1, 1, 100_001), 1e-4, np.float32)
    p[..., 0] = 1e4
    expected = np.sqrt(2) * (1e4 + 1e5 * float(np.float32(1e-4)))
    assert norm_of(1.0).value(p) == pytest.approx(expected, rel=1e-12)


@ANY_NORM
def test_rotating_the_components_does_not_change_the_value(norm_of: Callable[[float], PointwiseNorm]) -> None:
    rotation = np.linalg.qr(field(1, (3, 3)))[0]
    norm = norm_of(2.0)
    assert norm.value(np.tensordot(rotation, field(), 1)) == pytest.approx(norm.value(field()))


@ANY_NORM
@given(alpha=st.floats(0.01, 10), seed=st.integers(0, 99))
def test_projection_lands_in_the_ball_and_stays_there(
    norm_of: Callable[[float], PointwiseNorm], alpha: float, seed: int
) -> None:
    norm = norm_of(alpha)
    p = field(seed)
    projected = norm.project_dual(p)
    assert norm.dual_pointwise(projected).max() <= alpha * (1 + 1e-13)
    np.testing.assert_allclose(norm.project_dual(projected), projected, rtol=1e-13, atol=1e-13)
    inside = np.broadcast_to(norm.dual_pointwise(p) <= alpha, SHAPE)
    np.testing.assert_array_equal(projected[inside], p[inside])


@ANY_NORM
@given(seed=st.integers(0, 99))
def test_projection_is_the_nearest_point(norm_of: Callable[[float], PointwiseNorm], seed: int) -> None:
    """<p - P p, q - P p> <= 0 for every q in the ball, pixel by pixel and so in the sum."""
    norm = norm_of(0.8)
    p, q = 2 * field(seed), norm.project_dual(field(seed + 1000))
    projected = norm.project_dual(p)
    assert np.vdot(p - projected, q - projected) <= 1e-12


@COUPLED
@given(tau=st.floats(0.01, 10), seed=st.integers(0, 99))
def test_moreau_identity(coupled: bool, tau: float, seed: int) -> None:
    """p = prox of tau |.| at p + tau times the projection of p / tau."""
    norm = FrobeniusNorm(0.3, coupled)
    p = field(seed)
    np.testing.assert_allclose(norm.prox(p, tau) + tau * norm.project_dual(p / tau), p, atol=1e-13)


@COUPLED
@settings(max_examples=10)
@given(tau=st.floats(0.1, 3), seed=st.integers(0, 99))
def test_prox_minimises(coupled: bool, tau: float, seed: int) -> None:
    """Against brute force on one pixel of two components and two channels."""
    norm = FrobeniusNorm(0.6, coupled)
    p = field(seed, (2, 2, 1, 1, 1))

    def function(flat: npt.NDArray[np.float64]) -> float:
        x = flat.reshape(p.shape)
        return tau * norm.value(x) + float(((x - p) ** 2).sum()) / 2

    best = minimize(function, p.ravel(), method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10})
    assert function(norm.prox(p, tau).ravel()) <= best.fun + 1e-9


@ANY_NORM
def test_fenchel_young(norm_of: Callable[[float], PointwiseNorm]) -> None:
    """<p, q> <= alpha sum |p| for q in the ball, with equality for a large multiple of p, projected."""
    norm = norm_of(1.7)
    p = field()
    q = norm.project_dual(1e9 * p)
    assert np.vdot(p, q) == pytest.approx(norm.value(p))
    assert np.vdot(p, norm.project_dual(field(5))) < norm.value(p)


@ANY_NORM
@given(seed=st.integers(0, 99))
def test_scaling_into_the_ball_keeps_the_direction(
    norm_of: Callable[[float], PointwiseNorm], seed: int
) -> None:
    norm, p = norm_of(0.9), field(seed)
    scaled = norm.scale_into_ball(p)
    assert norm.dual_pointwise(scaled).max() == pytest.approx(0.9)
    np.testing.assert_allclose(scaled * np.maximum(1, norm.dual_pointwise(p) / 0.9), p, rtol=1e-13)


def test_the_nuclear_norm_of_known_singular_values() -> None:
    left, right = np.linalg.qr(field(3, (3, 3)))[0], np.linalg.qr(field(4, (5, 5)))[0][:3]
    p = ((left * [3.0, 2.0, 0.5]) @ right)[:, :, np.newaxis, np.newaxis, np.newaxis]
    norm = NuclearNorm(1.5)
    assert norm.value(p) == pytest.approx(1.5 * 5.5)
    assert norm.dual_pointwise(p).item() == pytest.approx(3)
    expected = (left * [1.5, 1.5, 0.5]) @ right
    np.testing.assert_allclose(norm.project_dual(p)[..., 0, 0, 0], expected, atol=1e-13)


def test_the_nuclear_norm_of_one_channel_is_its_length() -> None:
    p = field()[:, :1]
    assert NuclearNorm(0.7).value(p) == pytest.approx(FrobeniusNorm(0.7, coupled=False).value(p))
    found, expected = NuclearNorm(0.7).project_dual(p), FrobeniusNorm(0.7, coupled=False).project_dual(p)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@COUPLED
def test_type_and_inputs_are_kept(coupled: bool) -> None:
    norm = FrobeniusNorm(0.5, coupled)
    p = field().astype(np.float32)
    before = p.copy()
    for found, exact in (
        (norm.project_dual(p), norm.project_dual(p.astype(np.float64))),
        (norm.prox(p, 0.4), norm.prox(p.astype(np.float64), 0.4)),
    ):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, exact, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(p, before)
    np.testing.assert_array_equal(norm.prox(0 * p, 1.0), 0)


@pytest.mark.parametrize("alpha", [0, -1, np.nan, np.inf])
def test_bad_weight(alpha: float) -> None:
    with pytest.raises(ParameterError, match="expected a positive number"):
        FrobeniusNorm(alpha, coupled=True)
    with pytest.raises(ParameterError, match="expected a positive number"):
        NuclearNorm(alpha)


def test_bad_shape() -> None:
    with pytest.raises(DataError, match=r"\(2, 3\); expected \(component, channel, z, y, x\)"):
        FrobeniusNorm(1, coupled=True).value(np.zeros((2, 3)))
