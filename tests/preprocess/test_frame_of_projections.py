"""Cropping, padding and binning: the sample, its axis and its alignment stay where they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.data import Alignment, TiltSeries
from chemtomo.errors import ParameterError
from chemtomo.geometry import affine
from chemtomo.preprocess import bin_pixels, crop, drop_tilts, pad, select_tilts, sort_by_tilt


@given(
    factor=st.integers(1, 5),
    shape=st.tuples(st.integers(5, 12), st.integers(5, 12)),
    seed=st.integers(0, 100),
    rate=st.floats(0.01, 1e5),
)
def test_binning_counts_conserves_their_sum(factor, shape, seed, rate):
    """Of the pixels that fill bins; the expected background stays in step."""
    data = np.random.default_rng(seed).poisson(rate, (2, *shape))
    one = TiltSeries("A", data, [0, 1], kind="counts", background=np.full(data.shape, rate))
    done = bin_pixels(one, factor)
    rows, columns = (size // factor * factor for size in shape)
    assert done.data.sum() == data[:, :rows, :columns].sum()
    assert done.background.sum() == pytest.approx(2 * rows * columns * rate)


@given(x=st.integers(0, 5), y=st.integers(0, 4))
def test_cropping_undoes_padding(x, y):
    data = np.arange(2 * 5 * 7, dtype=np.float32).reshape(2, 5, 7)
    one = TiltSeries("A", data, [0, 1], axis_position_px=2.5, background=data / 2)
    for edges in (False, True):
        padded = pad(one, x, y, edges=edges)
        assert padded.shape == (2, 5 + 2 * y, 7 + 2 * x)
        assert padded.axis_position == 2.5 + x
        back = crop(padded, (x, x + 7), (y, y + 5))
        np.testing.assert_array_equal(back.data, data)
        np.testing.assert_array_equal(back.background, data / 2)
        assert back.axis_position == 2.5
        if not edges:
            assert padded.data.sum() == data.sum()


@given(factor=st.integers(1, 4), seed=st.integers(0, 50), top=st.integers(0, 2), left=st.integers(0, 3))
def test_the_mask_goes_with_its_pixels(factor, seed, top, left):
    """A value that betrays an invalid pixel is in invalid pixels only, wherever it goes."""
    rng = np.random.default_rng(seed)
    valid = rng.random((3, 11, 13)) > 0.2
    one = TiltSeries("A", np.where(valid, 0.0, 1.0), [0, 1, 2], valid=valid)
    done = bin_pixels(crop(one, (left, 13), (top, 11)), factor)
    np.testing.assert_array_equal(done.valid, done.data == 0)
    chosen = select_tilts(one, [2, 0])
    np.testing.assert_array_equal(chosen.valid, chosen.data == 0)


def test_what_padding_adds_is_not_valid():
    one = TiltSeries("A", np.ones((2, 3, 4)), [0, 1])
    padded = pad(one, 2, 1)
    np.testing.assert_array_equal(padded.valid, padded.data == 1)
    assert pad(one, 0, 0).valid is None


def place_in_sample(series, tilt, point):
    """Return the aligned place in nm of a recorded pixel, given by its place in nm from the first edge.

    Along y from the first edge of the aligned frame, along x from the tilt axis, which is in its middle.
    """
    matrix = series.alignment.matrices[tilt]
    pixel = np.asarray(point) / series.pixel_size_nm - 0.5
    aligned = np.linalg.solve(matrix[:, :2], pixel - matrix[:, 2])
    assert series.alignment.shape == series.shape[1:]
    aligned -= (-0.5, (series.shape[2] - 1) / 2)
    return aligned * series.alignment.pixel_size_nm


def test_an_alignment_follows_cropping_padding_and_binning():
    rng = np.random.default_rng(1)
    matrices = np.tile(np.eye(2, 3), (3, 1, 1)) + rng.normal(0, 0.1, (3, 2, 3))
    tilts = [-10.0, 0, 10]
    alignment = Alignment("A", tilts, matrices, pixel_size_nm=2.0, shape=(12, 18))
    one = TiltSeries("A", np.zeros((3, 12, 18)), tilts, 2.0, alignment=alignment)
    # The same feature of the sample is found in pixels that begin elsewhere.
    cases = [
        (crop(one, (3, 15), (2, 10)), (-4.0, -6.0)),
        (pad(one, 3, 2), (4.0, 6.0)),
        (bin_pixels(one, 3), (0.0, 0.0)),
        (bin_pixels(crop(one, (6, 18)), 2), (0.0, -12.0)),
    ]
    for done, moved in cases:
        for tilt in range(3):
            for point in ((3.0, 5.0), (20.0, 30.0)):
                expected = place_in_sample(one, tilt, point)
                found = place_in_sample(done, tilt, np.add(point, moved))
                np.testing.assert_allclose(found, np.add(expected, (moved[0], 0)), atol=1e-9)


@given(
    angle=st.floats(-20, 20),
    offset=st.floats(-4, 4),
    start=st.integers(0, 5),
    bins=st.sampled_from([1, 2, 3]),
)
def test_the_axis_that_an_alignment_tells_is_where_its_matrices_have_it(angle, offset, start, bins):
    shape = (13, 20)
    matrices = affine.tilt_axis(angle, offset, shape)
    alignment = Alignment("A", [0.0], matrices, angle, offset, shape=shape)
    one = TiltSeries("A", np.zeros((1, *shape)), [0.0], alignment=alignment)
    done = bin_pixels(crop(one, (start, 20), (1, 12)), bins).alignment
    expected = affine.tilt_axis(angle, done.axis_offset_px, done.shape)
    column = (done.shape[1] - 1) / 2
    here = affine.apply(done.matrices, [(0, column), (3, column)])[0]
    there = affine.apply(expected, [(0, column), (3, column)])[0]
    # both points lie on the line of the axis
    direction = np.array([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))])
    across = (here - there[0]) @ np.array([-direction[1], direction[0]])
    np.testing.assert_allclose(across, 0, atol=1e-9)


def test_binning_scales_what_is_in_pixels(full):
    done = bin_pixels(full, 2)
    np.testing.assert_allclose(done.detector_shifts_px * 4.0, full.detector_shifts_px * 2.0)
    np.testing.assert_array_equal(done.gains, full.gains)
    np.testing.assert_allclose(done.background, 4 * full.background[:, :6, :8])


def test_padding_that_makes_no_sense_is_refused(full):
    with pytest.raises(ParameterError, match="'Al': the edges of counts cannot be repeated"):
        pad(full, 1, edges=True)
    with pytest.raises(ParameterError, match="padding of -1 columns"):
        pad(full, -1)


def test_a_series_knows_its_place_in_what_was_recorded():
    """A ramp along each axis says where a pixel was: after any operations it is where the series says."""
    rows, columns = np.mgrid[:24, :32].astype(np.float64)
    tilts = np.array([30.0, -10, 0, 50])
    for axis, ramp in enumerate((rows, columns)):
        series = TiltSeries("ramp", np.stack([ramp + 100 * tilt for tilt in range(4)]), tilts, 2.0)
        done = sort_by_tilt(drop_tilts(series, [2]))
        done = crop(bin_pixels(crop(done, (4, 30), (2, 22)), 2), (1, 11), (1, 9))
        for tilt, projection in enumerate(done.values()):
            number = done.number_recorded(tilt)
            assert series.tilts_deg[number] == done.tilts_deg[tilt]
            place = projection[0, 0] - 100 * number
            assert done.first_pixel_nm[axis] == pytest.approx(2.0 * place)
    padded = pad(series, 3, 5)
    assert padded.first_pixel_nm == (-10.0, -6.0)
