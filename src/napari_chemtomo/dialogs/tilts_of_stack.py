"""A dialog that makes a tilt series of a plain stack by giving its tilts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.notifications import show_error
from qtpy.QtWidgets import QCheckBox, QComboBox, QDialog, QDialogButtonBox, QFormLayout, QLabel, QWidget

from chemtomo.errors import ChemTomoError
from napari_chemtomo.layers.metadata import is_stack
from napari_chemtomo.layers.tilt_series import colours_beside, series_layer, stack_to_series
from napari_chemtomo.shared.editors import FloatEditor

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["TiltsDialog"]


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
        self.stack = QComboBox()
        for layer in viewer.layers:
            if is_stack(layer):
                self.stack.addItem(f"{layer.name}  ({layer.data.shape[0]} projections)", layer.name)
        self.first = FloatEditor(-360.0, 360.0)
        self.first.set(-60.0)
        self.step = FloatEditor(-90.0, 90.0)
        self.step.set(2.0)
        self.counts = QCheckBox("The values are event counts (EDX, EELS)")
        self._last = QLabel()
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QFormLayout(self)
        layout.addRow("Stack", self.stack)
        layout.addRow("First tilt (°)", self.first)
        layout.addRow("Step (°)", self.step)
        layout.addRow("Last tilt", self._last)
        layout.addRow(self.counts)
        layout.addRow(buttons)
        self.stack.currentIndexChanged.connect(lambda index: self._show_last())
        self.first.changed.connect(self._show_last)
        self.step.changed.connect(self._show_last)
        self._show_last()

    def accept(self) -> None:
        """Add the tilt series; stay open when the tilts do not make sense."""
        try:
            layer = self._viewer.layers[self.stack.currentData()]
            series = stack_to_series(layer, self.first.get(), self.step.get(), self.counts.isChecked())
            (colour,) = colours_beside([series.name], self._viewer.layers)
            data, attributes, _ = series_layer(series, colour)
        except (ChemTomoError, KeyError) as error:
            show_error(str(error))
            return
        self._viewer.add_image(data, **attributes)
        super().accept()

    def _show_last(self) -> None:
        name = self.stack.currentData()
        if name is not None and name in self._viewer.layers:
            count = self._viewer.layers[name].data.shape[0]
            self._last.setText(f"{self.first.get() + (count - 1) * self.step.get():g}°")
