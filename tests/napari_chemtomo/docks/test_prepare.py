"""The dock *Prepare* as a user clicks it."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import QApplication, QFileDialog

from chemtomo.data import Dataset, TiltSeries
from chemtomo.pipeline import prepare_view
from chemtomo.pipeline.jobs.prepare import prepare
from chemtomo.pipeline.recipes.saved_steps import load_operations
from chemtomo.preprocess.operations import (
    OPERATIONS,
    Background,
    Bin,
    Brightness,
    Crop,
    DropTilts,
    Gaussian,
    Median,
    SortTilts,
)
from chemtomo.preprocess.values import brightness
from napari_chemtomo.docks import PrepareWidget, ReconstructWidget
from napari_chemtomo.docks.prepare import dock as module
from napari_chemtomo.docks.prepare.operation_list import OperationList
from napari_chemtomo.layers.aligned import dataset_layers
from napari_chemtomo.layers.metadata import is_tilt_series
from napari_chemtomo.layers.tilt_series import to_series


@pytest.fixture
def dataset():
    """Two channels of 9 tilts, whose values tell tilt and place; tilt 4 of HAADF is dim."""
    rng = np.random.default_rng(3)
    tilts = np.linspace(-60.0, 60.0, 9)
    rows, columns = np.mgrid[:24, :32]
    disc = 50 * np.exp(-(((rows - 12) / 5) ** 2 + ((columns - 15) / 6) ** 2))
    bright = disc + rng.normal(0, 0.5, (9, 24, 32)) + 10
    bright[4] *= 0.5
    return Dataset(
        (
            TiltSeries("HAADF", bright.astype(np.float32), tilts, 2.0),
            TiltSeries("Al", rng.poisson(disc / 10, (9, 24, 32)).astype(np.float32), tilts, 2.0, "counts"),
        )
    )


@pytest.fixture
def loaded(viewer, dataset):
    for data, attributes, _ in dataset_layers(dataset):
        viewer.add_image(data, **attributes)
    return viewer


@pytest.fixture
def dock(loaded):
    _, widget = loaded.window.add_plugin_dock_widget("napari-chemtomo", "Prepare")
    yield widget
    widget.live.setChecked(False)


def click(qtbot, button):
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def choose(dock, title):
    """Choose an entry of the menu *Add*."""
    next(one for one in dock.operations.menu.actions() if one.text() == title).trigger()


def apply(qtbot, dock):
    click(qtbot, dock.controls.run_button)
    qtbot.waitUntil(lambda: not dock.controls.running, timeout=10_000)


def settled(qtbot, dock):
    qtbot.waitUntil(lambda: not dock.preview.busy, timeout=10_000)


def check(dock, name, checked):
    (row,) = [row for row in dock.series.rows if row.layer.name == name]
    row.check.setChecked(checked)


class TestOperations:
    def test_the_menu_offers_all_operations_with_their_help(self, dock):
        actions = dock.operations.menu.actions()
        assert [one.text() for one in actions] == [kind.title for kind in OPERATIONS.values()]
        assert all(one.toolTip() for one in actions)

    @pytest.mark.parametrize("name", [one for one in OPERATIONS if one != "scan_drift"])
    def test_every_operation_has_a_form_with_its_defaults(self, qtbot, name):
        listed = OperationList()
        qtbot.addWidget(listed)
        listed.add(OPERATIONS[name]())
        assert listed.steps() == (OPERATIONS[name](),)
        assert all(editor.tooltip for editor in listed.form(0).fields.values())

    def test_operations_can_be_moved_switched_off_and_removed(self, dock, qtbot):
        for title in ("Bin", "Sort by tilt", "Crop"):
            choose(dock, title)
        assert dock.operations.steps() == (Bin(), SortTilts(), Crop())
        click(qtbot, dock.operations.up_button)
        assert dock.operations.steps() == (Bin(), Crop(), SortTilts())
        dock.operations.list.setCurrentRow(0)
        click(qtbot, dock.operations.down_button)
        assert dock.operations.steps() == (Crop(), Bin(), SortTilts())
        assert dock.operations.pages.currentWidget().kind is Bin
        dock.operations.list.item(0).setCheckState(Qt.CheckState.Unchecked)
        assert dock.operations.steps() == (Bin(), SortTilts())
        click(qtbot, dock.operations.remove_button)
        assert dock.operations.steps() == (SortTilts(),)

    def test_the_form_of_the_chosen_operation_is_shown(self, dock):
        choose(dock, "Bin")
        choose(dock, "Background")
        dock.operations.list.setCurrentRow(0)
        assert dock.operations.pages.currentWidget().form is dock.operations.form(0)
        dock.operations.form(0).set_values({"factor": 4})
        assert dock.operations.steps()[0] == Bin(factor=4)

    def test_ranges_go_over_the_projections(self, dock):
        choose(dock, "Crop")
        dock.operations.form(0).set_values({"x": (3, 20)})
        assert dock.operations.form(0).x.editor.editor.maximum() == 32

    def test_a_recipe_can_be_saved_and_loaded(self, dock, qtbot, tmp_path, monkeypatch):
        path = str(tmp_path / "steps.toml")
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (path, ""))
        monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (path, ""))
        steps = (
            DropTilts(
                projections=(
                    1,
                    2,
                )
            ),
            Background(method="otsu"),
            Bin(factor=3, channels=("Al",)),
        )
        dock.operations.set_steps(steps)
        click(qtbot, dock.save_button)
        assert load_operations(path) == steps
        dock.operations.set_steps(())
        click(qtbot, dock.load_button)
        assert dock.operations.steps() == steps

    def test_the_operations_are_there_when_the_dock_is_opened_again(self, dock, loaded, qtbot):
        choose(dock, "Bin")
        dock.operations.form(0).set_values({"factor": 3})
        again = PrepareWidget(loaded)
        qtbot.addWidget(again.native)
        assert again.operations.steps() == (Bin(factor=3),)


class TestApply:
    def test_apply_adds_layers_and_leaves_the_inputs(self, dock, loaded, dataset, qtbot):
        before = {layer.name: np.array(layer.data) for layer in loaded.layers}
        for title in ("Drop tilts", "Crop", "Bin", "Brightness"):
            choose(dock, title)
        dock.operations.form(0).set_values({"projections": (4,)})
        dock.operations.form(1).set_values({"x": (4, 28)})
        steps = dock.operations.steps()
        apply(qtbot, dock)

        expected = prepare(dataset, steps)
        assert [layer.name for layer in loaded.layers] == ["HAADF", "Al", "HAADF (prepared)", "Al (prepared)"]
        for one in expected:
            layer = loaded.layers[f"{one.name} (prepared)"]
            found = to_series(layer)
            np.testing.assert_allclose(found.data, one.data, rtol=1e-6)
            np.testing.assert_array_equal(found.tilts_deg, one.tilts_deg)
            assert found.name == one.name
            assert found.kind == one.kind
            assert found.pixel_size_nm == 4.0
            assert found.provenance == one.provenance
            assert (found.gains is None) == (one.gains is None)
            assert layer.colormap.name == loaded.layers[one.name].colormap.name
        for name, data in before.items():
            np.testing.assert_array_equal(loaded.layers[name].data, data)
            assert not loaded.layers[name].visible
        assert "8 tilts of 12 × 12 pixels" in dock.controls.status.text()
        # What is in view are the results, at the place of their sources along the beam: no slider goes there.
        assert loaded.dims.nsteps[1] == 1
        # They are not prepared again by the next click.
        assert [layer.name for layer in dock.series.layers()] == ["HAADF", "Al"]

    def test_only_checked_series_are_prepared(self, dock, loaded, qtbot):
        check(dock, "HAADF", False)
        choose(dock, "Bin")
        apply(qtbot, dock)
        assert [layer.name for layer in loaded.layers] == ["HAADF", "Al", "Al (prepared)"]
        assert loaded.layers["HAADF"].visible

    def test_the_reconstruction_takes_the_prepared_series(self, dock, loaded, qtbot):
        reconstruct = ReconstructWidget(loaded)
        qtbot.addWidget(reconstruct.native)
        choose(dock, "Bin")
        apply(qtbot, dock)
        names = [layer.name for layer in reconstruct.channels.layers()]
        assert names == ["HAADF (prepared)", "Al (prepared)"]

    @pytest.mark.parametrize(
        ("prepare_dock", "said"),
        [
            (lambda dock: None, "there is no operation to do"),
            (lambda dock: [check(dock, one, False) for one in ("HAADF", "Al")], "no series is checked"),
            (lambda dock: dock.operations.add(DropTilts(projections=(77,))), "no projection at 77°"),
        ],
    )
    def test_what_cannot_be_done_is_said_and_changes_nothing(
        self, dock, loaded, qtbot, notifications, prepare_dock, said
    ):
        prepare_dock(dock)
        apply(qtbot, dock)
        assert said in dock.controls.status.text()
        assert any(said in message for message in notifications.messages)
        assert len(loaded.layers) == 2

    def test_cancel_leaves_everything_as_it_was(self, dock, loaded, qtbot, monkeypatch):
        started, go_on = threading.Event(), threading.Event()

        def slow(*arguments, **options):
            for one in prepare_job(*arguments, **options):
                started.set()
                go_on.wait(5)
                yield one

        prepare_job = module.prepare_job
        monkeypatch.setattr(module, "prepare_job", slow)
        choose(dock, "Bin")
        click(qtbot, dock.controls.run_button)
        qtbot.waitUntil(started.is_set)
        click(qtbot, dock.controls.cancel_button)
        go_on.set()
        qtbot.waitUntil(lambda: not dock.controls.running, timeout=10_000)
        assert len(loaded.layers) == 2
        assert "Cancelled" in dock.controls.status.text()


class TestPreview:
    @pytest.fixture
    def live(self, dock, loaded, qtbot):
        choose(dock, "Crop")
        dock.operations.form(0).set_values({"x": (4, 28), "y": (2, 20)})
        choose(dock, "Bin")
        loaded.layers.selection.active = loaded.layers["HAADF"]
        dock.live.click()
        settled(qtbot, dock)
        return dock

    def test_it_shows_the_tilt_in_view_as_it_will_be(self, live, loaded, dataset, qtbot):
        expected = prepare(dataset, live.operations.steps())["HAADF"].data
        layer = live.preview.layer
        assert layer.name == "HAADF (preview)"
        assert not is_tilt_series(layer)
        for number in (0, 7, 3):
            loaded.dims.set_point(0, dataset["HAADF"].tilts_deg[number])
            settled(qtbot, live)
            np.testing.assert_allclose(layer.data[0], expected[number], rtol=1e-6)
            assert f"at {dataset['HAADF'].tilts_deg[number]:g}°:" in live.preview_status.text()
        # It lies over the part that is kept: bins of 2 pixels of 2 nm, from the pixel (2, 4) on.
        assert tuple(layer.scale) == (4, 4, 4)
        assert tuple(layer.translate[1:]) == (5, 9)
        assert [str(unit) for unit in loaded.layers["HAADF"].units] == ["degree", *["nanometer"] * 3]

    def test_it_follows_parameters_and_the_active_layer(self, live, loaded, dataset, qtbot):
        live.operations.form(1).set_values({"factor": 3})
        settled(qtbot, live)
        assert live.preview.layer.data.shape == (1, 6, 8)
        loaded.layers.selection.active = loaded.layers["Al"]
        settled(qtbot, live)
        expected = prepare(dataset, live.operations.steps())["Al"].data
        np.testing.assert_allclose(live.preview.layer.data[0], expected[4], rtol=1e-6)

    def test_a_dropped_tilt_is_said(self, live, loaded, dataset, qtbot):
        live.operations.drop([2])
        loaded.dims.set_point(0, dataset["HAADF"].tilts_deg[2])
        settled(qtbot, live)
        assert live.preview_status.text() == "The projection at -30° is dropped."
        assert not live.preview.layer.visible
        loaded.dims.set_point(0, dataset["HAADF"].tilts_deg[3])
        settled(qtbot, live)
        assert live.preview.layer.visible

    def test_it_goes_away_with_the_check_mark_and_with_the_dock(self, live, loaded, qtbot):
        live.live.click()
        assert [layer.name for layer in loaded.layers] == ["HAADF", "Al"]
        live.live.click()
        settled(qtbot, live)
        assert len(loaded.layers) == 3
        # The window of the test is not shown, and so sends no events.
        QApplication.sendEvent(live.native, QHideEvent())
        assert len(loaded.layers) == 2
        loaded.layers.selection.active = loaded.layers["Al"]
        settled(qtbot, live)
        assert len(loaded.layers) == 2
        QApplication.sendEvent(live.native, QShowEvent())
        settled(qtbot, live)
        assert len(loaded.layers) == 3
        assert [layer.name for layer in live.series.layers()] == ["HAADF", "Al"]

    def test_a_user_may_remove_the_layer_or_the_series(self, live, loaded, dataset, qtbot):
        loaded.layers.remove(live.preview.layer)
        loaded.dims.set_point(0, dataset["HAADF"].tilts_deg[2])
        settled(qtbot, live)
        assert live.preview.layer is None
        loaded.layers.remove(loaded.layers["HAADF"])
        settled(qtbot, live)

    def test_what_cannot_be_done_is_said_where_the_preview_is(self, live, qtbot, notifications):
        live.operations.add(Median())
        live.operations.add(Crop(x=(0, 99)))
        settled(qtbot, live)
        assert "detector columns 0:99 do not fit" in live.preview_status.text()
        assert not live.preview.layer.visible
        assert notifications.messages == []

    def test_what_is_known_of_the_whole_stack_is_computed_once(
        self, live, loaded, dataset, qtbot, monkeypatch
    ):
        equalise, calls = brightness.equalise_brightness, []
        monkeypatch.setattr(brightness, "equalise_brightness", lambda one: calls.append(1) or equalise(one))
        live.operations.add(Brightness())
        settled(qtbot, live)
        live.operations.add(Gaussian())
        settled(qtbot, live)
        expected = prepare(dataset, live.operations.steps())["HAADF"].data
        calls.clear()
        for number in range(4):
            loaded.dims.set_point(0, dataset["HAADF"].tilts_deg[number])
            settled(qtbot, live)
            np.testing.assert_allclose(live.preview.layer.data[0], expected[number], rtol=1e-5)
        live.operations.form(3).set_values({"width_px": 3.0})
        settled(qtbot, live)
        assert calls == []

    def test_the_slider_is_followed_while_the_whole_series_is_looked_at(
        self, live, loaded, dataset, qtbot, monkeypatch
    ):
        equalise, go_on = brightness.equalise_brightness, threading.Event()
        monkeypatch.setattr(brightness, "equalise_brightness", lambda one: go_on.wait(5) and equalise(one))
        without = prepare(dataset, live.operations.steps())["HAADF"].data
        live.operations.add(Brightness())
        for number in (1, 6):
            loaded.dims.set_point(0, dataset["HAADF"].tilts_deg[number])
            with qtbot.waitSignal(
                live.preview.shown, check_params_cb=lambda one, number=number: one == number
            ):
                pass
            np.testing.assert_allclose(live.preview.layer.data[0], without[number], rtol=1e-6)
            assert "Still without Brightness" in live.preview_status.text()
        go_on.set()
        settled(qtbot, live)
        expected = prepare(dataset, live.operations.steps())["HAADF"].data
        np.testing.assert_allclose(live.preview.layer.data[0], expected[6], rtol=1e-6)
        assert "Still" not in live.preview_status.text()

    def test_operations_that_are_no_longer_wanted_are_given_up(self, live, loaded, qtbot, monkeypatch):
        """A change while the whole series is looked at: what is shown in the end are the new operations."""
        live.operations.add(Brightness(method="gain"))
        live.operations.form(2).set_values({"smooth_deg": 40.0})
        live.operations.list.item(2).setCheckState(Qt.CheckState.Unchecked)
        settled(qtbot, live)
        assert "Still" not in live.preview_status.text()
        assert live.preview.layer.data.shape == (1, 9, 12)

    def test_the_event_loop_does_not_wait(self, live, loaded, dataset, qtbot, monkeypatch):
        """While an answer takes its time the loop goes on, and of many choices the last is shown."""
        go_on = threading.Event()
        asked = []
        projection = prepare_view.PreparedView.projection

        def slow(view, number):
            asked.append(number)
            assert threading.current_thread() is not threading.main_thread()
            go_on.wait(5)
            return projection(view, number)

        monkeypatch.setattr(prepare_view.PreparedView, "projection", slow)
        for number in (1, 2, 3, 5, 7):
            loaded.dims.set_point(0, dataset["HAADF"].tilts_deg[number])
            qtbot.wait(60)
        go_on.set()
        settled(qtbot, live)
        assert asked[-1] == 7
        assert len(asked) == 2
        assert "at 45°:" in live.preview_status.text()


class TestBadProjections:
    def test_a_proposal_that_the_user_accepts_is_dropped(self, dock, loaded, dataset, qtbot):
        choose(dock, "Bin")
        loaded.layers.selection.active = loaded.layers["HAADF"]
        click(qtbot, dock.find_button)
        qtbot.waitUntil(lambda: not dock.controls.running, timeout=10_000)
        assert "1 projection proposed" in dock.controls.status.text()
        assert dock.bad.checked() == (4,)
        assert [dock.bad.table.item(0, column).text() for column in (1, 3)] == ["0", "contrast"]
        assert dock.bad.accept_button.text() == "Drop the checked projections (1)"
        # A row and a point of the plot show their projection.
        dock.bad.table.setCurrentCell(0, 1)
        assert loaded.dims.point[0] == 0
        # One more, which the user does not like.
        dock.bad.table.item(1, 0).setCheckState(Qt.CheckState.Checked)
        other = dock.bad.table.item(1, 0).data(Qt.ItemDataRole.UserRole)
        click(qtbot, dock.bad.accept_button)
        first = dock.operations.steps()[0]
        assert isinstance(first, DropTilts)
        assert first.projections == tuple(sorted((4, other)))
        # A second time it replaces the first decision.
        dock.bad.table.item(1, 0).setCheckState(Qt.CheckState.Unchecked)
        click(qtbot, dock.bad.accept_button)
        assert dock.operations.steps() == (DropTilts(projections=(4,)), Bin())
        apply(qtbot, dock)
        assert loaded.layers["HAADF (prepared)"].data.shape[0] == 8

    def test_the_plot_shows_the_scores_at_their_tilts(self, dock, loaded, dataset, qtbot):
        loaded.layers.selection.active = loaded.layers["HAADF"]
        click(qtbot, dock.find_button)
        qtbot.waitUntil(lambda: not dock.controls.running, timeout=10_000)
        curves = {curve.name(): curve.getData() for curve in dock.bad.plot.listDataItems() if curve.name()}
        assert set(curves) == {"blur", "jump", "contrast"}
        np.testing.assert_allclose(curves["contrast"][0], dataset["HAADF"].tilts_deg)
        np.testing.assert_allclose(curves["contrast"][1], dock.bad.scores.contrast)
        assert curves["contrast"][1].argmax() == 4
