"""Opening files and sample data in a viewer."""

from __future__ import annotations

import numpy as np
import pytest

from chemtomo.errors import ReadError
from chemtomo.io import read, write_dataset
from napari_chemtomo.layers import to_dataset
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
    assert viewer.dims.axis_labels == ("tilt", "z", "y", "x")


def test_several_files_at_once_have_different_colours(dataset, tmp_path):
    paths = [str(path) for path in write_dataset(dataset, tmp_path)]
    made = get_reader(paths)(paths)
    assert [attributes["name"] for _, attributes, _ in made] == ["HAADF", "Al"]
    assert len({attributes["colormap"] for _, attributes, _ in made}) == 2


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


def test_the_sample_data_need_no_viewer():
    assert len(simulated_series()) == 4
