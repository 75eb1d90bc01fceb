"""The dock widget *Reconstruct*: from the viewer's tilt series to a volume."""

from __future__ import annotations

import time
from typing import Any

from napari import Viewer
from napari.utils.notifications import show_error
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from chemtomo.errors import ChemTomoError, ParameterError
from chemtomo.pipeline import ReconstructParameters
from chemtomo.preprocess.values.intensity import PublishedScaling
from napari_chemtomo import settings
from napari_chemtomo.dialogs.tilts_of_stack import TiltsDialog
from napari_chemtomo.docks.reconstruct.channels import ChannelList
from napari_chemtomo.docks.reconstruct.run import ReconstructionRun, active_run
from napari_chemtomo.layers.metadata import is_stack
from napari_chemtomo.shared import worker
from napari_chemtomo.shared.editors import SuggestionEditor
from napari_chemtomo.shared.forms import ParameterForm
from napari_chemtomo.shared.scrolling import VerticalScrollArea

__all__ = ["ReconstructWidget"]

# The rows that are always in sight; all others are under "Advanced".
_BASIC = (
    "method",
    "data_term",
    "coupling",
    "dims",
    "normalisation",
    "strength",
    "slices",
    "iterations",
    "preview",
)
_DEVICES = ("auto", "gpu", "cpu", "numpy")
_REFRESH_SECONDS = 0.05

# What the forms showed last: a dock that is opened again shows it too.
_remembered: dict[str, Any] = {}


class ReconstructWidget(QWidget):
    """Choose channels and parameters, run, watch, cancel.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer with the tilt series. By this name napari knows that the widget asks for it.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer = napari_viewer
        self._run: ReconstructionRun | None = None
        self._refreshed = 0.0
        self._objective = ""

        self.channels = ChannelList(viewer)
        self.give_tilts = QPushButton("Give tilts to a stack…")
        self.give_tilts.setToolTip("Make a tilt series of a stack that was opened without its tilts.")
        self.device = SuggestionEditor(_DEVICES)
        self.reconstruction = ParameterForm(
            ReconstructParameters, exclude=("mu",), editors={"device": self.device}
        )
        self.scale_as_published = QCheckBox("Scale as published")
        self.scale_as_published.setToolTip("Scale the projections as in Huber et al. 2019, before all else.")
        self.scaling = ParameterForm(PublishedScaling, exclude=("channels",))
        self.watch = QCheckBox("Watch the slice while it is made")
        self.watch.setToolTip(
            "Turn the viewer to a slice (z, x) and show its present state; the slider y chooses the slice."
        )
        self.reset_button = QPushButton("Reset")
        self.reset_button.setToolTip("Show the defaults of all parameters.")
        self.run_button = QPushButton("Run")
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop after the present iteration and keep its volume.")
        self.bar = QProgressBar()
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.advanced = QCollapsible("Advanced")
        self._lay_out()

        self.reconstruction.set_values(_remembered)
        self.scaling.set_values(_remembered)
        self.scale_as_published.setChecked(_remembered.get("scale_as_published", False))
        self.watch.setChecked(_remembered.get("watch", True))
        self._show_device_setting()
        self._channels_changed()
        self._parameters_changed()

        self.channels.changed.connect(self._channels_changed)
        self.reconstruction.changed.connect(self._parameters_changed)
        self.scaling.changed.connect(self._parameters_changed)
        self.scale_as_published.toggled.connect(lambda checked: self._parameters_changed())
        self.watch.toggled.connect(lambda checked: self._parameters_changed())
        self.device.activated.connect(lambda index: settings.set_device(self.device.get()))
        self.device.lineEdit().editingFinished.connect(lambda: settings.set_device(self.device.get()))
        settings.follow_device(self._show_device_setting)
        self.give_tilts.clicked.connect(lambda: TiltsDialog(self._viewer, self).open())
        self.reset_button.clicked.connect(self.reset)
        self.run_button.clicked.connect(self.run)
        self.cancel_button.clicked.connect(self.cancel)
        worker.find_devices(self.device.suggest)
        self._attach(active_run(viewer))

    def reset(self) -> None:
        """Show the defaults of all parameters, and check all channels."""
        self.reconstruction.reset()
        self.scaling.reset()
        self.scale_as_published.setChecked(False)
        self.channels.reset()
        self.watch.setChecked(True)
        settings.set_device(self.device.get())

    def run(self) -> None:
        """Start a reconstruction of the checked channels."""
        try:
            layers = self.channels.layers()
            if not layers:
                raise ParameterError("no channel is checked; expected at least one tilt series")
            run = ReconstructionRun(
                self._viewer,
                layers,
                self.reconstruction.parameters(mu=self.channels.weights()),
                self.scaling.parameters() if self.scale_as_published.isChecked() else None,
                watch=self.watch.isChecked(),
            )
        except ChemTomoError as error:
            show_error(str(error))
            self.status.setText(str(error))
            return
        self._attach(run)

    def cancel(self) -> None:
        """Stop the running reconstruction; what it has reached becomes the result."""
        if self._run is not None:
            self._run.cancel()
            self.cancel_button.setEnabled(False)
            self.status.setText("Stopping after the present iteration…")

    def _attach(self, run: ReconstructionRun | None) -> None:
        """Show the progress of a run, or that there is none."""
        self._run = run
        self.run_button.setEnabled(run is None)
        self.cancel_button.setEnabled(run is not None)
        if run is not None:
            self._objective = ""
            self.bar.setRange(0, 0)
            self.status.setText("Preparing…")
            run.progressed.connect(self._show_progress)
            run.ended.connect(self._show_end)

    def _show_progress(self, update: worker.Update) -> None:
        if not update.iteration:
            self.status.setText("Waiting for the device, which another reconstruction uses…")
            return
        if update.record is not None:
            self._objective = f" · objective {update.record.objective:.6g}"
            if update.record.gap is not None:
                self._objective += f" · gap {update.record.gap:.1e}"
        now = time.monotonic()
        if now - self._refreshed < _REFRESH_SECONDS and 1 < update.iteration < update.iterations:
            return
        self._refreshed = now
        self.bar.setRange(0, update.iterations)
        self.bar.setValue(update.iteration)
        if self.cancel_button.isEnabled():
            left = update.seconds / update.iteration * (update.iterations - update.iteration)
            self.status.setText(
                f"Iteration {update.iteration} of {update.iterations}{self._objective} · "
                f"{update.seconds:.1f} s, at most {left:.0f} s left"
            )

    def _show_end(self, sentence: str) -> None:
        self._attach(None)
        self.bar.setRange(0, max(1, self.bar.maximum()))
        self.status.setText(sentence[:1].upper() + sentence[1:])

    def _show_device_setting(self, event: Any = None) -> None:
        self.device.set(settings.device())

    def _channels_changed(self) -> None:
        shapes = [layer.data.shape for layer in self.channels.layers()]
        if shapes:
            self.reconstruction.editors["slices"].set_bounds(max(shape[-2] for shape in shapes))
            self.reconstruction.editors["crop"].set_bounds(max(shape[-1] for shape in shapes))
        self.give_tilts.setVisible(any(is_stack(layer) for layer in self._viewer.layers))

    def _parameters_changed(self) -> None:
        """Remember what the forms show, and grey out what has no effect."""
        shown = {**self.reconstruction.values(), **self.scaling.values()}
        self.reconstruction.enable_effective()
        shown["scale_as_published"] = self.scale_as_published.isChecked()
        for name in self.scaling.names:
            self.scaling.enable(name, self.scale_as_published.isChecked())
        del shown["device"]
        _remembered.update(shown, watch=self.watch.isChecked())

    def _lay_out(self) -> None:
        channels = QGroupBox("Channels")
        layout = QVBoxLayout(channels)
        layout.addWidget(self.channels)
        layout.addWidget(self.give_tilts)

        basic = QFormLayout()
        self.reconstruction.place(_BASIC, basic)
        basic.addRow(self.scale_as_published)
        advanced = QWidget()
        rows = QFormLayout(advanced)
        self.reconstruction.place([name for name in self.reconstruction.names if name not in _BASIC], rows)
        self.scaling.place(self.scaling.names, rows)
        for form in (basic, rows):
            form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        self.advanced.addWidget(advanced)

        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(channels)
        layout.addLayout(basic)
        layout.addWidget(self.advanced)
        layout.addStretch(1)
        scroll = VerticalScrollArea()
        scroll.setWidget(content)

        buttons = QHBoxLayout()
        for button in (self.run_button, self.cancel_button, self.reset_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(scroll, stretch=1)
        layout.addWidget(self.watch)
        layout.addLayout(buttons)
        layout.addWidget(self.bar)
        layout.addWidget(self.status)
