"""A job belongs to the viewer: the dock that started it may be closed and opened again."""

from __future__ import annotations

import threading
import time

import pytest
from napari.layers import Layer
from qtpy.QtCore import Qt
from tests.spectra.conftest import make_specimen

from chemtomo.pipeline.jobs import maps
from chemtomo.progress import TaskProgress
from napari_chemtomo.docks.align import link_channels, register, tilt_axis
from napari_chemtomo.docks.prepare import dock as prepare
from napari_chemtomo.docks.reconstruct import dock as reconstruct
from napari_chemtomo.docks.reconstruct import task
from napari_chemtomo.layers.aligned import add_aligned, dataset_layers
from napari_chemtomo.layers.spectra import spectra_layer
from napari_chemtomo.layers.tilt_series import to_series
from napari_chemtomo.shared.session import session_of

# The dock, where its job is, and how it is called.
DOCKS = {
    "Prepare": (prepare, "prepare_job"),
    "Register": (register, "run_alignment"),
    "Tilt axis": (tilt_axis, "find_axis"),
    "Link channels": (link_channels, "link_channels"),
    "Element maps": (maps, "make_maps_job"),
    "Reconstruct": (task, "reconstruction_job"),
}


class Endless:
    """A job that goes on until it is cancelled, or does not even look whether it is."""

    def __init__(self):
        self.deaf = threading.Event()
        self.ended = threading.Event()

    def __call__(self, *arguments, **named):
        done = 0
        try:
            while not self.ended.is_set():
                if not self.deaf.is_set():
                    done += 1
                    yield TaskProgress(min(done, 99), 100, "being done")
                time.sleep(0.01)
        finally:
            self.ended.set()


@pytest.fixture
def endless():
    job = Endless()
    yield job
    job.ended.set()


@pytest.fixture
def loaded(viewer, dataset, monkeypatch):
    monkeypatch.setattr(reconstruct, "device_names", list)
    monkeypatch.setattr(task, "_device_key", str)
    series = make_specimen({"Fe_K": 60.0, "Cu_K": 40.0, "O_K": 30.0}, 100.0).series
    for data, attributes, _ in dataset_layers(dataset):
        viewer.add_image(data, **attributes)
    haadf = viewer.layers["HAADF"]
    add_aligned(viewer, haadf, link_channels_of(to_series(haadf)))
    viewer.add_layer(Layer.create(*spectra_layer(series)))
    return viewer


def link_channels_of(series):
    from chemtomo.align import current

    return current(series)


def open_dock(viewer, name):
    _, widget = viewer.window.add_plugin_dock_widget("napari-chemtomo", name)
    return widget


def controls_of(dock):
    return dock.controls


def click(qtbot, button):
    assert button.isEnabled()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def start(qtbot, viewer, name, endless, monkeypatch):
    dock = open_dock(viewer, name)
    qtbot.waitUntil(lambda: not controls_of(dock).running, timeout=20_000)  # maps look for lines at once
    if name == "Prepare":
        dock.operations.menu.actions()[0].trigger()
    monkeypatch.setattr(*DOCKS[name], endless)
    controls = controls_of(dock)
    click(qtbot, controls.run_button)
    qtbot.waitUntil(lambda: controls.bar.value() > 2, timeout=10_000)
    return dock


@pytest.mark.parametrize("name", DOCKS)
def test_a_dock_that_is_opened_again_shows_its_job_and_cancels_it(name, loaded, endless, monkeypatch, qtbot):
    dock = start(qtbot, loaded, name, endless, monkeypatch)
    layers = [layer.name for layer in loaded.layers]
    loaded.window.remove_dock_widget(dock.native)
    assert session_of(loaded).job(name).running

    again = open_dock(loaded, name)
    assert again is not dock
    controls = controls_of(again)
    assert controls.running
    assert controls.status.text() == "being done"
    assert not controls.run_button.isEnabled()
    done = controls.bar.value()
    qtbot.waitUntil(lambda: controls.bar.value() > done, timeout=10_000)

    click(qtbot, controls.cancel_button)
    qtbot.waitUntil(controls.run_button.isEnabled, timeout=10_000)
    assert session_of(loaded).job(name) is None
    if name != "Element maps":  # where the new dock looks for lines
        assert controls.status.text() == "Cancelled; nothing was changed."
    assert [layer.name for layer in loaded.layers if "preview" not in layer.name] == layers


@pytest.mark.parametrize("name", DOCKS)
def test_a_job_that_does_not_listen_is_left_alone(name, loaded, endless, monkeypatch, qtbot):
    dock = start(qtbot, loaded, name, endless, monkeypatch)
    endless.deaf.set()
    click(qtbot, controls_of(dock).cancel_button)
    qtbot.waitUntil(controls_of(dock).run_button.isEnabled, timeout=10_000)
    assert not endless.ended.is_set()
    # What it may still return comes too late.
    layers = list(loaded.layers)
    endless.ended.set()
    qtbot.wait(50)
    assert list(loaded.layers) == layers


def test_a_result_that_comes_after_its_dock_was_closed_is_shown(loaded, monkeypatch, qtbot):
    go_on = threading.Event()

    def aligned(dataset, parameters, *, should_stop):
        yield TaskProgress(1, 2, "being done")
        go_on.wait(10)
        series = dataset.series[0]
        alignment = link_channels_of(series)

        class Result:
            pass

        result = Result()
        result.dataset = {series.name: series.replace(alignment=alignment)}
        return result

    monkeypatch.setattr(register, "run_alignment", aligned)
    dock = open_dock(loaded, "Register")
    dock.reference.value = loaded.layers["Al"]
    click(qtbot, dock.controls.run_button)
    job = session_of(loaded).job("Register")
    loaded.window.remove_dock_widget(dock.native)
    dock.native.deleteLater()
    qtbot.wait(10)
    go_on.set()
    qtbot.waitUntil(lambda: not job.running, timeout=10_000)
    assert job.succeeded
    assert "Al (aligned)" in loaded.layers


def test_the_bar_is_full_when_a_job_needs_fewer_steps_than_it_may(loaded, monkeypatch, qtbot):

    dock = open_dock(loaded, "Tilt axis")

    def found(dataset, parameters, *, should_stop):
        yield TaskProgress(4, 10, "being done")
        return link_channels_of(dataset.series[0])

    monkeypatch.setattr(tilt_axis, "find_axis", found)
    click(qtbot, dock.controls.run_button)
    qtbot.waitUntil(dock.controls.run_button.isEnabled, timeout=10_000)
    assert dock.controls.bar.value() == dock.controls.bar.maximum() > 0


def test_a_viewer_that_goes_takes_its_session_with_it():
    import gc
    import weakref

    class Viewer:
        """Any object: that of napari goes when it likes."""

    viewer = Viewer()
    session = weakref.ref(session_of(viewer))
    same = session_of(viewer) is session()
    other = session_of(Viewer()) is session()
    assert (same, other) == (True, False)
    del viewer
    gc.collect()
    assert session() is None
