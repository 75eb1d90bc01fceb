"""The docks Register, Tilt axis and Link channels as a user clicks them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from qtpy.QtCore import Qt

from chemtomo.align.parameters import AlignParameters
from chemtomo.data import Alignment, Dataset
from chemtomo.preprocess import bin_pixels
from chemtomo.samples import Misalignment, alignment_error, particles
from napari_chemtomo.layers.aligned import current_alignment, dataset_layers, history, is_aligned
from napari_chemtomo.layers.metadata import METADATA_KEY
from napari_chemtomo.layers.tilt_series import series_layer, to_dataset, to_series

TILTS = np.arange(-70.0, 71.0, 10.0)


@pytest.fixture(scope="module")
def recording():
    return particles(
        shape=(48, 48), tilts_deg=TILTS, misalignment=Misalignment(shifts_px=3.0), counts=2.0, seed=4
    )


@pytest.fixture
def loaded(viewer, recording):
    """The viewer with the HAADF series, and one of an element in larger pixels."""
    element = bin_pixels(recording.maps.series[0], 2)
    for data, attributes, _ in dataset_layers(Dataset((recording.series, element))):
        viewer.add_image(data, **attributes)
    return viewer


def open_dock(viewer, name):
    _, widget = viewer.window.add_plugin_dock_widget("napari-chemtomo", name)
    return widget


@pytest.fixture
def register(loaded):
    widget = open_dock(loaded, "Register")
    widget.reference.value = loaded.layers["HAADF"]
    widget.form.set_values({"method": "phase-correlation", "axis": "none"})
    return widget


def click(qtbot, button):
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def run_to_the_end(qtbot, controls):
    click(qtbot, controls.run_button)
    qtbot.waitUntil(lambda: not controls.running, timeout=60_000)


@pytest.fixture
def aligned(register, loaded, qtbot):
    """The aligned layer that Register leaves."""
    run_to_the_end(qtbot, register.controls)
    return loaded.layers["HAADF (aligned)"]


class TestRegister:
    def test_the_result_is_a_new_layer_that_keeps_the_recorded_data(self, loaded, aligned, recording):
        raw = loaded.layers["HAADF"]
        np.testing.assert_array_equal(raw.data[:, 0], recording.series.values())
        assert not raw.visible
        assert aligned.visible
        assert is_aligned(aligned)
        series = to_series(aligned)
        assert series.name == "HAADF"
        assert series.alignment is not None
        np.testing.assert_array_equal(series.values(), recording.series.values())
        # What is seen is aligned: neighbours are more alike than as recorded.
        assert spread(aligned.data) < 0.7 * spread(raw.data)
        truth, places = recording.truth, recording.positions
        identity = Alignment("HAADF", TILTS, np.tile(np.eye(2, 3), (TILTS.size, 1, 1)))
        found = alignment_error(truth, series.alignment, places)
        nothing = alignment_error(truth, identity, places)
        assert found.rms_px < 0.5 * nothing.rms_px

    def test_shifts_and_residuals_are_plotted(self, register, aligned):
        curves = register.plots.shifts.plotItem.listDataItems()
        assert len(curves) == 2
        tilts, down = curves[0].getData()
        np.testing.assert_allclose(tilts, TILTS)
        np.testing.assert_allclose(down, current_alignment(aligned).shifts_px()[:, 0])
        assert register.plots.residual.plotItem.listDataItems()

    def test_before_and_after(self, loaded, register, aligned, qtbot):
        click(qtbot, register.before)
        assert (loaded.layers["HAADF"].visible, aligned.visible) == (True, False)
        click(qtbot, register.before)
        assert (loaded.layers["HAADF"].visible, aligned.visible) == (False, True)

    def test_play_goes_through_the_tilts(self, loaded, register, aligned, qtbot):
        loaded.dims.set_point(0, -70.0)
        click(qtbot, register.play)
        seen = set()

        def moved():
            seen.add(round(loaded.dims.point[0]))
            return len(seen) >= 3

        qtbot.waitUntil(moved, timeout=10_000)
        click(qtbot, register.play)
        assert seen <= set(TILTS.astype(int))

    def test_undo_returns_to_any_earlier_alignment(self, loaded, register, aligned, qtbot):
        first = np.asarray(aligned.data)
        click(qtbot, register.hand.this)
        register.hand.first.value = float(TILTS[2])
        register.hand.last.value = float(TILTS[4])
        register.hand.step.value = 1.5
        click(qtbot, register.hand.down)
        click(qtbot, register.hand.accept)
        assert len(history(aligned)) == 2
        second = np.asarray(aligned.data)
        np.testing.assert_array_equal(second[[0, 1, 5]], first[[0, 1, 5]])
        assert np.abs(second[2:5] - first[2:5]).max() > 0
        register.history.setCurrentIndex(1)
        register.history.activated.emit(1)
        np.testing.assert_array_equal(np.asarray(aligned.data), first)
        register.history.activated.emit(0)
        np.testing.assert_array_equal(np.asarray(aligned.data), np.asarray(loaded.layers["HAADF"].data))
        assert current_alignment(aligned) is None
        register.history.activated.emit(2)
        np.testing.assert_array_equal(np.asarray(aligned.data), second)
        assert len(history(aligned)) == 2

    def test_what_was_moved_by_hand_can_be_discarded(self, register, aligned, qtbot):
        before = np.asarray(aligned.data)
        click(qtbot, register.hand.right)
        assert np.abs(np.asarray(aligned.data) - before).max() > 0
        click(qtbot, register.hand.discard)
        np.testing.assert_array_equal(np.asarray(aligned.data), before)
        assert len(history(aligned)) == 1

    def test_an_image_is_dragged_with_the_mouse(self, loaded, register, aligned):
        register.hand.drag.setChecked(True)
        assert not aligned.mouse_pan
        loaded.dims.set_point(0, 10.0)
        index = int(np.flatnonzero(TILTS == 10)[0])
        before = current_alignment(aligned).shifts_px()

        class Event:
            type = "mouse_press"
            position = (10.0, 0.0, 20.0, 20.0)

        event = Event()
        (callback,) = aligned.mouse_drag_callbacks
        drag = callback(aligned, event)
        next(drag)
        pixel = aligned.scale[-1]
        for step in (1, 2):
            event.type = "mouse_move"
            event.position = (10.0, 0.0, 20.0 + step * pixel, 20.0 - 2 * step * pixel)
            next(drag)
        event.type = "mouse_release"
        with pytest.raises(StopIteration):
            next(drag)
        moved = register.hand.pending.shifts_px() - before
        # The image follows the mouse: what was at a place comes from further up and right.
        np.testing.assert_allclose(moved[index], [-2, 4], atol=1e-6)
        assert np.abs(np.delete(moved, index, axis=0)).max() == 0
        register.hand.drag.setChecked(False)
        assert aligned.mouse_pan

    def test_saved_and_loaded(self, loaded, register, aligned, tmp_path):
        path = tmp_path / "alignment.json"
        register.save_alignment(path)
        kept = json.loads(path.read_text())
        assert (kept["version"], kept["reference"]) == (1, "HAADF")
        register.load_alignment(path)
        assert len(history(aligned)) == 2
        np.testing.assert_allclose(current_alignment(aligned).matrices, kept["matrices"])

    def test_a_file_that_is_no_alignment(self, register, tmp_path, notifications):
        path = tmp_path / "other.json"
        path.write_text("[1]")
        register.load_alignment(path)
        assert "other.json" in register.controls.status.text()

    def test_no_tilt_series(self, viewer, qtbot):
        dock = open_dock(viewer, "Register")
        click(qtbot, dock.controls.run_button)
        assert "there is no tilt series" in dock.controls.status.text()
        assert not dock.controls.running

    def test_cancel_changes_nothing(self, loaded, register, qtbot, monkeypatch):
        from chemtomo.progress import TaskProgress
        from napari_chemtomo.docks.align import register as module

        def endless(dataset, parameters, *, should_stop):
            number = 0
            while True:
                yield TaskProgress(number % 10, 10, "Looking")
                number += 1

        monkeypatch.setattr(module, "run_alignment", endless)
        click(qtbot, register.controls.run_button)
        qtbot.waitUntil(lambda: register.controls.status.text() == "Looking", timeout=10_000)
        click(qtbot, register.controls.cancel_button)
        qtbot.waitUntil(lambda: not register.controls.running, timeout=10_000)
        assert [layer.name for layer in loaded.layers] == [layer.name for layer in loaded.layers[:2]]
        assert "Cancelled" in register.controls.status.text()

    def test_reset_shows_the_defaults(self, register, qtbot):
        defaults = AlignParameters().model_dump(exclude={"reference"})
        assert register.form.values() != defaults
        click(qtbot, register.controls.reset_button)
        assert register.form.values() == defaults

    def test_a_reconstruction_takes_the_aligned_layer(self, loaded, aligned):
        dock = open_dock(loaded, "Reconstruct")
        checked = [layer.name for layer in dock.channels.layers()]
        assert "HAADF (aligned)" in checked
        assert "HAADF" not in checked

    def test_a_written_alignment_opens_aligned(self, loaded, aligned, recording, tmp_path, qtbot):
        path = tmp_path / "aligned.zarr"
        aligned.save(str(path), plugin="napari-chemtomo")
        view = np.asarray(aligned.data)
        loaded.layers.clear()
        (opened,) = loaded.open(str(path), plugin="napari-chemtomo")
        assert opened.name == "HAADF (aligned)"
        np.testing.assert_allclose(np.asarray(opened.data), view, rtol=1e-5, atol=1e-3)
        np.testing.assert_array_equal(to_series(opened).values(), recording.series.values())
        dock = open_dock(loaded, "Register")
        click(qtbot, dock.before)
        np.testing.assert_array_equal(np.asarray(opened.data)[:, 0], recording.series.values())
        click(qtbot, dock.before)
        np.testing.assert_allclose(np.asarray(opened.data), view, rtol=1e-5, atol=1e-3)
        assert current_alignment(opened) is not None


class TestTiltAxis:
    @pytest.fixture
    def dock(self, loaded):
        widget = open_dock(loaded, "Tilt axis")
        widget.series.value = loaded.layers["HAADF"]
        return widget

    def test_slices_follow_the_numbers(self, dock, qtbot):
        qtbot.waitUntil(lambda: dock.pictures[1].item.image is not None, timeout=20_000)
        before = [np.array(picture.item.image) for picture in dock.pictures]
        dock.offset.value = 4.0
        qtbot.waitUntil(lambda: np.any(dock.pictures[1].item.image != before[1]), timeout=20_000)
        assert [image.shape for image in before] == [(48, 48)] * 3

    def test_numbers_are_accepted_as_an_alignment(self, loaded, dock, qtbot):
        dock.angle.value = 2.5
        dock.offset.value = -1.25
        click(qtbot, dock.accept)
        layer = loaded.layers["HAADF (aligned)"]
        found = current_alignment(layer)
        assert (found.axis_angle_deg, found.axis_offset_px) == (2.5, -1.25)
        assert (dock.angle.value, dock.offset.value) == (2.5, -1.25)
        dock.offset.value = 3.0
        click(qtbot, dock.back)
        assert dock.offset.value == -1.25

    def test_the_angle_that_the_file_says_is_shown_and_searched_around(self, loaded, dock, qtbot):
        series = to_series(loaded.layers["HAADF"]).replace(name="turned", axis_angle_deg=-50.0)
        data, attributes, _ = series_layer(series, "gray")
        layer = loaded.add_image(data, **attributes)
        assert to_series(layer).axis_angle_deg == -50
        dock.series.value = layer
        assert dock.angle.value == -50
        run_to_the_end(qtbot, dock.controls)
        found = current_alignment(loaded.layers["turned (aligned)"])
        assert abs(found.axis_angle_deg + 50) <= 17

    def test_the_axis_is_found(self, loaded, dock, recording, qtbot):
        run_to_the_end(qtbot, dock.controls)
        assert is_aligned(loaded.layers["HAADF (aligned)"]), dock.controls.status.text()
        assert len(history(loaded.layers["HAADF (aligned)"])) == 1


class TestLink:
    def test_all_channels_get_the_alignment(self, loaded, aligned, qtbot):
        dock = open_dock(loaded, "Link channels")
        assert dock.reference.value == aligned
        (other,) = dock.targets.layers()
        run_to_the_end(qtbot, dock.controls)
        assert "1 channel linked" in dock.controls.status.text()
        linked = loaded.layers[f"{other.name} (aligned)"]
        found, source = current_alignment(linked), current_alignment(aligned)
        np.testing.assert_allclose(found.shifts_px(), source.shifts_px() / 2, atol=1e-9)
        assert np.shares_memory(linked.metadata[METADATA_KEY]["raw"], other.data) or np.array_equal(
            linked.metadata[METADATA_KEY]["raw"], other.data[:, 0]
        )
        both = to_dataset([aligned, linked])
        assert [series.alignment is not None for series in both] == [True, True]

    def test_a_saved_alignment_will_do(self, loaded, register, aligned, tmp_path, qtbot):
        register.save_alignment(tmp_path / "a.json")
        dock = open_dock(loaded, "Link channels")
        dock.load_alignment(tmp_path / "a.json")
        run_to_the_end(qtbot, dock.controls)
        assert len(history(aligned)) == 2
        assert "2 channels" in dock.controls.status.text()

    def test_nothing_to_link_from(self, loaded, qtbot):
        dock = open_dock(loaded, "Link channels")
        click(qtbot, dock.controls.run_button)
        assert "no aligned channel" in dock.controls.status.text()


def spread(data) -> float:
    """Mean difference of neighbouring projections."""
    return float(np.abs(np.diff(np.asarray(data), axis=0)).mean())
