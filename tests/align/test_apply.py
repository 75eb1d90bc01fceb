"""Carrying out an alignment, against the geometry that defines it."""

import hypothesis.strategies as st
import numpy as np
import pytest
from dask import array as da
from hypothesis import given, settings

from chemtomo.align import aligned_view, apply, compose, covered_rows
from chemtomo.data import Alignment, TiltSeries
from chemtomo.errors import DataError
from chemtomo.geometry import affine

TILTS = np.array([-40.0, 0.0, 35.0])
SHAPE = (40, 48)
MIDDLE = affine.centre(SHAPE)


def alignment_of(matrices, **more):
    return Alignment("HAADF", more.pop("tilts_deg", TILTS), matrices, shape=SHAPE, pixel_size_nm=2.0, **more)


def series_of(data, **more):
    return TiltSeries("Al", data, TILTS, pixel_size_nm=2.0, **more)


def blobs(centres, width=2.0):
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return np.stack([np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * width**2)) for cy, cx in centres]).astype(
        np.float32
    )


def mass_centres(stack):
    stack = np.asarray(stack, dtype=float)
    total = stack.sum(axis=(1, 2))
    return np.stack(
        [
            (stack.sum(axis=2) * np.arange(stack.shape[1])).sum(axis=1) / total,
            (stack.sum(axis=1) * np.arange(stack.shape[2])).sum(axis=1) / total,
        ],
        axis=1,
    )


def counts(rate=0.5, margin=6):
    stack = np.zeros((3, *SHAPE), dtype=np.uint16)
    inside = (3, SHAPE[0] - 2 * margin, SHAPE[1] - 2 * margin)
    stack[:, margin:-margin, margin:-margin] = np.random.default_rng(5).poisson(rate, inside)
    return stack


@given(
    down=st.floats(-6, 6) | st.integers(-6, 6),
    right=st.floats(-6, 6),
    angle=st.sampled_from([0.0, 3.0, -90.0]),
)
@settings(max_examples=40)
def test_what_was_not_recorded_or_not_valid_is_not_valid(down, right, angle):
    """Valid values are those of the recorded image, which is 1 where it is valid and else 7."""
    recorded_valid = np.ones((3, *SHAPE), bool)
    recorded_valid[1, 10:14, 20:22] = False
    series = series_of(np.where(recorded_valid, 1.0, 7.0), valid=recorded_valid)
    matrices = affine.compose(affine.translation(down, right), affine.tilt_axis(angle, 0.0, SHAPE))
    alignment = alignment_of(np.tile(matrices, (3, 1, 1)))
    for done in (apply(series, alignment, fill="zero"), aligned_view(series, alignment, fill="zero")):
        data, valid = np.asarray(done.data), np.asarray(done.valid)
        np.testing.assert_allclose(data[valid], 1, atol=7e-3)
        np.testing.assert_array_equal(valid[0], valid[2])
        assert valid.mean() > 0.4
        assert valid[1].sum() < valid[0].sum()


def test_rows_from_outside_are_not_valid_and_nothing_is_masked_without_need():
    series = series_of(np.ones((3, *SHAPE)))
    moved = apply(series, alignment_of(affine.translation(np.array([0.0, 2.0, -1.5]), 4.0)))
    np.testing.assert_array_equal(moved.valid.all(axis=2).sum(axis=1), [40, 38, 38])
    assert apply(series, alignment_of(affine.translation(np.zeros(3), 4.0))).valid is None


def test_a_shift_along_the_detector_goes_into_the_geometry():
    """The axis of the projection t is at axis_position + shift_t: an object on the axis is seen there."""
    shift = np.array([3.25, 0.0, -4.5])
    recorded = blobs([(MIDDLE[0], MIDDLE[1] + one) for one in shift])
    aligned = apply(series_of(recorded), alignment_of(affine.translation(0.0, shift)))
    np.testing.assert_array_equal(aligned.data, recorded)
    np.testing.assert_allclose(
        mass_centres(recorded)[:, 1], aligned.axis_position + aligned.detector_shifts_px
    )


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=3))
def test_counts_are_untouched_by_a_shift_along_the_detector(shift):
    given_counts = counts()
    aligned = apply(series_of(given_counts, kind="counts"), alignment_of(affine.translation(0.0, shift)))
    assert aligned.data.min() >= 0
    assert aligned.data.sum() == given_counts.sum()
    np.testing.assert_array_equal(aligned.data, given_counts)
    np.testing.assert_array_equal(aligned.detector_shifts_px, shift)


def test_whole_rows_are_moved_as_they_are():
    given_counts = counts()
    aligned = apply(series_of(given_counts, kind="counts"), alignment_of(affine.translation([2, 0, -3], 0.5)))
    assert aligned.data.dtype == np.uint16
    np.testing.assert_array_equal(aligned.data[0, :-2], given_counts[0, 2:])
    np.testing.assert_array_equal(aligned.data[1], given_counts[1])
    np.testing.assert_array_equal(aligned.data[2, 3:], given_counts[2, :-3])


def test_parts_of_rows_are_shared_and_counts_keep_their_total():
    given_counts = counts()
    aligned = apply(
        series_of(given_counts, kind="counts"), alignment_of(affine.translation([0.3, -1.7, 2], 1))
    )
    assert aligned.data.min() >= 0
    totals = given_counts.sum(axis=(1, 2), dtype=float)
    np.testing.assert_allclose(aligned.data.sum(axis=(1, 2), dtype=float), totals, rtol=1e-6)
    expected = 0.7 * given_counts[0, 10] + 0.3 * given_counts[0, 11]
    np.testing.assert_allclose(aligned.data[0, 10], expected, rtol=1e-6)


def test_a_turned_series_is_warped_once_with_the_complete_matrix():
    """Objects on the tilt axis, which is turned and off the middle, come to the middle column."""
    angle, offset = 8.0, 3.0
    shifts = np.array([[1.5, -2.25], [0.0, 0.0], [-2.0, 1.0]])
    registered = np.array(
        [MIDDLE[0] + 9 * np.cos(np.deg2rad(angle)), MIDDLE[1] + offset + 9 * np.sin(np.deg2rad(angle))]
    )
    recorded = blobs(registered + shifts)
    matrices = affine.compose(affine.translation(*shifts.T), affine.tilt_axis(angle, offset, SHAPE))
    aligned = apply(series_of(recorded), alignment_of(matrices, axis_angle_deg=angle, axis_offset_px=offset))
    assert aligned.detector_shifts_px is None
    assert aligned.axis_position == MIDDLE[1]
    np.testing.assert_allclose(mass_centres(aligned.data), [[MIDDLE[0] + 9, MIDDLE[1]]] * 3, atol=0.02)


def test_the_view_applies_all_shifts():
    shift = np.array([3.25, 0.0, -4.5])
    recorded = blobs([(MIDDLE[0], MIDDLE[1] + one) for one in shift])
    view = aligned_view(series_of(recorded, alignment=alignment_of(affine.translation(0.0, shift))))
    assert view.is_lazy
    assert view.alignment is None
    np.testing.assert_allclose(mass_centres(view.values())[:, 1], MIDDLE[1], atol=1e-3)


def test_the_view_of_an_applied_series_uses_its_shifts():
    shift = np.array([3.25, 0.0, -4.5])
    recorded = series_of(blobs([(MIDDLE[0], MIDDLE[1] + one) for one in shift]))
    matrices = affine.translation(0.0, shift)
    applied = apply(recorded, alignment_of(matrices))
    np.testing.assert_array_equal(
        aligned_view(applied).values(), aligned_view(recorded, alignment_of(matrices)).values()
    )


def test_what_comes_with_the_data_goes_with_it():
    gains = np.array([1.0, 2.0, 0.5])
    series = series_of(
        counts(), kind="counts", gains=gains, background=counts(2.0).astype(np.float32), axis_position_px=7.0
    )
    alignment = alignment_of(affine.translation([0.5, 0, 0], 0.0), tilts_deg=TILTS + 0.25, method="by hand")
    aligned = apply(series.replace(alignment=alignment))
    np.testing.assert_array_equal(aligned.gains, gains)
    np.testing.assert_allclose(
        aligned.background[0, 8], (series.background[0, 8] + series.background[0, 9]) / 2, rtol=1e-6
    )
    np.testing.assert_array_equal(aligned.tilts_deg, TILTS + 0.25)
    assert aligned.alignment is None
    assert aligned.axis_position == MIDDLE[1]
    found = Alignment.from_json(aligned.provenance[-1]["alignment"])
    np.testing.assert_array_equal(found.matrices, alignment.matrices)


@pytest.mark.parametrize(
    "matrices",
    [
        affine.translation([1, 0, 2], 0.5),
        affine.translation([1.5, 0, 2], 0.5),
        affine.rotation(5.0, MIDDLE),
    ],
    ids=["whole rows", "parts of rows", "turned"],
)
def test_what_is_lazy_stays_lazy_and_is_the_same(matrices, tmp_path):
    matrices = np.broadcast_to(matrices, (3, 2, 3))
    data = counts()
    np.save(tmp_path / "stack.npy", data)
    eager = apply(series_of(data, kind="counts"), alignment_of(matrices))
    for stack in (da.from_array(data, chunks=(2, 16, -1)), np.load(tmp_path / "stack.npy", mmap_mode="r")):
        lazy = apply(series_of(stack, kind="counts"), alignment_of(matrices))
        assert lazy.is_lazy
        assert lazy.data.dtype == eager.data.dtype
        np.testing.assert_array_equal(lazy.values(), eager.data)


def test_a_series_without_alignment_is_aligned_already():
    series = series_of(counts())
    assert apply(series) is series


def test_nothing_recorded_is_zero_for_counts_and_the_nearest_for_intensities():
    level = np.full((3, *SHAPE), 7, dtype=np.uint16)
    down = alignment_of(affine.translation(-4.0, 0.0).repeat(3, axis=0))
    assert not apply(series_of(level, kind="counts"), down).data[:, :4].any()
    assert (apply(series_of(level), down).data == 7).all()
    assert not apply(series_of(level), down, fill="zero").data[:, :4].any()


def test_an_alignment_of_other_projections_is_refused():
    series = series_of(counts())
    fitting = alignment_of(affine.identity(3))
    with pytest.raises(DataError, match="Link the alignment"):
        apply(series, fitting.replace(shape=(40, 50)))
    with pytest.raises(DataError, match="4 nm"):
        apply(series, fitting.replace(pixel_size_nm=4.0))
    with pytest.raises(DataError, match="2 transforms for 3"):
        apply(series, Alignment("HAADF", TILTS[:2], affine.identity(2)))


SMALL = st.floats(-3, 3)


@settings(max_examples=20)
@given(SMALL, SMALL, SMALL, SMALL, SMALL, st.booleans())
def test_composed_alignments_do_both(dy, dx, angle, offset, later, turned):
    """apply(A then B) equals apply(B o A), to interpolation accuracy; so does the order not commute."""
    angle = angle if turned else 0.0
    recorded = series_of(blobs([(18, 24), (22, 21), (20, 27)], width=3.0))
    shifts = np.array([[dy, dx], [0.5, 0.25], [dx, dy]])
    a = alignment_of(affine.compose(affine.translation(*shifts.T), affine.tilt_axis(angle, offset, SHAPE)))
    b = alignment_of(
        affine.compose(affine.translation([later, 0, 1], 1.0), affine.tilt_axis(2.0, 0.5, SHAPE))
    )
    in_turn = aligned_view(aligned_view(recorded, a), b).values()
    at_once = aligned_view(recorded, compose(a, b)).values()
    np.testing.assert_allclose(at_once, in_turn, atol=0.05)


@given(SMALL, SMALL, SMALL, SMALL)
def test_the_axis_of_a_composition_is_where_the_middle_column_comes_from(
    angle, offset, then_angle, then_offset
):
    a = alignment_of(
        affine.tilt_axis(angle, offset, SHAPE).repeat(3, axis=0), axis_angle_deg=angle, axis_offset_px=offset
    )
    b = alignment_of(
        affine.tilt_axis(then_angle, then_offset, SHAPE).repeat(3, axis=0),
        axis_angle_deg=then_angle,
        axis_offset_px=then_offset,
    )
    both = compose(a, b)
    (axis,) = affine.apply(both.matrices[:1], [[0.0, MIDDLE[1]], [39.0, MIDDLE[1]]])
    slope = (axis[1, 1] - axis[0, 1]) / (axis[1, 0] - axis[0, 0])
    assert both.axis_angle_deg == pytest.approx(np.rad2deg(np.arctan(slope)), abs=1e-9)
    crossing = axis[0, 1] + slope * (MIDDLE[0] - axis[0, 0])
    assert both.axis_offset_px == pytest.approx(crossing - MIDDLE[1], abs=1e-9)


def test_composition_wants_the_same_projections():
    a = alignment_of(affine.identity(3))
    with pytest.raises(DataError, match="3 and 2"):
        compose(a, Alignment("x", TILTS[:2], affine.identity(2)))
    with pytest.raises(DataError, match="pixels"):
        compose(a, a.replace(shape=(3, 4)))
    with pytest.raises(DataError, match="nm"):
        compose(a, a.replace(pixel_size_nm=1.0))


def test_rows_that_were_recorded_at_every_tilt():
    """Those into which no shift along y brings anything from outside."""
    shifts = Alignment("a", [0.0, 1, 2], affine.translation([0.0, 2.5, -3.0], 0.0), shape=(20, 8))
    assert covered_rows(shifts) == (3, 17)
    series = TiltSeries("a", np.ones((3, 20, 8)), [0.0, 1, 2])
    view = aligned_view(series, shifts, fill="zero").values()
    full = (view == 1).all(axis=(0, 2))
    assert np.flatnonzero(full).tolist() == list(range(3, 17))
    with pytest.raises(DataError, match="no row was recorded at every tilt"):
        covered_rows(Alignment("a", [0.0, 1], affine.translation([0.0, 30.0], 0.0), shape=(20, 8)))
