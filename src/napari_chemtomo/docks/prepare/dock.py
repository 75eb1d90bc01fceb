"""The dock widget *Prepare*: clean tilt series by a list of operations, with a live preview."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QCheckBox, QFileDialog, QGroupBox, QLabel, QPushButton, QVBoxLayout
from superqt import QCollapsible

from chemtomo.data import Dataset
from chemtomo.data.colours import is_structural
from chemtomo.errors import ChemTomoError, ParameterError
from chemtomo.pipeline import Entry, Recipe
from chemtomo.pipeline.jobs.prepare import prepare_job
from chemtomo.pipeline.recipes.saved_steps import load_operations
from chemtomo.preprocess import ProjectionScores, score_projections_job
from chemtomo.progress import TaskProgress
from napari_chemtomo.dialogs.tilts_of_stack import GiveTilts
from napari_chemtomo.docks.prepare.bad_projections import BadProjections
from napari_chemtomo.docks.prepare.operation_list import OperationList
from napari_chemtomo.docks.prepare.painted_pixels import PaintedPixels
from napari_chemtomo.docks.prepare.preview import PreparePreview
from napari_chemtomo.layers.aligned import aligned_of
from napari_chemtomo.layers.metadata import channel_name, metadata_of
from napari_chemtomo.layers.prepared import add_prepared, source_of
from napari_chemtomo.layers.tilt_series import to_dataset, to_series
from napari_chemtomo.shared.dock import Dock, row
from napari_chemtomo.shared.layer_choice import LayerChecks
from napari_chemtomo.shared.session import session_of
from napari_chemtomo.shared.slider import show_projection
from napari_chemtomo.shared.task_controls import TaskControls

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

__all__ = ["PrepareWidget"]

_DOCK = "Prepare"


class PrepareWidget(Dock):
    """Choose series and operations, see what they do to the tilt in view, and apply them.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer with the tilt series. By this name napari knows that the widget asks for it.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer = napari_viewer
        self.series = LayerChecks(
            viewer,
            # To prepare a series once more is a choice of its own, and of raw and aligned one is enough.
            checked=lambda layer: (
                source_of(viewer, layer) is None and aligned_of(viewer, layer) in (None, layer)
            ),
        )
        self.give_tilts = GiveTilts(viewer)
        self.operations = OperationList()
        self.load_button = QPushButton("Load…")
        self.load_button.setToolTip("Show the operations of a recipe that was saved before.")
        self.save_button = QPushButton("Save…")
        self.save_button.setToolTip(
            "Save the operations as a recipe, for other series and 'chemtomo prepare --steps'."
        )
        self.live = QCheckBox("Preview the tilt in view")
        self.live.setToolTip("Show what the operations make of the projection at which the slider stands.")
        self.preview_status = QLabel()
        self.preview_status.setWordWrap(True)
        self.find_button = QPushButton("Find bad projections")
        self.find_button.setToolTip(
            "Compare every projection of HAADF, or of the series in view, with its neighbours: blur, jumps, "
            "brightness."
        )
        self.bad = BadProjections()
        self.bad_box = QCollapsible("Bad projections")
        self.bad_box.setToolTip("How much each projection differs from its neighbours.")
        self.painted = PaintedPixels(viewer, self.source, self.series.layers)
        self.painted_box = QCollapsible("Pixels to leave out")
        self.painted_box.setToolTip("Paint over shadowed or dead pixels.")
        self.controls = TaskControls(viewer, _DOCK, "Apply")
        self.controls.run_button.setToolTip("Prepare the checked series. The results are new layers.")
        self.preview = PreparePreview(viewer)
        self._lay_out()

        self._remembered = session_of(viewer).remembered[_DOCK]
        self.operations.set_steps(self._remembered.get("steps", ()))
        self.live.toggled.connect(lambda checked: self._preview())
        self.visibility.changed.connect(self._preview)
        self.operations.changed.connect(self._changed)
        self.series.changed.connect(self._changed)
        viewer.layers.selection.events.active.connect(self._active_changed)
        self.preview.status.connect(self.preview_status.setText)
        self.find_button.clicked.connect(self.find_bad)
        self.bad.accepted.connect(self.operations.drop)
        self.bad.chosen.connect(self._look_at)
        self.painted.accepted.connect(self.operations.put_first)
        self.painted.refused.connect(self.controls.refuse)
        self.load_button.clicked.connect(self._load)
        self.save_button.clicked.connect(self._save)
        self.controls.run_clicked.connect(self.run)
        self.controls.ended.connect(self._job_ended)
        self.controls.running_changed.connect(lambda running: self.find_button.setEnabled(not running))
        self._changed()

    def source(self) -> Image | None:
        """Return the layer that is previewed: the active one where it is checked, or the first checked."""
        checked = self.series.layers()
        active = self._viewer.layers.selection.active
        return active if active in checked else next(iter(checked), None)

    def scored(self) -> Image | None:
        """Return the layer whose projections are compared: HAADF where it is checked, or that in view."""
        whole = (layer for layer in self.series.layers() if is_structural(channel_name(layer)))
        return next(whole, self.source())

    def run(self) -> None:
        """Prepare the checked series in a thread, and add the results as layers."""
        layers = self.series.layers()
        try:
            if not layers:
                raise ParameterError("no series is checked; expected at least one tilt series")
            steps = self.operations.steps()
            if not steps:
                raise ParameterError("there is no operation to do; add one first")
            dataset = to_dataset(layers)
        except ChemTomoError as error:
            self.controls.refuse(error)
            return
        viewer = self._viewer
        self.controls.run(
            lambda should_stop: _prepared(dataset, steps),
            lambda done: _add_prepared(viewer, done, layers, len(steps)),
        )

    def find_bad(self) -> None:
        """Score the projections of a series in a thread."""
        layer = self.scored()
        try:
            if layer is None:
                raise ParameterError("no series is checked; expected a tilt series to look at")
            series = to_series(layer)
        except ChemTomoError as error:
            self.controls.refuse(error)
            return
        self.controls.run(lambda should_stop: score_projections_job(series), _what_scores_say)

    def _job_ended(self, result: Any) -> None:
        if isinstance(result, Dataset):
            self.live.setChecked(False)
        elif result is not None:
            self.bad.show_scores(result)
            self.bad_box.expand(animate=False)

    def _look_at(self, number: int) -> None:
        layer = self.scored()
        if layer is not None:
            show_projection(self._viewer, layer, number)

    def _changed(self) -> None:
        source = self.source()
        if source is not None:
            height, width = source.data.shape[-2:]
            self.operations.set_projections(width, height, metadata_of(source)["tilts_deg"])
        try:
            self._remembered["steps"] = self.operations.steps()
        except ParameterError as error:
            self.preview_status.setText(str(error))
            return
        self.preview_status.setText("")
        self._preview()

    def _active_changed(self, event: Any = None) -> None:
        if self.live.isChecked():
            self._preview()

    def _preview(self) -> None:
        source = self.source()
        if not self.live.isChecked() or self.visibility.hidden or source is None:
            self.preview.stop()
            self.preview_status.setText("")
            return
        try:
            self.preview.start(source, self.series.layers(), self.operations.steps())
        except ChemTomoError as error:
            self.preview_status.setText(str(error))

    def _load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self.native, "Load operations", "", "Recipe (*.toml *.json)")
        if path:
            try:
                self.operations.set_steps(load_operations(path))
            except ChemTomoError as error:
                self.controls.refuse(error)

    def _save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self.native, "Save operations", "prepare.toml", "Recipe (*.toml)"
        )
        if path:
            try:
                steps = self.operations.steps()
                Recipe(steps=tuple(Entry(one.operation, one) for one in steps)).save(path)
                self.controls.say(f"Saved {path}")
            except ChemTomoError as error:
                self.controls.refuse(error)

    def _lay_out(self) -> None:
        series = QGroupBox("Tilt series")
        layout = QVBoxLayout(series)
        layout.addWidget(self.series)
        layout.addWidget(self.give_tilts)
        operations = QGroupBox("Operations, from top to bottom")
        layout = QVBoxLayout(operations)
        layout.addWidget(self.operations)
        layout.addLayout(row(self.load_button, self.save_button))
        self.bad_box.addWidget(self.bad)
        self.painted_box.addWidget(self.painted)
        self.lay_out(
            series,
            operations,
            self.find_button,
            self.bad_box,
            self.painted_box,
            forms=(),
            foot=(self.live, self.preview_status, self.controls),
        )


def _add_prepared(viewer: Viewer, done: Dataset, layers: list[Image], steps: int) -> str:
    """Show prepared series, and say what was done."""
    add_prepared(viewer, done, layers)
    first = done.series[0]
    what = "operation" if steps == 1 else "operations"
    return (
        f"{len(done)} series prepared by {steps} {what}: {first.shape[0]} tilts of "
        f"{first.shape[2]} × {first.shape[1]} pixels. The inputs are unchanged and hidden."
    )


def _what_scores_say(scores: ProjectionScores) -> str:
    count = len(scores.proposed)
    return f"{scores.name}: {count or 'no'} projection{'' if count == 1 else 's'} proposed to be dropped."


def _prepared(dataset: Dataset, steps: tuple[Any, ...]) -> Generator[TaskProgress, None, Dataset]:
    """Prepare, with the values as a layer holds them."""
    done = yield from prepare_job(dataset, steps, in_memory=True)
    return done.map(lambda one: one.replace(data=one.data.astype(np.float32, copy=False)))
