"""Pixels painted out in napari, as a user clicks it: from the brush to the series' valid pixels."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import Qt

from chemtomo.data import Alignment, Dataset, TiltSeries
from chemtomo.preprocess import bin_pixels
from chemtomo.preprocess.values.masked import MaskPixels, pixels_of
from napari_chemtomo.layers.aligned import dataset_layers
from napari_chemtomo.layers.painted import painted_pixels
from napari_chemtomo.layers.tilt_series import to_series

TILTS = np.linspace(-40.0, 40.0, 5)
SHAPE = (5, 16, 20)


def series(name, kind="intensity", alignment=None):
    values = np.random.default_rng(1).poisson(5.0, SHAPE).astype(np.float32)
    return TiltSeries(name, values, TILTS, 2.0, kind, alignment=alignment)


def opened(viewer, *dataset):
    for data, attributes, _ in dataset_layers(Dataset(dataset)):
        viewer.add_image(data, **attributes)
    _, dock = viewer.window.add_plugin_dock_widget("napari-chemtomo", "Prepare")
    return dock


def click(qtbot, button):
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def apply(qtbot, dock):
    click(qtbot, dock.controls.run_button)
    qtbot.waitUntil(lambda: not dock.controls.running, timeout=10_000)


def paint(qtbot, dock, viewer, place, value=1):
    """Press *Paint*, and draw one dot with the brush at a pixel (tilt, y, x)."""
    dock.painted_box.expand(animate=False)
    if not any(layer.name.endswith("(left out)") for layer in viewer.layers):
        click(qtbot, dock.painted.paint_button)
    layer = dock.painted.layers.value
    assert layer.mode == "paint"
    tilt, y, x = place
    viewer.dims.set_current_step(0, tilt)
    layer.brush_size = 3
    layer.paint((tilt, 0, y, x), value)
    return layer


def invalid(layer):
    return ~np.asarray(to_series(layer).valid)


def test_painted_pixels_are_not_valid_in_the_prepared_series(viewer, qtbot):
    dock = opened(viewer, series("HAADF"), series("Al", "counts"))
    labels = paint(qtbot, dock, viewer, (1, 5, 7))
    paint(qtbot, dock, viewer, (3, 12, 15))
    painted = np.asarray(labels.data)[:, 0] > 0
    assert set(np.nonzero(painted.any(axis=(1, 2)))[0]) == {1, 3}
    click(qtbot, dock.painted.mask_button)
    (step,) = dock.operations.steps()
    assert step.channels is None
    np.testing.assert_array_equal(pixels_of(step.pixels, SHAPE), painted)
    apply(qtbot, dock)
    for name in ("HAADF (prepared)", "Al (prepared)"):
        np.testing.assert_array_equal(invalid(viewer.layers[name]), painted)
    assert to_series(viewer.layers["HAADF"]).valid is None


def test_what_is_painted_later_takes_the_place_of_what_was_before(viewer, qtbot):
    dock = opened(viewer, series("HAADF"))
    labels = paint(qtbot, dock, viewer, (1, 5, 7))
    click(qtbot, dock.painted.mask_button)
    paint(qtbot, dock, viewer, (1, 5, 7), value=0)
    paint(qtbot, dock, viewer, (2, 9, 9))
    click(qtbot, dock.painted.mask_button)
    (step,) = dock.operations.steps()
    np.testing.assert_array_equal(pixels_of(step.pixels, SHAPE), np.asarray(labels.data)[:, 0] > 0)


def test_a_layer_without_tilts_holds_for_all_of_them(viewer, qtbot):
    dock = opened(viewer, series("HAADF"))
    flat = np.zeros(SHAPE[1:], np.uint8)
    flat[3, 4:6] = 2
    layer = viewer.add_labels(flat, scale=(2.0, 2.0))
    dock.painted.layers.value = layer
    click(qtbot, dock.painted.mask_button)
    apply(qtbot, dock)
    np.testing.assert_array_equal(
        invalid(viewer.layers["HAADF (prepared)"]), np.broadcast_to(flat > 0, SHAPE)
    )


def test_series_of_other_pixels_get_their_own(viewer, qtbot):
    """Painting is a place of the sample, and not a number of a pixel."""
    coarse = bin_pixels(series("Al", "counts"), 2)
    dock = opened(viewer, series("HAADF"), coarse)
    dock.painted_box.expand(animate=False)
    viewer.layers.selection.active = viewer.layers["HAADF"]
    click(qtbot, dock.painted.paint_button)
    labels = dock.painted.layers.value
    labels.data[2, 0, 4:8, 6:10] = 1
    labels.refresh()
    click(qtbot, dock.painted.mask_button)
    fine, binned = dock.operations.steps()
    assert fine.channels == ("HAADF",)
    assert binned.channels == ("Al",)
    assert np.argwhere(pixels_of(fine.pixels, SHAPE)).min(axis=0).tolist() == [2, 4, 6]
    assert 3 <= pixels_of(binned.pixels, coarse.shape).sum() <= 9


def test_over_an_aligned_view_it_goes_back_to_the_recorded_pixels(viewer, qtbot):
    matrices = np.tile(np.eye(2, 3), (5, 1, 1))
    matrices[:, :, 2] = [2.0, -1.0]
    alignment = Alignment("HAADF", TILTS, matrices, shape=SHAPE[1:], pixel_size_nm=2.0)
    dock = opened(viewer, series("HAADF", alignment=alignment))
    (shown,) = viewer.layers
    labels = paint(qtbot, dock, viewer, (1, 5, 7))
    seen = np.argwhere(np.asarray(labels.data)[:, 0])
    recorded = np.argwhere(painted_pixels(labels, shown))
    np.testing.assert_array_equal(recorded, seen + np.array([0, 2, -1]))


def test_nothing_painted_is_told(viewer, qtbot):
    dock = opened(viewer, series("HAADF"))
    click(qtbot, dock.painted.mask_button)
    assert "expected one with painted pixels" in dock.controls.status.text()
    dock.painted_box.expand(animate=False)
    click(qtbot, dock.painted.paint_button)
    click(qtbot, dock.painted.mask_button)
    assert "nothing is painted over 'HAADF'" in dock.controls.status.text()
    assert dock.operations.steps() == ()


def test_the_operation_survives_the_list(viewer, qtbot):
    dock = opened(viewer, series("HAADF"))
    step = MaskPixels(pixels="1/2:3/4:9", channels=("HAADF",))
    dock.operations.set_steps([step])
    assert dock.operations.steps() == (step,)
