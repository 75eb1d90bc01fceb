"""A dialog that makes a tilt series of a plain stack by giving its tilts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.notifications import show_error
from qtpy.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QFormLayout, QLabel, QPushButton, QWidget

from chemtomo.errors import ChemTomoError, ParameterError
from napari_chemtomo.layers.metadata import is_stack
from napari_chemtomo.layers.tilt_series import colours_beside, series_layer, stack_to_series
from napari_chemtomo.shared.editors import FloatEdit
from napari_chemtomo.shared.layer_choice import LayerChoice, LayerFollower

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["GiveTilts", "TiltsDialog"]


class GiveTilts(QPushButton):
    """A button that opens the dialog; it is there while there is a stack without tilts.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """

    def __init__(self, viewer: Viewer) -> None:
        super().__init__("Give tilts to a stack…")
        self.setToolTip("Make a tilt series of a stack that was opened without its tilts.")
        self._viewer = viewer
        self._follower = LayerFollower(viewer, self._follow)
        self.clicked.connect(lambda checked: TiltsDialog(viewer, self).open())
        self._follow()

    def _follow(self) -> None:
        there = any(is_stack(layer) for layer in self._viewer.layers)
        if self.parent() is not None or not there:  # alone it would be a window
            self.setVisible(there)


class TiltsDialog(QDialog):
    """Ask for the tilts of a stack, and add it to the viewer as a tilt series.

    The stack itself stays as it is; the new layer shares its data where it is float32.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer with the stack.
    parent : QWidget
        The widget that asks.
    """

    def __init__(self, viewer: Viewer, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Tilts of a stack")
        self._viewer = viewer
        self.stack = LayerChoice(viewer, is_stack, tooltip="The stack, its first axis the tilts.")
        self.first = FloatEdit(-60.0, min=-360.0, max=360.0, tooltip="Tilt of the first projection.")
        self.step = FloatEdit(2.0, min=-90.0, max=90.0, tooltip="From each projection to the next.")
        self.counts = QCheckBox("The values are event counts (EDX, EELS)")
        self._last = QLabel()
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QFormLayout(self)
        layout.addRow("Stack", self.stack.native)
        layout.addRow("First tilt (°)", self.first.native)
        layout.addRow("Step (°)", self.step.native)
        layout.addRow("Last tilt", self._last)
        layout.addRow(self.counts)
        layout.addRow(buttons)
        self.stack.layer_changed.connect(self._show_last)
        self.first.changed.connect(self._show_last)
        self.step.changed.connect(self._show_last)
        self._show_last()

    def accept(self) -> None:
        """Add the tilt series; stay open when the tilts do not make sense."""
        try:
            if self.stack.value is None:
                raise ParameterError("there is no stack any more; open one first")
            series = stack_to_series(
                self.stack.value, self.first.value, self.step.value, self.counts.isChecked()
            )
            (colour,) = colours_beside([series.name], self._viewer.layers)
            data, attributes, _ = series_layer(series, colour)
        except ChemTomoError as error:
            show_error(str(error))
            return
        self._viewer.add_image(data, **attributes)
        super().accept()

    def _show_last(self) -> None:
        if self.stack.value is not None:
            count = self.stack.value.data.shape[0]
            last = self.first.value + (count - 1) * self.step.value
            self._last.setText(f"{last:g}°, of {count} projections")
