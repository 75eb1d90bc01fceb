"""The level of vacuum, and saturated pixels: found where they can be, and nothing else is changed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.data import TiltSeries
from chemtomo.preprocess import find_vacuum, from_vacuum, without_saturated
from chemtomo.preprocess.stacks import lazy_series

TILTS = np.arange(-60.0, 61.0, 4.0)
DRIFT = np.linspace(-40, 25, TILTS.size)


def recorded(sample, offsets, noise=0.5, seed=0):
    shown = sample + offsets[:, None, None] + np.random.default_rng(seed).normal(0, noise, sample.shape)
    return TiltSeries("HAADF", shown.astype(np.float32), TILTS)


def film(seed=0):
    """Projections of a film with a smooth texture that fills the field, brighter as 1 / cos(tilt)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:96, :96] / 96
    waves = sum(
        np.sin(2 * np.pi * (fy * y + fx * x) + rng.uniform(0, 6)) for fy, fx in rng.normal(0, 2, (8, 2))
    )
    return (100 + 3 * waves) / np.cos(np.deg2rad(TILTS))[:, None, None]


@given(seed=st.integers(0, 20), noise=st.sampled_from([0.2, 1.0, 4.0]))
def test_the_level_is_found_to_within_its_error(sample, seed, noise):
    found = find_vacuum(recorded(sample, DRIFT, noise, seed))
    assert found.visible
    away = np.abs(found.levels - DRIFT)
    assert (away < 6 * found.errors + 0.1 * noise).all()
    assert (found.errors < 0.1 * noise).all()
    assert found.noise == pytest.approx(noise, rel=0.25)


@pytest.mark.parametrize("noise", [0.1, 2.0])
def test_a_film_that_fills_the_field_shows_no_vacuum(noise):
    assert not find_vacuum(recorded(film(), 0 * DRIFT, noise)).visible


def test_noise_stays_on_both_sides_of_vacuum(sample):
    """What is above the background is the recorded value above the level, to rounding, nothing cut off."""
    series = recorded(sample, DRIFT)
    done, note = from_vacuum(series)
    levels = np.array(done.provenance[-1]["levels"])
    np.testing.assert_allclose(
        done.data - done.background, series.data - levels[:, None, None], atol=1e-4, rtol=1e-5
    )
    assert done.data.min() >= 0
    assert (done.data < done.background).mean() > 0.2
    assert np.unique(done.background).size == 1
    assert "vacuum" in note
    lazily, _ = from_vacuum(lazy_series(series))
    np.testing.assert_array_equal(lazily.values(), done.data)


@given(offset=st.integers(-30000, 30000))
def test_an_offset_of_the_whole_series_makes_no_difference(sample, offset):
    one, _ = from_vacuum(recorded(np.round(sample), np.round(DRIFT)))
    other, _ = from_vacuum(recorded(np.round(sample), np.round(DRIFT) + offset))
    np.testing.assert_allclose(other.data, one.data, atol=0.02)
    assert other.background[0, 0, 0] == pytest.approx(one.background[0, 0, 0], abs=0.02)


def test_pixels_far_below_vacuum_are_left_out(sample):
    series = recorded(sample, DRIFT)
    data = series.data.copy()
    data[3, 5, 6] = -500
    done, note = from_vacuum(series.replace(data=data))
    assert not done.valid[3, 5, 6]
    assert (~done.valid).sum() == 1
    assert "left out" in note
    assert done.background[0, 0, 0] < 10


def test_negative_values_without_vacuum_are_kept_with_a_caution():
    done, note = from_vacuum(recorded(film(), 0 * DRIFT - 300))
    assert done.data.min() >= 0
    assert "no vacuum in view" in note


def test_what_begins_at_zero_and_counts_are_left_alone(sample):
    at_zero = TiltSeries("HAADF", np.abs(sample), TILTS)
    counts = TiltSeries("Al", np.random.default_rng(0).poisson(sample + 3), TILTS, kind="counts")
    filled = TiltSeries("HAADF", film(), TILTS)
    for series in (at_zero, counts, filled):
        assert from_vacuum(series) == (series, None)


@pytest.mark.parametrize(("dtype", "limit"), [("uint16", 65535), ("int16", 32767), ("uint16", 4095)])
def test_a_plateau_at_the_largest_number_is_saturated(dtype, limit):
    data = np.random.default_rng(0).integers(0, limit - 9, (3, 8, 9)).astype(dtype)
    data[1, 2:4, 3:6] = limit
    known = np.ones(data.shape, bool)
    known[0, 0, 0] = False
    done, note = without_saturated(TiltSeries("HAADF", data, [0, 1, 2], valid=known))
    np.testing.assert_array_equal(done.valid, known & (data < limit))
    assert "6 pixels are saturated" in note


def test_a_single_bright_pixel_or_one_below_the_limit_is_not():
    data = np.full((2, 8, 9), 7, np.uint16)
    data[0, 0, 0] = 65535
    one = TiltSeries("HAADF", data, [0, 1])
    data = np.full((2, 8, 9), 7, np.uint16)
    data[0] = 60000
    for series in (one, one.replace(data=data), one.replace(data=data, kind="counts")):
        assert without_saturated(series) == (series, None)
