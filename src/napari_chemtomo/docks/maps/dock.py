"""The dock widget *Element maps*: from spectra to one tilt series an element."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import numpy.typing as npt
from napari import Viewer
from napari.layers import Image, Layer
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox, QLineEdit, QPushButton

from chemtomo.data import Dataset, SpectrumSeries
from chemtomo.errors import ChemTomoError, ParameterError
from chemtomo.pipeline.jobs import maps
from chemtomo.progress import TaskProgress
from chemtomo.spectra import Decomposition, Suggestion
from chemtomo.spectra.parameters import MapParameters
from napari_chemtomo.docks.maps.line_list import LineList
from napari_chemtomo.docks.maps.preview import MapPreview, MapQuestion
from napari_chemtomo.docks.maps.spectrum_plot import SpectrumPlot
from napari_chemtomo.layers.aligned import dataset_layers
from napari_chemtomo.layers.spectra import is_spectra, to_spectra
from napari_chemtomo.shared.dock import Dock, row
from napari_chemtomo.shared.forms import ParameterForm
from napari_chemtomo.shared.layer_choice import LayerChoice
from napari_chemtomo.shared.slider import projection_in_view
from napari_chemtomo.shared.task_controls import TaskControls

__all__ = ["ElementMapsWidget"]

_LOWEST_IN_VIEW_KEV = 0.12
_PREVIEW_DELAY_MS = 250
_DOCK = "Element maps"


class ElementMapsWidget(Dock):
    """Choose lines on the sum spectrum, see the map of one, and make the maps of all.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer with the spectra. By this name napari knows that the widget asks for it.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer = napari_viewer
        self._spectrum: npt.NDArray[np.float64] | None = None
        self._suggestions: list[Suggestion] | None = None
        self._shown: SpectrumSeries | None = None
        self._components: Decomposition | None = None
        self._made: list[Layer] = []
        self._again = False
        self._zooms = True

        self.source = LayerChoice(
            viewer, is_spectra, tooltip="The spectra. Open a spectrum image to have one here."
        )
        self.suggest_button = QPushButton("Suggest lines")
        self.suggest_button.setToolTip("Add up all spectra, and list the elements that the sum shows.")
        self.plot = SpectrumPlot()
        self.lines = LineList()
        self.new_line = QLineEdit()
        self.new_line.setPlaceholderText("Fe or Fe_Ka")
        self.new_line.setToolTip("An element, a line (Fe_Ka) or, for energy losses, an edge (Fe_L3).")
        self.add_button = QPushButton("Add")
        self.add_button.setToolTip("Add the element or line that was typed.")
        self.remove_button = QPushButton("Remove")
        self.remove_button.setToolTip("Remove the selected line from the list.")
        self.form = ParameterForm(MapParameters, exclude=("elements", "lines"), basic=("method", "others"))
        self.preview_check = QCheckBox("Preview the selected line at the tilt in view")
        self.preview_check.setToolTip("Show the map that the windows of the line give.")
        self.preview_check.setChecked(True)
        self.controls = TaskControls(viewer, _DOCK, "Make maps", self.form.reset)
        self.controls.run_button.setToolTip("Make a tilt series of every checked line.")
        self.preview = MapPreview(viewer)
        self._preview_timer = QTimer(self.native)
        self._preview_timer.setSingleShot(True)
        self._preview_timer.setInterval(_PREVIEW_DELAY_MS)
        self._lay_out()

        self.source.layer_changed.connect(self._source_changed)
        self.suggest_button.clicked.connect(self.suggest)
        self.add_button.clicked.connect(self.add_line)
        self.new_line.returnPressed.connect(self.add_line)
        self.remove_button.clicked.connect(self.lines.remove_current)
        self.lines.changed.connect(self._lines_changed)
        self.lines.line_selected.connect(lambda line: self._line_selected())
        self.lines.renamed.connect(self._rename_layer)
        self.plot.window_changed.connect(self._window_dragged)
        self.form.changed.connect(self._parameters_changed)
        self.preview_check.toggled.connect(lambda checked: self._preview_soon())
        self.controls.run_clicked.connect(self.run)
        self.controls.ended.connect(self._job_ended)
        self.controls.running_changed.connect(self._running_changed)
        self._preview_timer.timeout.connect(self._show_preview)
        self.preview.failed.connect(self.controls.say)
        viewer.dims.events.current_step.connect(self._preview_soon)
        self._parameters_changed()
        self._source_changed()

    # Choosing spectra

    def series(self) -> SpectrumSeries | None:
        """Return the chosen spectra."""
        layer = self.source.value
        return None if layer is None else to_spectra(layer)

    def _source_changed(self) -> None:
        series = self.series()
        if series is self._shown:
            return
        if self._shown is not None:
            self.controls.cancel()
        self._shown = series
        self._spectrum, self._suggestions, self._components = None, None, None
        self.lines.clear()
        self.plot.clear()
        self.preview.remove()
        self._show_state()
        if series is not None:
            self.suggest()

    # Lines

    def suggest(self) -> None:
        """Add up the spectra and list what they show."""
        series = self.series()
        parameters = self._parameters()
        if series is None or parameters is None:
            return
        if self.controls.running:
            self._again = True  # other spectra were chosen while a job ran
            return
        self.controls.run(
            lambda should_stop: _suggestions(series, parameters, should_stop), _Suggestions.sentence
        )

    def _take_suggestions(self, found: _Suggestions) -> None:
        series = found.series
        if series is not self._shown:
            return
        self._again = False
        self._spectrum, self._suggestions = found.spectrum, found.suggestions
        if self._components is not None:
            self._components = None
            self.lines.clear()
        lowest = _LOWEST_IN_VIEW_KEV if series.signal == "EDX" else -np.inf
        self.plot.show_spectrum(series.energies_keV, found.spectrum, float(lowest))
        known = self.lines.lines()
        new = [one for one in found.suggestions if one.line not in known]
        lines = [one.line for one in new]
        windows = {one.line: one for one in maps.windows_of(series, lines, found.parameters)}
        for one in new:
            self.lines.add_suggestion(one, windows[one.line])
        if new and self.lines.current_row() < 0:
            # The whole spectrum first.
            self._zooms = False
            self.lines.select_line(new[0].line)
            self._zooms = True

    def add_line(self) -> None:
        """Add the line that was typed."""
        series, parameters = self.series(), self._parameters()
        # Elements begin with a capital letter, however they were typed; so do their lines.
        name = "_".join(part[:1].upper() + part[1:] for part in self.new_line.text().strip().split("_"))
        if series is None or parameters is None or not name:
            return
        try:
            # Together, so that their backgrounds keep away from one another.
            known = [line for line in self.lines.lines() if line]
            window = maps.windows_of(series, [*known, name], parameters)[-1]
        except ChemTomoError as error:
            self.controls.refuse(error)
            return
        if window.name in self.lines.names():
            window = window.replace(name=window.line)
        self.lines.add(window, (window.low_keV + window.high_keV) / 2, "added by hand", checked=True)
        self.lines.select_line(window.line)
        self.new_line.clear()

    def _lines_changed(self) -> None:
        windows = self.lines.checked_windows()
        self.plot.show_lines({one.line: (one.low_keV + one.high_keV) / 2 for one in windows})
        self._show_state()

    def _line_selected(self) -> None:
        index = self.lines.current_row()
        if (
            self._components is not None
            and 0 <= index < len(self._components.dataset)
            and not self.lines.lines()[index]
        ):
            self._show_component(index)
            return
        self.plot.show_component(None)
        self.plot.show_window(self.lines.current_window(), zoom=self._zooms)
        self._preview_soon()

    def _show_component(self, index: int) -> None:
        assert self._components is not None
        self.plot.show_window(None)
        shape = self._components.spectra[index]
        counts = 1.0
        if self._spectrum is not None and shape.max() > 0:
            counts = float(self._spectrum.sum() / max(shape.sum(), 1e-12)) / len(self._components.spectra)
        self.plot.show_component(shape * counts)

    def _window_dragged(self, window: Any) -> None:
        self.lines.set_window(window)
        self._lines_changed()
        self._preview_soon()

    def _rename_layer(self, old: str, new: str) -> None:
        for layer in self._made:
            if layer.name == old and layer in self._viewer.layers:
                layer.name = new

    # Parameters

    def _parameters(self) -> MapParameters | None:
        try:
            parameters: MapParameters = self.form.parameters()
        except ParameterError as error:
            self.controls.refuse(error)
            return None
        return parameters

    def _parameters_with_others(self) -> MapParameters | None:
        """Return the parameters; elements that are listed and not checked are fitted without a map."""
        parameters = self._parameters()
        series, windows = self.series(), self.lines.checked_windows()
        if parameters is None or series is None:
            return parameters
        if maps.map_method(series, parameters, windows, self._suggestions or (), self._spectrum) != "fit":
            return parameters
        mapped = {window.line.partition("_")[0] for window in windows}
        listed = [window.line.partition("_")[0] for window in self.lines.all_windows()]
        given = parameters.others or ()
        others = dict.fromkeys(one for one in (*given, *listed) if one and one not in mapped)
        return parameters.model_copy(update={"others": tuple(others) or None})

    def _parameters_changed(self) -> None:
        """Move the windows that follow from the parameters."""
        series = self.series()
        wanted = self.form.values()
        shape = (wanted["width"], wanted["resolution"], wanted["edge_width"], wanted["others"])
        if series is not None and getattr(self, "_window_shape", shape) != shape:
            self._remake_windows(series)
        self._window_shape = shape
        self._show_state()
        self._preview_soon()

    def _remake_windows(self, series: SpectrumSeries) -> None:
        names = [line for line in self.lines.lines() if line]
        try:
            windows = maps.windows_of(series, names, self.form.parameters())
        except ChemTomoError as error:
            self.controls.say(str(error))
            return
        self.lines.set_windows(windows)
        self._lines_changed()
        self.plot.show_window(self.lines.current_window())

    # Preview

    def _preview_soon(self, event: Any = None) -> None:
        self._preview_timer.start()

    def _show_preview(self) -> None:
        series, layer, window = self.series(), self.source.value, self.lines.current_window()
        method = self.form.values()["method"]
        if not self.preview_check.isChecked() or method in ("nmf", "pca"):
            self.preview.remove()
            return
        if series is None or layer is None or window is None or self.controls.running:
            return
        parameters = self._parameters_with_others()
        if parameters is not None:
            tilt = projection_in_view(self._viewer, layer)
            checked, suggestions = self.lines.checked_windows(), tuple(self._suggestions or ())
            self.preview.show(
                MapQuestion(layer, series, parameters, window, tilt, checked, self._spectrum, suggestions)
            )

    # Making the maps

    def run(self) -> None:
        """Make the maps of the checked lines, or find components."""
        series, parameters = self.series(), self._parameters_with_others()
        source, viewer = self.source.value, self._viewer
        if series is None or parameters is None or source is None:
            return
        if maps.map_method(series, parameters) in ("nmf", "pca"):
            self.controls.run(
                lambda should_stop: maps.components_job(series, parameters, should_stop=should_stop),
                lambda found: _show_components(viewer, source, found),
            )
            return
        windows = self.lines.checked_windows()
        try:
            if not windows:
                raise ParameterError("no line is checked; expected at least one")
            names = [one.name for one in windows]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ParameterError(
                    f"found {', '.join(twice)} twice; expected every map to have its own name"
                )
        except ParameterError as error:
            self.controls.refuse(error)
            return
        spectrum, suggestions = self._spectrum, self._suggestions
        self.controls.run(
            lambda should_stop: maps.make_maps_job(
                series,
                parameters,
                windows=windows,
                spectrum=spectrum,
                suggestions=suggestions,
                should_stop=should_stop,
            ),
            lambda dataset: _show_maps(viewer, source, dataset),
        )

    def _job_ended(self, result: Any) -> None:
        if isinstance(result, _Suggestions):
            self._take_suggestions(result)
        elif result is not None:
            self.preview.remove()
            self.preview_check.setChecked(False)
            made = result.dataset if isinstance(result, Decomposition) else result
            self._made = list(self._viewer.layers)[-len(made) :]
            if isinstance(result, Decomposition):
                self._take_components(result)

    def _take_components(self, found: Decomposition) -> None:
        self._components = found
        self.lines.clear()
        self.plot.show_lines({})
        self.plot.show_all()
        for one in found.dataset:
            self.lines.add_component(one.name, "")
        self.lines.setCurrentItem(self.lines.topLevelItem(0))

    def _running_changed(self, running: bool) -> None:
        """Go on with what had to wait for the job that ended."""
        self._show_state()
        if running:
            return
        if self._again:
            self._again = False
            self.suggest()
        else:
            self._preview_soon()

    def _show_state(self) -> None:
        idle = not self.controls.running
        there = self.series() is not None
        components = self.form.values()["method"] in ("nmf", "pca")
        for button in (self.suggest_button, self.add_button, self.remove_button):
            button.setEnabled(idle and there)
        self.controls.run_button.setEnabled(
            idle and there and (components or bool(self.lines.checked_windows()))
        )
        self.preview_check.setEnabled(not components)
        self.controls.run_button.setText("Find components" if components else "Make maps")
        if not there:
            self.controls.say("Open a spectrum image; it appears here.")

    def _lay_out(self) -> None:
        self.lay_out(
            row(self.source, self.suggest_button),
            self.plot,
            self.lines,
            row(self.new_line, self.add_button, self.remove_button),
            self.form,
            forms=(self.form,),
            foot=(self.preview_check, self.controls),
        )


@dataclasses.dataclass(frozen=True, eq=False)
class _Suggestions:
    """The sum spectrum of a series, and the lines that it shows."""

    series: SpectrumSeries
    parameters: MapParameters
    spectrum: npt.NDArray[np.float64]
    suggestions: list[Suggestion]

    def sentence(self) -> str:
        """Say how many lines were found."""
        if not self.suggestions:
            return "No line stands out of the background. Add the lines that you expect."
        certain = sum(one.is_certain for one in self.suggestions)
        return f"{len(self.suggestions)} elements suggested, {certain} of them certain."


def _suggestions(
    series: SpectrumSeries, parameters: MapParameters, should_stop: Callable[[], bool]
) -> Generator[TaskProgress, None, _Suggestions]:
    found = yield from maps.suggest_job(series, parameters, should_stop=should_stop)
    return _Suggestions(series, parameters, *found)


def _show_maps(viewer: Viewer, source: Image, dataset: Dataset) -> str:
    """Add the layers of maps, hide the spectra, and say what was made."""
    for each in dataset_layers(dataset, beside=list(viewer.layers)):
        viewer.add_layer(Layer.create(*each))
    source.visible = False
    notes = list(dict.fromkeys(note for one in dataset for note in one.notes))
    return " · ".join([f"{len(dataset)} maps: {', '.join(dataset.names)}.", *notes])


def _show_components(viewer: Viewer, source: Image, found: Decomposition) -> str:
    _show_maps(viewer, source, found.dataset)
    return (
        f"{len(found.dataset)} components explain {100 * found.explained:.0f} % of the variance. "
        "Double-click a name to change it and that of its layer. 'Suggest lines' lists lines again."
    )
