"""The tilt axis: its angle and offset are found, and the data that cannot tell is refused."""

import numpy as np
import pytest

from chemtomo.align import axis_from_sharpness, center_of_mass, com_path, max_image, set_axis
from chemtomo.data import TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.geometry import affine
from chemtomo.recon.filtered_back_projection import back_project, filter_sinograms

SHAPE = (72, 80)
ALL = {"com_path": com_path, "max_image": max_image, "axis_from_sharpness": axis_from_sharpness}


def every(estimators):
    return pytest.mark.parametrize("estimate", estimators.values(), ids=estimators.keys())


@pytest.mark.parametrize("angle", [0.0, 3.0, -5.0])
def test_com_path_finds_angle_and_offset_where_shifts_are_right(record, angle):
    made = record(angle=angle, offset=3.5)
    start = set_axis(made.truth, 0.0, 0.0)
    found = com_path(made.series, start)
    assert found.axis_angle_deg == pytest.approx(angle, abs=0.1)
    assert made.error_px(found) < 0.06


def test_com_path_after_registration_is_the_whole_alignment(record):
    made = record(angle=4.0, offset=3.0)
    found = com_path(made.series, center_of_mass(made.series))
    assert found.axis_angle_deg == pytest.approx(4.0, abs=0.1)
    assert made.error_px(found) < 0.1


@pytest.mark.parametrize("angle", [30.0, 90.0, -90.0])
def test_an_axis_that_is_far_from_y_is_found_from_near_it(record, angle):
    """As after turning by hand: what is on one side of the middle stays there, also along x."""
    made = record(angle=angle, offset=3.0)
    start = set_axis(made.truth, angle - 4.0, 0.0)
    found = com_path(made.series, start)
    assert found.axis_angle_deg == pytest.approx(angle, abs=0.2)
    assert made.error_px(found) < 0.1


def test_matter_that_enters_at_high_tilt_does_not_turn_the_axis(record):
    made = record()
    data = made.series.data.copy()
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    for tilt in (0, 1, -1):
        data[tilt] += 0.4 * data.max() * np.exp(-((y - 46.0) ** 2 + (x - 58.0) ** 2) / 30)
    found = com_path(made.series.replace(data=data), made.truth)
    assert found.axis_angle_deg == pytest.approx(0.0, abs=0.2)


def test_max_image_finds_the_angle_of_tracks(record):
    made = record(angle=3.0)
    found = max_image(made.series, set_axis(made.truth, 0.0, 0.0))
    assert found.axis_angle_deg == pytest.approx(3.0, abs=0.5)


@pytest.mark.parametrize("angle", [0.0, 3.0])
def test_sharpness_finds_the_offset(record, angle):
    made = record(angle=angle, offset=2.5, sizes=(0.8, 1.2), tilts=np.arange(-75.0, 76.0, 5.0))
    found = axis_from_sharpness(made.series, set_axis(made.truth, angle, 0.0))
    assert found.axis_offset_px == pytest.approx(2.5, abs=0.35)
    assert found.axis_angle_deg == angle


@pytest.mark.parametrize("offset", [-3.7, 1.0, 2.5])
def test_the_offset_that_is_found_goes_with_the_axis(record, offset):
    still = record()
    base = axis_from_sharpness(still.series, set_axis(still.truth, 0.0, 0.0)).axis_offset_px
    made = record(offset=offset)
    found = axis_from_sharpness(made.series, set_axis(made.truth, 0.0, 0.0))
    assert found.axis_offset_px - base == pytest.approx(offset, abs=0.05)


@every(ALL)
def test_the_shifts_are_kept(estimate, recorded):
    found = estimate(recorded.series, recorded.truth)
    axis = affine.tilt_axis(found.axis_angle_deg, found.axis_offset_px, SHAPE)
    np.testing.assert_allclose(affine.compose(recorded.truth.matrices, axis), found.matrices, atol=1e-9)


@every(ALL)
def test_an_empty_image_is_left_out(estimate, recorded):
    data = recorded.series.data.copy()
    data[4] = 3.0
    found = estimate(recorded.series.replace(data=data), recorded.truth)
    assert recorded.error_px(found) < 0.3


@every(ALL)
def test_constant_images_are_refused(estimate):
    with pytest.raises(DataError, match="all projections are constant"):
        estimate(TiltSeries("a", np.ones((5, 20, 20)), np.arange(5.0)))


@every(ALL)
def test_values_that_are_not_finite_are_refused(estimate, recorded):
    data = recorded.series.data.copy()
    data[2, 3, 4] = np.inf
    with pytest.raises(DataError, match=r"\(2, 3, 4\)"):
        estimate(recorded.series.replace(data=data))


@every(ALL)
def test_equal_tilts_tell_no_axis(estimate, recorded):
    still = recorded.series.replace(tilts_deg=np.zeros(15))
    with pytest.raises(DataError, match="expects"):
        estimate(still)


def test_two_tilts_are_too_few_for_paths(recorded):
    two = recorded.series.replace(data=recorded.series.data[:2], tilts_deg=recorded.series.tilts_deg[:2])
    with pytest.raises(DataError, match="at least 3"):
        com_path(two)


def test_ranges_that_make_no_sense_are_refused(recorded):
    with pytest.raises(ParameterError, match="found 90"):
        com_path(recorded.series, max_angle_deg=90)
    with pytest.raises(ParameterError, match="found 41"):
        axis_from_sharpness(recorded.series, max_offset_px=41)


def test_the_former_name_of_the_search_for_sharp_slices_works_with_a_warning():
    with pytest.warns(FutureWarning, match="sum_minimum is now axis_from_sharpness"):
        from chemtomo.align import sum_minimum
    assert sum_minimum is axis_from_sharpness


def test_a_point_is_reconstructed_where_it_is():
    """z and x of a quick slice are those of the projection formula, and its shift is exact."""
    tilts = np.arange(-80.0, 81.0, 4.0)
    x = np.arange(64)
    z0, x0, offset = 9.0, -12.0, 2.5
    radians = np.deg2rad(tilts)
    place = 31.5 + x0 * np.cos(radians) + z0 * np.sin(radians) + offset
    line = np.exp(-((x - place[:, None]) ** 2) / 4).astype(np.float32)
    (one,) = back_project(filter_sinograms(line[None], tilts, offset), tilts)
    at = np.unravel_index(one.argmax(), one.shape)
    np.testing.assert_allclose(at, [31.5 + z0, 31.5 + x0], atol=0.6)


def test_uneven_tilts_count_by_the_angle_that_they_stand_for():
    sinogram = np.random.default_rng(0).random((1, 5, 32)).astype(np.float32)
    tilts = np.array([-20.0, -10.0, 0.0, 5.0, 10.0])
    even = filter_sinograms(sinogram, np.arange(5.0))
    weights = np.abs(filter_sinograms(sinogram, tilts)).sum(axis=2) / np.abs(even).sum(axis=2)
    np.testing.assert_allclose(weights[0], [10, 10, 7.5, 5, 5], rtol=1e-4)


@pytest.mark.parametrize(("estimate", "sizes"), [(com_path, (1.5, 3.0)), (max_image, (1.0, 1.5))])
def test_the_angle_comes_with_its_standard_error(record, estimate, sizes):
    many = np.arange(-75.0, 76.0, 5.0)
    errors = {}
    for noise in (0.0, 0.05):
        made = record(angle=2.0, tilts=many, jitter=0.0, sizes=sizes, noise=noise)
        found = estimate(made.series, set_axis(made.truth, 0.0, 0.0))
        errors[noise] = found.provenance[-1]["angle error, deg"]
        assert abs(found.axis_angle_deg - 2.0) < max(4 * errors[noise], 0.1)
        assert errors[noise] < 2.0
    assert errors[0.05] > errors[0.0]


def test_with_few_tilts_the_error_of_the_angle_is_not_known(record):
    made = record(tilts=np.arange(-60.0, 61.0, 20.0))
    assert com_path(made.series, made.truth).provenance[-1]["angle error, deg"] is None


def test_the_offset_comes_with_its_standard_error(record):
    made = record(offset=2.5, sizes=(0.8, 1.2), tilts=np.arange(-75.0, 76.0, 5.0))
    found = axis_from_sharpness(made.series, set_axis(made.truth, 0.0, 0.0))
    error = found.provenance[-1]["offset error, px"]
    assert 0 < error < 1.0
    assert abs(found.axis_offset_px - 2.5) < 4 * error
