"""The dock widget *Register*: find the alignment of a tilt series, look at it, correct it by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari import Viewer
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog, QLabel, QPushButton
from superqt import QCollapsible

from chemtomo.align.parameters import AlignParameters
from chemtomo.align.verdict import warnings_of
from chemtomo.data import Alignment, Dataset
from chemtomo.errors import ChemTomoError, ParameterError
from chemtomo.pipeline.jobs.align import run_alignment, save_alignment
from napari_chemtomo.dialogs.tilts_of_stack import GiveTilts
from napari_chemtomo.docks.align.by_hand import ByHand
from napari_chemtomo.docks.align.history import AlignmentPlots, HistoryChoice, summary
from napari_chemtomo.layers.aligned import (
    add_aligned,
    aligned_of,
    current_alignment,
    is_aligned,
    raw_of,
    show_recorded,
)
from napari_chemtomo.layers.metadata import is_tilt_series
from napari_chemtomo.layers.tilt_series import to_series
from napari_chemtomo.shared.dock import Dock, row
from napari_chemtomo.shared.forms import ParameterForm
from napari_chemtomo.shared.layer_choice import LayerChecks, LayerChoice
from napari_chemtomo.shared.session import session_of
from napari_chemtomo.shared.slider import projection_in_view
from napari_chemtomo.shared.task_controls import TaskControls

__all__ = ["RegisterWidget"]

_FRAME_MILLISECONDS = 80
# These rows are always in sight; all others are under "Advanced".
_BASIC = ("method", "axis")
_DOCK = "Register"


class RegisterWidget(Dock):
    """Choose a reference and a method, run, look at the series before and after, correct it.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer with the tilt series. By this name napari knows that the widget asks for it.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer = napari_viewer
        self.reference = LayerChoice(
            viewer,
            label="Reference",
            tooltip="The tilt series on which the alignment is found: the clearest one.",
        )
        self.others = LayerChecks(viewer, self._may_join, checked=lambda layer: False)
        self.others.setToolTip(
            "Add other signals that were recorded at the same time, each divided by its mean."
        )
        self.form = ParameterForm(AlignParameters, exclude=("reference",), basic=_BASIC)
        self._remembered = session_of(viewer).remembered[_DOCK]
        self.form.set_values(self._remembered)
        self.controls = TaskControls(viewer, _DOCK, "Align", self.form.reset)
        self.controls.run_button.setToolTip("Find the alignment of the reference.")
        self.history = HistoryChoice()
        self.plots = AlignmentPlots()
        self.before = QPushButton("Before")
        self.before.setCheckable(True)
        self.before.setToolTip("Show the series as recorded.")
        self.play = QPushButton("Play")
        self.play.setCheckable(True)
        self.play.setToolTip("Go through the tilts, again and again.")
        self.hand = ByHand(viewer)
        self.save = QPushButton("Save…")
        self.save.setToolTip("Write the alignment as JSON, for the command line and for other data.")
        self.load = QPushButton("Load…")
        self.load.setToolTip("Use the alignment of a file that was saved before.")
        self._timer = QTimer(self.native)
        self._timer.setInterval(_FRAME_MILLISECONDS)
        self._timer.timeout.connect(self._next_tilt)
        self._lay_out()
        self.reference.layer_changed.connect(self._layer_changed)
        self.form.changed.connect(self._remember)
        self.controls.run_clicked.connect(self.run)
        self.controls.ended.connect(self._job_ended)
        self.history.activated.connect(lambda row: self._show())
        self.hand.changed.connect(self._show)
        self.before.toggled.connect(self._show_before)
        self.play.toggled.connect(lambda checked: self._timer.start() if checked else self._timer.stop())
        self.save.clicked.connect(self._ask_where_to_save)
        self.load.clicked.connect(self._ask_what_to_load)
        self._layer_changed()

    def run(self) -> None:
        """Find the alignment of the chosen series."""
        layer = self.reference.value
        try:
            if layer is None:
                raise ParameterError("there is no tilt series; open one, or give its tilts to a stack")
            together = [to_series(one) for one in (layer, *self.others.layers())]
            reference = "+".join(series.name for series in together)
            parameters = self.form.parameters(reference=reference)
            dataset = Dataset(tuple(together))
        except ChemTomoError as error:
            self.controls.refuse(error)
            return
        channel, viewer = together[0].name, self._viewer
        self.controls.run(
            lambda should_stop: run_alignment(dataset, parameters, should_stop=should_stop),
            lambda result: _show_alignment(viewer, layer, result.dataset[channel].alignment),
        )

    def load_alignment(self, path: Path) -> None:
        """Show the alignment of a JSON file on the chosen series."""
        layer = self.reference.value
        try:
            if layer is None:
                raise ParameterError("there is no tilt series; open one first")
            alignment = Alignment.load(path)
            from chemtomo.align import link

            alignment = link(alignment, to_series(layer))
            self.controls.say(_show_alignment(self._viewer, layer, alignment))
            self._job_ended(alignment)
        except ChemTomoError as error:
            self.controls.refuse(error)

    def save_alignment(self, path: Path) -> None:
        """Write the alignment that is shown as JSON."""
        aligned = self._aligned()
        try:
            alignment = None if aligned is None else current_alignment(aligned)
            if alignment is None:
                raise ParameterError("the series is not aligned; expected an alignment to save")
            save_alignment(alignment, path)
            self.controls.say(f"Saved {path.name}")
        except ChemTomoError as error:
            self.controls.refuse(error)

    def _job_ended(self, result: Any) -> None:
        """Show the aligned series where there is a new alignment."""
        if result is not None:
            self.before.setChecked(False)
            aligned = self._aligned()
            if aligned is not None:
                self.reference.value = aligned
            self._layer_changed()

    def _aligned(self) -> Any:
        layer = self.reference.value
        return None if layer is None else aligned_of(self._viewer, layer)

    def _layer_changed(self) -> None:
        aligned = self._aligned()
        self.history.show_layer(aligned)
        self.hand.set_layer(aligned)
        self.others.refresh()
        self._show()

    def _show(self) -> None:
        """Show the numbers of the alignment in use, or of the one that is being made by hand."""
        aligned = self._aligned()
        alignment = None if aligned is None else self.hand.pending or current_alignment(aligned)
        shape = (1, 1) if aligned is None else tuple(aligned.data.shape[-2:])
        self.plots.show_alignment(alignment, shape)
        self.before.setEnabled(aligned is not None)
        self.save.setEnabled(alignment is not None)
        if aligned is not None and self.hand.pending is None:
            self.history.show_layer(aligned)
        self.hand.set_layer(aligned)

    def _show_before(self, wanted: bool) -> None:
        aligned = self._aligned()
        if aligned is None:
            return
        raw = raw_of(self._viewer, aligned)
        if raw is None:  # it was opened from a file, or removed
            show_recorded(aligned, wanted)
        else:
            raw.visible = wanted
            aligned.visible = not wanted

    def _next_tilt(self) -> None:
        layer = self._aligned() or self.reference.value
        if layer is None:
            self.play.setChecked(False)
            return
        index = (projection_in_view(self._viewer, layer) + 1) % layer.data.shape[0]
        point = list(layer.data_to_world([index] + [0] * (layer.data.ndim - 1)))
        self._viewer.dims.set_point(self._viewer.dims.ndim - layer.data.ndim, point[0])

    def _may_join(self, layer: Any) -> bool:
        """Tell whether a layer may be added to the reference: other recorded projections of the same size."""
        chosen = self.reference.value
        return (
            chosen is not None
            and layer is not chosen
            and is_tilt_series(layer)
            and not is_aligned(layer)
            and (not is_aligned(chosen) or raw_of(self._viewer, chosen) is not layer)
            and layer.data.shape == chosen.data.shape
        )

    def _remember(self) -> None:
        self._remembered.update(self.form.kept_values())

    def _ask_where_to_save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(
            self.native, "Save the alignment", "alignment.json", "JSON (*.json)"
        )
        if name:
            self.save_alignment(Path(name))

    def _ask_what_to_load(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self.native, "Load an alignment", "", "JSON (*.json)")
        if name:
            self.load_alignment(Path(name))

    def _lay_out(self) -> None:
        self.form.insert(0, self.reference)
        self.give_tilts = GiveTilts(self._viewer)
        together = QCollapsible("Also in the reference")
        together.setToolTip(self.others.toolTip())
        together.addWidget(self.others)
        self.lay_out(
            self.give_tilts,
            self.form,
            together,
            QLabel("Alignment in use"),
            self.history,
            row(self.before, self.play, self.save, self.load),
            self.plots,
            self.hand,
            forms=(self.form,),
            foot=(self.controls,),
        )


def _show_alignment(viewer: Viewer, layer: Any, alignment: Alignment) -> str:
    """Show a series aligned, and return what there is to say of its alignment."""
    add_aligned(viewer, layer, alignment)
    return "\n".join([summary(alignment), *warnings_of(alignment)])
