import numpy as np
import pytest

from chemtomo.data import TiltSeries
from chemtomo.errors import DataError


def make(**changes):
    given = {"name": "Al", "data": np.ones((3, 4, 5), np.float32), "tilts_deg": [-10, 0, 10.5]}
    return TiltSeries(**{**given, **changes})


def test_holds_the_data_as_given():
    data = np.arange(60, dtype=np.uint16).reshape(3, 4, 5)
    series = make(data=data, kind="counts")
    assert series.data is data
    assert series.shape == (3, 4, 5)
    assert series.tilts_deg.dtype == np.float64


def test_tilts_are_a_copy_that_nobody_can_change():
    tilts = np.array([-10.0, 0.0, 10.0])
    series = make(tilts_deg=tilts)
    tilts[0] = 77
    assert series.tilts_deg[0] == -10
    with pytest.raises(ValueError, match="read-only"):
        series.tilts_deg[0] = 1


def test_axis_is_in_the_centre_unless_told():
    assert make().axis_position == 2.0
    assert make(axis_position_px=1.25).axis_position == 1.25


@pytest.mark.parametrize(
    ("changes", "sides"),
    [
        ({"name": " "}, ["name", "empty"]),
        ({"data": np.ones((3, 4))}, ["(3, 4)", "(tilt, y, x)"]),
        ({"data": np.ones((3, 0, 4))}, ["(3, 0, 4)", "no empty axis"]),
        ({"data": np.ones((3, 4, 5), complex)}, ["complex128", "real"]),
        ({"tilts_deg": [0, 1]}, ["2 tilts", "3 projections"]),
        ({"tilts_deg": [0, np.nan, 1]}, ["[1]", "not finite"]),
        ({"pixel_size_nm": 0.0}, ["0.0 nm", "positive"]),
        ({"pixel_size_nm": np.inf}, ["inf nm", "positive"]),
        ({"kind": "photons"}, ["photons", "counts"]),
        ({"axis_position_px": np.nan}, ["nan", "finite"]),
    ],
)
def test_refuses_what_does_not_fit_and_names_both_sides(changes, sides):
    with pytest.raises(DataError) as caught:
        make(**changes)
    for side in sides:
        assert side in str(caught.value)


def test_replace_checks_anew():
    with pytest.raises(DataError, match="3 tilts for 2 projections"):
        make().replace(data=np.ones((2, 4, 5)))


def test_values_that_are_not_finite_are_located():
    data = np.ones((3, 4, 5), np.float32)
    data[1, 2, 3] = np.nan
    with pytest.raises(DataError, match=r"1 values are not finite.*\(1, 2, 3\)"):
        make(data=data).require_finite()
    make().require_finite()
