from __future__ import annotations

import dask.array
import numpy as np
import pytest

pytest.importorskip("napari", reason="napari is not installed; the extra 'all' brings it")

from napari.layers import Layer
from qtpy.QtCore import Qt
from tests.spectra.conftest import make_specimen

from chemtomo.pipeline.jobs import maps
from chemtomo.spectra import element_maps
from napari_chemtomo.docks import ElementMapsWidget
from napari_chemtomo.layers.metadata import is_tilt_series
from napari_chemtomo.layers.spectra import is_spectra, spectra_layer, to_spectra
from napari_chemtomo.layers.tilt_series import to_series


@pytest.fixture(scope="module")
def series():
    """Three elements, two tilts; Co is on the Kb line of Fe."""
    return make_specimen({"Fe_K": 60.0, "Cu_K": 40.0, "O_K": 30.0}, 100.0).series


@pytest.fixture
def dock(viewer, series, qtbot):
    viewer.add_layer(Layer.create(*spectra_layer(series)))
    widget = ElementMapsWidget(viewer)
    qtbot.addWidget(widget.native)
    qtbot.waitUntil(
        lambda: not widget.controls.running and widget.lines.topLevelItemCount() > 0, timeout=20_000
    )
    return widget


def _click(qtbot, button) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def _map_layers(viewer) -> list:
    return [layer for layer in viewer.layers if is_tilt_series(layer)]


def _run(qtbot, dock) -> None:
    _click(qtbot, dock.controls.run_button)
    qtbot.waitUntil(lambda: not dock.controls.running, timeout=20_000)


def test_spectra_come_back_from_their_layer(series):
    layer = Layer.create(*spectra_layer(series))
    assert is_spectra(layer)
    assert to_spectra(layer) is series
    np.testing.assert_array_equal(np.asarray(layer.data)[:, 0], series.data.sum(axis=-1))
    assert layer.scale[-1] == series.pixel_size_nm


def test_lazy_spectra_stay_lazy_in_their_layer(series):
    read = []

    def block(block_info=None):
        read.append(block_info[None]["array-location"])
        (tilt, _), *_ = block_info[None]["array-location"]
        return series.data[tilt : tilt + 1]

    data = dask.array.map_blocks(
        block, chunks=((1, 1), *((size,) for size in series.shape[1:])), dtype=np.uint16, meta=np.empty(0)
    )
    read.clear()
    layer = Layer.create(*spectra_layer(series.replace(data=data)))
    assert isinstance(layer.data, dask.array.Array)
    assert {location[0] for location in read} <= {(0, 1)}  # the other tilt was not looked at


def test_lines_are_suggested_at_once(dock):
    assert set(dock.lines.lines()) == {"Fe_Ka", "Cu_Ka", "O_Ka"}
    assert len(dock.lines.checked_windows()) == 3
    assert len(dock.plot.regions) == 3  # a window and two ranges of background


def test_maps_are_those_of_the_core_in_colours_of_their_own(dock, viewer, qtbot, series):
    windows = dock.lines.checked_windows()
    _run(qtbot, dock)
    layers = _map_layers(viewer)
    assert {layer.name for layer in layers} == {"Fe", "Cu", "O"}
    expected = element_maps(series, windows)
    for layer in layers:
        made = to_series(layer)
        np.testing.assert_array_equal(made.data, expected[layer.name].data)
        np.testing.assert_allclose(made.background, expected[layer.name].background, rtol=1e-6)
        assert made.kind == "counts"
        assert made.provenance[-1]["step"] == "maps"
    assert len({layer.colormap.name for layer in layers}) == 3
    assert not viewer.layers["EDX"].visible


def test_a_dragged_window_is_the_one_that_is_mapped(dock, viewer, qtbot):
    dock.lines.select_line("Cu_Ka")
    dock.plot.regions[0].setRegion((7.9, 8.2))
    dock.plot.regions[1].setRegion((7.4, 7.6))
    window = dock.lines.current_window()
    assert (window.low_keV, window.high_keV) == (7.9, 8.2)
    assert window.background[0] == (7.4, 7.6)
    _run(qtbot, dock)
    entry = to_series(viewer.layers["Cu"]).provenance[-1]["did"][-1]
    assert entry["window_keV"] == [7.9, 8.2]
    assert entry["background_keV"][0] == [7.4, 7.6]


def test_what_is_listed_and_not_checked_is_fitted_without_a_map(dock, viewer, qtbot):
    dock.lines.topLevelItem(dock.lines.lines().index("Cu_Ka")).setCheckState(0, Qt.CheckState.Unchecked)
    dock.form.set_values({"method": "fit"})
    _run(qtbot, dock)
    assert {layer.name for layer in _map_layers(viewer)} == {"Fe", "O"}
    assert to_series(viewer.layers["Fe"]).provenance[-1]["did"][-1]["fitted"]["Cu_K"] > 0


def test_a_line_is_added_by_typing_and_left_out_by_its_check(dock, viewer, qtbot):
    qtbot.keyClicks(dock.new_line, "fe_kb")
    _click(qtbot, dock.add_button)
    assert dock.lines.current_line() == "Fe_Kb"
    item = dock.lines.topLevelItem(dock.lines.lines().index("O_Ka"))
    item.setCheckState(0, Qt.CheckState.Unchecked)
    _run(qtbot, dock)
    assert {layer.name for layer in _map_layers(viewer)} == {"Fe", "Fe_Kb", "Cu"}


@pytest.mark.parametrize("text", ["Zz", "Fe_Ka", "Au_Ka"])
def test_a_line_that_cannot_be_added_is_said(dock, qtbot, notifications, text):
    before = dock.lines.lines()
    qtbot.keyClicks(dock.new_line, text)
    _click(qtbot, dock.add_button)
    assert dock.lines.lines() == before
    assert any(text[:2] in message for message in notifications.messages)


def test_the_preview_shows_the_tilt_in_view(dock, viewer, qtbot, series):
    dock.lines.select_line("Fe_Ka")
    with qtbot.waitSignal(dock.preview.shown, timeout=20_000):
        dock._preview_soon()
    window = dock.lines.current_window()
    expected = maps.net_series(element_maps(series, [window])["Fe"]).data
    for tilt in (0, 1):
        viewer.dims.set_point(0, series.tilts_deg[tilt])
        layer = next(one for one in viewer.layers if "preview" in one.name)
        qtbot.waitUntil(
            lambda layer=layer, tilt=tilt: np.allclose(layer.data[0], expected[tilt]), timeout=20_000
        )
    dock.preview_check.setChecked(False)
    qtbot.waitUntil(lambda: not any("preview" in one.name for one in viewer.layers), timeout=5000)


def test_components_get_names(dock, viewer, qtbot):
    dock.form.set_values({"method": "nmf", "components": 2})
    assert dock.controls.run_button.text() == "Find components"
    _run(qtbot, dock)
    assert dock.lines.names() == ["Component 1", "Component 2"]
    dock.lines.topLevelItem(1).setText(0, "iron")
    assert {layer.name for layer in _map_layers(viewer)} == {"Component 1", "iron"}
    assert dock.plot.component.getData()[0] is not None


def test_a_run_can_be_cancelled(dock, viewer, qtbot, monkeypatch):
    import time

    from chemtomo.progress import TaskProgress

    def endless(series, parameters, *, windows, spectrum, suggestions, should_stop):
        done = 0
        while not should_stop():
            done += 1
            time.sleep(0.01)
            yield TaskProgress(min(done, 99), 100, "mapping")

    monkeypatch.setattr(maps, "make_maps_job", endless)
    _click(qtbot, dock.controls.run_button)
    qtbot.waitUntil(lambda: dock.controls.bar.value() > 2, timeout=10_000)
    assert not dock.controls.run_button.isEnabled()
    _click(qtbot, dock.controls.cancel_button)
    qtbot.waitUntil(lambda: not dock.controls.running, timeout=10_000)
    assert not _map_layers(viewer)
    assert dock.controls.status.text() == "Cancelled; nothing was changed."


def test_two_maps_of_one_name_are_refused(dock, viewer, qtbot, notifications):
    dock.lines.topLevelItem(0).setText(0, "same")
    dock.lines.topLevelItem(1).setText(0, "same")
    _click(qtbot, dock.controls.run_button)
    assert any("same twice" in message for message in notifications.messages)
    assert not _map_layers(viewer)


def test_removed_spectra_leave_an_empty_dock(dock, viewer, qtbot):
    viewer.layers.remove("EDX")
    assert dock.series() is None
    assert dock.lines.topLevelItemCount() == 0
    assert not dock.controls.run_button.isEnabled()
    assert "spectrum image" in dock.controls.status.text()
