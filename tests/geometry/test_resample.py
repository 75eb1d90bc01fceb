"""The resampler: exact where it can be, conserving where it interpolates."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from chemtomo.geometry import affine
from chemtomo.geometry.resample import warp

SMALL = st.integers(-12, 12)


@pytest.fixture
def image():
    return np.random.default_rng(3).integers(0, 9, (17, 23)).astype(np.uint16)


def blob(shape=(48, 56)):
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.exp(-((y - 22.0) ** 2 + (x - 30.0) ** 2) / 18).astype(np.float32)


@pytest.mark.parametrize("order", [1, 3])
def test_the_identity_copies(image, order):
    copied = warp(image, affine.identity()[0], order=order)
    np.testing.assert_array_equal(copied, image)
    assert copied.dtype == np.float32
    assert not np.shares_memory(copied, image)


@given(SMALL, SMALL, st.sampled_from(["zero", "nearest"]))
def test_whole_shifts_copy_what_a_pad_would_show(dy, dx, fill):
    image = np.random.default_rng(0).random((9, 11)).astype(np.float32)
    padded = np.pad(image, 12, mode="constant" if fill == "zero" else "edge")
    expected = padded[12 + dy : 21 + dy, 12 + dx : 23 + dx]
    np.testing.assert_array_equal(warp(image, affine.translation(dy, dx)[0], fill=fill), expected)


def test_the_value_comes_from_where_the_matrix_points(image):
    moved = warp(image, affine.translation(0.25, 2)[0])
    assert moved[5, 6] == pytest.approx(0.75 * image[5, 8] + 0.25 * image[6, 8])


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_linear_shifts_keep_counts_nonnegative_and_their_sum(dy, dx):
    counts = np.zeros((20, 24), dtype=np.uint16)
    counts[4:-4, 4:-4] = np.random.default_rng(1).poisson(0.5, (12, 16))
    moved = warp(counts, affine.translation(dy, dx)[0])
    assert moved.min() >= 0
    assert moved.sum(dtype=np.float64) == pytest.approx(counts.sum(), rel=1e-6)


@given(st.floats(-180, 180))
def test_turns_keep_the_sum_of_what_stays_in_the_field(angle):
    turned = warp(blob(), affine.rotation(angle, (22, 30))[0])
    assert turned.sum() == pytest.approx(blob().sum(), rel=1e-3)


def test_a_scaled_map_conserves_counts_when_asked():
    half = affine.compose(affine.translation(22, 30), affine.identity())
    half[0, :, :2] *= 0.5
    half = affine.compose(half, affine.translation(-24, -28))
    grown = warp(blob(), half[0])
    assert grown.sum() == pytest.approx(4 * blob().sum(), rel=1e-2)
    assert warp(blob(), half[0], conserve=True).sum() == pytest.approx(blob().sum(), rel=1e-2)


def test_one_warp_is_two_warps_and_sharper():
    first, then = affine.translation(0.4, -1.3), affine.rotation(7, (22, 30))
    once = warp(blob(), affine.compose(first, then)[0])
    twice = warp(warp(blob(), first[0]), then[0])
    np.testing.assert_allclose(twice, once, atol=0.03)
    assert once.max() > twice.max()


def test_a_quarter_turn_is_that_of_numpy(image):
    square = image[:15, :15]
    turned = warp(square, affine.rotation(90, (7, 7))[0])
    np.testing.assert_allclose(turned, np.rot90(square, axes=(1, 0)), atol=1e-5)


def test_the_edge_is_zero_or_nearest(image):
    down = affine.translation(-3.5, 0)[0]
    assert not warp(image, down)[:3].any()
    np.testing.assert_allclose(warp(image, down, fill="nearest")[:3], np.tile(image[0], (3, 1)), atol=1e-6)


def test_another_shape_is_cut_or_filled(image):
    assert warp(image, affine.translation(0.5, 0)[0], shape=(4, 30)).shape == (4, 30)
    np.testing.assert_array_equal(warp(image, affine.translation(1, 2)[0], shape=(4, 5)), image[1:5, 2:7])


@pytest.mark.parametrize("dtype", [">u2", ">f4", "u1", "i8", "f8"])
def test_any_kind_of_number(image, dtype):
    given = image.astype(dtype)
    np.testing.assert_allclose(
        warp(given, affine.translation(0.5, 0)[0]), warp(image, affine.translation(0.5, 0)[0]), rtol=1e-6
    )
