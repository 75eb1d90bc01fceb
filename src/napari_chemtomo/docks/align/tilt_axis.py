"""The dock widget *Tilt axis*: its angle and offset, found or chosen by eye on three slices."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from magicgui.widgets import Container, Widget
from napari import Viewer
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QLabel, QPushButton

from chemtomo.align import current, set_axis
from chemtomo.align.parameters import AxisParameters
from chemtomo.data import Alignment, Dataset
from chemtomo.errors import ChemTomoError, ParameterError
from chemtomo.pipeline.jobs.align import find_axis, preview_axis
from chemtomo.progress import finish
from napari_chemtomo.dialogs.tilts_of_stack import GiveTilts
from napari_chemtomo.docks.align.history import HistoryChoice, summary
from napari_chemtomo.layers.aligned import add_aligned, aligned_of, current_alignment
from napari_chemtomo.layers.metadata import metadata_of
from napari_chemtomo.layers.tilt_series import to_series
from napari_chemtomo.shared.dock import Dock, row
from napari_chemtomo.shared.editors import FloatEdit, keep_from_wheel
from napari_chemtomo.shared.forms import AlignedLabels, ParameterForm
from napari_chemtomo.shared.latest import Latest
from napari_chemtomo.shared.layer_choice import LayerChoice
from napari_chemtomo.shared.plots import pyqtgraph
from napari_chemtomo.shared.task_controls import TaskControls

__all__ = ["TiltAxisWidget"]

# The slices are reconstructed when the numbers have been still for so long.
_PAUSE_MILLISECONDS = 120
_PARTS = (0.25, 0.5, 0.75)
_PICTURE = 120


class TiltAxisWidget(Dock):
    """Find the tilt axis, or turn and shift it while three slices are reconstructed.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer with the tilt series. By this name napari knows that the widget asks for it.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer = napari_viewer
        self.series = LayerChoice(viewer, label="Series", tooltip="The tilt series whose axis is looked for.")
        self.form = ParameterForm(AxisParameters)
        self.controls = TaskControls(viewer, "Tilt axis", "Find")
        self.controls.run_button.setToolTip("Find angle and offset of the tilt axis; the shifts stay.")
        self.angle = FloatEdit(
            0.0,
            min=-180.0,
            max=180.0,
            step=0.1,
            label="Angle (°)",
            tooltip="Angle of the tilt axis with the rows' index y, towards x, as recorded.",
        )
        self.offset = FloatEdit(
            0.0,
            min=-1e5,
            max=1e5,
            step=0.25,
            label="Offset (px)",
            tooltip="How far the tilt axis is from the middle of the detector, as recorded.",
        )
        self.pictures = [_Picture(f"y at {part:g} of the height") for part in _PARTS]
        self.accept = QPushButton("Accept")
        self.accept.setToolTip("Keep this tilt axis as a new alignment in the history.")
        self.back = QPushButton("Back")
        self.back.setToolTip("Show the tilt axis of the alignment in use again.")
        self.history = HistoryChoice()
        self._start: Alignment | None = None
        self._slices = Latest(
            lambda question, newer: finish(preview_axis(*question, _PARTS)),
            lambda question, slices: self._show_slices(slices),
            lambda question, error: self.controls.say(str(error)),
        )
        self._timer = QTimer(self.native)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE_MILLISECONDS)
        self._timer.timeout.connect(self._preview)
        self._lay_out()
        self.series.layer_changed.connect(self._layer_changed)
        self.controls.run_clicked.connect(self.run)
        self.controls.ended.connect(self._job_ended)
        for editor in (self.angle, self.offset):
            editor.changed.connect(self._numbers_changed)
        self.accept.clicked.connect(self._accept)
        self.back.clicked.connect(self._layer_changed)
        self.history.activated.connect(lambda row: self._layer_changed())
        self._layer_changed()

    def run(self) -> None:
        """Find the tilt axis of the chosen series, which keeps its registration."""
        layer = self.series.value
        try:
            if layer is None:
                raise ParameterError("there is no tilt series; open one, or give its tilts to a stack")
            dataset = Dataset((to_series(layer),))
            parameters = self.form.parameters()
        except ChemTomoError as error:
            self.controls.refuse(error)
            return
        viewer = self._viewer
        self.controls.run(
            lambda should_stop: find_axis(dataset, parameters, should_stop=should_stop),
            lambda alignment: _show_alignment(viewer, layer, alignment),
        )

    def _job_ended(self, result: Any) -> None:
        """Show the aligned series where there is a new alignment."""
        aligned = self._aligned()
        if result is not None and aligned is not None:
            self.series.value = aligned
            self._layer_changed()

    def _aligned(self) -> Any:
        layer = self.series.value
        return None if layer is None else aligned_of(self._viewer, layer)

    def _layer_changed(self) -> None:
        """Show the tilt axis of the chosen series."""
        aligned = self._aligned()
        self.history.show_layer(aligned)
        alignment = None if aligned is None else current_alignment(aligned)
        self._start = alignment
        layer = self.series.value
        said = None if layer is None else metadata_of(layer).get("axis_angle_deg")
        for editor, number in (
            (self.angle, (said or 0.0) if alignment is None else alignment.axis_angle_deg),
            (self.offset, 0.0 if alignment is None else alignment.axis_offset_px),
        ):
            with editor.changed.blocked():
                editor.value = round(number, 4)
        self.accept.setEnabled(False)
        self._timer.start()

    def _numbers_changed(self) -> None:
        self.accept.setEnabled(self.series.value is not None)
        self._timer.start()

    def chosen(self) -> Alignment:
        """Return the alignment in use with the tilt axis that the numbers say.

        Raises
        ------
        ParameterError
            When there is no tilt series.
        """
        layer = self.series.value
        if layer is None:
            raise ParameterError("there is no tilt series; open one first")
        start = self._start or current(to_series(layer))
        return set_axis(start, self.angle.value, self.offset.value)

    def _preview(self) -> None:
        """Reconstruct the slices beside the event loop; the newest numbers win."""
        layer = self.series.value
        if layer is None:
            return
        try:
            self._slices.ask((to_series(layer), self.chosen()))
        except ChemTomoError as error:
            self.controls.say(str(error))

    def _show_slices(self, slices: npt.NDArray[np.float32]) -> None:
        for picture, image in zip(self.pictures, slices, strict=True):
            picture.show_image(image)

    def _accept(self) -> None:
        layer = self.series.value
        try:
            if layer is not None:
                alignment = self.chosen()
                self.controls.say(_show_alignment(self._viewer, layer, alignment))
                self._job_ended(alignment)
        except ChemTomoError as error:
            self.controls.refuse(error)

    def _lay_out(self) -> None:
        self.form.insert(0, self.series)
        self.give_tilts = GiveTilts(self._viewer)
        numbers: Container[Widget] = Container()
        numbers.margins = (0, 0, 0, 0)
        numbers.extend([self.angle, self.offset])
        keep_from_wheel(numbers.native)
        AlignedLabels(numbers.native)
        self.lay_out(
            self.give_tilts,
            self.form,
            self.controls,
            numbers,
            *(picture.widget for picture in self.pictures),
            row(self.accept, self.back),
            QLabel("Alignment in use"),
            self.history,
            forms=(self.form,),
        )


def _show_alignment(viewer: Viewer, layer: Any, alignment: Alignment) -> str:
    """Show a series aligned, and return what there is to say of its alignment."""
    add_aligned(viewer, layer, alignment)
    return summary(alignment)


class _Picture:
    """A small picture of a slice ``(z, x)``, ``z`` downwards."""

    def __init__(self, title: str) -> None:
        library = pyqtgraph()
        self.widget = library.GraphicsLayoutWidget()
        self.widget.setMinimumHeight(_PICTURE)
        self.widget.setBackground(None)
        self.view = self.widget.addViewBox(lockAspect=True, invertY=True, enableMenu=False)
        self.item = library.ImageItem(axisOrder="row-major")
        self.view.addItem(self.item)
        self.widget.setToolTip(f"Test slice {title}: small particles are points when the axis is right.")

    def show_image(self, image: npt.NDArray[np.float32]) -> None:
        """Show a slice, from dark to its brightest values."""
        levels = np.percentile(image, [1.0, 99.8])
        self.item.setImage(image, levels=(float(levels[0]), float(max(levels[1], levels[0] + 1e-12))))
