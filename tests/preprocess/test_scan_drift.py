"""Drift that was put into a slow scan is recovered, undone, and no count is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from chemtomo.data import TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.preprocess import ScanDrift, correct_scan_drift, estimate_scan_drift

SIZE = 128


def drift_of(speeds, offsets):
    speeds, offsets = np.atleast_2d(speeds), np.atleast_2d(offsets)
    return ScanDrift(
        speeds.astype(float), offsets.astype(float), np.zeros(len(speeds)), np.zeros(len(speeds))
    )


def specimen(seed=0):
    """A smooth sample (y, x) with structure everywhere, from 0 to 100."""
    texture = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(SIZE, SIZE)), 3)
    return 100 * (texture - texture.min()) / np.ptp(texture)


def scan(image, speed, offset):
    """Return the image as a slow scan shows it: each of its rows when the sample has drifted so far.

    The definition itself, row by row, and not the matrices that are tested.
    """
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(float)
    middle = (SIZE - 1) / 2
    at = [
        place - speed_along * (rows - middle) - offset_along
        for place, speed_along, offset_along in zip((rows, columns), speed, offset, strict=True)
    ]
    return ndimage.map_coordinates(image, at, order=3, mode="nearest")


@settings(max_examples=15)
@given(
    speed=st.tuples(st.floats(-0.05, 0.05), st.floats(-0.08, 0.08)),
    offset=st.tuples(st.floats(-3, 3), st.floats(-3, 3)),
    seed=st.integers(0, 20),
)
def test_drift_is_recovered_and_undone(speed, offset, seed):
    image = specimen(seed)
    slow = scan(image, speed, offset)
    noisy = slow + np.random.default_rng(seed).normal(0, 4, slow.shape)
    fast = TiltSeries("HAADF fast", image[None], [0])
    found = estimate_scan_drift(TiltSeries("HAADF slow", noisy[None], [0]), fast)
    # Within a quarter of a pixel at the first and the last row.
    np.testing.assert_allclose(found.speed_px[0], speed, atol=0.25 / (SIZE / 2))
    np.testing.assert_allclose(found.offset_px[0], offset, atol=0.2)
    assert found.residual_px[0] < 0.3
    back = correct_scan_drift(TiltSeries("HAADF slow", slow[None], [0]), found).data[0]
    inside = (slice(14, -14), slice(14, -14))
    before = np.abs(slow - image)[inside].mean()
    after = np.abs(back - image)[inside].mean()
    assert after < max(0.2 * before, 0.6)


def test_every_tilt_has_its_own_drift():
    speeds = [(0.02, -0.05), (0.0, 0.0), (-0.03, 0.04)]
    image = specimen()
    slow = TiltSeries("slow", np.array([scan(image, one, (0, 0)) for one in speeds]), range(3))
    found = estimate_scan_drift(slow, TiltSeries("fast", np.array([image] * 3), range(3)))
    np.testing.assert_allclose(found.speed_px, speeds, atol=0.003)
    assert (found.blocks >= 6).all()


def test_an_image_of_few_counts_is_enough():
    image = specimen()
    counts = np.random.default_rng(0).poisson(scan(image, (0.02, 0.06), (1, -1)) / 20)
    found = estimate_scan_drift(
        TiltSeries("sum", counts[None], [0], kind="counts"), TiltSeries("fast", image[None], [0])
    )
    np.testing.assert_allclose(found.speed_px[0], (0.02, 0.06), atol=0.012)


@given(
    speed=st.tuples(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1)),
    offset=st.tuples(st.floats(-3, 3), st.floats(-3, 3)),
    seed=st.integers(0, 100),
)
def test_counts_are_neither_negative_nor_lost(speed, offset, seed):
    counts = np.zeros((1, SIZE, SIZE))
    counts[0, 25:-25, 25:-25] = np.random.default_rng(seed).poisson(0.7, (SIZE - 50, SIZE - 50))
    one = TiltSeries("Al", counts, [0], kind="counts", background=0.1 * counts)
    done = correct_scan_drift(one, drift_of(speed, offset))
    assert done.data.min() >= 0
    assert done.kind == "counts"
    assert done.data.sum() == pytest.approx(counts.sum(), rel=0.01)
    assert np.asarray(done.background).sum() == pytest.approx(0.1 * counts.sum(), rel=0.01)


def test_a_stretched_scan_counts_each_place_for_longer():
    """The expected counts are those of the sample times the gain: also after the correction."""
    image = specimen()
    slow = scan(image, (0.1, 0.0), (0.0, 0.0))
    done = correct_scan_drift(
        TiltSeries("Al", slow[None], [0], kind="counts"), drift_of((0.1, 0.0), (0.0, 0.0))
    )
    inside = (slice(20, -20), slice(20, -20))
    assert done.gains[0] == pytest.approx(1 / 0.9)
    np.testing.assert_allclose(done.data[0][inside] / done.gains[0], image[inside], atol=1.5)


def test_without_drift_values_stay():
    image = specimen().astype(np.float32)
    one = TiltSeries("HAADF", image[None], [0])
    np.testing.assert_array_equal(correct_scan_drift(one, drift_of((0, 0), (0, 0))).data[0], image)
    np.testing.assert_array_equal(
        correct_scan_drift(one, drift_of((0, 0), (3, 2)), keep_offset=True).data[0], image
    )


def test_without_contrast_no_drift_is_claimed():
    flat = TiltSeries("flat", np.ones((1, SIZE, SIZE)), [0])
    found = estimate_scan_drift(flat, TiltSeries("fast", specimen()[None], [0]))
    assert (found.speed_px == 0).all()
    assert found.blocks[0] == 0
    assert np.isnan(found.residual_px[0])


def test_what_does_not_fit_is_refused():
    one = TiltSeries("slow", np.ones((2, 40, 40)), [0, 1])
    with pytest.raises(DataError, match="expected the same shape and the same tilts"):
        estimate_scan_drift(one, one.replace(tilts_deg=[0, 5]))
    with pytest.raises(DataError, match="fewer than 8 each; expected at most 4 blocks"):
        estimate_scan_drift(one, one)
    with pytest.raises(ParameterError, match="found 2 blocks"):
        estimate_scan_drift(one, one, blocks=2)
    with pytest.raises(DataError, match="found the drift of 1 scans; expected 2"):
        correct_scan_drift(one, drift_of((0, 0), (0, 0)))
