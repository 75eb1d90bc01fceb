"""Projections keep their tilt, and all else that belongs to them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.data import TiltSeries
from chemtomo.errors import ParameterError
from chemtomo.preprocess import drop_tilts, select_tilts, sort_by_tilt


@given(
    tilts=st.lists(st.floats(-90, 90), min_size=2, max_size=12),
    drop=st.sets(st.integers(0, 11)),
    sort_first=st.booleans(),
)
def test_dropping_and_sorting_keep_tilts_and_projections_together(tilts, drop, sort_first):
    """Every projection holds its own tilt, so that a wrong pair would show."""
    tilts = np.array(tilts)
    drop = sorted(one for one in drop if one < tilts.size)[: tilts.size - 1]
    data = np.broadcast_to(tilts[:, None, None], (tilts.size, 2, 3))
    one = TiltSeries("A", data, tilts, gains=np.arange(tilts.size) + 1.0)
    done = drop_tilts(sort_by_tilt(one), drop) if sort_first else sort_by_tilt(drop_tilts(one, drop))
    assert done.shape[0] == tilts.size - len(drop)
    np.testing.assert_array_equal(done.data[:, 0, 0], done.tilts_deg)
    assert (np.diff(done.tilts_deg) >= 0).all()
    for gain, tilt in zip(done.gains, done.tilts_deg, strict=True):
        assert tilts[int(gain) - 1] == tilt


def test_everything_that_belongs_to_a_projection_goes_with_it(full):
    done = select_tilts(full, [3, 0])
    np.testing.assert_array_equal(done.tilts_deg, [0, 10])
    np.testing.assert_array_equal(done.data[:, 0, 0], [103, 100])
    np.testing.assert_array_equal(done.background[:, 0, 0], [3, 0])
    np.testing.assert_array_equal(done.detector_shifts_px, [1.5, 0])
    np.testing.assert_allclose(done.gains, [1.3, 1])
    np.testing.assert_array_equal(done.alignment.matrices[:, 0, 2], [3, 0])
    np.testing.assert_array_equal(done.alignment.tilts_deg, [0, 10])


def test_far_tilts_are_left_out(full):
    assert drop_tilts(full, largest_deg=20.0).tilts_deg.tolist() == [10, -20, 0]
    assert drop_tilts(full, [0], largest_deg=20.0).provenance[-1]["kept"] == [1, 3]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (lambda one: drop_tilts(one, [5]), "there is no projection 5; expected numbers from 0 to 4"),
        (lambda one: drop_tilts(one, [-1]), "there is no projection -1"),
        (lambda one: drop_tilts(one, range(5)), "no projection is left of 5"),
        (lambda one: drop_tilts(one, largest_deg=-1.0), "no projection is left of 5"),
        (lambda one: select_tilts(one, [1, 1]), "chosen twice"),
    ],
)
def test_what_cannot_be_chosen_is_refused(full, step, said):
    with pytest.raises(ParameterError, match=f"'Al': .*{said}"):
        step(full)
