"""Laws of the border: what goes to a layer comes back, and nothing is changed on the way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from napari.layers import Image, Labels

from chemtomo.data import TiltSeries, Volume
from chemtomo.data.colours import channel_colours
from chemtomo.errors import DataError
from napari_chemtomo.layers.aligned import dataset_layers
from napari_chemtomo.layers.metadata import is_stack, is_tilt_series
from napari_chemtomo.layers.tilt_series import (
    colours_beside,
    series_layer,
    stack_to_series,
    to_dataset,
    to_series,
)
from napari_chemtomo.layers.volume import slice_layers, volume_layers


def as_layer(layer_data):
    data, attributes, kind = layer_data
    assert kind == "image"
    return Image(data, **attributes)


@st.composite
def tilt_series(draw):
    shape = draw(st.tuples(*(st.integers(1, 5) for _ in range(3))))
    rng = np.random.default_rng(draw(st.integers(0, 100)))
    return TiltSeries(
        name=draw(st.sampled_from(["HAADF", "Al", "Yb 2", "µ"])),
        data=rng.poisson(3.0, shape).astype(draw(st.sampled_from([np.uint16, np.float32, np.float64]))),
        tilts_deg=draw(st.lists(st.floats(-180, 180), min_size=shape[0], max_size=shape[0]).map(np.asarray)),
        pixel_size_nm=draw(st.floats(1e-3, 1e3)),
        kind=draw(st.sampled_from(["counts", "intensity"])),
        axis_position_px=draw(st.none() | st.floats(0, 5)),
        source=draw(st.none() | st.just("a.mrc")),
        notes=draw(st.sampled_from([(), ("assumed",)])),
        provenance=draw(st.sampled_from([(), ({"step": "crop"},)])),
    )


@given(tilt_series())
def test_a_series_comes_back_from_its_layer(series):
    back = to_series(as_layer(series_layer(series, "#ff0000")))

    np.testing.assert_array_equal(back.data, series.data)
    np.testing.assert_array_equal(back.tilts_deg, series.tilts_deg)
    assert back.pixel_size_nm == pytest.approx(series.pixel_size_nm)
    for name in ("name", "kind", "axis_position_px", "source", "notes", "provenance"):
        assert getattr(back, name) == getattr(series, name)


def test_float32_data_is_shared_and_other_data_is_left_alone(dataset):
    shared = dataset["HAADF"]
    assert np.shares_memory(series_layer(shared, "red")[0], shared.data)

    counts = shared.replace(data=np.ones((5, 6, 8), np.uint16))
    data = series_layer(counts, "red")[0]
    assert data.dtype == np.float32
    assert counts.data.dtype == np.uint16


def test_a_layer_says_tilts_units_and_axes(dataset):
    layer = as_layer(series_layer(dataset["Al"], "#19d36b"))

    assert layer.data.shape == (5, 1, 6, 8)
    assert layer.axis_labels == ("tilt", "z", "y", "x")
    assert [str(unit) for unit in layer.units] == ["degree", "nanometer", "nanometer", "nanometer"]
    np.testing.assert_allclose(layer.scale, (30, 2, 2, 2))
    # World coordinates are tilts and nanometres; the projection lies across the volume's middle.
    np.testing.assert_allclose(layer.data_to_world((0, 0, 0, 0)), (-60, 6, 0, 0))
    np.testing.assert_allclose(layer.data_to_world((4, 0, 5, 7)), (60, 6, 10, 14))


def test_uneven_tilts_are_numbered(dataset):
    uneven = dataset["Al"].replace(tilts_deg=np.array([0.0, 3, -3, 6, -6]))
    layer = as_layer(series_layer(uneven, "red"))

    assert layer.scale[0] == 1
    assert layer.translate[0] == 0
    np.testing.assert_array_equal(to_series(layer).tilts_deg, uneven.tilts_deg)


def test_the_name_and_the_scale_of_the_layer_count(dataset):
    layer = as_layer(series_layer(dataset["Al"], "red"))
    layer.name = "aluminium"
    layer.units = ("degree", "angstrom", "angstrom", "angstrom")

    series = to_series(layer)

    assert series.name == "aluminium"
    assert series.pixel_size_nm == pytest.approx(0.2)


def test_a_dataset_comes_back_in_order(dataset):
    back = to_dataset([as_layer(one) for one in dataset_layers(dataset)])
    assert back.names == ("HAADF", "Al")


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Image(np.zeros((4, 5)), name="photo"), "layer 'photo': found a layer of type Image without tilts"),
        (Labels(np.zeros((4, 5), int), name="mask"), "found a layer of type Labels"),
    ],
)
def test_what_is_no_tilt_series_is_refused(layer, message):
    with pytest.raises(DataError, match=message):
        to_series(layer)


def test_a_tilt_series_that_was_spoilt_is_refused(dataset):
    layer = as_layer(series_layer(dataset["Al"], "red"))
    layer.data = layer.data[:3]
    with pytest.raises(DataError, match="5 tilts for 3 projections"):
        to_series(layer)

    layer = as_layer(series_layer(dataset["Al"], "red"))
    layer.scale = (1, 2, 2, 3)
    with pytest.raises(DataError, match="layer 'Al': the pixels measure 2 x 3 nm"):
        to_series(layer)

    layer = as_layer(series_layer(dataset["Al"], "red"))
    layer.data = layer.data[:, 0]
    with pytest.raises(DataError, match=r"layer 'Al': found shape \(5, 6, 8\)"):
        to_series(layer)


def test_channels_that_join_others_get_colours_that_are_free(dataset):
    first, second = (as_layer(one) for one in dataset_layers(dataset))
    photo = Image(np.zeros((4, 5)), name="photo")

    (third,) = colours_beside(["Si"], [first, photo, second])

    assert third == channel_colours(["HAADF", "Al", "Si"])[2]
    assert len({first.colormap.name, second.colormap.name, third}) == 3


@pytest.fixture
def volume():
    data = np.random.default_rng(0).random((2, 4, 5, 6)).astype(np.float32)
    return Volume(data, ("HAADF", "Al"), 2.0, (1.0, 3.0, 2.0), {"steps": [{"step": "reconstruct"}]})


def test_a_volume_becomes_one_additive_layer_a_channel(volume):
    made = [as_layer(one) for one in volume_layers(volume, {"method": "tgv"})]

    assert [layer.name for layer in made] == ["HAADF (tgv)", "Al (tgv)"]
    assert len({layer.colormap.name for layer in made}) == 2
    for layer, data in zip(made, volume.data, strict=True):
        assert layer.blending == "additive"
        assert layer.data.dtype == np.float32
        assert layer.metadata["chemtomo"]["recipe"] == volume.provenance
        assert [str(unit) for unit in layer.units] == ["nanometer"] * 3
        np.testing.assert_array_equal(layer.data, data)
        np.testing.assert_allclose(layer.data_to_world((0, 0, 0)), (2, 6, 4))
        np.testing.assert_allclose(layer.data_to_world((1, 1, 1)), (4, 8, 6))
        assert not is_tilt_series(layer)


def test_a_voxel_of_the_whole_volume_lies_below_its_pixel(dataset):
    """Row y and column x of the 0 degree projection are at the same place as those of the volume."""
    series = dataset["Al"]
    projections = as_layer(series_layer(series, "red"))
    whole = Volume(np.zeros((1, 8, 6, 8), np.float32), ("Al",), series.pixel_size_nm)
    (channel,) = (as_layer(one) for one in volume_layers(whole))

    for y, x in ((0, 0), (5, 7), (2, 3)):
        np.testing.assert_allclose(
            projections.data_to_world((0, 0, y, x))[2:], channel.data_to_world((0, y, x))[1:]
        )


class TestStack:
    def test_a_stack_becomes_a_series_with_its_tilts(self):
        stack = Image(np.ones((3, 4, 5), np.uint8), name="raw", scale=(1, 5, 5), units=("pixel", "nm", "nm"))
        series = stack_to_series(stack, -60, 1.5, counts=True)

        np.testing.assert_allclose(series.tilts_deg, (-60, -58.5, -57))
        assert series.kind == "counts"
        assert series.pixel_size_nm == 5
        assert len(series.notes) == 1

    def test_an_unknown_pixel_size_is_noted(self):
        series = stack_to_series(Image(np.ones((3, 4, 5))), 0, 1, counts=False)
        assert series.pixel_size_nm == 1
        assert "pixel size is not known" in series.notes[1]

    def test_negative_counts_are_refused(self):
        with pytest.raises(DataError, match="layer 'raw': the smallest value is -1"):
            stack_to_series(Image(-np.ones((3, 4, 5)), name="raw"), 0, 1, counts=True)

    def test_only_plain_stacks_are_stacks(self, dataset):
        assert is_stack(Image(np.zeros((3, 4, 5))))
        assert not is_stack(Image(np.zeros((4, 5))))
        assert not is_stack(Image(np.zeros((4, 5, 3)), rgb=True))
        assert not is_stack(Labels(np.zeros((3, 4, 5), int)))
        assert not is_stack(as_layer(series_layer(dataset["Al"], "red")))


def test_slices_take_their_place_in_the_volume():
    image = np.ones((1, 4, 6), np.float32)
    (layer,) = (as_layer(one) for one in slice_layers(["Al"], image, (1, 7, 2), 2.0, {"Al": "red"}))
    assert layer.data.shape == (4, 1, 6)
    np.testing.assert_allclose(layer.data_to_world((0, 0, 0)), (2, 14, 4))


def test_an_empty_choice_is_refused():
    with pytest.raises(DataError, match="at least one"):
        to_dataset([])
