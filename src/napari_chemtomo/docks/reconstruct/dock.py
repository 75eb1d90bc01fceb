"""The dock widget *Reconstruct*: from the viewer's tilt series to a volume."""

from __future__ import annotations

from typing import Any

from napari import Viewer
from napari.layers import Layer
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QGroupBox,
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
from napari_chemtomo.docks.reconstruct.run import DOCK, start_reconstruction
from napari_chemtomo.docks.reconstruct.task import device_names
from napari_chemtomo.layers.aligned import raw_of
from napari_chemtomo.layers.metadata import is_stack
from napari_chemtomo.layers.prepared import source_of
from napari_chemtomo.shared.editors import SuggestionEditor
from napari_chemtomo.shared.forms import ParameterForm
from napari_chemtomo.shared.latest import Latest
from napari_chemtomo.shared.layer_choice import LayerChecks
from napari_chemtomo.shared.scrolling import VerticalScrollArea
from napari_chemtomo.shared.session import session_of
from napari_chemtomo.shared.task_controls import TaskControls

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
        self._remembered = remembered = session_of(viewer).remembered[DOCK]
        self.channels = LayerChecks(
            viewer,
            checked=lambda layer: not _is_replaced(viewer, layer),
            weight_help=ReconstructParameters.model_fields["mu"].description,
            empty="No tilt series in the viewer. Drop MRC files on it, or try\n"
            "File > Open Sample > Simulated tilt series.",
        )
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
        self.controls = TaskControls(
            viewer, DOCK, "Run", self.reset, "Stop after the present iteration and keep its volume."
        )
        self.advanced = QCollapsible("Advanced")
        self._lay_out()

        self.reconstruction.set_values(remembered)
        self.scaling.set_values(remembered)
        self.scale_as_published.setChecked(remembered.get("scale_as_published", False))
        self.watch.setChecked(remembered.get("watch", True))
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
        self.controls.run_clicked.connect(self.run)
        self._devices = Latest(
            lambda question, newer: device_names(),
            lambda question, names: self.device.suggest(names),
            lambda question, error: None,  # a run will say it
        )
        self._devices.ask(None)

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
            start_reconstruction(
                self._viewer,
                layers,
                self.reconstruction.parameters(mu=self.channels.weights()),
                self.scaling.parameters() if self.scale_as_published.isChecked() else None,
                watch=self.watch.isChecked(),
            )
        except ChemTomoError as error:
            self.controls.refuse(error)

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
        self._remembered.update(shown, watch=self.watch.isChecked())

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

        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(scroll, stretch=1)
        layout.addWidget(self.watch)
        layout.addWidget(self.controls)


def _is_replaced(viewer: Viewer, layer: Layer) -> bool:
    """Tell whether there is a layer that was prepared or aligned from this one."""
    return any(layer in (raw_of(viewer, other), source_of(viewer, other)) for other in viewer.layers)
