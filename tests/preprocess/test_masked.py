"""Pixels that are left out: as boxes of text, and on their way to the data term."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from chemtomo.align import apply, link, recorded_pixels
from chemtomo.data import Alignment, Dataset, TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.geometry import affine
from chemtomo.preprocess import bin_pixels, crop, drop_tilts, mask_pixels, pad
from chemtomo.preprocess.values.masked import MaskPixels, boxes_of, pixels_of

SHAPE = (3, 7, 9)
masks = arrays(np.bool_, st.tuples(*(st.integers(1, 8) for _ in SHAPE)))


@given(masks)
def test_the_boxes_of_a_mask_are_the_mask(mask):
    np.testing.assert_array_equal(pixels_of(boxes_of(mask), mask.shape), mask)


@given(arrays(np.bool_, st.tuples(st.integers(1, 8), st.integers(1, 8))))
def test_one_image_holds_for_all_tilts(image):
    mask = pixels_of(boxes_of(image), (2, *image.shape))
    np.testing.assert_array_equal(mask, np.broadcast_to(image, mask.shape))


def test_rows_that_are_alike_are_one_box():
    mask = np.zeros(SHAPE, bool)
    mask[1, 2:5, 3:7] = True
    assert boxes_of(mask) == "1/2:5/3:7"


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 0), ("*/0:2/*", 3 * 2 * 9), ("0/6/8", 1), ("0:2/*/3 0/*/3", 2 * 7), ("*/*/*", 3 * 7 * 9)],
)
def test_boxes_by_hand(text, count):
    assert pixels_of(text, SHAPE).sum() == count


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("3/0/0", "'3/0/0'; expected a box within 3 projections"),
        ("0/0:8/0", "expected a box within 7 rows"),
        ("0/0/4:4", "expected a box within 9 columns"),
        ("0/0", "expected boxes TILT/Y/X"),
        ("0/0/-1", "expected boxes TILT/Y/X"),
    ],
)
def test_boxes_that_are_none_are_told_with_the_series(text, said):
    with pytest.raises(ParameterError, match="'HAADF'") as raised:
        MaskPixels(pixels=text).apply(Dataset((series(),)))
    assert said in str(raised.value)


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(ParameterError, match=r"shape \(7, 8\); expected .* = \(3, 7, 9\), or"):
        mask_pixels(series(), np.zeros((7, 8), bool))


def test_what_was_not_valid_before_stays_so():
    before = np.ones(SHAPE, bool)
    before[0, 0, 0] = False
    image = np.zeros(SHAPE[1:], bool)
    image[4, 4] = True
    done = mask_pixels(series().replace(valid=before), image)
    assert sorted(map(tuple, np.argwhere(~np.asarray(done.valid)).tolist())) == [
        (0, 0, 0), (0, 4, 4), (1, 4, 4), (2, 4, 4),
    ]  # fmt: skip


def test_the_mask_goes_with_its_pixels():
    """A marked pixel has a value of its own: where the value goes, the mask goes."""
    mask = np.zeros(SHAPE, bool)
    mask[1, 3, 4] = True
    one = mask_pixels(series(mask * 1000.0), mask)
    for done in (
        crop(one, x=(2, 8), y=(1, 6)),
        pad(one, x=2, y=1),
        bin_pixels(one, 2),
        drop_tilts(one, [0]),
        apply(one, shifted(2.0, 1.0)),
    ):
        there = done.values() > 0
        assert there.any()
        assert not np.asarray(done.valid)[there].any()
        # What else is not valid was brought in from outside.
        assert np.asarray(done.valid).sum() >= 0.4 * there.size


def test_a_mask_is_linked_with_its_channel():
    mask = np.zeros(SHAPE, bool)
    mask[2, 3, 4] = True
    one = mask_pixels(series(), mask)
    linked = link(shifted(1.0, 0.0), one)
    done = apply(one, linked)
    assert not np.asarray(done.valid)[2, 2, 4]
    assert np.asarray(done.valid)[1, 2, 4]


@pytest.mark.parametrize(("down", "across", "angle"), [(2.0, -1.0, 0.0), (0.5, 0.25, 0.0), (1.0, 2.0, 8.0)])
def test_pixels_of_the_aligned_view_are_those_of_the_recorded_one(down, across, angle):
    shape = (40, 44)
    painted = np.zeros((2, *shape), bool)
    painted[0, 12:22, 20:31] = True
    matrix = affine.compose(affine.translation(np.array([down]), np.array([across])), turned(angle, shape))
    alignment = Alignment("HAADF", np.arange(2.0), np.tile(matrix, (2, 1, 1)), shape=shape)
    recorded = recorded_pixels(painted, alignment)
    assert not recorded[1].any()
    rows, columns = np.nonzero(recorded[0])
    middle = affine.apply(matrix, np.array([[16.5, 25.0]]))[0, 0]
    assert np.abs([rows.mean(), columns.mean()] - middle).max() < 0.6
    assert abs(rows.size - painted[0].sum()) <= 0.15 * painted[0].sum()


def test_masks_and_transforms_belong_together():
    with pytest.raises(DataError, match="2 masks for 3 transforms"):
        recorded_pixels(np.zeros((2, 4, 4), bool), shifted(0.0, 0.0))


def series(data=None):
    values = np.ones(SHAPE) if data is None else data
    return TiltSeries("HAADF", values.astype(np.float32), np.array([-30.0, 0.0, 30.0]), 2.0)


def shifted(down, across):
    matrices = np.tile(affine.translation(np.array([down]), np.array([across])), (3, 1, 1))
    return Alignment("HAADF", np.array([-30.0, 0.0, 30.0]), matrices, shape=SHAPE[1:], pixel_size_nm=2.0)


def turned(angle, shape):
    return affine.tilt_axis(angle, 0.0, shape)
