"""Saving layers, the way a user of napari does it."""

from __future__ import annotations

import numpy as np
import pytest

from chemtomo.data import Dataset, Volume
from chemtomo.errors import WriteError
from chemtomo.io import read, read_volume
from napari_chemtomo.layers.aligned import dataset_layers
from napari_chemtomo.layers.volume import to_volume, volume_layers

RECIPE = {"steps": [{"step": "reconstruct", "method": "tgv"}]}


def add(viewer, layer_data):
    return [viewer.add_layer(_made(*one)) for one in layer_data]


def _made(data, attributes, kind):
    from napari.layers import Layer

    return Layer.create(data, attributes, kind)


@pytest.fixture
def volume():
    data = np.random.default_rng(0).random((2, 3, 4, 5)).astype(np.float32)
    return Volume(data, ("HAADF", "Al"), 1.3, (0.0, 7.0, 2.5), RECIPE)


@pytest.mark.parametrize("name", ["v.zarr", "v.ome.tif", "v.mrc", "v.emd", "v.hspy"])
def test_a_saved_volume_is_the_volume(viewer, volume, tmp_path, name):
    add(viewer, volume_layers(volume, {"method": "tgv"}))
    written = viewer.layers.save(str(tmp_path / name))
    assert written
    found = read_volume(tmp_path / name)
    assert np.array_equal(found.data, volume.data)
    assert found.names == volume.names
    assert found.voxel_size_nm == pytest.approx(volume.voxel_size_nm)
    assert found.origin_px == pytest.approx(volume.origin_px)
    assert found.provenance == RECIPE


@pytest.mark.parametrize("name", ["v.zarr", "v.ome.tif", "v.mrc", "v.emd", "v.hspy"])
def test_a_saved_volume_opens_again(viewer, volume, tmp_path, name):
    before = add(viewer, volume_layers(volume))
    written = viewer.layers.save(str(tmp_path / name))
    viewer.layers.clear()
    viewer.open([one for one in written if not one.endswith(".json")], plugin="napari-chemtomo")
    assert [layer.name for layer in viewer.layers] == ["HAADF", "Al"]
    for layer, expected in zip(viewer.layers, before, strict=True):
        assert np.array_equal(layer.data, expected.data)
        assert layer.scale == pytest.approx(expected.scale)
        assert layer.translate == pytest.approx(expected.translate)
        assert layer.units == expected.units
    assert to_volume(list(viewer.layers)).provenance == RECIPE
    # In MRC every channel is a file of its own.
    assert len({layer.colormap.name for layer in viewer.layers}) == 2


def test_a_channel_that_was_renamed_is_saved_by_its_new_name(volume):
    layers = [_made(*one) for one in volume_layers(volume, {"method": "tgv"})]
    layers[1].name = "aluminium"
    layers[0].name = "HAADF (tgv) [1]"  # as napari names a second layer of this name
    assert to_volume(layers).names == ("HAADF", "aluminium")


def test_one_selected_layer_is_one_channel(viewer, volume, tmp_path):
    _, al = add(viewer, volume_layers(volume))
    viewer.layers.selection = {al}
    viewer.layers.save(str(tmp_path / "v.zarr"), selected=True)
    assert read_volume(tmp_path / "v.zarr").names == ("Al",)
    al.save(str(tmp_path / "w.mrc"))
    assert np.array_equal(read_volume(tmp_path / "w.mrc")["Al"], volume["Al"])


def test_saved_series_are_the_dataset(viewer, dataset, tmp_path):
    gains = [1.0, 0.9, 1.1, 1.0, 1.2]
    given = Dataset((dataset["HAADF"].replace(gains=gains, axis_position_px=3.25), dataset["Al"]))
    add(viewer, dataset_layers(given))
    viewer.layers.save(str(tmp_path / "s.mrc"))
    found = read([tmp_path / "s_HAADF.mrc", tmp_path / "s_Al.mrc"])
    assert found.names == given.names
    for one, expected in zip(found, given, strict=True):
        assert np.array_equal(one.data, expected.data)
        assert np.array_equal(one.tilts_deg, expected.tilts_deg)
        assert (one.kind, one.pixel_size_nm) == (expected.kind, expected.pixel_size_nm)
    assert found["HAADF"].gains.tolist() == gains
    assert found["HAADF"].axis_position_px == 3.25


def test_layers_of_another_kind_are_refused_with_the_reason(viewer, volume, dataset, tmp_path):
    (photo,) = [viewer.add_image(np.ones((4, 5)), name="photo")]
    with pytest.raises(WriteError, match=r"'photo', which ChemTomo did not make.*ending \.tif"):
        photo.save(str(tmp_path / "x.zarr"))
    viewer.layers.clear()
    add(viewer, [*volume_layers(volume), *dataset_layers(dataset)])
    with pytest.raises(WriteError, match="tilt series and volumes together"):
        viewer.layers.save(str(tmp_path / "x.zarr"))
    assert not list(tmp_path.glob("x*"))


def test_channels_of_different_volumes_are_no_volume(viewer, volume, tmp_path):
    other = Volume(np.ones((1, 9, 9, 9), np.float32), ("Si",), 1.3)
    add(viewer, [*volume_layers(volume), *volume_layers(other)])
    with pytest.raises(WriteError, match=r"shapes .*3, 4, 5.*9, 9, 9"):
        viewer.layers.save(str(tmp_path / "x.zarr"))


def test_the_same_channel_twice_is_named_by_its_layers(viewer, volume, tmp_path):
    add(viewer, volume_layers(volume, {"method": "tgv"}))
    add(viewer, volume_layers(volume, {"method": "sirt"}))
    viewer.layers.save(str(tmp_path / "x.zarr"))
    assert read_volume(tmp_path / "x.zarr").names == ("HAADF (tgv)", "Al (tgv)", "HAADF (sirt)", "Al (sirt)")


def test_an_ordinary_image_is_still_saved_by_napari(viewer, tmp_path):
    layer = viewer.add_image(np.ones((4, 5), np.uint8))
    assert layer.save(str(tmp_path / "x.tif")) == [str(tmp_path / "x.tif")]


def test_a_failed_save_says_that_the_layers_are_still_there(viewer, volume, tmp_path):
    add(viewer, volume_layers(volume))
    with pytest.raises(WriteError, match=r"there is no folder.*The layers are still here"):
        viewer.layers.save(str(tmp_path / "no" / "v.zarr"))
    assert len(viewer.layers) == 2
