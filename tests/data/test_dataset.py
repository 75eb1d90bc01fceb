import numpy as np
import pytest

from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import DataError, ParameterError


def series(name, shape=(2, 3, 4), **changes):
    given = {"data": np.zeros(shape, np.float32), "tilts_deg": np.arange(shape[0]), "source": f"{name}.mrc"}
    return TiltSeries(name=name, **{**given, **changes})


def test_needs_a_series():
    with pytest.raises(DataError, match="at least one"):
        Dataset(())


def test_refuses_two_of_one_name_and_says_where_they_are_from():
    with pytest.raises(DataError) as caught:
        Dataset((series("Al", source="a/Al.mrc"), series("Al", source="b/Al.mrc")))
    assert "a/Al.mrc" in str(caught.value)
    assert "b/Al.mrc" in str(caught.value)


def test_a_prefix_names_a_channel_when_it_is_unique():
    dataset = Dataset((series("Al_EDX"), series("Ag_EDX"), series("Al")))
    assert dataset.resolve("Al") == "Al"  # a full name wins over a prefix
    assert dataset.resolve("Al_") == "Al_EDX"
    assert dataset["Ag"].name == "Ag_EDX"
    with pytest.raises(ParameterError, match="fits Al_EDX, Ag_EDX, Al"):
        dataset.resolve("A")
    with pytest.raises(ParameterError, match=r"fits none.*Al_EDX, Ag_EDX, Al"):
        dataset.resolve("Si")


def test_select_and_map_keep_the_order_asked_for():
    dataset = Dataset((series("A"), series("B"), series("C")))
    assert dataset.select(["C", "A"]).names == ("C", "A")
    assert dataset.map(lambda one: one.replace(name=one.name * 2)).names == ("AA", "BB", "CC")
    assert len(dataset) == 3


@pytest.mark.parametrize(
    ("changes", "sides"),
    [
        ({"shape": (2, 3, 5)}, ["(3, 4)", "(3, 5)", "Crop or bin them alike"]),
        ({"pixel_size_nm": 2.0}, ["1 and 2 nm", "Bin the finer"]),
        ({"axis_position_px": 2.0}, ["1.5 and 2"]),
    ],
)
def test_differing_geometry_is_told_from_both_sides(changes, sides):
    dataset = Dataset((series("A"), series("B", **changes)))
    with pytest.raises(DataError) as caught:
        dataset.require_common_geometry()
    for side in ["'A'", "'B'", *sides]:
        assert side in str(caught.value)


def test_tilts_may_differ():
    three = series("B", shape=(3, 3, 4), tilts_deg=[-1, 0, 7])
    Dataset((series("A"), three)).require_common_geometry()


def test_equal_geometry_passes():
    Dataset((series("A"), series("B", axis_position_px=1.5))).require_common_geometry()
