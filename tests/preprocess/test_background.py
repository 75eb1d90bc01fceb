"""The background is found, subtracted from an intensity, and kept apart from counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.data import TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.preprocess import (
    constant_background,
    edge_background,
    mask_background,
    offset_background,
)

WAYS = {
    "edges": lambda one: edge_background(one, 8),
    "otsu": mask_background,
    "threshold": lambda one: mask_background(one, level=LEVEL),
    "offset": lambda one: offset_background(one, 20),
}
LEVEL = 18.0
OFFSETS = np.linspace(3, 8, 31)[:, None, None]


def shown(sample, offset, noise=0.5):
    return (sample + offset + np.random.default_rng(0).normal(0, noise, sample.shape)).astype(np.float32)


@pytest.mark.parametrize("way", WAYS)
def test_an_offset_that_drifts_is_subtracted(sample, way):
    done = WAYS[way](TiltSeries("HAADF", shown(sample, OFFSETS), range(31)))
    empty = sample == 0
    left = [np.median(image[where]) for image, where in zip(done.data, empty, strict=True)]
    assert np.abs(left).max() < 0.5
    assert np.ptp(left) < 0.3  # and nothing of the drift is left
    # Elsewhere the same was subtracted: the sample is as bright as it was.
    assert np.abs(done.data - sample).mean() < 1.0
    assert done.background is None


@pytest.mark.parametrize("way", [one for one in WAYS if one != "offset"])
def test_the_background_of_counts_is_kept_apart(sample, way):
    rate = sample + OFFSETS
    counts = np.random.default_rng(1).poisson(rate).astype(np.uint16)
    one = TiltSeries("Al", counts, range(31), kind="counts")
    done = WAYS[way](one)
    np.testing.assert_array_equal(done.data, counts)
    assert done.kind == "counts"
    assert done.background.shape == counts.shape
    assert (done.background >= 0).all()
    # The mean of the counts is what is expected of them: not one that a median of few counts would round.
    np.testing.assert_allclose(done.background[:, 0, 0], OFFSETS[:, 0, 0], atol=0.35)


@given(left=st.floats(-5, 5), right=st.floats(-5, 5), width=st.integers(1, 10))
def test_a_slope_between_the_edges_is_subtracted_exactly(left, right, width):
    data = np.broadcast_to(np.linspace(left, right, 24), (2, 6, 24))
    done = edge_background(TiltSeries("HAADF", data, [0, 1]), width, slope=True)
    np.testing.assert_allclose(done.data, 0, atol=1e-5)


def test_without_a_slope_the_level_is_that_of_both_edges():
    data = np.zeros((1, 4, 20), np.float32)
    data[..., :5], data[..., -5:], data[..., 10] = 2, 4, 50
    done = edge_background(TiltSeries("HAADF", data, [0]), 5)
    assert done.data[0, 0, 10] == 47


def test_a_constant_is_subtracted_once(sample):
    one = TiltSeries("HAADF", sample + 7, range(31), background=np.full(sample.shape, 2.0))
    done = constant_background(one, 5)
    np.testing.assert_allclose(done.data, sample, atol=1e-4)
    assert done.background is None


def test_the_outside_can_be_cleared(sample):
    done = mask_background(TiltSeries("HAADF", shown(sample, OFFSETS), range(31)), clear=True)
    assert (done.data[:, 0, :] == 0).all()
    bright = sample > 50
    np.testing.assert_allclose(done.data[bright], sample[bright], atol=4)


def test_a_projection_without_contrast_has_a_background():
    one = TiltSeries("HAADF", np.full((2, 9, 9), 5.0), [0, 1])
    np.testing.assert_array_equal(mask_background(one).data, 0)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (lambda one: constant_background(one, -1), "background of -1 counts"),
        (lambda one: edge_background(one, 9), "strips of 9 columns; expected 1 to 8"),
        (lambda one: mask_background(one, clear=True), "counts cannot be set to zero"),
        (offset_background, "found counts, of which a low percentile is no background"),
        (lambda one: offset_background(one, 51), "percentile 51"),
    ],
)
def test_what_makes_no_sense_is_refused(full, step, said):
    with pytest.raises(ParameterError, match=said):
        step(full)


def test_a_level_with_nothing_below_it_is_refused(sample):
    with pytest.raises(DataError, match="'HAADF': only 0 pixels of a projection are below -5"):
        mask_background(TiltSeries("HAADF", sample, range(31)), level=-5.0)
