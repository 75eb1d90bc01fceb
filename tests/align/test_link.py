"""Linking: the alignment of one channel in the tilts and pixels of another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.align import aligned_view, apply, link, sum_of_channels
from chemtomo.data import Alignment, Dataset, TiltSeries
from chemtomo.errors import DataError
from chemtomo.geometry import affine
from chemtomo.geometry.resample import warp
from chemtomo.preprocess import bin_pixels

TILTS = np.arange(-60.0, 61.0, 10.0)
SHAPE = (32, 48)


def blobs(shape: tuple[int, int], seed: int = 0, pixel: float = 1.0) -> np.ndarray:
    """Smooth blobs in a field of 32 x 48 units, sampled at the centres of pixels."""
    rng = np.random.default_rng(seed)
    y = (np.arange(shape[0]) + 0.5) * pixel - 0.5
    x = (np.arange(shape[1]) + 0.5) * pixel - 0.5
    image = np.zeros(shape)
    for cy, cx in rng.uniform([8, 12], [24, 36], (9, 2)):
        image += np.exp(-((y[:, np.newaxis] - cy) ** 2 + (x - cx) ** 2) / 12)
    return image


@pytest.fixture
def alignment() -> Alignment:
    rng = np.random.default_rng(5)
    shifts = affine.translation(*rng.uniform(-3, 3, (2, TILTS.size)))
    axis = affine.tilt_axis(5.0, 2.0, SHAPE)
    return Alignment(
        "HAADF",
        TILTS,
        affine.compose(shifts, axis),
        axis_angle_deg=5.0,
        axis_offset_px=2.0,
        residual_px=np.linspace(0.1, 0.2, TILTS.size),
        pixel_size_nm=2.0,
        shape=SHAPE,
        method="auto",
    )


def recorded(alignment: Alignment) -> TiltSeries:
    """A series that is blobs at every tilt, once aligned."""
    images = [
        warp(blobs(SHAPE).astype(np.float32), affine.inverse(matrix[np.newaxis])[0], order=3)
        for matrix in alignment.matrices
    ]
    return TiltSeries("HAADF", np.stack(images), TILTS, 2.0)


def test_the_same_tilts_and_pixels_get_the_same_matrices(alignment: Alignment) -> None:
    linked = link(alignment, TiltSeries("Al", np.ones((TILTS.size, *SHAPE)), TILTS, 2.0, "counts"))
    np.testing.assert_allclose(linked.matrices, alignment.matrices, atol=1e-12)
    assert linked.axis_offset_px == pytest.approx(2.0)
    np.testing.assert_allclose(linked.residual_px, alignment.residual_px)


def test_a_subset_in_any_order(alignment: Alignment) -> None:
    chosen = [7, 2, 11]
    target = TiltSeries("Al", np.ones((3, *SHAPE)), TILTS[chosen] + 0.01, 2.0)
    np.testing.assert_allclose(link(alignment, target).matrices, alignment.matrices[chosen], atol=1e-12)


def test_tilts_between_are_interpolated(alignment: Alignment) -> None:
    target = TiltSeries("Al", np.ones((2, *SHAPE)), [2.5, -55.0], 2.0)
    linked = link(alignment, target)
    first, last = alignment.matrices[6], alignment.matrices[7]
    np.testing.assert_allclose(linked.matrices[0], 0.75 * first + 0.25 * last)
    np.testing.assert_allclose(linked.matrices[1], alignment.matrices[:2].mean(axis=0))
    assert linked.tilts_deg.tolist() == [2.5, -55.0]


def test_a_tilt_outside_is_refused(alignment: Alignment) -> None:
    with pytest.raises(
        DataError, match=r"'Al': projection 1 is at 65 degrees; expected a tilt between -60 and 60"
    ):
        link(alignment, TiltSeries("Al", np.ones((2, *SHAPE)), [0.0, 65.0], 2.0))


def test_an_offset_of_all_tilts_is_carried_over(alignment: Alignment) -> None:
    turned = alignment.replace(tilts_deg=TILTS + 1.5)
    linked = link(turned, TiltSeries("Al", np.ones((TILTS.size, *SHAPE)), TILTS, 2.0))
    np.testing.assert_allclose(linked.tilts_deg, TILTS + 1.5)
    np.testing.assert_allclose(linked.matrices, alignment.matrices, atol=1e-12)


@given(factor=st.sampled_from([2, 3, 4]), angle=st.floats(-20, 20), offset=st.floats(-5, 5))
def test_binned_pixels_go_to_the_same_places(factor: int, angle: float, offset: float) -> None:
    """A place in the aligned sample is at the same recorded place, in lengths, for both channels."""
    shape = (36, 49)  # 49 is no multiple: the middle of the bins is not that of the pixels
    matrices = affine.compose(
        affine.translation([1.25, -2], [0.5, 3]), affine.tilt_axis(angle, offset, shape)
    )
    found = Alignment("a", [0.0, 10.0], matrices, angle, offset, pixel_size_nm=1.0, shape=shape)
    fine = TiltSeries("a", np.ones((2, *shape)), [0.0, 10.0], 1.0)
    coarse = bin_pixels(fine, factor)
    linked = link(found, coarse)
    # (y, distance from the tilt axis) in lengths, the same for both
    y, distance = 11.0, 6.5
    in_fine = (y, (shape[1] - 1) / 2 + distance)
    in_coarse = ((y - (factor - 1) / 2) / factor, (coarse.shape[2] - 1) / 2 + distance / factor)
    there = affine.apply(matrices, [in_fine])[:, 0]
    here = affine.apply(linked.matrices, [in_coarse])[:, 0]
    np.testing.assert_allclose((factor - 1) / 2 + factor * here, there, atol=1e-9)
    # and the axis that is told lies where the matrices have it
    middle = affine.centre(coarse.shape[1:])
    on_axis = affine.apply(linked.matrices - [[[0, 0, 0], [0, 0, 0]]], [middle, (0.0, middle[1])])
    shifted = on_axis[0] - affine.apply(affine.translation(1.25 / factor, 0.5 / factor), [(0, 0)])[0, 0]
    slope = np.tan(np.deg2rad(angle))
    for point in shifted:
        expected = middle[1] + linked.axis_offset_px + slope * (point[0] - middle[0])
        assert point[1] == pytest.approx(expected, abs=1e-9)


def test_a_binned_channel_is_aligned(alignment: Alignment) -> None:
    series = recorded(alignment)
    binned = bin_pixels(series.replace(name="Al"), 2)
    view = aligned_view(binned, link(alignment, binned)).values()
    expected = blobs((16, 24), pixel=2.0)
    inner = (slice(None), slice(3, -3), slice(4, -4))
    wrong = np.abs(binned.values() - expected)[inner].max()
    assert np.abs(view - expected)[inner].max() < 0.2 * expected.max()
    assert wrong > 0.8 * expected.max()


@pytest.mark.parametrize("shift", [(0.0, 0.0), (1.5, -2.25), (-3.0, 0.75)])
def test_a_shift_between_detectors_is_found(alignment: Alignment, shift: tuple[float, float]) -> None:
    """Another contrast, noise, and the same sample seen a little beside."""
    series = recorded(alignment)
    rng = np.random.default_rng(2)
    moved = [
        warp(image, affine.translation(-shift[0], -shift[1])[0], order=3) for image in series.projections()
    ]
    counts = rng.poisson(np.clip(3 * np.stack(moved), 0, None))
    other = TiltSeries("Al", counts, TILTS, 2.0, "counts")
    linked = link(alignment, other, reference=series, residual_shift=True)
    found = linked.provenance[-1]["residual_shift_px"]
    turned = affine.rotation(-5.0)[0, :, :2] @ shift
    np.testing.assert_allclose(found, turned, atol=0.12)
    view = aligned_view(other, linked).values().mean(axis=0)
    middle = (slice(6, -6), slice(8, -8))
    assert np.corrcoef(view[middle].ravel(), blobs(SHAPE)[middle].ravel())[0, 1] > 0.98


def test_a_shift_needs_a_reference(alignment: Alignment) -> None:
    with pytest.raises(DataError, match="'Al': found no reference; expected the series 'HAADF'"):
        link(alignment, TiltSeries("Al", np.ones((TILTS.size, *SHAPE)), TILTS, 2.0), residual_shift=True)


def test_counts_stay_counts_under_a_shift_along_the_detector() -> None:
    rng = np.random.default_rng(4)
    matrices = affine.translation(0.0, rng.uniform(-4, 4, TILTS.size))
    found = Alignment("HAADF", TILTS, matrices, pixel_size_nm=2.0, shape=SHAPE)
    counts = TiltSeries("Al", rng.poisson(0.5, (TILTS.size, *SHAPE)), TILTS, 2.0, "counts")
    aligned = apply(counts, link(found, counts))
    np.testing.assert_array_equal(aligned.values(), counts.values())
    np.testing.assert_allclose(aligned.detector_shifts_px, matrices[:, 1, 2])


def test_linking_loses_nothing_of_what_is_known(alignment: Alignment) -> None:
    with_unknown = alignment.replace(residual_px=np.r_[np.nan, alignment.residual_px[1:]])
    target = TiltSeries("Al", np.ones((3, 16, 24)), [-60.0, -55.0, 40.0], 4.0)
    linked = link(with_unknown, target)
    assert np.isnan(linked.residual_px).tolist() == [True, True, False]
    assert linked.residual_px[2] == pytest.approx(alignment.residual_px[10] / 2)
    assert linked.provenance[-1] == {"step": "link", "from": "HAADF", "to": "Al"}
    assert (linked.reference, linked.method, linked.shape) == ("HAADF", "auto", (16, 24))


def test_the_sum_of_channels() -> None:
    rng = np.random.default_rng(3)
    one = TiltSeries("a", 100 * rng.random((3, 4, 5)), [0.0, 1, 2])
    two = TiltSeries("b", rng.poisson(2.0, (3, 4, 5)), [0.0, 1, 2], kind="counts")
    found = sum_of_channels(Dataset((one, two)), ["b", "a"])
    assert (found.name, found.kind) == ("b+a", "intensity")
    expected = one.values() / one.values().mean() + two.values() / two.values().mean()
    np.testing.assert_allclose(found.values(), expected, rtol=1e-5)


def test_channels_that_cannot_be_added() -> None:
    one = TiltSeries("a", np.ones((3, 4, 5)), [0.0, 1, 2])
    with pytest.raises(DataError, match="other tilts"):
        sum_of_channels(Dataset((one, one.replace(name="b", tilts_deg=[0.0, 1, 3]))), ["a", "b"])
    with pytest.raises(DataError, match="'b' has the mean 0"):
        sum_of_channels(Dataset((one, one.replace(name="b", data=np.zeros((3, 4, 5))))), ["a", "b"])
