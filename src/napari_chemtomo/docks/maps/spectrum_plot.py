"""The sum spectrum with the windows of lines, which can be dragged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QVBoxLayout, QWidget

from chemtomo.spectra import EnergyWindow
from napari_chemtomo.shared.plots import ACCENT, make_plot, pyqtgraph, text_colour

__all__ = ["SpectrumPlot"]

_BACKGROUND = "#4d8fff"
_OTHERS = "#9a9a9a"
_FILL_ALPHA = 70
_WIDTHS_IN_VIEW = 12.0


class SpectrumPlot(QWidget):
    """A spectrum, the lines that are to be mapped, and the windows of one of them.

    Signals
    -------
    window_changed(EnergyWindow)
        The user has dragged a window or a range of background.
    """

    window_changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._energies: npt.NDArray[np.float64] | None = None
        self._window: EnergyWindow | None = None
        self._markers: list[Any] = []
        self._regions: list[Any] = []
        self._range = (0.0, 1.0)
        self.plot = make_plot("Energy (keV)", "Counts", height=220)
        self.plot.setMouseEnabled(x=True, y=False)
        self.plot.getPlotItem().getViewBox().setAutoVisible(y=True)
        self.curve = self.plot.plot([], [], stepMode="center", pen=pyqtgraph().mkPen(text_colour(), width=1))
        self.component = self.plot.plot([], [], pen=pyqtgraph().mkPen(ACCENT, width=1.5))
        self.logarithmic = QCheckBox("Logarithmic counts")
        self.logarithmic.setToolTip("Faint lines are seen beside strong ones.")
        self.logarithmic.setChecked(True)
        self.plot.setLogMode(y=True)
        self.logarithmic.toggled.connect(lambda checked: self.plot.setLogMode(y=checked))
        self.follow = QCheckBox("Zoom to the selected line")
        self.follow.setToolTip("Show the energies around the line; unchecked, the whole spectrum.")
        self.follow.setChecked(True)
        self.follow.toggled.connect(lambda checked: self._zoom() if checked else self.show_all())
        below = QHBoxLayout()
        below.addWidget(self.logarithmic)
        below.addWidget(self.follow)
        below.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.plot)
        layout.addLayout(below)

    def show_spectrum(
        self, energies_keV: npt.NDArray[np.float64], counts: npt.NDArray[np.float64], lowest_keV: float
    ) -> None:
        """Show a spectrum; what is below `lowest_keV` stays out of view at first."""
        self._energies = energies_keV
        step = float(energies_keV[1] - energies_keV[0]) if len(energies_keV) > 1 else 1.0
        edges = np.append(energies_keV, energies_keV[-1] + step) - step / 2
        # Zero has no logarithm.
        self.curve.setData(edges, np.maximum(counts, 0.5))
        self.component.setData([], [])
        filled = np.flatnonzero(counts > 0)
        last = energies_keV[filled[-1]] if filled.size else energies_keV[-1]
        self._range = (float(max(lowest_keV, energies_keV[0])), float(last))
        self.show_all()

    def show_all(self) -> None:
        """Show the whole range of energies."""
        self.plot.setXRange(*self._range, padding=0.02)
        self.plot.enableAutoRange(axis="y")

    def clear(self) -> None:
        """Show nothing."""
        self._energies = None
        self.curve.setData([], [])
        self.component.setData([], [])
        self.show_lines({})
        self.show_window(None)

    def show_component(self, counts: npt.NDArray[np.float64] | None) -> None:
        """Show the spectrum of a component over the sum; ``None`` for none."""
        if counts is None or self._energies is None:
            self.component.setData([], [])
            return
        self.component.setData(self._energies, np.maximum(counts, 0.5))

    def show_lines(self, energies_keV: Mapping[str, float]) -> None:
        """Mark lines by their names."""
        library = pyqtgraph()
        for marker in self._markers:
            self.plot.removeItem(marker)
        self._markers = [
            library.InfiniteLine(
                energy,
                angle=90,
                pen=library.mkPen(_OTHERS, width=1, style=library.QtCore.Qt.PenStyle.DotLine),
                label=name,
                labelOpts={"position": 0.95, "color": _OTHERS, "rotateAxis": (1, 0), "anchors": [(1, 1)] * 2},
            )
            for name, energy in energies_keV.items()
        ]
        for marker in self._markers:
            self.plot.addItem(marker, ignoreBounds=True)

    def show_window(self, window: EnergyWindow | None, *, zoom: bool = False) -> None:
        """Show the window of a line and its ranges of background, to be dragged."""
        self._window = window
        for region in self._regions:
            self.plot.removeItem(region)
        self._regions = []
        if window is None:
            return
        ranges = [(window.low_keV, window.high_keV), *window.background]
        for number, limits in enumerate(ranges):
            self._regions.append(self._region(limits, ACCENT if number == 0 else _BACKGROUND))
        if zoom and self.follow.isChecked():
            self._zoom()

    @property
    def regions(self) -> Sequence[Any]:
        """The draggable regions: the window first, then the ranges of background."""
        return tuple(self._regions)

    def _zoom(self) -> None:
        if self._window is None:
            return
        middle = (self._window.low_keV + self._window.high_keV) / 2
        reach = _WIDTHS_IN_VIEW / 2 * (self._window.high_keV - self._window.low_keV)
        self.plot.setXRange(middle - reach, middle + reach, padding=0)
        self.plot.enableAutoRange(axis="y")

    def _region(self, limits: tuple[float, float], colour: str) -> Any:
        library = pyqtgraph()
        fill = library.mkColor(colour)
        fill.setAlpha(_FILL_ALPHA)
        region = library.LinearRegionItem(
            limits, brush=fill, pen=library.mkPen(colour, width=2), swapMode="block"
        )
        region.sigRegionChangeFinished.connect(lambda moved: self._dragged())
        self.plot.addItem(region, ignoreBounds=True)
        return region

    def _dragged(self) -> None:
        if self._window is None:
            return
        (low, high), *beside = [tuple(map(float, region.getRegion())) for region in self._regions]
        changed = self._window.replace(low_keV=low, high_keV=high, background=tuple(beside))
        self._window = changed
        self.window_changed.emit(changed)
