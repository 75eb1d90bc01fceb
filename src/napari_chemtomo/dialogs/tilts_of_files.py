"""A dialog that asks for the tilts of files that do not say them, and opens the files with these."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
from napari.utils.notifications import show_error
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QFormLayout, QLabel, QLineEdit, QWidget

from chemtomo.errors import ChemTomoError, NoTiltsError
from chemtomo.io.tilts import FROM_NAMES, TiltsArgument
from napari_chemtomo.layers.files import read_layers
from napari_chemtomo.shared.editors import FloatEdit

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["TiltsOfFilesDialog"]

_NAMES, _STEPS, _FILE = "the names of the files", "first tilt and step", "a file of tilts"


class TiltsOfFilesDialog(QDialog):
    """Ask where the tilts of files are from, and add the files to the viewer.

    The names of the files are offered first where they look like tilts.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer that the files are opened in.
    paths : path or sequence of paths
        The files, or their folder.
    error : NoTiltsError
        What reading them said.
    """

    def __init__(
        self, viewer: Viewer, paths: str | PathLike[str] | Sequence[str | PathLike[str]], error: NoTiltsError
    ) -> None:
        super().__init__(viewer.window._qt_window)
        self.setWindowTitle("Tilts of files")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._viewer, self._paths, self._count = viewer, paths, error.projections
        message = QLabel(str(error))
        message.setWordWrap(True)
        self.source = QComboBox()
        for name in (_NAMES, _STEPS, _FILE):
            self.source.addItem(name)
        self.source.setCurrentText(_NAMES if error.from_names else _STEPS)
        self.first = FloatEdit(-60.0, min=-360.0, max=360.0, tooltip="Tilt of the first projection.")
        self.step = FloatEdit(2.0, min=-90.0, max=90.0, tooltip="From each projection to the next.")
        self.file = QLineEdit()
        self.file.setToolTip("One tilt a line: .rawtlt, .tlt, .csv, .txt or .mdoc")
        self._last = QLabel()
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self._rows = QFormLayout(self)
        self._rows.addRow(message)
        self._rows.addRow("Tilts from", self.source)
        self._rows.addRow("First tilt (°)", self.first.native)
        self._rows.addRow("Step (°)", self.step.native)
        self._rows.addRow("Last tilt", self._last)
        self._rows.addRow("File", self.file)
        self._rows.addRow(buttons)
        self.source.currentTextChanged.connect(self._show_rows)
        self.first.changed.connect(self._show_last)
        self.step.changed.connect(self._show_last)
        self._show_rows(self.source.currentText())
        self._show_last()

    def tilts(self) -> TiltsArgument:
        """Return the tilts, as `chemtomo.read` takes them."""
        if self.source.currentText() == _NAMES:
            return FROM_NAMES
        if self.source.currentText() == _FILE:
            return self.file.text()
        return np.asarray(self.first.value + self.step.value * np.arange(self._count), dtype=np.float64)

    def accept(self) -> None:
        """Open the files with these tilts; stay open when the tilts do not fit."""
        try:
            layers = read_layers(self._paths, tilts=self.tilts(), beside=self._viewer.layers)
        except ChemTomoError as error:
            show_error(str(error))
            return
        for data, attributes, _ in layers:
            self._viewer.add_image(data, **attributes)
        super().accept()

    def _show_rows(self, source: str) -> None:
        for widget in (self.first.native, self.step.native, self._last):
            self._show(widget, source == _STEPS)
        self._show(self.file, source == _FILE)

    def _show(self, widget: QWidget, shown: bool) -> None:
        widget.setVisible(shown)
        label = self._rows.labelForField(widget)
        if label is not None:
            label.setVisible(shown)

    def _show_last(self) -> None:
        self._last.setText(f"{self.first.value + (self._count - 1) * self.step.value:g}°")
