"""What the alignment docks show of an alignment: its plots and its history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from chemtomo.data import Alignment
from napari_chemtomo.layers.aligned import current_alignment, history, is_aligned, show_alignment
from napari_chemtomo.shared.plots import ACCENT, make_plot, pyqtgraph

if TYPE_CHECKING:
    from napari.layers import Image

__all__ = ["AlignmentPlots", "HistoryChoice", "summary"]

_RAW = "as recorded"
_SHORTEST = 20  # characters; longer ones are seen in the list
_HIGHEST_PLOT = 200
_DOWN, _ACROSS = "#5aa9e6", ACCENT


def summary(alignment: Alignment) -> str:
    """Say in a few words what an alignment is: method, tilt axis, residual."""
    words = [alignment.method or "alignment"]
    words.append(f"axis {alignment.axis_angle_deg:.2f}°, {alignment.axis_offset_px:+.2f} px")
    residual = alignment.residual_px
    if residual is not None and np.isfinite(residual).any():
        words.append(f"residual {np.nanmedian(residual):.3f} px")
    return ", ".join(words)


class HistoryChoice(QComboBox):
    """The alignments of a layer: choosing one shows it, and makes it the one that is used."""

    def __init__(self) -> None:
        super().__init__()
        self.setToolTip("Go to any earlier alignment, or back to the data as recorded. Nothing is lost.")
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(_SHORTEST)
        self._layer: Image | None = None
        self.activated.connect(self._go)

    def show_layer(self, layer: Image | None) -> None:
        """List the alignments of a layer."""
        self._layer = layer
        self.clear()
        self.setEnabled(layer is not None and is_aligned(layer))
        self.addItem(_RAW, None)
        if layer is None or not is_aligned(layer):
            return
        current = current_alignment(layer)
        wanted = None if current is None else current.to_json()
        for index, alignment in enumerate(history(layer)):
            self.addItem(f"{index + 1}: {summary(alignment)}", index)
            if wanted is not None and alignment.to_json() == wanted:
                self.setCurrentIndex(index + 1)

    def _go(self, row: int) -> None:
        if self._layer is not None and is_aligned(self._layer):
            show_alignment(self._layer, self.itemData(row))


class AlignmentPlots(QWidget):
    """Shifts against tilt, and the residual against tilt."""

    def __init__(self) -> None:
        super().__init__()
        self.shifts = make_plot("Tilt (°)", "Shift (px)")
        self.shifts.plotItem.addLegend(offset=(5, 5), labelTextSize="8pt")
        self.residual = make_plot("Tilt (°)", "Residual (px)")
        for plot in (self.shifts, self.residual):
            plot.setMaximumHeight(_HIGHEST_PLOT)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.shifts)
        layout.addWidget(self.residual)

    def show_alignment(self, alignment: Alignment | None, shape: tuple[int, int]) -> None:
        """Show the numbers of an alignment of projections of `shape`; nothing for ``None``."""
        for plot in (self.shifts, self.residual):
            plot.plotItem.clear()
        self.residual.setVisible(alignment is not None and alignment.residual_px is not None)
        if alignment is None:
            return
        order = np.argsort(alignment.tilts_deg, kind="stable")
        tilts = alignment.tilts_deg[order]
        # The shape of the layer may be that of other pixels than the reference's.
        moved = alignment.shifts_px(alignment.shape or shape)[order]
        for column, (name, colour) in enumerate((("along y", _DOWN), ("along x", _ACROSS))):
            self._curve(self.shifts, tilts, moved[:, column], colour, name)
        if alignment.residual_px is not None:
            known = np.isfinite(alignment.residual_px[order])
            self._curve(self.residual, tilts[known], alignment.residual_px[order][known], _ACROSS, None)

    @staticmethod
    def _curve(plot: object, tilts: np.ndarray, values: np.ndarray, colour: str, name: str | None) -> None:
        pen = pyqtgraph().mkPen(colour, width=1.5, style=Qt.PenStyle.SolidLine)
        plot.plotItem.plot(  # type: ignore[attr-defined]
            tilts, values, pen=pen, symbol="o", symbolSize=4, symbolBrush=colour, symbolPen=None, name=name
        )
