"""Filters do to known images what they say, and mark what they give."""

from __future__ import annotations

import numpy as np
import pytest

from chemtomo.data import TiltSeries
from chemtomo.errors import ParameterError
from chemtomo.preprocess import band_pass, gaussian_filter, median_filter, sobel_filter


def image(data):
    return TiltSeries("HAADF", np.asarray(data, np.float32)[None], [0])


def test_a_gaussian_has_the_width_that_was_asked_for():
    point = np.zeros((41, 41))
    point[20, 20] = 1
    found = gaussian_filter(image(point), 8.0).data[0]
    assert found.sum() == pytest.approx(1, rel=1e-4)
    assert found[20, 24] / found[20, 20] == pytest.approx(0.5, abs=0.01)


def test_a_median_keeps_edges_and_removes_points():
    step = np.zeros((9, 9))
    step[:, 5:] = 1
    spoilt = step.copy()
    spoilt[4, 2] = 100
    np.testing.assert_array_equal(median_filter(image(spoilt), 3).data[0], step)


def test_a_band_pass_removes_what_is_smooth_and_keeps_details():
    x = np.arange(200.0)
    plane = np.broadcast_to(3 * x + 50, (80, 200))
    inside = (slice(30, -30), slice(70, -70))
    assert np.abs(band_pass(image(plane), 2, 20).data[0][inside]).max() < 1e-2
    wave = np.broadcast_to(np.sin(2 * np.pi * x / 12), (80, 200))
    assert band_pass(image(wave), 2, 40).data[0][inside].std() > 0.6 * wave.std()
    fine = np.broadcast_to(np.where(x % 2, 1.0, -1.0), (80, 200))
    assert band_pass(image(fine), 4, 40).data[0][inside].std() < 0.05


def test_sobel_shows_edges():
    step = np.zeros((9, 9))
    step[:, 5:] = 1
    found = sobel_filter(image(step)).data[0]
    assert (found[:, 4:6] > 0.5).all()
    assert (found[:, :3] == 0).all()


@pytest.mark.parametrize("step", [median_filter, gaussian_filter, band_pass, sobel_filter])
def test_the_result_is_marked_and_what_was_measured_stays(full, step):
    done = step(full)
    assert done.kind == "intensity"
    assert any("registration only" in note for note in done.notes)
    assert step(done).notes == done.notes
    assert done.background is None
    # The known background, which drifts here by one per tilt, is not among what is registered.
    flat = full.replace(data=full.background + 1)
    assert np.ptp(gaussian_filter(flat).data) < 1e-5


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (lambda one: median_filter(one, 4), "median over 4 pixels"),
        (lambda one: gaussian_filter(one, 0), "width of 0 pixels"),
        (lambda one: band_pass(one, 0, 5), "smallest detail of 0"),
        (lambda one: band_pass(one, 5, 5), "details from 5 to 5 pixels"),
    ],
)
def test_sizes_have_to_make_sense(full, step, said):
    with pytest.raises(ParameterError, match=said):
        step(full)
