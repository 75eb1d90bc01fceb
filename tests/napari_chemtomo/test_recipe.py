"""What was made in napari is repeated without it."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import Qt

import chemtomo
from chemtomo.align import current, nudge
from chemtomo.io import read, write_dataset
from chemtomo.pipeline import Recipe
from chemtomo.pipeline.writing import recipe_in
from chemtomo.preprocess.operations import OPERATIONS
from napari_chemtomo.docks.reconstruct import dock as module
from napari_chemtomo.layers.aligned import add_aligned
from napari_chemtomo.layers.metadata import is_volume
from napari_chemtomo.layers.prepared import add_prepared
from napari_chemtomo.layers.tilt_series import to_series
from napari_chemtomo.writer import write_layers


def test_a_recipe_exported_in_napari_gives_the_same_volume(viewer, qtbot, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "device_names", list)
    files = write_dataset(chemtomo.phantom((6, 24), tilts=8).select(["HAADF", "Al"]), tmp_path / "recorded")
    viewer.open([str(one) for one in files], plugin="napari-chemtomo")
    layers = [viewer.layers["HAADF"], viewer.layers["Al"]]
    # HAADF is cropped and moved by hand, Al only cropped.
    dataset = read(files)
    crop = OPERATIONS["crop"](x=(2, 22))
    cropped = add_prepared(viewer, chemtomo.prepare(dataset_of(layers), [crop]), layers)
    haadf = to_series(cropped[0])
    aligned = add_aligned(viewer, cropped[0], nudge(current(haadf), [1, 3], 0.0, 0.4))
    _, dock = viewer.window.add_plugin_dock_widget("napari-chemtomo", "Reconstruct")
    monkeypatch.setattr(dock.channels, "layers", lambda: [aligned, cropped[1]])
    dock.reconstruction.set_values({"device": "numpy", "iterations": 6, "tolerance": 0})

    qtbot.mouseClick(dock.controls.run_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(dock.controls.run_button.isEnabled, timeout=60_000)

    made = [layer for layer in viewer.layers if is_volume(layer)]
    saved = tmp_path / "result.zarr"
    write_layers(str(saved), [layer.as_layer_data_tuple() for layer in made])
    recipe = recipe_in([saved])
    assert [one.step for one in recipe.steps] == ["crop", "use_alignment", "reconstruct"]
    assert [path for one in recipe.inputs for path in one.paths] == [str(one) for one in files]
    again = chemtomo.run(Recipe.from_toml(recipe.to_toml()))
    for layer, name in zip(made, again.names, strict=True):
        assert name in layer.name
        np.testing.assert_array_equal(layer.data, again[name])
    assert dataset.names == again.names


def dataset_of(layers):
    return chemtomo.Dataset(tuple(to_series(layer) for layer in layers))
