"""A slice that is being made lies where it will lie in the finished volume; with the real runner."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt

from chemtomo.pipeline.jobs.reconstruct import reconstruct_job
from chemtomo.progress import finish
from chemtomo.recon import ReconstructParameters
from chemtomo.samples import phantom
from napari_chemtomo import settings
from napari_chemtomo.docks.reconstruct import dock as module
from napari_chemtomo.docks.reconstruct.task import SliceRequest, reconstruct
from napari_chemtomo.layers.aligned import dataset_layers


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"slices": (2, 6)},
        {"crop": "none", "keep_crop": True},
        {"keep_crop": True},
        {"crop": (3, 17), "keep_crop": True, "slices": (1, 4)},
        {"crop": (3, 17)},
        {"preview": True},
        {"preview": True, "slices": (3, 8), "crop": (2, 18), "keep_crop": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("axis", [None, 8.0])
def test_a_slice_is_at_its_place_in_the_volume(values, axis, monkeypatch):
    monkeypatch.setattr(settings, "result_cache", lambda: None)  # the same run is repeated, slice after slice
    dataset = phantom((8, 20), tilts=6).map(lambda series: series.replace(axis_position_px=axis))
    parameters = ReconstructParameters(method="sirt", iterations=1, device="numpy", **values)
    slices = {}
    for place in np.arange(0, 8, 0.5) * dataset.series[0].pixel_size_nm:
        request = SliceRequest()
        request.ask(place)
        running = reconstruct(dataset, parameters, None, request, lambda: False)
        next(running)
        update = next(running)
        with pytest.raises(StopIteration) as end:
            next(running)
        volume = end.value.value.volume
        z0, y0, x0 = volume.origin_px
        z, y, x = update.origin_px
        assert (z, x) == (z0, x0)
        assert update.voxel_size_nm == volume.voxel_size_nm
        slices[y - y0] = update.image

    assert sorted(slices) == list(range(volume.shape[1]))
    for y, image in slices.items():
        assert image.shape == (4, volume.shape[0], volume.shape[2])
        if not parameters.preview:  # whose values are scaled at the end
            np.testing.assert_array_equal(image, volume.data[:, :, int(y)])


def test_the_whole_path_with_the_real_runner(viewer, qtbot, monkeypatch):
    monkeypatch.setattr(module, "device_names", list)
    dataset = phantom((8, 24), tilts=8)
    for data, attributes, _ in dataset_layers(dataset):
        viewer.add_image(data, **attributes)
    _, dock = viewer.window.add_plugin_dock_widget("napari-chemtomo", "Reconstruct")
    dock.reconstruction.set_values({"device": "numpy", "iterations": 12, "slices": (1, 7), "tolerance": 0})

    qtbot.mouseClick(dock.controls.run_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(dock.controls.run_button.isEnabled, timeout=60_000)

    parameters = ReconstructParameters(device="numpy", iterations=12, slices=(1, 7), tolerance=0)
    expected = finish(reconstruct_job(dataset, parameters)).volume
    made = [layer for layer in viewer.layers if "(tgv)" in layer.name]
    assert len(made) == 4
    for layer, data in zip(made, expected.data, strict=True):
        np.testing.assert_allclose(layer.data, data, rtol=1e-6, atol=1e-6 * data.max())
        recipe = layer.metadata["chemtomo"]["recipe"]
        (given,) = recipe["inputs"]
        assert [one["name"] for one in given["signals"]] == list(dataset.names)
        assert recipe["steps"][-1]["slices"] == [1, 7]
