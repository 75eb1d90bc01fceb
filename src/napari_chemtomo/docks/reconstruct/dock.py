"""The dock widget *Reconstruct*: from the viewer's tilt series to a volume."""

from __future__ import annotations

from typing import Any

from napari import Viewer
from napari.layers import Layer
from napari.utils.notifications import show_warning
from qtpy.QtWidgets import QCheckBox, QGroupBox, QPushButton, QVBoxLayout

from chemtomo.align.parameters import LinkParameters
from chemtomo.errors import ChemTomoError, ParameterError
from chemtomo.pipeline import ReconstructParameters
from chemtomo.preprocess.values.intensity import PublishedScaling
from napari_chemtomo import settings
from napari_chemtomo.dialogs.tilts_of_stack import GiveTilts
from napari_chemtomo.docks.align.link_channels import start_linking
from napari_chemtomo.docks.reconstruct.run import DOCK, start_reconstruction
from napari_chemtomo.docks.reconstruct.task import device_names
from napari_chemtomo.layers.aligned import current_alignment, raw_of
from napari_chemtomo.layers.metadata import channel_name
from napari_chemtomo.layers.prepared import source_of
from napari_chemtomo.layers.tilt_series import to_series
from napari_chemtomo.shared.dock import Dock
from napari_chemtomo.shared.editors import SuggestionEdit
from napari_chemtomo.shared.forms import ParameterForm
from napari_chemtomo.shared.latest import Latest
from napari_chemtomo.shared.layer_choice import LayerChecks
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


class ReconstructWidget(Dock):
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
        self.give_tilts = GiveTilts(viewer)
        self.link_button = QPushButton()
        self.link_button.setToolTip("Without it these channels are reconstructed as they were recorded.")
        field = ReconstructParameters.model_fields["device"]
        device = SuggestionEdit(
            _DEVICES, settings.device(), name="device", label=field.title, tooltip=field.description
        )
        self.reconstruction = ParameterForm(
            ReconstructParameters, exclude=("mu",), basic=_BASIC, editors={"device": device}
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
        self.controls.run_button.setToolTip("Reconstruct the checked channels together.")
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
        device.editor.activated.connect(lambda index: settings.set_device(device.value))
        device.editor.lineEdit().editingFinished.connect(lambda: settings.set_device(device.value))
        settings.follow_device(self._show_device_setting)
        self.link_button.clicked.connect(lambda checked: self.link())
        self.controls.run_clicked.connect(self.run)
        self._devices = Latest(
            lambda question, newer: device_names(),
            lambda question, names: device.editor.suggest(names),
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
        settings.set_device(self.device.value)

    def link(self) -> None:
        """Align the checked channels that are not as the first one that is."""
        aligned, others = self._aligned_and_not()
        try:
            alignment = current_alignment(aligned[0])
            if alignment is not None:
                reference = to_series(aligned[0])
                start_linking(self._viewer, others, alignment, reference, LinkParameters())
        except ChemTomoError as error:
            self.controls.refuse(error)

    def run(self) -> None:
        """Start a reconstruction of the checked channels."""
        try:
            layers = self.channels.layers()
            if not layers:
                raise ParameterError("no channel is checked; expected at least one tilt series")
            aligned, others = self._aligned_and_not()
            if aligned and others:
                show_warning(
                    f"{_names(aligned)} is aligned, but not {_names(others)}, which will not lie at the same "
                    "place. Cancel, and use the button below the channels to align them alike"
                )
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
        self.device.value = settings.device()

    def _channels_changed(self) -> None:
        shapes = [layer.data.shape for layer in self.channels.layers()]
        if shapes:
            self.reconstruction.set_bounds("slices", max(shape[-2] for shape in shapes))
            self.reconstruction.set_bounds("crop", max(shape[-1] for shape in shapes))
        aligned, others = self._aligned_and_not()
        self.link_button.setVisible(bool(aligned and others))
        if aligned and others:
            self.link_button.setText(f"Align {_names(others)} as {channel_name(aligned[0])}")

    def _aligned_and_not(self) -> tuple[list[Layer], list[Layer]]:
        """Return the checked channels that have an alignment, and those that have none."""
        layers = self.channels.layers()
        aligned = [layer for layer in layers if current_alignment(layer) is not None]
        return aligned, [layer for layer in layers if layer not in aligned]

    def _parameters_changed(self) -> None:
        """Remember what the forms show."""
        scaled = self.scale_as_published.isChecked()
        self.scaling.visible = scaled
        shown = {**self.reconstruction.kept_values(), **self.scaling.kept_values()}
        del shown["device"]
        self._remembered.update(shown, scale_as_published=scaled, watch=self.watch.isChecked())

    def _lay_out(self) -> None:
        channels = QGroupBox("Channels")
        layout = QVBoxLayout(channels)
        layout.addWidget(self.channels)
        layout.addWidget(self.link_button)
        layout.addWidget(self.give_tilts)
        self.lay_out(
            channels,
            self.reconstruction,
            self.scale_as_published,
            self.scaling,
            forms=(self.reconstruction, self.scaling),
            foot=(self.watch, self.controls),
        )


def _names(layers: list[Layer]) -> str:
    return ", ".join(channel_name(layer) for layer in layers)


def _is_replaced(viewer: Viewer, layer: Layer) -> bool:
    """Tell whether there is a layer that was prepared or aligned from this one."""
    return any(layer in (raw_of(viewer, other), source_of(viewer, other)) for other in viewer.layers)
