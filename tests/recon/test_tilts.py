"""The tilts of several signals together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.data import Dataset, TiltSeries
from chemtomo.recon.tilts import JointTilts


def series(name: str, tilts: list[float], shifts: list[float] | None = None) -> TiltSeries:
    return TiltSeries(name, np.zeros((len(tilts), 2, 3)), np.array(tilts), detector_shifts_px=shifts)


def joint(*found: TiltSeries) -> JointTilts:
    return JointTilts.of(Dataset(found))


def test_equal_tilts_keep_their_order() -> None:
    tilts = [30.0, -20, 0]
    result = joint(series("A", tilts), series("B", tilts))
    np.testing.assert_array_equal(result.tilts_deg, tilts)
    np.testing.assert_array_equal(result.detector_shifts_px, 0)
    for place in result.places:
        np.testing.assert_array_equal(place, [0, 1, 2])


def test_tilts_that_one_has_come_after_those_of_the_first() -> None:
    result = joint(series("A", [0, 10]), series("B", [5, 10.004, 20]), series("C", [20.009, 10]))
    np.testing.assert_array_equal(result.tilts_deg, [0, 10, 5, 20])
    assert [place.tolist() for place in result.places] == [[0, 1], [2, 1, 3], [3, 1]]
    np.testing.assert_array_equal(result.spread(np.array([7.0, 8, 9]), 1), [0, 8, 7, 9])


def test_a_hundredth_of_a_degree_apart_is_the_same() -> None:
    assert joint(series("A", [10]), series("B", [10.01])).count == 1
    assert joint(series("A", [10]), series("B", [10.012])).count == 2
    # of several the nearest
    result = joint(series("A", [9.995, 10.001]), series("B", [10]))
    assert result.places[1].tolist() == [1]


def test_projections_of_one_signal_stay_apart() -> None:
    """Also at the same tilt; another signal's are matched one to one."""
    result = joint(series("A", [0, 5, 0]), series("B", [0, 0, 0, 5]))
    np.testing.assert_array_equal(result.tilts_deg, [0, 5, 0, 0])
    assert result.places[0].tolist() == [0, 1, 2]
    assert result.places[1].tolist() == [0, 2, 3, 1]


def test_another_shift_is_another_projection() -> None:
    result = joint(
        series("A", [0, 10], [1.0, 2.0]), series("B", [0, 10], [1.0005, 2.3]), series("C", [0, 10])
    )
    np.testing.assert_allclose(result.tilts_deg, [0, 10, 10, 0, 10])
    np.testing.assert_allclose(result.detector_shifts_px, [1, 2, 2.3, 0, 0])
    assert [place.tolist() for place in result.places] == [[0, 1], [0, 2], [3, 4]]


@given(
    st.lists(
        st.lists(st.sampled_from([0.0, 0.004, 1.0, 1.5, -7.0]), min_size=1, max_size=6),
        min_size=1,
        max_size=3,
    )
)
def test_every_projection_has_a_place_of_its_own(tilts: list[list[float]]) -> None:
    result = joint(*(series(str(number), own) for number, own in enumerate(tilts)))
    assert result.count == result.detector_shifts_px.size
    assert set(np.concatenate(result.places).tolist()) == set(range(result.count))
    for own, place in zip(tilts, result.places, strict=True):
        assert len(set(place.tolist())) == len(own)
        assert result.tilts_deg[place] == pytest.approx(own, abs=0.0101)
