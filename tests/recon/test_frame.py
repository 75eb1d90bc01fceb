"""Cropping and the way back, held against the projections of a known specimen."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector
from chemtomo.recon.frame import Frame

TILTS = np.array([-90.0, -71, -30, 0, 12, 45, 80])


def specimen(edge: int, axis: float, radius: float) -> npt.NDArray[np.float32]:
    """Two channels without any symmetry, within `radius` of the tilt axis, (channel, z, y, x)."""
    z, y, x = np.meshgrid(
        np.arange(edge) - (edge - 1) / 2, np.arange(5), np.arange(edge) - axis, indexing="ij"
    )
    inside = np.hypot(z, x) <= radius
    first = inside * (10 + z - 2 * x + 3 * y)
    second = inside * (np.hypot(z + radius / 2, x - radius / 3) <= radius / 2) * (1.0 + y)
    return np.stack([first, second]).astype(np.float32)


def recorded(volume: npt.NDArray[np.float32], axis: float) -> Dataset:
    """Tilt series of a volume whose tilt axis is at ``x = axis`` and in the middle of ``z``.

    Written out from the convention of the project, in the frame of the whole detector.
    """
    edge = volume.shape[-1]
    middle = (edge - 1) / 2
    geometry = ParallelBeam(TILTS, edge, (edge, edge), detector_axis=axis, volume_axis=(middle, axis))
    projections = Projector(geometry, len(volume), volume.shape[2]).forward(volume)
    return Dataset(
        tuple(
            TiltSeries(name, data, TILTS, pixel_size_nm=2.0, axis_position_px=axis)
            for name, data in zip(("A", "B"), projections, strict=True)
        )
    )


def cut(frame: Frame, volume: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The part of the whole volume that a frame keeps, with `z` reversed as its geometry wants it."""
    rows, slices, columns = (slice(*one) for one in (frame.rows, frame.slices, frame.columns))
    return np.ascontiguousarray(volume[:, rows, slices, columns][:, ::-1])


def assert_is_the_frame_of(frame: Frame, volume: npt.NDArray[np.float32]) -> None:
    """The specimen, cropped, has the frame's sinograms in its geometry, and finds its way back."""
    cropped = cut(frame, volume)
    projector = Projector(frame.geometry, len(volume), cropped.shape[2])
    assert cropped.shape == projector.domain_shape
    # as far in z as the columns reach from the axis, or all of the volume
    reach = max(frame.geometry.detector_axis, cropped.shape[3] - 1 - frame.geometry.detector_axis)
    assert cropped.shape[1] >= min(2 * reach + 1, volume.shape[1])
    sinograms = frame.sinograms()
    assert sinograms.dtype == np.float32
    np.testing.assert_allclose(projector.forward(cropped), sinograms, rtol=0, atol=2e-5 * sinograms.max())
    kept = volume[:, :, slice(*frame.slices)]
    np.testing.assert_array_equal(frame.to_volume(cropped), kept)
    for y in range(cropped.shape[2]):
        np.testing.assert_array_equal(frame.to_slice(cropped[:, :, y]), kept[:, :, y])


CASES: dict[str, dict[str, Any]] = {
    "whole": {"crop": "none"},
    "support": {"crop": "auto"},
    "symmetric": {"crop": (6, 25)},
    "asymmetric": {"crop": (9, 31)},
    "slices": {"crop": "auto", "slices": (1, 4)},
    "one slice": {"crop": (4, 27), "slices": (3, 4)},
}


@pytest.mark.parametrize("arguments", CASES.values(), ids=CASES.keys())
def test_a_known_specimen_has_its_place(arguments: dict[str, Any]) -> None:
    volume = specimen(31, 15, 6)
    frame = Frame.of(recorded(volume, 15), **({"slices": None, "keep_crop": False} | arguments))
    assert_is_the_frame_of(frame, volume)


@given(
    edge=st.integers(18, 33),
    off_centre=st.floats(-4, 4),
    left=st.integers(0, 6),
    right=st.integers(0, 6),
    automatic=st.booleans(),
)
def test_a_known_specimen_has_its_place_wherever_the_axis_is(
    edge: int, off_centre: float, left: int, right: int, automatic: bool
) -> None:
    axis = (edge - 1) / 2 + off_centre
    radius = min(axis - left, edge - right - 1 - axis) - 1  # one pixel for the interpolation
    assume(radius >= 1)
    volume = specimen(edge, axis, radius)
    crop = "auto" if automatic else (left, edge - right)
    assert_is_the_frame_of(Frame.of(recorded(volume, axis), None, crop, False), volume)


def test_the_automatic_crop_saves_most_of_an_empty_detector() -> None:
    volume = specimen(61, 30, 6)
    frame = Frame.of(recorded(volume, 30), None, "auto", False)
    start, stop = frame.columns
    assert start == 61 - stop  # symmetric
    assert 13 <= stop - start <= 25  # the support and a margin
    assert frame.geometry.volume_shape[0] <= 26


def test_the_automatic_crop_is_that_of_all_signals() -> None:
    dataset = recorded(specimen(41, 20, 4), 20)
    wide = recorded(specimen(41, 20, 12), 20)
    both = Dataset((dataset["A"], wide["B"].replace(name="wide")))
    assert (
        Frame.of(both, None, "auto", False).columns == Frame.of(wide.select("B"), None, "auto", False).columns
    )


def test_a_kept_crop_says_where_it_lies() -> None:
    volume = specimen(31, 15, 6)
    frame = Frame.of(recorded(volume, 15), (1, 4), (9, 30), True)
    cropped = frame.to_volume(cut(frame, volume))
    z, y, x = (int(index) for index in frame.origin_px)
    depth, height, width = cropped.shape[1:]
    assert (y, x, height, width) == (1, 9, 3, 21)
    np.testing.assert_array_equal(cropped, volume[:, z : z + depth, y : y + height, x : x + width])
    assert cropped.flags.c_contiguous


def test_a_padded_volume_starts_where_the_detector_does() -> None:
    frame = Frame.of(recorded(specimen(31, 15, 6), 15), (2, 5), (9, 30), False)
    assert frame.origin_px == (0.0, 2.0, 0.0)
    assert frame.to_volume(np.ones((2, *frame.cropped_shape), np.float32)).shape == (2, 31, 3, 31)


def test_the_data_is_cropped_without_a_change() -> None:
    dataset = recorded(specimen(31, 15, 6), 15)
    before = [series.data.copy() for series in dataset]
    sinograms = Frame.of(dataset, (1, 4), (9, 30), True).sinograms()
    for channel, data in enumerate(before):
        np.testing.assert_array_equal(sinograms[channel], data[:, 1:4, 9:30])
    sinograms[...] = -1
    for series, data in zip(dataset, before, strict=True):
        np.testing.assert_array_equal(series.data, data)


@pytest.mark.parametrize(
    ("slices", "crop", "said"),
    [
        ((3, 9), "none", "slices 3:9 do not fit tilt series 'A'; expected 0 <= START < STOP <= 5"),
        (None, (4, 32), "detector columns 4:32 do not fit tilt series 'A'; expected 0 <= START < STOP <= 31"),
        (None, (0, 15), "the tilt axis at x = 15 is not in the columns 0:15; expected a range that holds it"),
        (None, (16, 31), "the tilt axis at x = 15 is not in the columns 16:31"),
    ],
)
def test_ranges_that_do_not_fit(slices: tuple[int, int] | None, crop: Any, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        Frame.of(recorded(specimen(31, 15, 6), 15), slices, crop, False)


def test_signals_of_different_geometry() -> None:
    dataset = recorded(specimen(31, 15, 6), 15)
    other = dataset["B"].replace(axis_position_px=14.0)
    with pytest.raises(DataError, match="the tilt axis at x = 15 and 14; expected the same position"):
        Frame.of(Dataset((dataset["A"], other)), None, "none", False)


def test_values_that_are_not_finite() -> None:
    dataset = recorded(specimen(31, 15, 6), 15)
    data = dataset["B"].data.copy()
    data[2, 3, 4] = np.nan
    broken = Dataset((dataset["A"], dataset["B"].replace(data=data)))
    with pytest.raises(DataError, match=r"tilt series 'B': 1 values are not finite.*\(2, 3, 4\)"):
        Frame.of(broken, None, "none", False)
