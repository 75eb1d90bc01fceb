"""The projector, by its laws and against small matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chemtomo.errors import DataError, SolverError
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import FloatArray, Projector, as_matrix

TILTS = (-90.0, -61.5, -20.0, 0.0, 12.0, 45.0, 90.0, 133.0)


def random_volume(shape: tuple[int, ...], seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).random(shape)


def test_matrix_of_four_pixels() -> None:
    """2 x 2 pixels on 3 detector pixels, written by hand from s = x cos(t) + z sin(t)."""
    h = np.sqrt(0.5)
    geometry = ParallelBeam([0, 90, 45], 3, (2, 2), detector_axis=0, volume_axis=(0, 0))
    expected = [
        # z, x = (0, 0)  (0, 1)   (1, 0)   (1, 1)
        [1, 0, 1, 0],  # 0 degrees: s = x
        [0, 1, 0, 1],
        [0, 0, 0, 0],
        [1, 1, 0, 0],  # 90 degrees: s = z
        [0, 0, 1, 1],
        [0, 0, 0, 0],
        [1, 1 - h, 1 - h, 0],  # 45 degrees: s = 0, h, h, 2 h
        [0, h, h, 2 - 2 * h],
        [0, 0, 0, 2 * h - 1],
    ]
    np.testing.assert_allclose(as_matrix(Projector(geometry, 1, 1)), expected, atol=1e-15)


@settings(max_examples=30)
@given(
    tilts=st.lists(st.floats(-180, 180), min_size=1, max_size=3),
    pixels=st.integers(1, 7),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    axis=st.floats(-1, 6),
)
def test_matrix_is_equation_8(tilts: list[float], pixels: int, shape: tuple[int, int], axis: float) -> None:
    """The weight on detector pixel i is max(0, 1 - |s - i|), beside the detector nothing."""
    geometry = ParallelBeam(tilts, pixels, shape, detector_axis=axis)
    expected = [
        np.maximum(0, 1 - np.abs(geometry.detector_coordinate(tilt).ravel() - i))
        for tilt in range(len(tilts))
        for i in range(pixels)
    ]
    np.testing.assert_allclose(as_matrix(Projector(geometry, 1, 1)), expected, atol=1e-14)


def test_channels_and_slices_are_projected_alike() -> None:
    geometry = ParallelBeam(TILTS, 11, (5, 6))
    volume = random_volume((2, 5, 3, 6))
    projections = Projector(geometry, 2, 3).forward(volume)
    one = Projector(geometry, 1, 1)
    for channel, y in np.ndindex(2, 3):
        alone = one.forward(volume[channel : channel + 1, :, y : y + 1])
        np.testing.assert_array_equal(projections[channel, :, y], alone[0, :, 0])


def test_mass_is_conserved_at_every_tilt() -> None:
    """Whatever the tilt, a slice that falls on the detector projects to its sum."""
    volume = random_volume((2, 7, 3, 9))
    projections = Projector(ParallelBeam(TILTS, 14, (7, 9)), 2, 3).forward(volume)
    expected = np.broadcast_to(volume.sum(axis=(1, 3))[:, np.newaxis], (2, len(TILTS), 3))
    np.testing.assert_allclose(projections.sum(axis=3), expected, rtol=1e-13)


@pytest.mark.parametrize("whole", [True, False])
def test_a_shift_by_whole_pixels_shifts_the_projection(whole: bool) -> None:
    """Whole pixels: the same numbers elsewhere. Fractions: the same mass, and its centre moves."""
    volume = random_volume((2, 5, 3, 6))
    shifts = np.array([0, 3, -4, 1, 2, -2, -1, 5]) + (0 if whole else 0.3)
    shifted = ParallelBeam(TILTS, 21, (5, 6), detector_shifts=shifts)
    plain = Projector(ParallelBeam(TILTS, 21, (5, 6)), 2, 3).forward(volume)
    found = Projector(shifted, 2, 3).forward(volume)
    np.testing.assert_allclose(found.sum(axis=3), plain.sum(axis=3), rtol=1e-13)
    moved = ((found - plain) @ np.arange(21)) / plain.sum(axis=3)
    np.testing.assert_allclose(moved, np.broadcast_to(shifts[:, None], moved.shape), atol=1e-12)
    if whole:
        for tilt, shift in enumerate(shifts.astype(int)):
            expected = np.roll(plain[:, tilt], shift, axis=-1)
            np.testing.assert_allclose(found[:, tilt], expected, atol=1e-13)


def test_centre_of_mass_moves_as_the_geometry_says() -> None:
    geometry = ParallelBeam(TILTS, 14, (7, 9))
    volume = random_volume((1, 7, 1, 9))
    projections = Projector(geometry, 1, 1).forward(volume)[0, :, 0]
    centre_on_detector = projections @ np.arange(14) / projections.sum(axis=1)
    z, x = (np.sum(volume[0, :, 0] * grid) / volume.sum() for grid in np.mgrid[:7, :9])
    expected = (x - 4) * geometry.cos + (z - 3) * geometry.sin + 6.5
    np.testing.assert_allclose(centre_on_detector, expected, rtol=1e-13)


def test_at_0_and_90_degrees_the_projections_are_sums() -> None:
    volume = random_volume((1, 5, 2, 5))
    projections = Projector(ParallelBeam([0, 90, 180], 5, (5, 5)), 1, 2).forward(volume)
    np.testing.assert_allclose(projections[0, 0], volume[0].sum(axis=0))
    np.testing.assert_allclose(projections[0, 1], volume[0].sum(axis=2).T)
    np.testing.assert_allclose(projections[0, 2], volume[0].sum(axis=0)[:, ::-1])


def test_90_degrees_on_is_the_turned_slice() -> None:
    """s(t + 90) = (z - cz) cos(t) - (x - cx) sin(t) + cs: the axes exchanged, the new z mirrored."""
    volume = random_volume((1, 6, 2, 6))
    turned = volume.transpose(0, 3, 2, 1)[:, ::-1]
    later = Projector(ParallelBeam(np.add(TILTS, 90), 11, (6, 6)), 1, 2).forward(volume)
    now = Projector(ParallelBeam(TILTS, 11, (6, 6)), 1, 2).forward(turned)
    np.testing.assert_allclose(later, now, atol=1e-12)


def test_the_transposed_slice_is_seen_from_the_other_quadrant() -> None:
    volume = random_volume((1, 6, 2, 6))
    mirrored_tilts = np.subtract(90, TILTS)
    expected = Projector(ParallelBeam(mirrored_tilts, 11, (6, 6)), 1, 2).forward(volume)
    found = Projector(ParallelBeam(TILTS, 11, (6, 6)), 1, 2).forward(volume.transpose(0, 3, 2, 1))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_half_a_turn_mirrors_the_projections() -> None:
    volume = random_volume((1, 5, 2, 6))
    now = Projector(ParallelBeam(TILTS, 11, (5, 6)), 1, 2).forward(volume)
    later = Projector(ParallelBeam(np.add(TILTS, 180), 11, (5, 6)), 1, 2).forward(volume)
    np.testing.assert_allclose(later, now[..., ::-1], atol=1e-12)


def test_padding_slice_and_detector_changes_nothing() -> None:
    """With the axes moved along, a margin of nothing adds nothing."""
    volume = random_volume((1, 5, 2, 6))
    small = Projector(ParallelBeam(TILTS, 9, (5, 6), 3.7, (1.8, 2.9)), 1, 2).forward(volume)
    padded = np.pad(volume, ((0, 0), (1, 2), (0, 0), (3, 0)))
    large = Projector(ParallelBeam(TILTS, 14, (8, 9), 5.7, (2.8, 5.9)), 1, 2).forward(padded)
    np.testing.assert_allclose(large[..., 2:11], small, atol=1e-13)


def test_norm_is_the_largest_singular_value() -> None:
    for geometry in (
        ParallelBeam(TILTS, 11, (5, 6)),
        ParallelBeam([10], 3, (7, 4), detector_axis=0.2),
        ParallelBeam([0, 180], 6, (3, 6)),
        ParallelBeam([5, -5], 1, (1, 1)),
    ):
        projector = Projector(geometry, 2, 3)
        expected = np.linalg.norm(as_matrix(Projector(geometry, 1, 1)), 2)
        assert projector.norm() == pytest.approx(expected, rel=1e-8)


def test_norm_of_the_reference_geometry() -> None:
    """The norm that belongs to the published objective on 36 tilts and 303 pixels."""
    geometry = ParallelBeam(-5.0 * np.arange(36), 303, (303, 303))
    assert Projector(geometry, 1, 1).norm() == pytest.approx(102.17180639615766, rel=1e-9)


def test_norm_of_nothing_is_zero_and_the_limit_of_iterations_is_told() -> None:
    assert Projector(ParallelBeam([0], 4, (3, 3), detector_axis=99), 1, 1).norm() == 0
    with pytest.raises(SolverError, match=r"still rises by .* after 2 iterations"):
        Projector(ParallelBeam(TILTS, 11, (5, 6)), 1, 1).norm(iterations=2)


def test_no_channel_or_slice_is_an_error() -> None:
    with pytest.raises(DataError, match="found 0 channels and 1 slices; expected at least one each"):
        Projector(ParallelBeam([0], 4, (3, 3)), 0, 1)
