"""Outliers are found, nothing else is changed, and rare counts stay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chemtomo.data import TiltSeries
from chemtomo.errors import ParameterError
from chemtomo.io import read
from chemtomo.preprocess import remove_hot_pixels


def outliers(shape, number, seed):
    """Return places (n, 3) that do not touch, some of them at the rim."""
    rng = np.random.default_rng(seed)
    places = [(0, 0, 0), (1, shape[1] - 1, 5)]
    while len(places) < number:
        one = tuple(int(rng.integers(size)) for size in shape)
        if all(one[0] != t or max(abs(one[1] - y), abs(one[2] - x)) > 3 for t, y, x in places):
            places.append(one)
    return tuple(np.array(places).T)


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), dtype=st.sampled_from([np.float32, np.uint16]))
def test_hot_and_dead_pixels_are_found_and_nothing_else_is_changed(sample, seed, dtype):
    rng = np.random.default_rng(seed)
    clean = (200 + 5 * sample[:4] + rng.normal(0, 10, sample[:4].shape)).astype(dtype)
    at = outliers(clean.shape, 20, seed)
    given_data = clean.copy()
    given_data[at] = np.where(np.arange(20) % 2, 5000, 0)
    # A dead pixel has to be darker than any noise.
    given_data[at] = np.where(clean[at] > 150, given_data[at], 5000)
    done = remove_hot_pixels(TiltSeries("HAADF", given_data, range(4)))
    changed = np.argwhere(done.data != given_data)
    assert set(map(tuple, changed.tolist())) == set(map(tuple, np.array(at).T.tolist()))
    # What stands in their place is what was there, but for the noise.
    assert np.abs(done.data[at].astype(float) - clean[at]).max() < 150
    assert done.data.dtype == dtype


@pytest.mark.parametrize("rate", [0.003, 0.05, 0.3, 1.0, 5.0, 60.0])
def test_a_poisson_map_stays_as_it_is(sample, rate):
    """Particles of this many counts in the brightest pixels, at a whole tilt series."""
    counts = np.random.default_rng(2).poisson(rate * (0.02 + sample / sample.max())).astype(np.uint16)
    done = remove_hot_pixels(TiltSeries("Al", counts, range(len(counts)), kind="counts"))
    np.testing.assert_array_equal(done.data, counts)


def test_noise_and_edges_of_an_intensity_stay_as_they_are(sample):
    rng = np.random.default_rng(3)
    for data in (
        sample,
        rng.normal(0, 1, sample.shape),
        sample + rng.normal(0, 1, sample.shape) * sample / 20,
    ):
        done = remove_hot_pixels(TiltSeries("HAADF", data.astype(np.float32), range(len(data))))
        np.testing.assert_array_equal(done.data, data.astype(np.float32))


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), rate=st.sampled_from([0.05, 0.5, 3.0, 30.0]))
def test_spikes_among_counts_are_found_and_stay_whole_numbers(sample, seed, rate):
    expected = rate * (0.1 + sample[:5] / sample.max())
    counts = np.random.default_rng(seed).poisson(expected).astype(np.float32)
    at = outliers(counts.shape, 12, seed)
    spiked = counts.copy()
    spiked[at] = 60 + 8 * rate
    done = remove_hot_pixels(TiltSeries("Al", spiked, range(5), kind="counts"), which="hot").data
    assert (done[at] < 60).all()
    spiked[at] = done[at]
    np.testing.assert_array_equal(done, spiked)  # elsewhere it is what it was
    np.testing.assert_array_equal(done, np.rint(done))
    assert np.abs(done[at] - expected[at]).max() <= 2 + 4 * np.sqrt(1.1 * rate)


def test_a_pair_of_hot_pixels_is_found():
    data = np.random.default_rng(0).normal(100, 5, (1, 40, 40)).astype(np.float32)
    data[0, 10, 10:12] = 900
    done = remove_hot_pixels(TiltSeries("HAADF", data, [0])).data
    assert done.max() < 150


def test_one_of_the_two_kinds_can_be_left(sample):
    data = (500 + sample[:1]).astype(np.float32)
    data[0, 20, 20], data[0, 60, 60] = 5000, 0
    hot, dead = (remove_hot_pixels(TiltSeries("HAADF", data, [0]), which=one).data for one in ("hot", "dead"))
    assert (hot.max() < 1000, hot.min()) == (True, 0)
    assert (dead.max(), dead.min() > 400) == (5000, True)


@pytest.mark.parametrize("name", ["threshold", "false_alarms"])
def test_limits_have_to_be_positive(full, name):
    with pytest.raises(ParameterError, match="expected a positive number"):
        remove_hot_pixels(full, **{name: 0.0})


def test_spikes_in_a_recorded_series_are_found_and_hardly_anything_else(data_folder):
    """91 projections of a real sample, with 30 spikes put in. The maps of elements stay as they are."""
    for name in ("Yb", "Al"):
        (one,) = read(data_folder / "phantom" / f"{name}_EDXsino.mrc")
        assert one.kind == "counts"
        np.testing.assert_array_equal(remove_hot_pixels(one).data, one.data)
    (haadf,) = read(data_folder / "phantom" / "HAADF_lrsino.mrc")
    data = np.array(haadf.data)
    at = outliers((36, 60, 433), 30, 1)
    data[at] = 5 * data.max()
    done = remove_hot_pixels(haadf.replace(data=data)).data
    assert (done[at] < data.max() / 4).all()
    changed = np.count_nonzero(done != data)
    assert changed - 30 <= 1e-5 * data.size
