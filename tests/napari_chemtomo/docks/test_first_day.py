"""What a new user tripped over, by clicks."""

from __future__ import annotations

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit

from chemtomo.align import current
from chemtomo.data import Dataset, TiltSeries
from chemtomo.preprocess.operations import OPERATIONS
from napari_chemtomo.dialogs.tilts_of_stack import TiltsDialog
from napari_chemtomo.docks.reconstruct import dock as reconstruct_dock
from napari_chemtomo.layers.aligned import add_aligned, current_alignment, dataset_layers
from napari_chemtomo.layers.tilt_series import to_series

TILTS = (-60.0, 0.0, -30.0, 30.0, 60.0)


@pytest.fixture(autouse=True)
def _no_devices(monkeypatch):
    monkeypatch.setattr(reconstruct_dock, "device_names", list)


@pytest.fixture
def loaded(viewer):
    """HAADF and two elements; the tilts are not in rising order."""
    rng = np.random.default_rng(5)
    data = rng.poisson(20.0, (3, 5, 12, 16)).astype(np.float32)
    kinds = ("intensity", "counts", "counts")
    series = [
        TiltSeries(name, one * scale, np.array(TILTS), 2.0, kind)
        for name, one, kind, scale in zip(("HAADF", "Si", "Al"), data, kinds, (1, 3, 1), strict=True)
    ]
    for values, attributes, _ in dataset_layers(Dataset(tuple(series))):
        viewer.add_image(values, **attributes)
    return viewer


def open_dock(viewer, name):
    _, widget = viewer.window.add_plugin_dock_widget("napari-chemtomo", name)
    return widget


def click(qtbot, button):
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def run_to_the_end(qtbot, dock):
    click(qtbot, dock.controls.run_button)
    qtbot.waitUntil(lambda: not dock.controls.running, timeout=20_000)


DOCKS = ["Prepare", "Register", "Tilt axis", "Link channels", "Element maps", "Reconstruct"]


@pytest.mark.parametrize("name", DOCKS)
def test_every_control_says_what_it_does(name, loaded):
    dock = open_dock(loaded, name)
    if name == "Prepare":
        for kind in OPERATIONS.values():
            dock.operations.add(kind())
    kinds = (QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit)
    for kind in kinds:
        for control in dock.native.findChildren(kind):
            around, help_text = control, ""
            while around is not None and around is not dock.native and not help_text:
                help_text, around = around.toolTip(), around.parentWidget()
            text = control.text() if hasattr(control, "text") else control.currentText()
            inner = control.objectName().startswith("qt_") or type(control).__module__.startswith("superqt")
            assert help_text or inner, f"{type(control).__name__} {text!r} has no help"


@pytest.mark.parametrize("name", ["Register", "Tilt axis"])
def test_the_reference_is_haadf_until_another_is_chosen(name, loaded):
    dock = open_dock(loaded, name)
    choice = dock.reference if name == "Register" else dock.series
    assert choice.value == loaded.layers["HAADF"]
    choice.value = loaded.layers["Si"]
    loaded.layers["Si"].name = "silicon"
    assert choice.value == loaded.layers["silicon"]
    loaded.layers.move(0, 3)
    assert choice.value == loaded.layers["silicon"]
    loaded.layers.remove("silicon")
    assert choice.value == loaded.layers["HAADF"]


@pytest.mark.parametrize("name", ["Prepare", "Register", "Tilt axis"])
def test_a_stack_gets_its_tilts_in_every_dock_that_needs_them(name, viewer, qtbot):
    dock = open_dock(viewer, name)
    assert dock.give_tilts.isHidden()
    viewer.add_image(np.ones((3, 6, 8), np.float32), name="stack")
    assert not dock.give_tilts.isHidden()
    click(qtbot, dock.give_tilts)
    (dialog,) = dock.give_tilts.findChildren(TiltsDialog)
    dialog.accept()
    assert to_series(viewer.layers["stack [1]"]).tilts_deg.tolist() == [-60, -58, -56]


def test_a_crop_is_not_changed_by_applying_it(loaded, qtbot):
    dock = open_dock(loaded, "Prepare")
    dock.operations.add(OPERATIONS["crop"](x=(4, 12), y=(2, 10)))
    for _ in range(2):
        run_to_the_end(qtbot, dock)
        (step,) = dock.operations.steps()
        assert (step.x, step.y) == ((4, 12), (2, 10))
    # The same again, of the same series, and no slider along the beam.
    assert loaded.layers["HAADF (prepared)"].data.shape == loaded.layers["HAADF (prepared) [1]"].data.shape
    assert [loaded.dims.nsteps[axis] for axis in loaded.dims.not_displayed] == [5, 1]


def test_tilts_are_dropped_by_their_degrees(loaded, qtbot):
    dock = open_dock(loaded, "Prepare")
    dock.operations.add(OPERATIONS["drop_tilts"]())
    line = dock.operations.form(0).projections.editor
    qtbot.keyClicks(line, "-30, 60")
    assert dock.operations.steps()[0].projections == (2, 4)
    run_to_the_end(qtbot, dock)
    assert to_series(loaded.layers["HAADF (prepared)"]).tilts_deg.tolist() == [-60, 0, 30]
    # The second operation of its kind sees what the first has left.
    dock.operations.add(OPERATIONS["drop_tilts"](projections=(1,)))
    assert dock.operations.form(1).projections.editor.text() == "0"


def test_a_tilt_that_is_not_there_is_refused(loaded, qtbot):
    dock = open_dock(loaded, "Prepare")
    dock.operations.add(OPERATIONS["drop_tilts"]())
    qtbot.keyClicks(dock.operations.form(0).projections.editor, "17")
    click(qtbot, dock.controls.run_button)
    assert "17°" in dock.controls.status.text()


def test_the_preview_has_the_name_and_colour_of_what_it_shows(loaded, qtbot):
    dock = open_dock(loaded, "Prepare")
    dock.operations.add(OPERATIONS["gaussian"]())
    dock.live.click()
    for name in ("HAADF", "Si", "Al", "Si"):
        loaded.layers.selection.active = loaded.layers[name]
        qtbot.waitUntil(lambda: not dock.preview.busy, timeout=10_000)
        layer = dock.preview.layer
        assert layer.name == f"{name} (preview)"
        assert layer.colormap.name == loaded.layers[name].colormap.name
        assert layer.contrast_limits[1] <= 1.5 * np.asarray(layer.data).max()


def test_an_aligned_channel_beside_others_is_said_and_they_are_aligned_alike(loaded, qtbot):
    haadf = loaded.layers["HAADF"]
    dock = open_dock(loaded, "Reconstruct")
    assert dock.link_button.isHidden()
    add_aligned(loaded, haadf, current(to_series(haadf)))
    assert not dock.link_button.isHidden()
    assert dock.link_button.text() == "Align Si, Al as HAADF"
    click(qtbot, dock.link_button)
    qtbot.waitUntil(dock.link_button.isHidden, timeout=20_000)
    names = [layer.name for layer in dock.channels.layers()]
    assert sorted(names) == ["Al (aligned)", "HAADF (aligned)", "Si (aligned)"]
    assert all(current_alignment(layer) is not None for layer in dock.channels.layers())


def test_reconstructing_aligned_and_other_channels_together_is_warned_of(loaded, fake_runner, qtbot):
    haadf = loaded.layers["HAADF"]
    add_aligned(loaded, haadf, current(to_series(haadf)))
    dock = open_dock(loaded, "Reconstruct")
    dock.iterations.value = 2
    before = len(notification_manager.records)
    run_to_the_end(qtbot, dock)
    messages = [one.message for one in notification_manager.records[before:]]
    assert any("HAADF is aligned, but not Si, Al" in message for message in messages)


def test_one_tilt_is_warned_of(viewer, fake_runner, qtbot):
    series = TiltSeries("one", np.ones((1, 6, 8), np.float32), np.zeros(1), 1.0)
    for values, attributes, _ in dataset_layers(Dataset((series,))):
        viewer.add_image(values, **attributes)
    dock = open_dock(viewer, "Reconstruct")
    dock.iterations.value = 2
    before = len(notification_manager.records)
    run_to_the_end(qtbot, dock)
    messages = [one.message for one in notification_manager.records[before:]]
    assert any("one: found 1 tilt;" in message for message in messages)


def test_what_depends_on_the_data_is_not_remembered(loaded):
    dock = open_dock(loaded, "Register")
    dock.axis_near.value = 90.0
    dock.method.value = "center-of-mass"
    loaded.window.remove_dock_widget(dock.native)
    again = open_dock(loaded, "Register")
    assert again is not dock
    assert again.axis_near.value is None
    assert again.method.value == "center-of-mass"


def test_a_script_drives_a_dock_by_names(loaded, fake_runner, qtbot):
    dock = open_dock(loaded, "Reconstruct")
    dock.strength.value = 2
    dock.iterations.value = 3
    dock.run()
    qtbot.waitUntil(lambda: not dock.controls.running, timeout=20_000)
    ((_, parameters, _),) = fake_runner.calls
    assert (parameters.strength, parameters.iterations) == (2, 3)


@pytest.mark.parametrize("name", DOCKS)
def test_a_dock_fits_a_small_screen(name, loaded):
    dock = open_dock(loaded, name)
    least = dock.native.minimumSizeHint()
    assert least.height() <= 600
    assert least.width() <= 420
