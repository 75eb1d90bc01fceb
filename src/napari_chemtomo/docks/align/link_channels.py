"""The dock widget *Link channels*: carry the alignment of one channel to the others."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

from napari import Viewer
from qtpy.QtWidgets import QFileDialog, QLabel, QPushButton

from chemtomo.align.parameters import LinkParameters
from chemtomo.data import Alignment, TiltSeries
from chemtomo.errors import ChemTomoError, ParameterError
from chemtomo.pipeline.jobs.align import Linked, link_channels
from chemtomo.progress import TaskProgress
from napari_chemtomo.docks.align.history import summary
from napari_chemtomo.layers.aligned import add_aligned, current_alignment, is_aligned, raw_of
from napari_chemtomo.layers.metadata import is_tilt_series
from napari_chemtomo.layers.tilt_series import to_series
from napari_chemtomo.shared.dock import Dock
from napari_chemtomo.shared.forms import ParameterForm
from napari_chemtomo.shared.jobs import Job
from napari_chemtomo.shared.layer_choice import LayerChecks, LayerChoice
from napari_chemtomo.shared.session import session_of
from napari_chemtomo.shared.task_controls import TaskControls

__all__ = ["LinkChannelsWidget", "start_linking"]

_DOCK = "Link channels"


class LinkChannelsWidget(Dock):
    """Choose an aligned channel and those that were recorded with it, and align them all alike.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer with the tilt series. By this name napari knows that the widget asks for it.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer = napari_viewer
        self._loaded: Alignment | None = None
        self.reference = LayerChoice(
            viewer, is_aligned, label="Reference", tooltip="The channel whose alignment the others get."
        )
        self.load = QPushButton("Use a saved alignment…")
        self.load.setToolTip("Align the channels by a file that 'Save…' in the dock Register has written.")
        self.targets = LayerChecks(viewer, self._may_be_linked, checked=lambda layer: True)
        self.form = ParameterForm(LinkParameters)
        self.controls = TaskControls(viewer, _DOCK, "Link")
        self.controls.run_button.setToolTip("Give the checked channels the alignment of the reference.")
        self.form.insert(0, self.reference)
        self.lay_out(
            self.form,
            QLabel("Channels to align with the reference"),
            self.targets,
            self.load,
            forms=(self.form,),
            foot=(self.controls,),
        )
        self.reference.layer_changed.connect(self._reference_changed)
        self.load.clicked.connect(self._ask_what_to_load)
        self.controls.run_clicked.connect(self.run)

    def run(self) -> None:
        """Align the checked channels as the reference is."""
        try:
            alignment, reference = self._source()
            layers = self.targets.layers()
            if not layers:
                raise ParameterError("no channel is checked; expected at least one to align")
            start_linking(self._viewer, layers, alignment, reference, self.form.parameters())
        except ChemTomoError as error:
            self.controls.refuse(error)

    def load_alignment(self, path: Path) -> None:
        """Link the alignment of a JSON file instead of that of a layer."""
        try:
            self._loaded = Alignment.load(path)
        except ChemTomoError as error:
            self.controls.refuse(error)
            return
        self.controls.say(f"{path.name}: {summary(self._loaded)}")
        self.targets.refresh()

    def _source(self) -> tuple[Alignment, TiltSeries | None]:
        if self._loaded is not None:
            return self._loaded, None
        layer = self.reference.value
        alignment = None if layer is None else current_alignment(layer)
        if layer is None or alignment is None:
            raise ParameterError("there is no aligned channel; align one first, or use a saved alignment")
        return alignment, to_series(layer)

    def _reference_changed(self) -> None:
        self._loaded = None
        self.targets.refresh()

    def _may_be_linked(self, layer: Any) -> bool:
        """Tell whether a layer is another tilt series as recorded; its aligned layer goes with it."""
        if not is_tilt_series(layer) or is_aligned(layer):
            return False
        chosen = self.reference.value
        return chosen is None or raw_of(self._viewer, chosen) is not layer or self._loaded is not None

    def _ask_what_to_load(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self.native, "Use a saved alignment", "", "JSON (*.json)")
        if name:
            self.load_alignment(Path(name))


def start_linking(
    viewer: Viewer,
    layers: list[Any],
    alignment: Alignment,
    reference: TiltSeries | None,
    parameters: LinkParameters,
) -> None:
    """Give layers the alignment of a reference in a thread, unless that is going on.

    Raises
    ------
    DataError
        When a layer is no tilt series.
    """
    targets = [to_series(layer).replace(alignment=None) for layer in layers]

    def job(should_stop: Any) -> Generator[TaskProgress, None, Any]:
        return link_channels(alignment, targets, parameters, reference=reference, should_stop=should_stop)

    session = session_of(viewer)
    if session.job(_DOCK) is None:
        session.start(_DOCK, Job(job, lambda linked: _show_linked(viewer, layers, linked)))


def _show_linked(viewer: Viewer, layers: list[Any], linked: list[Linked]) -> str:
    """Show channels aligned, and say by how much each was moved beside the reference."""
    lines = [f"{len(linked)} channel{'s' if len(linked) > 1 else ''} linked"]
    for layer, one in zip(layers, linked, strict=True):
        added = add_aligned(viewer, layer, one.alignment)
        shift = one.shift_px
        moved = "" if shift is None else f": moved by a further {shift[0]:+.2f}, {shift[1]:+.2f} px (y, x)"
        lines.append(f"{added.name}{moved}")
    return "\n".join(lines)
