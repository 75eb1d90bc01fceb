"""By hand: projections that are moved, tilt axes that are chosen, slices to judge them by."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.align import aligned_view, axis_preview, nudge, set_axis
from chemtomo.data import Alignment, TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.geometry import affine

TILTS = np.arange(-70.0, 71.0, 5.0)
SHAPE = (24, 40)


@pytest.fixture
def start() -> Alignment:
    rng = np.random.default_rng(8)
    shifts = affine.translation(*rng.uniform(-3, 3, (2, TILTS.size)))
    axis = affine.tilt_axis(4.0, -2.5, SHAPE)
    return Alignment(
        "HAADF",
        TILTS,
        affine.compose(shifts, axis),
        axis_angle_deg=4.0,
        axis_offset_px=-2.5,
        residual_px=np.full(TILTS.size, 0.3),
        shape=SHAPE,
        method="auto",
    )


def test_what_is_seen_moves_with_the_hand(start: Alignment) -> None:
    """An integer move of a shifted image moves its aligned pixels by just that."""
    rng = np.random.default_rng(1)
    series = TiltSeries("HAADF", rng.random((3, 12, 14)).astype(np.float32), [-10.0, 0, 10])
    plain = Alignment("HAADF", series.tilts_deg, affine.identity(3))
    moved = aligned_view(series, nudge(plain, [1], 2, -3), fill="zero").values()
    np.testing.assert_array_equal(moved[1, 2:, :-3], series.values()[1, :-2, 3:])
    np.testing.assert_array_equal(moved[[0, 2]], series.values()[[0, 2]])


@given(dy=st.floats(-20, 20), dx=st.floats(-20, 20))
def test_back_and_forth_is_nothing(dy: float, dx: float) -> None:
    begin = Alignment("a", [0.0, 1.0], affine.rotation([3.0, 5.0], (4.0, 5.0)))
    there = nudge(begin, range(2), dy, dx)
    back = nudge(there, range(2), -dy, -dx)
    np.testing.assert_allclose(back.matrices, begin.matrices, atol=1e-9)


def test_a_nudge_forgets_the_residual_of_what_moved(start: Alignment) -> None:
    moved = nudge(start, [4, 2], 0.5, 0.25)
    assert moved.residual_px is not None
    assert np.flatnonzero(np.isnan(moved.residual_px)).tolist() == [2, 4]
    assert moved.provenance[-1] == {"step": "nudge", "projections": [2, 4], "dy_px": 0.5, "dx_px": 0.25}
    assert moved.method == nudge(moved, [1], 1, 1).method == "auto + by hand"
    assert start.residual_px is not None
    assert np.isfinite(start.residual_px).all()


@pytest.mark.parametrize("tilts", [[-1], [29], [0, 99]])
def test_projections_that_are_not_there(start: Alignment, tilts: list[int]) -> None:
    with pytest.raises(ParameterError, match="expected 0 to 28"):
        nudge(start, tilts, 1, 1)


def test_not_a_shift(start: Alignment) -> None:
    with pytest.raises(ParameterError, match="finite"):
        nudge(start, [1], np.nan, 1)


def test_the_same_axis_changes_nothing(start: Alignment) -> None:
    same = set_axis(start, 4.0, -2.5)
    np.testing.assert_allclose(same.matrices, start.matrices, atol=1e-12)


@given(angle=st.floats(-30, 30), offset=st.floats(-15, 15))
def test_the_middle_column_comes_to_lie_on_the_axis(angle: float, offset: float) -> None:
    """And what was registered stays so: all projections are changed alike."""
    shifts = affine.translation([1.5, -2.0], [3.0, 0.25])
    begin = Alignment("a", [0.0, 1.0], shifts, shape=SHAPE)
    found = set_axis(begin, angle, offset)
    assert (found.axis_angle_deg, found.axis_offset_px) == (angle, offset)
    middle = affine.centre(SHAPE)
    points = affine.apply(found.matrices, [middle, (middle[0] + 1, middle[1])])
    np.testing.assert_allclose(points[:, 0], np.add(middle, [(1.5, 3 + offset), (-2, 0.25 + offset)]))
    direction = (np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle)))
    np.testing.assert_allclose(points[:, 1] - points[:, 0], np.tile(direction, (2, 1)), atol=1e-12)
    again = set_axis(set_axis(begin, -7.0, 3.0), angle, offset)
    np.testing.assert_allclose(again.matrices, found.matrices, atol=1e-9)


def test_an_axis_needs_a_shape() -> None:
    with pytest.raises(DataError, match="the shape of its projections is not known"):
        set_axis(Alignment("a", [0.0], affine.identity()), 1.0, 0.0)


def points_series(width: int, offset: float) -> TiltSeries:
    """A narrow rod at (z, x) = (6, -9) from an axis that is off the middle by `offset`."""
    angles = np.deg2rad(TILTS)
    place = (width - 1) / 2 + offset - 9 * np.cos(angles) + 6 * np.sin(angles)
    columns = np.arange(width)
    rod = np.exp(-((columns - place[:, np.newaxis]) ** 2) / 2)
    return TiltSeries("rod", np.repeat(rod[:, np.newaxis], 9, axis=1).astype(np.float32), TILTS)


@pytest.mark.parametrize("width", [48, 49])
def test_slices_show_the_rod_where_it_is(width: int) -> None:
    offset = 2.5
    series = points_series(width, offset)
    plain = Alignment("rod", TILTS, affine.identity(TILTS.size), shape=series.shape[1:])
    slices = axis_preview(series, set_axis(plain, 0.0, offset))
    assert slices.shape == (3, width, width)
    for image in slices:
        z, x = np.unravel_index(image.argmax(), image.shape)
        assert abs(z - (width - 1) / 2 - 6) <= 1
        assert abs(x - (width - 1) / 2 + 9) <= 1


def test_slices_are_sharpest_at_the_right_axis() -> None:
    series = points_series(48, 2.5)
    plain = Alignment("rod", TILTS, affine.identity(TILTS.size), shape=series.shape[1:])
    offsets = (-3.5, 2.5, 8.5)
    peaks = [axis_preview(series, set_axis(plain, 0.0, offset)).max() for offset in offsets]
    assert peaks[1] > 1.3 * max(peaks[0], peaks[2])


def test_wide_slices_are_binned() -> None:
    series = points_series(600, 0.0)
    assert axis_preview(series, parts=[0.5]).shape == (1, 200, 200)


def test_parts_of_the_height() -> None:
    with pytest.raises(ParameterError, match="from 0 to 1"):
        axis_preview(points_series(48, 0.0), parts=[1.2])
