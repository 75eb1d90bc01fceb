"""The parallel-beam geometry, by its laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.errors import DataError
from chemtomo.geometry import ParallelBeam

tilts = st.floats(-720, 720, allow_nan=False)


def test_defaults_put_the_axis_in_the_centre() -> None:
    geometry = ParallelBeam([0, 30], 8, (5, 6))
    assert geometry.detector_axis == 3.5
    assert geometry.volume_axis == (2.0, 2.5)
    assert geometry.sinogram_shape == (2, 8)
    assert geometry.tilts == 2


def test_any_sequence_of_tilts_gives_an_equal_hashable_geometry() -> None:
    first = ParallelBeam(np.array([0.0, -5.0], dtype=np.float32), 8, (5, 6))
    second = ParallelBeam((0, -5), np.int64(8), [5, 6], 3.5, np.array([2.0, 2.5]))
    assert first == second
    assert hash(first) == hash(second)
    assert first != ParallelBeam([0, -5], 8, (5, 6), detector_axis=3.0)


@pytest.mark.parametrize("turns", [-8, -3, -1, 0, 1, 2, 3, 4, 401])
def test_multiples_of_90_degrees_are_exact(turns: int) -> None:
    geometry = ParallelBeam([90.0 * turns], 4, (4, 4))
    assert (geometry.cos[0], geometry.sin[0]) == [(1, 0), (0, 1), (-1, 0), (0, -1)][turns % 4]


@given(tilts)
def test_direction_agrees_with_cosine_and_sine(tilt: float) -> None:
    geometry = ParallelBeam([tilt], 4, (4, 4))
    np.testing.assert_allclose(geometry.cos, np.cos(geometry.tilts_rad), atol=1e-14)
    np.testing.assert_allclose(geometry.sin, np.sin(geometry.tilts_rad), atol=1e-14)


def test_coordinate_at_0_degrees_is_x_and_at_90_degrees_is_z() -> None:
    geometry = ParallelBeam([0, 90], 6, (4, 6), detector_axis=2.5, volume_axis=(1.5, 2.5))
    z, x = np.mgrid[:4, :6]
    np.testing.assert_array_equal(geometry.detector_coordinate(0), x)
    np.testing.assert_array_equal(geometry.detector_coordinate(1), z + 1.0)


@given(tilts, st.floats(-3, 9), st.floats(-3, 9), st.floats(-3, 9))
def test_the_tilt_axis_stays_where_it_is(tilt: float, cz: float, cx: float, cs: float) -> None:
    """The coordinate is affine in (z, x), and at the axis it is the axis on the detector."""
    s = ParallelBeam([tilt], 7, (4, 6), cs, (cz, cx)).detector_coordinate(0)
    at_axis = s[0, 0] + cz * (s[1, 0] - s[0, 0]) + cx * (s[0, 1] - s[0, 0])
    assert at_axis == pytest.approx(cs, abs=1e-10)


@given(tilts, st.floats(-40, 40))
def test_a_detector_shift_moves_every_coordinate_of_its_projection(tilt: float, shift: float) -> None:
    plain = ParallelBeam([tilt, tilt], 7, (4, 6), 2.2, (1.1, 3.3))
    shifted = ParallelBeam([tilt, tilt], 7, (4, 6), 2.2, (1.1, 3.3), [0, shift])
    np.testing.assert_array_equal(shifted.detector_coordinate(0), plain.detector_coordinate(0))
    expected = plain.detector_coordinate(1) + shift
    np.testing.assert_allclose(shifted.detector_coordinate(1), expected, atol=1e-12)
    np.testing.assert_array_equal(shifted.detector_axes, [2.2, 2.2 + shift])


def test_no_shifts_are_shifts_of_zero() -> None:
    geometry = ParallelBeam([0, 30], 8, (5, 6))
    assert geometry == ParallelBeam([0, 30], 8, (5, 6), detector_shifts=np.zeros(2))
    assert geometry != ParallelBeam([0, 30], 8, (5, 6), detector_shifts=[0, 0.1])
    assert geometry.detector_shifts == (0, 0)


@given(tilts)
def test_half_a_turn_mirrors_the_detector(tilt: float) -> None:
    geometry = ParallelBeam([tilt, tilt + 180], 9, (5, 6))
    mirrored = 2 * geometry.detector_axis - geometry.detector_coordinate(1)
    np.testing.assert_allclose(geometry.detector_coordinate(0), mirrored, atol=1e-10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], 8, (5, 6)), r"shape \(0,\); expected a list of at least one tilt"),
        (([[0, 1]], 8, (5, 6)), r"shape \(1, 2\); expected a list"),
        (([0, np.nan, 1], 8, (5, 6)), r"tilts at \[1\] are not finite"),
        (([0], 0, (5, 6)), "number of detector pixels is 0; expected a positive integer"),
        (([0], 7.5, (5, 6)), "number of detector pixels is 7.5; expected a positive integer"),
        (([0], 8, (5, -6)), "edge of the slice is -6; expected a positive integer"),
        (([0], 8, (5, 6, 7)), r"shape \(5, 6, 7\); expected \(nz, nx\)"),
        (([0], 8, (5, 6), np.inf), "inf on the detector.*expected finite positions"),
        (([0], 8, (5, 6), 3, (np.nan, 0)), r"\(nan, 0.0\) in the slice; expected finite positions"),
        (([0], 8, (5, 6), 3, (1, 2, 3)), r"is \(1, 2, 3\); expected \(z, x\)"),
        (([0, 1], 8, (5, 6), 3, (1, 2), [1]), r"shifts have shape \(1,\); expected one for each of 2 tilts"),
        (([0, 1], 8, (5, 6), 3, (1, 2), [1, np.inf]), r"shifts at \[1\] are not finite; expected pixels"),
    ],
)
def test_bad_input_names_both_sides(arguments: tuple, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ParallelBeam(*arguments)
