"""Registration: known shifts are found, and what cannot be aligned is refused or stated."""

import numpy as np
import pytest
from dask import array as da

from chemtomo.align import (
    aligned_view,
    center_of_mass,
    com_common_line,
    phase_correlation,
    stackreg,
)
from chemtomo.data import Alignment, TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.geometry import affine

SHAPE = (72, 80)
TILTS = np.arange(-70.0, 71.0, 10.0)

CORRELATING = {"phase_correlation": phase_correlation, "stackreg": stackreg}
BY_MASS = {"center_of_mass": center_of_mass, "com_common_line": com_common_line}
ALL = CORRELATING | BY_MASS


def every(estimators):
    return pytest.mark.parametrize("estimate", estimators.values(), ids=estimators.keys())


def still_images(count=5, shifts=None):
    """One image, shifted: nothing turns, so that the shifts are exactly what has to be found."""
    rng = np.random.default_rng(2)
    shifts = rng.uniform(-4, 4, (count, 2)) if shifts is None else shifts
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    balls = rng.uniform(20, 50, (8, 2))
    stack = np.stack(
        [sum(np.exp(-((y - dy - b[0]) ** 2 + (x - dx - b[1]) ** 2) / 8) for b in balls) for dy, dx in shifts]
    )
    return stack.astype(np.float32), np.asarray(shifts)


@every(CORRELATING)
def test_shifts_of_one_image_are_found_to_a_fiftieth_of_a_pixel(estimate):
    stack, shifts = still_images()
    found = estimate(TiltSeries("a", stack, np.linspace(-20, 20, 5)), reference=1)
    expected = affine.translation(*(shifts - shifts[1]).T)
    np.testing.assert_allclose(found.matrices, expected, atol=0.02)


@every(CORRELATING)
def test_all_tilts_may_be_equal_where_images_are_only_compared(estimate):
    stack, shifts = still_images()
    found = estimate(TiltSeries("a", stack, np.zeros(5)), reference=0)
    np.testing.assert_allclose(found.matrices, affine.translation(*(shifts - shifts[0]).T), atol=0.02)


@every(CORRELATING)
def test_two_tilts_are_enough_to_compare(estimate):
    stack, shifts = still_images(2)
    found = estimate(TiltSeries("a", stack, [0.0, 5.0]))
    np.testing.assert_allclose(found.matrices[1], affine.translation(*(shifts[1] - shifts[0]))[0], atol=0.02)


@every(BY_MASS)
@pytest.mark.parametrize("tilts", [[0.0, 5.0], [3.0] * 5], ids=["two", "equal"])
def test_paths_want_different_tilts(estimate, tilts):
    stack, _ = still_images(len(tilts))
    with pytest.raises(DataError, match="expects at least 3"):
        estimate(TiltSeries("a", stack, tilts))


@pytest.mark.parametrize(
    ("estimate", "within"),
    [(phase_correlation, 1.0), (stackreg, 1.5), (center_of_mass, 0.02), (com_common_line, 0.1)],
)
@pytest.mark.parametrize("pedestal", [0.0, 0.2])
def test_a_tilted_sample_is_brought_in_line(estimate, within, pedestal, record):
    made = record(pedestal=pedestal)
    assert made.error_px(Alignment("raw", TILTS, affine.identity(TILTS.size))) > 2
    assert made.error_px(estimate(made.series)) < within


@every(BY_MASS)
def test_noise_around_the_sample_has_little_weight(estimate, record):
    made = record(noise=0.02, pedestal=0.2)
    assert made.error_px(estimate(made.series)) < 0.4


def test_the_centre_of_mass_does_not_need_the_angle_of_the_axis(record):
    made = record(angle=4.0)
    found = center_of_mass(made.series)
    turned = found.replace(matrices=affine.compose(found.matrices, affine.tilt_axis(4.0, 0.0, SHAPE)))
    assert made.error_px(turned) < 0.1


def test_matter_that_enters_at_high_tilt_has_little_weight(record):
    made = record()
    data = made.series.data.copy()
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    for tilt in (0, 1, -1):
        data[tilt] += data.max() * 0.4 * np.exp(-((y - 46.0) ** 2 + (x - 58.0) ** 2) / 30)
    entered = made.series.replace(data=data)
    assert made.error_px(center_of_mass(entered)) < 1.0
    # the plain centre of mass of the image goes further with it
    assert made.error_px(com_common_line(entered)) > 1.2


def test_a_sample_that_crosses_the_field_along_the_axis_is_followed_by_its_profile(record):
    made = record(needle=True)
    for estimate in BY_MASS.values():
        assert made.error_px(estimate(made.series)) < 0.6


@every(ALL)
def test_the_order_of_the_projections_does_not_matter(estimate, recorded):
    order = np.random.default_rng(1).permutation(TILTS.size)
    shuffled = recorded.series.replace(data=recorded.series.data[order], tilts_deg=TILTS[order])
    np.testing.assert_allclose(
        estimate(shuffled).matrices, estimate(recorded.series).matrices[order], atol=0.02
    )


@every(ALL)
def test_what_is_lazy_gives_the_same(estimate, recorded):
    lazy = recorded.series.replace(data=da.from_array(recorded.series.data, chunks=(3, -1, -1)))
    np.testing.assert_allclose(estimate(lazy).matrices, estimate(recorded.series).matrices, atol=1e-6)


@every(ALL)
def test_an_alignment_so_far_is_added_to(estimate, recorded):
    """Starting from the truth, what is found is small, and the matrices are of the recorded pixels."""
    found = estimate(recorded.series, recorded.truth)
    assert recorded.error_px(found) < 1.5
    assert found.provenance[-1]["step"] == estimate.__name__


@every(ALL)
def test_without_one_the_position_of_the_axis_is_taken_over(estimate, recorded):
    """The axis of the series comes to the middle; where mass is put on the axis, it stays there."""
    aligned = aligned_view(recorded.series, estimate(recorded.series)).values()
    off_axis = recorded.series.replace(axis_position_px=recorded.series.axis_position + 5)
    moved = estimate(off_axis)
    middle = (SHAPE[1] - 1) / 2
    if estimate in BY_MASS.values():
        np.testing.assert_allclose(moved.matrices, estimate(recorded.series).matrices, atol=0.05)
    else:
        np.testing.assert_allclose(moved.matrices[7] @ (0, middle, 1), [0, middle + 5], atol=1e-9)
    assert np.isfinite(aligned).all()


@every(ALL)
def test_an_empty_image_lies_between_its_neighbours(estimate, recorded):
    data = recorded.series.data.copy()
    data[4] = 3.0
    found = estimate(recorded.series.replace(data=data))
    np.testing.assert_allclose(found.matrices[4], (found.matrices[3] + found.matrices[5]) / 2, atol=1e-9)
    assert np.isnan(found.residual_px[4])
    assert np.isfinite(np.delete(found.residual_px, 4)).all()


@every(ALL)
def test_constant_images_are_refused(estimate):
    with pytest.raises(DataError, match="all projections are constant"):
        estimate(TiltSeries("a", np.ones((5, 20, 20)), np.arange(5.0)))


@every(ALL)
def test_values_that_are_not_finite_are_refused(estimate, recorded):
    data = recorded.series.data.copy()
    data[2, 3, 4] = np.nan
    with pytest.raises(DataError, match=r"\(2, 3, 4\)"):
        estimate(recorded.series.replace(data=data))


@every(ALL)
def test_the_input_is_not_modified(estimate, recorded):
    before = recorded.series.data.copy()
    estimate(recorded.series)
    np.testing.assert_array_equal(recorded.series.data, before)


@every(CORRELATING)
def test_the_reference_stays_and_must_be_there(estimate, recorded):
    found = estimate(recorded.series, reference=3)
    np.testing.assert_allclose(found.matrices[3], affine.identity()[0], atol=1e-9)
    with pytest.raises(ParameterError, match="found 15"):
        estimate(recorded.series, reference=15)


def test_large_images_are_binned_and_the_shifts_are_of_the_recorded_pixels(monkeypatch, recorded):
    from chemtomo.align import images

    whole = center_of_mass(recorded.series)
    monkeypatch.setattr(images.prepare_images, "__defaults__", (40,))
    np.testing.assert_allclose(center_of_mass(recorded.series).matrices, whole.matrices, atol=0.1)


def test_a_thin_slab_is_registered_by_stretching():
    """All balls in one plane: across the axis it only becomes narrower."""
    tilts = np.arange(-60.0, 61.0, 5.0)
    rng = np.random.default_rng(0)
    shifts = rng.uniform(-2, 2, (tilts.size, 2))
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    middle = affine.centre(SHAPE)
    points = rng.uniform(-34, 34, (60, 2))
    stack = np.stack(
        [
            sum(
                np.exp(
                    -((y - middle[0] - dy - py) ** 2) / 8
                    - (x - middle[1] - dx - px * np.cos(np.deg2rad(t))) ** 2 / 8
                )
                for py, px in points
            )
            for t, (dy, dx) in zip(tilts, shifts, strict=True)
        ]
    )
    series = TiltSeries("slab", stack, tilts)

    def off(found):
        difference = found.matrices[:, :, 2] - shifts
        return float(np.abs(difference - difference[tilts == 0]).max())

    assert off(phase_correlation(series, stretch=True)) < 0.5
    assert off(phase_correlation(series, stretch=True)) < off(phase_correlation(series))
