"""Laws of affine maps."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from chemtomo.geometry import affine

POINTS = np.array([[0.0, 0.0], [3.0, -2.0], [10.5, 7.25]])
SHIFTS = st.floats(-50, 50)
ANGLES = st.floats(-360, 360)


@st.composite
def maps(draw):
    """Turned, scaled and shifted, never singular."""
    turn = affine.rotation(draw(ANGLES), (draw(SHIFTS), draw(SHIFTS)))
    shift = affine.translation(draw(SHIFTS), draw(SHIFTS))
    stretch = affine.identity(1)
    stretch[:, 0, 0], stretch[:, 1, 1] = draw(st.floats(0.5, 2)), draw(st.floats(0.5, 2))
    return affine.compose(affine.compose(shift, turn), stretch)


@given(maps(), maps(), maps())
def test_composition_is_associative(a, b, c):
    left = affine.compose(affine.compose(a, b), c)
    right = affine.compose(a, affine.compose(b, c))
    np.testing.assert_allclose(left, right, atol=1e-9)


@given(maps(), maps())
def test_the_inner_map_acts_first(a, b):
    (inner,) = affine.apply(b, POINTS)
    np.testing.assert_allclose(affine.apply(affine.compose(a, b), POINTS), affine.apply(a, inner), atol=1e-9)


@given(maps())
def test_an_inverse_undoes_from_both_sides(a):
    back = affine.inverse(a)
    np.testing.assert_allclose(affine.compose(a, back), affine.identity(1), atol=1e-8)
    np.testing.assert_allclose(affine.compose(back, a), affine.identity(1), atol=1e-8)


def test_rotation_after_shift_is_not_shift_after_rotation():
    turn, shift = affine.rotation(90), affine.translation(0, 1)
    (point,) = affine.apply(affine.compose(turn, shift), [[0, 0]])
    np.testing.assert_array_equal(point, [[-1, 0]])  # shifted along x, then x turned to -y
    (point,) = affine.apply(affine.compose(shift, turn), [[0, 0]])
    np.testing.assert_array_equal(point, [[0, 1]])


def test_a_turn_goes_from_y_towards_x_and_leaves_its_centre():
    turn = affine.rotation([90, 30], (4.0, 2.0))
    moved = affine.apply(turn, [[5.0, 2.0], [4.0, 2.0]])
    np.testing.assert_array_equal(moved[0], [[4.0, 3.0], [4.0, 2.0]])
    np.testing.assert_allclose(moved[1, 0], [4 + np.cos(np.pi / 6), 2.5])
    np.testing.assert_allclose(affine.angles_deg(turn), [90, 30])


@given(hnp.arrays(float, 5, elements=SHIFTS), hnp.arrays(float, 5, elements=SHIFTS))
def test_maps_are_vectorised_over_projections(dy, dx):
    turned = affine.compose(affine.translation(dy, dx), affine.rotation(12.0, (3, 4)))
    for one, (down, right) in zip(turned, zip(dy, dx, strict=True), strict=True):
        single = affine.compose(affine.translation(down, right), affine.rotation(12.0, (3, 4)))
        np.testing.assert_allclose(one, single[0], atol=1e-12)


def test_the_tilt_axis_is_where_the_convention_says():
    shape, angle, offset = (64, 100), 5.0, 6.5
    middle = affine.centre(shape)
    column = [[y, middle[1]] for y in (0.0, middle[0], 63.0)]
    (axis,) = affine.apply(affine.tilt_axis(angle, offset, shape), column)
    np.testing.assert_allclose(axis[1], [middle[0], middle[1] + offset])
    direction = (axis[2] - axis[0]) / np.linalg.norm(axis[2] - axis[0])
    np.testing.assert_allclose(direction, [np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))])


@given(maps(), st.floats(0.1, 8), st.floats(0.1, 8))
def test_rescaling_is_undone_and_may_go_in_steps(a, middle, end):
    there = affine.rescale(a, 1.0, end)
    np.testing.assert_allclose(affine.rescale(there, end, 1.0), a, atol=1e-8)
    np.testing.assert_allclose(affine.rescale(affine.rescale(a, 1.0, middle), middle, end), there, atol=1e-7)


@given(maps(), st.integers(1, 6))
def test_rescaled_maps_agree_with_the_centres_of_bins(a, factor):
    coarse = affine.rescale(a, 1.0, factor)
    (fine,) = affine.apply(a, (factor - 1) / 2 + factor * POINTS)
    np.testing.assert_allclose((factor - 1) / 2 + factor * affine.apply(coarse, POINTS)[0], fine, atol=1e-8)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_a_shift_by_whole_bins_rescales_to_whole_pixels(factor):
    matrices = affine.rescale(affine.translation(6.0 * factor, -2.0 * factor), 0.5, 0.5 * factor)
    np.testing.assert_allclose(matrices, affine.translation(6.0, -2.0), atol=1e-12)


def test_only_maps_without_turn_scale_or_shear_are_translations():
    assert affine.is_translation(affine.translation([1.5, 2], 3))
    assert not affine.is_translation(affine.rotation([0, 1e-4]))
