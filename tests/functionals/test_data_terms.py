"""Data terms: value, conjugate and proximal map hold together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from chemtomo.errors import DataError
from chemtomo.functionals import DataTerm, KullbackLeibler, SquaredL2

SHAPE = (2, 3, 2, 4)
WEIGHT = np.array([0.7, 3.0])
SIGMA = np.array([0.2, 5.0])

TERMS = pytest.mark.parametrize("kind", [KullbackLeibler, SquaredL2])

positive = st.floats(0.01, 100)
data_value = st.one_of(st.just(0.0), positive)


def one_pixel(kind: type[DataTerm], f: float, w: float) -> DataTerm:
    return kind(np.full((1, 1, 1, 1), f), [w])


def pixel(value: float) -> npt.NDArray[np.float64]:
    return np.full((1, 1, 1, 1), value)


def counts() -> npt.NDArray[np.float64]:
    """Data with zeros in it."""
    return np.random.default_rng(0).poisson(2, SHAPE).astype(np.float64)


def test_kullback_leibler_is_its_formula() -> None:
    f, v = counts(), np.random.default_rng(1).random(SHAPE) + 0.1
    expected = [
        sum(b - a + (a * np.log(a / b) if a > 0 else 0) for a, b in zip(fc.flat, vc.flat, strict=True))
        for fc, vc in zip(f, v, strict=True)
    ]
    np.testing.assert_allclose(KullbackLeibler(f, WEIGHT).value(v), expected)


def test_squares_are_their_formula() -> None:
    f, v = counts(), np.random.default_rng(1).random(SHAPE)
    expected = [np.linalg.norm(vc - fc) ** 2 / 2 for fc, vc in zip(f, v, strict=True)]
    np.testing.assert_allclose(SquaredL2(f, WEIGHT).value(v), expected)


@TERMS
def test_value_is_zero_at_the_data_and_positive_elsewhere(kind: type[DataTerm]) -> None:
    f = counts()
    term = kind(f, WEIGHT)
    np.testing.assert_array_equal(term.value(f), 0)
    assert (term.value(f + 0.1) > 0).all()
    assert (term.value(f * 0.9) > 0).all()


@TERMS
def test_value_is_summed_in_float64(kind: type[DataTerm]) -> None:
    """A float32 sum would lose the small terms beside the large one."""
    f = np.zeros((1, 1, 1, 100_001), np.float32)
    v = np.full(f.shape, 1e-4, np.float32)
    v[..., 0] = 1e4
    value = kind(f, [1.0]).value(v)
    assert value.dtype == np.float64
    small, large = v.flat[1].astype(np.float64), 1e4
    expected = small * 1e5 + large if kind is KullbackLeibler else (small**2 * 1e5 + large**2) / 2
    assert value[0] == pytest.approx(expected, rel=1e-12)


def test_kullback_leibler_conventions() -> None:
    f = np.array([0.0, 0.0, 4.0, 4.0, 4.0]).reshape(5, 1, 1, 1)
    v = np.array([0.0, -1e-9, 0.0, 1e-12, -1e-9]).reshape(5, 1, 1, 1)
    value = KullbackLeibler(f, np.ones(5)).value(v)
    floored = 4e-10 - 4 + 4 * np.log(1e10)
    np.testing.assert_allclose(value, [0, np.inf, floored, floored, np.inf])


def test_kullback_leibler_scales_with_data_and_projections() -> None:
    """Also where the floor is at work."""
    f, v = counts(), np.random.default_rng(1).random(SHAPE)
    v[:, :, 0] = 0
    value = KullbackLeibler(f, WEIGHT).value(v)
    np.testing.assert_allclose(KullbackLeibler(1e3 * f, WEIGHT).value(1e3 * v), 1e3 * value)


@TERMS
@given(f=data_value, w=positive, v=positive, below=st.floats(0.0, 50))
def test_fenchel_young_inequality(kind: type[DataTerm], f: float, w: float, v: float, below: float) -> None:
    """w D(v) + (w D)*(r) >= v r everywhere, with equality at r = w D'(v)."""
    term = one_pixel(kind, f, w)
    slope = w * (1 - f / v) if kind is KullbackLeibler else w * (v - f)
    value = w * term.value(pixel(v))[0]
    scale = 1 + abs(value) + abs(v * slope)
    assert value + term.conjugate(pixel(slope)) == pytest.approx(v * slope, abs=1e-9 * scale)
    r = w - below if kind is KullbackLeibler else below - 25
    assert value + term.conjugate(pixel(r)) >= v * r - 1e-9 * (1 + abs(v * r))


def test_conjugate_is_the_weighted_sum_over_all_channels() -> None:
    f, r = counts(), -np.random.default_rng(1).random(SHAPE)
    for kind in (KullbackLeibler, SquaredL2):
        alone = [kind(f[c : c + 1], WEIGHT[c : c + 1]).conjugate(r[c : c + 1]) for c in range(2)]
        assert kind(f, WEIGHT).conjugate(r) == pytest.approx(sum(alone))


def test_conjugate_outside_its_domain_is_infinite() -> None:
    assert one_pixel(KullbackLeibler, 2.0, 3.0).conjugate(pixel(3.0)) == np.inf
    assert one_pixel(KullbackLeibler, 2.0, 3.0).conjugate(pixel(3.1)) == np.inf
    assert one_pixel(KullbackLeibler, 0.0, 3.0).conjugate(pixel(3.1)) == np.inf
    assert one_pixel(KullbackLeibler, 0.0, 3.0).conjugate(pixel(3.0)) == 0


@TERMS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_project_domain_makes_the_conjugate_finite_and_keeps_the_rest(
    kind: type[DataTerm], dtype: npt.DTypeLike
) -> None:
    r = (4 * np.random.default_rng(1).standard_normal(SHAPE)).astype(dtype)
    term = kind(counts(), WEIGHT)
    projected = term.project_domain(r)
    assert np.isfinite(term.conjugate(projected))
    assert projected.dtype == dtype
    inside = r < 0.99 * WEIGHT[:, np.newaxis, np.newaxis, np.newaxis]
    np.testing.assert_array_equal(projected[inside], r[inside])
    np.testing.assert_array_equal(term.project_domain(projected), projected)


@TERMS
@given(f=data_value, w=positive, r=st.floats(-50, 50), sigma=positive)
def test_prox_conjugate_minimises(kind: type[DataTerm], f: float, w: float, r: float, sigma: float) -> None:
    """Against brute force: no number has a smaller (w D)*(x) + (x - r)^2 / (2 sigma)."""
    term = one_pixel(kind, f, w)

    def function(x: float) -> float:
        return term.conjugate(pixel(x)) + (x - r) ** 2 / (2 * sigma)

    found = float(term.prox_conjugate(pixel(r), [sigma]).item())
    upper = w if kind is KullbackLeibler else 1e4
    best = minimize_scalar(function, bounds=(-1e4, upper), method="bounded", options={"xatol": 1e-9})
    assert function(found) <= best.fun + 1e-7 * (1 + abs(best.fun))


@TERMS
@given(f=data_value, w=positive, x=st.floats(-50, 50), sigma=positive)
def test_moreau_identity(kind: type[DataTerm], f: float, w: float, x: float, sigma: float) -> None:
    """x = prox of sigma (w D)* at x + sigma prox of (w D) / sigma at x / sigma.

    The second proximal map v satisfies v - x / sigma + w D'(v) / sigma = 0, solved here.
    """
    term = one_pixel(kind, f, w)
    r = float(term.prox_conjugate(pixel(x), [sigma]).item())
    v = (x - r) / sigma
    if kind is KullbackLeibler:
        b = w - x
        expected = (-b + np.sqrt(b**2 + 4 * sigma * w * f)) / (2 * sigma)
    else:
        expected = (x + w * f) / (sigma + w)
    assert v == pytest.approx(expected, rel=1e-6, abs=1e-9 * (1 + abs(x / sigma)))


@TERMS
def test_prox_has_a_step_per_channel(kind: type[DataTerm]) -> None:
    f, r = counts(), np.random.default_rng(1).standard_normal(SHAPE)
    found = kind(f, WEIGHT).prox_conjugate(r, SIGMA)
    for c in range(2):
        alone = kind(f[c : c + 1], WEIGHT[c : c + 1]).prox_conjugate(r[c : c + 1], SIGMA[c])
        np.testing.assert_array_equal(found[c : c + 1], alone)


@TERMS
def test_prox_keeps_float32_and_its_inputs(kind: type[DataTerm]) -> None:
    f = counts().astype(np.float32)
    r = np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)
    before = r.copy(), f.copy()
    found = kind(f, WEIGHT).prox_conjugate(r, SIGMA)
    assert found.dtype == np.float32
    exact = kind(f.astype(np.float64), WEIGHT).prox_conjugate(r.astype(np.float64), SIGMA)
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(r, before[0])
    np.testing.assert_array_equal(f, before[1])


@given(f=positive, w=positive, argument=st.floats(1e3, 1e7))
def test_prox_in_float32_does_not_cancel(f: float, w: float, argument: float) -> None:
    """w - prox is w f sigma / argument there: the textbook formula gives 0 or noise in float32."""
    data, weight = np.full((1, 1, 1, 1), f, np.float32), [np.float32(w)]
    r = np.full((1, 1, 1, 1), argument, np.float32)
    term = KullbackLeibler(data, weight)
    found = term.prox_conjugate(r, [0.5])
    expected = KullbackLeibler(data.astype(np.float64), weight).prox_conjugate(r.astype(np.float64), [0.5])
    assert found.item() <= weight[0]
    assert found.item() == pytest.approx(expected.item(), rel=2e-7)


def test_prox_stays_in_the_domain() -> None:
    r = (1e4 * np.random.default_rng(1).standard_normal(SHAPE)).astype(np.float32)
    found = KullbackLeibler(counts().astype(np.float32), WEIGHT).prox_conjugate(r, SIGMA)
    assert (found <= WEIGHT.astype(np.float32)[:, np.newaxis, np.newaxis, np.newaxis]).all()


@pytest.mark.parametrize(
    ("data", "weight", "message"),
    [
        (np.zeros((2, 3)), [1, 1], r"shape \(2, 3\); expected \(channel, tilt, y, detector\)"),
        (np.zeros(SHAPE), [1, 1, 1], r"shape \(3,\) for 2 channels; expected one each"),
        (np.zeros(SHAPE), [1, 0], r"weights are \[1.0, 0.0\]; expected positive numbers"),
        (np.full(SHAPE, np.nan), [1, 1], "NaN or infinite values; expected finite"),
        (np.full(SHAPE, -0.5), [1, 1], "smallest value of the data is -0.5; expected none below 0"),
    ],
)
def test_bad_input_names_both_sides(data: npt.NDArray[np.float64], weight: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        KullbackLeibler(data, weight)


def test_squares_take_negative_data() -> None:
    term = SquaredL2(np.full(SHAPE, -0.5), [1, 1])
    np.testing.assert_array_equal(term.value(np.full(SHAPE, -0.5)), 0)


@TERMS
def test_wrong_shape_of_the_projections(kind: type[DataTerm]) -> None:
    term = kind(counts(), WEIGHT)
    wrong = np.zeros((2, 3, 2, 5))
    for call in (term.value, term.conjugate, term.project_domain):
        with pytest.raises(DataError, match=r"\(2, 3, 2, 5\); expected \(2, 3, 2, 4\)"):
            call(wrong)
    with pytest.raises(DataError, match=r"\(2, 3, 2, 5\); expected \(2, 3, 2, 4\)"):
        term.prox_conjugate(wrong, SIGMA)


# Weights of projections, and a background

TILT_WEIGHT = np.array([[1.0, 0.3, 2.5], [0.6, 0.0, 1.7]])


def background() -> npt.NDArray[np.float64]:
    return np.random.default_rng(5).random(SHAPE) + 0.05


@TERMS
def test_the_value_with_weights_and_a_background_by_its_formula(kind: type[DataTerm]) -> None:
    f, v, b = counts(), np.random.default_rng(1).random(SHAPE) + 0.1, background()
    expected = v + b
    if kind is KullbackLeibler:
        pixels = expected - f + np.where(f > 0, f * np.log(np.where(f > 0, f, 1) / expected), 0)
    else:
        pixels = (expected - f) ** 2 / 2
    by_hand = (TILT_WEIGHT[:, :, None, None] * pixels).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(kind(f, WEIGHT, TILT_WEIGHT, b).value(v), by_hand)


def test_a_gain_is_a_weight_and_a_unit() -> None:
    """KL of f and g v + b is g times that of f / g and v + b / g; squares the same with g^2."""
    f, v, b = counts(), np.random.default_rng(1).random(SHAPE) + 0.1, background()
    gains = np.array([[0.5, 1.0, 3.0], [0.7, 0.2, 1.0]])
    g = gains[:, :, None, None]
    for kind, power in ((KullbackLeibler, 1), (SquaredL2, 2)):
        expected = kind(f, WEIGHT).value(g * v + b)
        np.testing.assert_allclose(kind(f / g, WEIGHT, gains**power, b / g).value(v), expected)


@TERMS
def test_fenchel_young_with_weights_and_a_background(kind: type[DataTerm]) -> None:
    """Equality at the slope; nothing but zero where there is no projection."""
    f, v, b = counts(), np.random.default_rng(1).random(SHAPE) + 0.1, background()
    term = kind(f, WEIGHT, TILT_WEIGHT, b)
    w = (WEIGHT[:, None] * TILT_WEIGHT)[:, :, None, None]
    slope = w * (1 - f / (v + b)) if kind is KullbackLeibler else w * (v + b - f)
    value = WEIGHT @ term.value(v)
    assert value + term.conjugate(slope) == pytest.approx(np.vdot(v, slope))
    below = slope - (w > 0) * np.random.default_rng(2).random(SHAPE)
    assert value + term.conjugate(below) > np.vdot(v, below)
    elsewhere = slope + (w == 0)
    assert term.conjugate(elsewhere) == np.inf
    np.testing.assert_array_equal(term.project_domain(elsewhere), term.project_domain(slope))


@TERMS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_proximal_map_with_weights_and_a_background(kind: type[DataTerm], dtype: npt.DTypeLike) -> None:
    """By its optimality: (a - r) / sigma is the slope of the conjugate at r, where the slope is v."""
    f, b = counts().astype(dtype), background().astype(dtype)
    a = (3 * np.random.default_rng(1).standard_normal(SHAPE)).astype(dtype)
    term = kind(f, WEIGHT, TILT_WEIGHT, b)
    r = term.prox_conjugate(a, SIGMA)
    assert r.dtype == dtype
    w = (WEIGHT[:, None] * TILT_WEIGHT)[:, :, None, None]
    missing = np.broadcast_to(w == 0, SHAPE)
    assert not r[missing].any()
    v = (a - r) / SIGMA[:, None, None, None]
    if kind is KullbackLeibler:
        assert (v[~missing] + b[~missing] >= -1e-6).all()
        smooth = ~missing & (v + b > 1e-3)
        slope = w * (1 - f / np.where(smooth, v + b, 1))
    else:
        smooth, slope = ~missing, w * (v + b - f)
    assert smooth.mean() > 0.5
    relative, absolute = (1e-9, 1e-9) if dtype == np.float64 else (1e-3, 1e-4)
    np.testing.assert_allclose(r[smooth], slope[smooth], rtol=relative, atol=absolute)


@TERMS
def test_data_without_a_projection_make_no_difference(kind: type[DataTerm]) -> None:
    f, v, a = counts(), np.random.default_rng(1).random(SHAPE) + 0.1, -np.random.default_rng(2).random(SHAPE)
    other = f.copy()
    other[1, 1] = 77
    one, two = kind(f, WEIGHT, TILT_WEIGHT), kind(other, WEIGHT, TILT_WEIGHT)
    np.testing.assert_array_equal(one.value(v), two.value(v))
    np.testing.assert_array_equal(one.prox_conjugate(a, SIGMA), two.prox_conjugate(a, SIGMA))
    r = one.prox_conjugate(a, SIGMA)
    assert one.conjugate(r) == two.conjugate(r)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"tilt_weight": np.ones((2, 2))},
            r"of the projections: found .*\(2, 2\); expected \(2, 3\)",
        ),
        ({"tilt_weight": [[1, 1, -1], [1, 1, 1]]}, "reach from -1.0 to 1.0; expected none below 0"),
        ({"tilt_weight": [[1, 1, 1], [0, 0, 0]]}, r"channels \[1\] have no projection"),
        ({"background": np.ones((2, 3, 2, 3))}, r"background: found .*\(2, 3, 2, 3\)"),
        ({"background": np.full(SHAPE, np.nan)}, "background holds NaN"),
        (
            {"background": np.full(SHAPE, -0.5)},
            "value of the background is -0.5; expected none below 0",
        ),
    ],
)
def test_bad_weights_and_backgrounds_name_both_sides(changes: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        KullbackLeibler(counts(), WEIGHT, **changes)
