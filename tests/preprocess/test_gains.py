"""Gains recover a shadow that is known, and counts keep their values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.data import TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.preprocess import estimate_gains, with_dose, with_estimated_gains

TILTS = np.arange(-60.0, 61.0, 4.0)
SHADOW = 1 - 0.5 * np.exp(-(((TILTS + 35) / 20) ** 2))


def test_the_shadow_of_a_holder_is_found_and_counts_keep_their_values(sample):
    rate = sample / sample.sum(axis=(1, 2), keepdims=True) * 2e5 * SHADOW[:, None, None]
    counts = np.random.default_rng(0).poisson(rate + 3.0).astype(np.uint16)
    one = TiltSeries("Al", counts, TILTS, kind="counts", background=np.full(counts.shape, 3.0))
    done = with_estimated_gains(one)
    np.testing.assert_array_equal(done.data, counts)
    np.testing.assert_allclose(done.gains, SHADOW / SHADOW.mean(), rtol=0.01)
    # A background that is not known would make the shadow look weaker.
    unknown = estimate_gains(one.replace(background=None))
    assert np.ptp(unknown) < 0.95 * np.ptp(done.gains)


def test_a_smooth_curve_averages_the_noise_of_rare_counts_out():
    errors = {0.0: [], 30.0: []}
    for seed in range(5):
        counts = np.random.default_rng(seed).poisson(np.broadcast_to(SHADOW[:, None, None], (31, 8, 12)))
        for width, found in errors.items():
            gains = estimate_gains(TiltSeries("Al", counts, TILTS, kind="counts"), smooth_deg=width)
            found.append(np.sqrt(np.mean((gains - SHADOW / SHADOW.mean()) ** 2)))
    assert np.mean(errors[30.0]) < 0.75 * np.mean(errors[0.0])


@given(
    tilts=st.lists(st.integers(-70, 70), min_size=1, max_size=15),
    curve=st.tuples(st.floats(-0.004, 0.004), st.floats(0, 2e-5)),
    width=st.sampled_from([0.0, 5.0, 40.0, 200.0]),
)
def test_a_parabola_is_found_as_it_is_however_wide_the_window(tilts, curve, width):
    tilts = np.array(tilts, dtype=float)
    expected = 1 + curve[0] * tilts + curve[1] * tilts**2
    data = np.broadcast_to(expected[:, None, None], (tilts.size, 3, 4))
    found = estimate_gains(TiltSeries("A", data, tilts), smooth_deg=width)
    if width in (0.0, 200.0):
        np.testing.assert_allclose(found, expected / expected.mean(), rtol=1e-5)
    assert found.mean() == pytest.approx(1)


def test_a_dose_is_a_gain_of_counts_and_a_factor_of_intensities(full):
    doses = [1.0, 2, 3, 4, 5]
    done = with_dose(full, doses)
    np.testing.assert_array_equal(done.data, full.data)
    np.testing.assert_allclose(done.gains, full.gains * np.array(doses) / 3)
    bright = full.replace(kind="intensity", data=np.ones(full.shape))
    done = with_dose(bright, doses)
    np.testing.assert_allclose(done.data[:, 0, 0] * doses, 3)
    np.testing.assert_allclose(done.background[1], full.background[1] * 1.5)
    np.testing.assert_array_equal(done.gains, full.gains)


def test_a_projection_without_signal_has_no_gain():
    data = np.ones((4, 3, 3))
    data[2] = 0
    with pytest.raises(DataError, match=r"'A': projection 2 \(tilt 2 degrees\) has the sum 0 above its"):
        with_estimated_gains(TiltSeries("A", data, range(4)))


@pytest.mark.parametrize("doses", [[1, 2], [1, 2, 0, 4, 5], [1, 2, np.nan, 4, 5], []])
def test_doses_have_to_be_positive_and_one_each(full, doses):
    with pytest.raises(ParameterError, match="expected 5 positive numbers, one per projection"):
        with_dose(full, doses)
