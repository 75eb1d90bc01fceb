"""The dock as a user clicks it, with a runner that takes no time."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtCore import Qt

from chemtomo.recon import ReconstructParameters
from napari_chemtomo import settings
from napari_chemtomo.docks import ReconstructWidget
from napari_chemtomo.docks.reconstruct import dock as module
from napari_chemtomo.layers.aligned import dataset_layers
from napari_chemtomo.layers.metadata import is_tilt_series
from napari_chemtomo.shared.session import session_of


@pytest.fixture(autouse=True)
def _no_devices(monkeypatch):
    """Look for no devices: `test_task.py` does."""
    monkeypatch.setattr(module, "device_names", lambda: ["a fast one"])


@pytest.fixture
def loaded(viewer, dataset):
    """The viewer with two tilt series."""
    for data, attributes, _ in dataset_layers(dataset):
        viewer.add_image(data, **attributes)
    return viewer


@pytest.fixture
def dock(loaded):
    """The widget in the viewer with two tilt series."""
    _, widget = loaded.window.add_plugin_dock_widget("napari-chemtomo", "Reconstruct")
    return widget


def click(qtbot, button):
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def run_to_the_end(qtbot, dock):
    click(qtbot, dock.controls.run_button)
    qtbot.waitUntil(dock.controls.run_button.isEnabled, timeout=10_000)


def results(viewer):
    return [layer for layer in viewer.layers if layer.metadata.get("chemtomo", {}).get("kind") == "volume"]


class TestRun:
    def test_run_leaves_a_layer_a_channel(self, loaded, dock, fake_runner, qtbot):
        inputs = {layer.name: np.array(layer.data) for layer in loaded.layers}
        dock.reconstruction.set_values({"iterations": 7, "method": "tv"})

        run_to_the_end(qtbot, dock)

        made = results(loaded)
        assert [layer.name for layer in made] == ["HAADF (tv)", "Al (tv)"]
        for layer in made:
            assert layer.data.shape == (8, 6, 8)
            assert layer.data.dtype == np.float32
            assert (layer.data == 7).all()
            assert layer.blending == "additive"
            assert [str(unit) for unit in layer.units] == ["nanometer"] * 3
            assert tuple(layer.scale) == (2, 2, 2)
            assert layer.metadata["chemtomo"]["recipe"]["steps"][0]["iterations"] == 7
            assert layer.metadata["chemtomo"]["report"]["iterations"] == 7
        assert made[0].colormap.name == loaded.layers["HAADF"].colormap.name
        # The inputs are there, with the data that they had, and only out of sight.
        for name, data in inputs.items():
            np.testing.assert_array_equal(loaded.layers[name].data, data)
            assert not loaded.layers[name].visible
        assert len(loaded.layers) == 4
        assert "7 iterations" in dock.controls.status.text()
        assert dock.controls.bar.value() == dock.controls.bar.maximum() > 0

    def test_the_runner_gets_what_the_dock_shows(self, dock, dataset, fake_runner, qtbot):
        dock.reconstruction.set_values({"slices": (1, 4), "iterations": 2, "alpha0": 2.5, "dims": 2})
        dock.scale_as_published.setChecked(True)
        dock.scaling.set_values({"threshold": 0.1})
        dock.channels.rows[1].weight.value = 0.004

        run_to_the_end(qtbot, dock)

        ((given, parameters, scaling),) = fake_runner.calls
        assert given.names == dataset.names
        np.testing.assert_array_equal(given["Al"].data, dataset["Al"].data)
        assert given["Al"].kind == "counts"
        assert parameters == ReconstructParameters(
            slices=(1, 4), iterations=2, alpha0=2.5, dims=2, mu={"Al": 0.004}
        )
        assert scaling.threshold == 0.1

    def test_the_result_lies_at_its_slices(self, loaded, dock, fake_runner, qtbot):
        dock.reconstruction.set_values({"slices": (2, 5), "iterations": 2})
        run_to_the_end(qtbot, dock)
        assert all(tuple(layer.translate) == (0, 4, 0) for layer in results(loaded))

    def test_only_checked_channels_are_reconstructed(self, loaded, dock, fake_runner, qtbot):
        dock.channels.rows[0].check.click()
        dock.reconstruction.set_values({"iterations": 2})
        run_to_the_end(qtbot, dock)
        assert [layer.name for layer in results(loaded)] == ["Al (tgv)"]
        assert loaded.layers["HAADF"].visible

    def test_a_second_run_adds_its_own_layers(self, loaded, dock, fake_runner, qtbot):
        dock.reconstruction.set_values({"iterations": 2})
        run_to_the_end(qtbot, dock)
        run_to_the_end(qtbot, dock)
        assert len(results(loaded)) == 4


class TestWatch:
    @pytest.fixture
    def slow(self, fake_runner, dock):
        fake_runner.seconds = 0.01
        dock.reconstruction.set_values({"iterations": 100_000, "slices": (1, 5)})
        return fake_runner

    def running(self, viewer):
        return [layer for layer in viewer.layers if layer.name.endswith("(running)")]

    def test_the_slice_in_view_is_shown_while_it_is_made(self, loaded, dock, slow, qtbot):
        loaded.dims.set_point(2, 6.0)  # the slice at y = 6 nm is row 3
        click(qtbot, dock.controls.run_button)
        qtbot.waitUntil(lambda: len(self.running(loaded)) == 2, timeout=10_000)

        layer = self.running(loaded)[0]
        assert loaded.dims.displayed == (1, 3)
        assert layer.data.shape == (8, 1, 8)
        assert layer.translate[1] == 6
        first = layer.data.max()
        qtbot.waitUntil(lambda: layer.data.max() > first, timeout=10_000)
        assert "objective" in dock.controls.status.text()
        assert dock.controls.bar.maximum() == 100_000

        loaded.dims.set_point(2, 8.0)
        qtbot.waitUntil(lambda: layer.translate[1] == 8, timeout=10_000)
        # Outside the chosen slices the nearest one is shown.
        loaded.dims.set_point(2, 0.0)
        qtbot.waitUntil(lambda: layer.translate[1] == 2, timeout=10_000)

        click(qtbot, dock.controls.cancel_button)
        qtbot.waitUntil(dock.controls.run_button.isEnabled, timeout=10_000)
        assert not self.running(loaded)
        # The result is seen as its slices were.
        assert loaded.dims.displayed == (1, 3)

    def test_the_slider_goes_to_the_slices_that_are_made(self, loaded, dock, slow, qtbot):
        loaded.dims.set_point(2, 10.0)  # row 5; rows 1 to 4 are made
        click(qtbot, dock.controls.run_button)
        qtbot.waitUntil(lambda: len(self.running(loaded)) == 2, timeout=10_000)
        assert loaded.dims.point[2] == 8
        assert self.running(loaded)[0].translate[1] == 8
        click(qtbot, dock.controls.cancel_button)
        qtbot.waitUntil(dock.controls.run_button.isEnabled, timeout=10_000)

    def test_cancel_leaves_the_last_iterate(self, loaded, dock, slow, qtbot):
        click(qtbot, dock.controls.run_button)
        assert not dock.controls.run_button.isEnabled()
        qtbot.waitUntil(lambda: dock.controls.bar.value() > 2, timeout=10_000)

        click(qtbot, dock.controls.cancel_button)
        qtbot.waitUntil(dock.controls.run_button.isEnabled, timeout=10_000)

        made = results(loaded)
        assert len(made) == 2
        report = made[0].metadata["chemtomo"]["report"]
        assert report["cancelled"]
        assert 2 < report["iterations"] < 100_000
        assert (made[0].data == report["iterations"]).all()
        assert "ancelled" in dock.controls.status.text()

    def test_without_watching_the_view_stays(self, loaded, dock, fake_runner, qtbot):
        dock.watch.setChecked(False)
        dock.reconstruction.set_values({"iterations": 3})
        before = loaded.dims.order
        orders = []
        loaded.dims.events.order.connect(lambda event: orders.append(event.value))
        run_to_the_end(qtbot, dock)
        assert loaded.dims.order == before
        assert not orders
        assert len(results(loaded)) == 2

    def test_a_view_that_the_user_turned_stays_turned(self, loaded, dock, slow, qtbot):
        click(qtbot, dock.controls.run_button)
        qtbot.waitUntil(lambda: dock.controls.bar.value() > 2, timeout=10_000)
        loaded.dims.order = (0, 3, 1, 2)
        click(qtbot, dock.controls.cancel_button)
        qtbot.waitUntil(dock.controls.run_button.isEnabled, timeout=10_000)
        assert loaded.dims.order == (0, 3, 1, 2)

    def test_a_slice_that_the_user_removed_stays_away(self, loaded, dock, slow, qtbot):
        click(qtbot, dock.controls.run_button)
        qtbot.waitUntil(lambda: len(self.running(loaded)) == 2, timeout=10_000)
        loaded.layers.remove(self.running(loaded)[0])
        done = dock.controls.bar.value()
        qtbot.waitUntil(lambda: dock.controls.bar.value() > done + 3, timeout=10_000)
        assert len(self.running(loaded)) == 1
        click(qtbot, dock.controls.cancel_button)
        qtbot.waitUntil(dock.controls.run_button.isEnabled, timeout=10_000)
        assert len(results(loaded)) == 2

    def test_a_dock_that_is_opened_again_finds_the_run(self, loaded, dock, slow, qtbot):
        click(qtbot, dock.controls.run_button)
        qtbot.waitUntil(lambda: dock.controls.bar.value() > 2, timeout=10_000)
        loaded.window.remove_dock_widget(dock.native)
        assert session_of(loaded).job("Reconstruct") is not None

        _, again = loaded.window.add_plugin_dock_widget("napari-chemtomo", "Reconstruct")
        qtbot.waitUntil(lambda: again.controls.bar.value() > 2, timeout=10_000)
        assert not again.controls.run_button.isEnabled()
        assert again.reconstruction.values()["iterations"] == 100_000
        click(qtbot, again.controls.cancel_button)
        qtbot.waitUntil(again.controls.run_button.isEnabled, timeout=10_000)
        assert len(results(loaded)) == 2
        assert session_of(loaded).job("Reconstruct") is None

    def test_a_run_ends_when_napari_quits(self, loaded, dock, slow, qtbot):
        click(qtbot, dock.controls.run_button)
        qtbot.waitUntil(lambda: dock.controls.bar.value() > 2, timeout=10_000)

        session_of(loaded).job("Reconstruct").worker.quit()  # what napari does with all workers when it quits
        qtbot.waitUntil(dock.controls.run_button.isEnabled, timeout=10_000)

        assert not self.running(loaded)
        assert not results(loaded)
        # The device is free again.
        dock.reconstruction.set_values({"iterations": 2})
        run_to_the_end(qtbot, dock)
        assert len(results(loaded)) == 2


class TestNotes:
    def test_what_had_to_be_changed_is_said(self, loaded, dock, fake_runner, notifications, qtbot):
        fake_runner.notes = ("Slices 0 to 5 were split in two",)
        dock.reconstruction.set_values({"iterations": 2})
        run_to_the_end(qtbot, dock)
        assert "Slices 0 to 5 were split in two" in notifications.messages


class TestErrors:
    @pytest.mark.parametrize("kind", [RuntimeError, MemoryError, ZeroDivisionError])
    def test_a_builtin_error_in_the_worker_reaches_the_user(
        self, loaded, dock, fake_runner, notifications, qtbot, kind
    ):
        fake_runner.fails_with = kind("out of luck")
        run_to_the_end(qtbot, dock)

        expected = f"the reconstruction failed: {kind.__name__}: out of luck"
        assert expected in notifications.messages
        assert "out of luck" in dock.controls.status.text()
        assert not results(loaded)
        # Everything is as it was before.
        assert len(loaded.layers) == 2
        assert all(layer.visible for layer in loaded.layers)
        assert loaded.dims.order == (0, 1, 2, 3)

        fake_runner.fails_with = None
        dock.reconstruction.set_values({"iterations": 2})
        run_to_the_end(qtbot, dock)
        assert len(results(loaded)) == 2

    def test_no_channel(self, dock, fake_runner, notifications, qtbot):
        for row in dock.channels.rows:
            row.check.click()
        click(qtbot, dock.controls.run_button)
        assert any("no channel is checked" in message for message in notifications.messages)
        assert dock.controls.run_button.isEnabled()
        assert not fake_runner.calls

    def test_a_layer_that_is_no_tilt_series_any_more(self, loaded, dock, fake_runner, notifications, qtbot):
        loaded.layers["Al"].scale = (1, 2, 2, 3)
        click(qtbot, dock.controls.run_button)
        assert any("layer 'Al'" in message for message in notifications.messages)
        assert "layer 'Al'" in dock.controls.status.text()
        assert not fake_runner.calls

    def test_parameters_that_are_not_allowed(self, dock, fake_runner, notifications, qtbot):
        dock.reconstruction.set_values({"slices": (3, 3)})
        click(qtbot, dock.controls.run_button)
        assert any("found 3:3" in message for message in notifications.messages)
        assert not fake_runner.calls


class TestChannels:
    def names(self, dock):
        return [row.check.text() for row in dock.channels.rows]

    def test_the_list_follows_the_layers(self, loaded, dock, dataset):
        assert self.names(dock) == ["HAADF", "Al"]

        loaded.layers["Al"].name = "aluminium"
        assert self.names(dock) == ["HAADF", "aluminium"]
        assert dock.channels.layers()[1].name == "aluminium"

        loaded.layers.remove("HAADF")
        assert self.names(dock) == ["aluminium"]

        loaded.add_image(np.zeros((4, 5)), name="photo")
        assert self.names(dock) == ["aluminium"]

        data, attributes, _ = dataset_layers(dataset)[0]
        loaded.add_image(data, **attributes)
        assert self.names(dock) == ["aluminium", "HAADF"]

    def test_marks_and_weights_stay_with_their_layers(self, loaded, dock, qtbot):
        dock.channels.rows[0].check.click()
        dock.channels.rows[1].weight.value = 3.0
        loaded.layers.move(0, 2)

        assert self.names(dock) == ["Al", "HAADF"]
        assert [layer.name for layer in dock.channels.layers()] == ["Al"]
        assert dock.channels.weights() == {"Al": 3.0}

    def test_the_sliders_go_as_far_as_the_data(self, dock):
        dock.slices.choice.value = "Range"
        dock.crop.choice.value = "Range"
        values = dock.reconstruction.values()
        assert (values["slices"], values["crop"]) == ((0, 6), (0, 8))

    def test_an_empty_viewer(self, viewer, fake_runner):
        _, widget = viewer.window.add_plugin_dock_widget("napari-chemtomo", "Reconstruct")
        assert widget.channels.layers() == []

    def test_a_plain_stack_gets_its_tilts(self, loaded, dock, qtbot):
        from napari_chemtomo.dialogs.tilts_of_stack import TiltsDialog

        assert dock.give_tilts.isHidden()
        stack = np.arange(3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5)
        loaded.add_image(stack, name="raw")
        assert not dock.give_tilts.isHidden()

        click(qtbot, dock.give_tilts)
        (dialog,) = dock.native.findChildren(TiltsDialog)
        dialog.first.value = -10.0
        dialog.step.value = 10.0
        dialog.counts.setChecked(True)
        dialog.accept()

        assert self.names(dock) == ["HAADF", "Al", "raw [1]"]
        made = loaded.layers["raw [1]"]
        assert is_tilt_series(made)
        assert made.metadata["chemtomo"]["tilts_deg"] == [-10, 0, 10]
        assert np.shares_memory(made.data, stack)
        assert isinstance(loaded.layers["raw"], Image)


class TestParameters:
    def test_reset_shows_the_defaults(self, dock, qtbot):
        dock.reconstruction.set_values({"method": "sirt", "iterations": 3, "device": "numpy"})
        dock.scale_as_published.setChecked(True)
        dock.channels.rows[0].check.setChecked(False)
        dock.channels.rows[1].weight.value = 2.0

        click(qtbot, dock.controls.reset_button)

        assert dock.reconstruction.parameters() == ReconstructParameters()
        assert not dock.scale_as_published.isChecked()
        assert len(dock.channels.layers()) == 2
        assert dock.channels.weights() == {}

    def test_what_was_shown_is_shown_again(self, loaded, dock):
        dock.reconstruction.set_values({"method": "sirt", "iterations": 3, "slices": (1, 2)})
        dock.scaling.set_values({"threshold": 0.25})
        dock.watch.setChecked(False)
        loaded.window.remove_dock_widget(dock.native)

        _, again = loaded.window.add_plugin_dock_widget("napari-chemtomo", "Reconstruct")

        values = again.reconstruction.values()
        assert (values["method"], values["iterations"]) == ("sirt", 3)
        assert values["slices"] is None  # other data have other rows
        assert again.scaling.values()["threshold"] == 0.25
        assert not again.watch.isChecked()

    @pytest.mark.parametrize(
        ("values", "shown", "hidden"),
        [
            ({"method": "tgv"}, {"alpha0", "alpha1", "strength", "coupling"}, {"nonnegative"}),
            ({"method": "tv"}, {"alpha1", "data_term", "dims"}, {"alpha0", "nonnegative"}),
            ({"method": "sirt"}, {"nonnegative", "iterations"}, {"alpha1", "strength", "coupling", "steps"}),
            ({"normalisation": "paper"}, {"alpha0"}, {"strength"}),
        ],
    )
    def test_what_has_no_effect_is_hidden(self, dock, values, shown, hidden):
        dock.reconstruction.set_values(values)
        assert not [name for name in shown if dock[name].native.isHidden()]
        assert not [name for name in hidden if not dock[name].native.isHidden()]

    def test_the_device_is_kept_in_the_settings(self, loaded, dock, qtbot):
        assert settings.device() == "auto"
        assert dock.device.editor.findText("a fast one") >= 0

        dock.device.editor.lineEdit().setText("numpy")
        qtbot.keyClick(dock.device.editor.lineEdit(), Qt.Key.Key_Return)
        assert settings.device() == "numpy"

        settings.set_device("gpu")
        assert dock.reconstruction.values()["device"] == "gpu"
        assert ReconstructWidget(loaded).reconstruction.values()["device"] == "gpu"

        click(qtbot, dock.controls.reset_button)
        assert settings.device() == "auto"
