"""Binning: what it conserves, and that the tilt axis stays where it is in the sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.data import TiltSeries
from chemtomo.errors import ParameterError
from chemtomo.preprocess import bin_pixels

TILTS = np.array([-30.0, 0, 45])


def series(height: int, width: int, kind: str = "counts", **changes: object) -> TiltSeries:
    data = np.random.default_rng(0).poisson(20, (3, height, width)).astype(np.uint16)
    return TiltSeries(
        "Al", data if kind == "counts" else data.astype(np.float32), TILTS, 2.0, kind, **changes
    )


@given(
    height=st.integers(1, 9),
    width=st.integers(4, 11),
    factor=st.integers(1, 4),
    kind=st.sampled_from(["counts", "intensity"]),
)
def test_bins_by_their_definition(height: int, width: int, factor: int, kind: str) -> None:
    one = series(height, width, kind)
    before = one.data.copy()
    binned = bin_pixels(one, factor)
    rows = min(factor, height)
    assert binned.shape == (3, height // rows, width // factor)
    for y in range(height // rows):
        for x in range(width // factor):
            bin_ = one.data[:, y * rows : (y + 1) * rows, x * factor : (x + 1) * factor].astype(np.float64)
            expected = bin_.sum(axis=(1, 2)) if kind == "counts" else bin_.mean(axis=(1, 2))
            np.testing.assert_allclose(binned.data[:, y, x], expected, rtol=1e-6)
    assert binned.kind == kind
    assert binned.pixel_size_nm == 2.0 * factor
    np.testing.assert_array_equal(one.data, before)


def test_counts_do_not_overflow() -> None:
    full = series(4, 4).replace(data=np.full((3, 4, 4), 65535, np.uint16))
    assert (bin_pixels(full, 2).data == 4 * 65535).all()


@pytest.mark.parametrize("axis", [None, 3.0, 4.25])
def test_the_axis_stays_where_it_is_in_the_sample(axis: float | None) -> None:
    """Its distance from the first edge of the detector, which is half a pixel before the first centre."""
    one = series(4, 12, axis_position_px=axis)
    binned = bin_pixels(one, 3)
    distances = [(tilted.axis_position + 0.5) * tilted.pixel_size_nm for tilted in (one, binned)]
    assert distances[1] == pytest.approx(distances[0])


def test_columns_that_fill_no_bin_are_left_out() -> None:
    one = series(4, 11)
    assert bin_pixels(one, 3).data.sum() == one.data[:, :3, :9].sum()


@pytest.mark.parametrize("factor", [0, -1, 8])
def test_bins_that_do_not_fit(factor: int) -> None:
    with pytest.raises(ParameterError, match=f"'Al': found a bin of {factor} pixels; expected 1 to 7"):
        bin_pixels(series(2, 7), factor)
