"""Opening files and sample data in a viewer."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from qtpy.QtWidgets import QApplication
from tests.spectra.conftest import make_specimen, write_spectra

from chemtomo.data import Dataset, TiltSeries, Volume
from chemtomo.errors import ReadError
from chemtomo.io import read, write, write_dataset
from chemtomo.io.formats.mrc import read as mrc
from chemtomo.io.formats.numpy import read as numpy_files
from chemtomo.io.storage import lazy
from napari_chemtomo.dialogs.tilts_of_files import TiltsOfFilesDialog
from napari_chemtomo.layers.files import read_layers
from napari_chemtomo.layers.spectra import to_spectra
from napari_chemtomo.layers.tilt_series import to_dataset
from napari_chemtomo.reader import get_reader
from napari_chemtomo.sample_data import simulated_series


def test_files_opened_one_by_one_become_a_dataset(viewer, dataset, tmp_path):
    paths = write_dataset(dataset, tmp_path)
    viewer.open([str(path) for path in paths], plugin=None)

    back = to_dataset(list(viewer.layers))
    assert back.names == dataset.names
    for found, expected in zip(back, read(paths), strict=True):
        np.testing.assert_array_equal(found.data, expected.data)
        np.testing.assert_array_equal(found.tilts_deg, expected.tilts_deg)
        assert found.kind == expected.kind
    assert len({layer.colormap.name for layer in viewer.layers}) == 2
    # HAADF was opened first, at full opacity; it would whiten the elements that come to it.
    assert [layer.opacity < 1 for layer in viewer.layers] == [True, False]
    assert viewer.dims.axis_labels == ("tilt", "z", "y", "x")


def test_several_files_at_once_have_different_colours(dataset, tmp_path):
    paths = [str(path) for path in write_dataset(dataset, tmp_path)]
    made = get_reader(paths)(paths)
    assert [attributes["name"] for _, attributes, _ in made] == ["HAADF", "Al"]
    assert len({attributes["colormap"] for _, attributes, _ in made}) == 2


def test_of_many_signals_that_come_together_few_are_in_view(dataset, tmp_path):
    haadf, al = dataset
    many = [haadf, *(al.replace(name=name) for name in ("Al", "Si", "Fe", "Co", "Ni", "Cu", "Zn"))]
    write_dataset(Dataset(tuple(many)), tmp_path)
    made = read_layers(tmp_path)
    shown = [attributes["name"] for _, attributes, _ in made if attributes.get("visible", True)]
    assert shown == ["HAADF"]
    for _, attributes, _ in made:
        low, high = attributes["contrast_limits"]
        assert low < high


def test_a_folder_is_opened_as_one_dataset(viewer, dataset, tmp_path):
    """As by drag and drop, or File > Open Folder, with this plugin chosen."""
    write_dataset(dataset, tmp_path)
    (tmp_path / "notes.txt").write_text("a note")
    viewer.open(str(tmp_path), plugin="napari-chemtomo")
    assert set(to_dataset(list(viewer.layers)).names) == set(dataset.names)


def test_spectra_become_a_layer_of_their_sum(viewer, tmp_path):
    spectra = make_specimen({"Fe_K": 20.0}, 10.0).series
    viewer.open(str(write_spectra(spectra, tmp_path / "edx.hspy")), plugin="napari-chemtomo")
    (layer,) = viewer.layers
    back = to_spectra(layer)
    assert back.is_lazy
    np.testing.assert_array_equal(np.asarray(back.data), spectra.data)
    np.testing.assert_array_equal(np.asarray(layer.data)[:, 0], spectra.data.sum(axis=-1))
    assert back.tilts_deg.tolist() == spectra.tilts_deg.tolist()


def test_files_opened_as_a_stack_are_one_set(viewer, tmp_path):
    """One image a tilt: File > Open Files as Stack, or dropped with Shift."""
    paths = []
    for number, tilt in enumerate((10, -10, 0)):
        paths.append(str(tmp_path / f"run_{number}.tif"))
        tifffile.imwrite(paths[-1], np.full((4, 5), number, np.float32))
        (tmp_path / f"run_{number}.tif.mdoc").write_text(f"[ZValue = 0]\nTiltAngle = {tilt}\n")
    viewer.open(paths, stack=True, plugin="napari-chemtomo")
    (series,) = to_dataset(list(viewer.layers))
    assert series.name == "run"
    assert series.tilts_deg.tolist() == [-10, 0, 10]
    assert series.values()[:, 0, 0].tolist() == [1, 2, 0]


def test_folders_of_others_are_left_to_others(tmp_path):
    assert get_reader(str(tmp_path)) is None
    (tmp_path / "notes.txt").write_text("a note")
    assert get_reader(str(tmp_path)) is None
    assert get_reader(tmp_path / "nothing") is not None
    volume = Volume(np.ones((1, 3, 4, 5), np.float32), ("Al",), 1.0)
    write(volume, tmp_path / "volume.zarr")
    (tmp_path / "volume.zarr" / ".zattrs").write_text('{"multiscales": []}')  # no longer ours
    assert get_reader(str(tmp_path / "volume.zarr")) is None
    assert get_reader([str(tmp_path), str(tmp_path / "a.mrc")]) is not None


@pytest.mark.parametrize("name", ["a.tif", "a.npy", "a.npz"])
def test_stacks_of_other_formats_are_opened(viewer, tmp_path, name):
    data = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    path = tmp_path / name
    if name == "a.tif":
        tifffile.imwrite(path, data, photometric="minisblack")
    elif name == "a.npy":
        np.save(path, data)
    else:
        np.savez(path, a=data)
    path.with_suffix(".rawtlt").write_text("-10\n0\n10\n")
    viewer.open(str(path), plugin="napari-chemtomo")
    (series,) = to_dataset(list(viewer.layers))
    assert np.array_equal(series.data, data)
    assert series.tilts_deg.tolist() == [-10, 0, 10]


def test_an_mdoc_opens_its_stack(viewer, dataset, tmp_path):
    path = write_dataset(dataset, tmp_path)[0]
    mdoc = path.with_name(f"{path.name}.mdoc")
    mdoc.write_text("".join(f"[ZValue = {n}]\nTiltAngle = {n}\n" for n in range(5)))
    viewer.open(str(mdoc), plugin=None)
    assert to_dataset(list(viewer.layers))["HAADF"].tilts_deg.tolist() == [0, 1, 2, 3, 4]


def test_large_files_stay_in_the_file(viewer, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(mrc, "_MAP_FROM_BYTES", 100)
    paths = write_dataset(dataset, tmp_path)
    viewer.open([str(path) for path in paths], plugin=None)
    for layer in viewer.layers:
        assert hasattr(layer.data, "dask")
        assert layer.data.dtype == np.float32
        assert layer.data.chunks[0] == (1,) * 5
    back = to_dataset(list(viewer.layers))
    assert all(one.is_lazy for one in back)
    for one in back:
        np.testing.assert_array_equal(one.values(), dataset[one.name].data)
        assert one.kind == dataset[one.name].kind


def test_channels_of_one_large_file_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(numpy_files, "_MAP_FROM_BYTES", 100)
    data = np.arange(120, dtype=np.float32).reshape(2, 3, 4, 5)
    path = tmp_path / "a.npy"
    np.save(path, data)
    path.with_suffix(".rawtlt").write_text("-10\n0\n10\n")
    made = get_reader(str(path))(str(path))
    assert all(hasattr(values, "dask") for values, _, _ in made)
    for channel, (values, _, _) in zip(data, made, strict=True):
        np.testing.assert_array_equal(np.asarray(values)[:, 0], channel)


def test_opening_a_large_file_reads_three_projections(tmp_path, monkeypatch):
    monkeypatch.setattr(mrc, "_MAP_FROM_BYTES", 100)
    series = TiltSeries("Al", np.arange(700.0).reshape(7, 10, 10), np.arange(7.0))
    (path,) = write_dataset(Dataset((series,)), tmp_path)
    read_again = []
    monkeypatch.setattr(
        lazy._MappedValues,
        "__getitem__",
        lambda self, index: read_again.append(index[0]) or np.array(self.mapped[index]),
    )
    get_reader(str(path))(str(path))
    assert sorted(one.start for one in read_again if one.stop > one.start) == [0, 3, 6]


def test_an_error_is_raised(tmp_path):
    broken = tmp_path / "broken.mrc"
    broken.write_bytes(b"no image")
    with pytest.raises(ReadError, match=r"broken\.mrc"):
        get_reader(str(broken))(str(broken))


def test_an_error_is_shown_after_that_of_napari(viewer, tmp_path, notifications, qtbot):
    broken = tmp_path / "broken.mrc"
    broken.write_bytes(b"no image")

    with pytest.raises(ValueError, match="napari-chemtomo"):
        viewer.open(str(broken), plugin=None)

    qtbot.waitUntil(lambda: any("broken.mrc" in message for message in notifications.messages))
    assert not viewer.layers


def test_the_sample_data_are_four_channels(viewer):
    viewer.open_sample("napari-chemtomo", "simulated_series")
    assert len(to_dataset(list(viewer.layers))) == 4


@pytest.mark.parametrize("name", ["film", "lamella", "pillar", "grains"])
def test_the_specimens_that_are_not_aligned_open_with_their_maps(viewer, name):
    viewer.open_sample("napari-chemtomo", name)
    opened = to_dataset(list(viewer.layers))
    assert opened.names[0] == "HAADF"
    assert len(opened) >= 3


def test_the_sample_data_need_no_viewer():
    assert len(simulated_series()) == 4


@pytest.fixture
def files_without_tilts(tmp_path):
    """One image a tilt; the values are the tilts in the names."""
    for tilt in (-40, -5, 0, 35):
        tifffile.imwrite(tmp_path / f"{tilt}.tif", np.full((4, 5), tilt, np.float32))
    return tmp_path


def asked(viewer, folder, qtbot):
    """Open files that do not say their tilts, and return the dialog that asks for them."""
    with pytest.raises(ReadError, match="no tilt") as raised:
        viewer.open(str(folder), plugin="napari-chemtomo")
    assert "--" not in str(raised.value)  # the dialog comes instead of an option of the command line
    found = []

    def there():
        found[:] = [one for one in QApplication.topLevelWidgets() if isinstance(one, TiltsOfFilesDialog)]
        return len(found) == 1

    qtbot.waitUntil(there)
    return found[0]


def test_tilts_in_names_are_offered(viewer, files_without_tilts, qtbot):
    dialog = asked(viewer, files_without_tilts, qtbot)
    assert dialog.source.currentText() == "the names of the files"
    dialog.accept()
    (series,) = to_dataset(list(viewer.layers))
    assert series.tilts_deg.tolist() == series.values()[:, 0, 0].tolist() == [-40, -5, 0, 35]


def test_tilts_are_asked_for_where_names_say_none(viewer, files_without_tilts, qtbot, notifications):
    for number, path in enumerate(sorted(files_without_tilts.iterdir())):
        path.rename(path.with_name(f"image_{number}.tif"))
    dialog = asked(viewer, files_without_tilts, qtbot)
    assert dialog.source.currentText() == "first tilt and step"
    dialog.source.setCurrentText("a file of tilts")
    dialog.file.setText(str(files_without_tilts / "none.tlt"))
    dialog.accept()
    assert any("none.tlt" in message for message in notifications.messages)
    assert not viewer.layers
    dialog.source.setCurrentText("first tilt and step")
    dialog.first.value = 10.0
    dialog.step.value = 5.0
    dialog.accept()
    (series,) = to_dataset(list(viewer.layers))
    assert series.tilts_deg.tolist() == [10, 15, 20, 25]
