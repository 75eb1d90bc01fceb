"""Plots in docks, made with pyqtgraph on the Qt binding that napari uses."""

from __future__ import annotations

import os
from typing import Any

from qtpy import API_NAME

__all__ = ["ACCENT", "make_plot", "pyqtgraph", "text_colour"]

ACCENT = "#ff8a1f"
"""Colour of what a plot points out, readable on napari's dark and light theme."""

_LEAST_HEIGHT = 160
_LABEL_STANDS_OUT = 7


def pyqtgraph() -> Any:
    """Return the module `pyqtgraph`, made to use the Qt binding of the running napari.

    Import it through this function only: alone it may choose another binding, and two in one process
    crash.
    """
    os.environ.setdefault("PYQTGRAPH_QT_LIB", API_NAME)
    import pyqtgraph as module

    return module


def make_plot(bottom: str = "", left: str = "", *, height: int = _LEAST_HEIGHT) -> Any:
    """Return an empty plot that looks like the dock around it.

    Parameters
    ----------
    bottom, left : str
        What the axes show, with the unit: ``"Tilt (°)"``.
    height : int
        Its least height in pixels of the screen.

    Returns
    -------
    pyqtgraph.PlotWidget
        A widget; its ``plotItem`` takes curves and other items.
    """
    library = pyqtgraph()
    text = text_colour()
    plot = library.PlotWidget(background=None)
    plot.setMinimumHeight(height)
    plot.setMenuEnabled(False)
    plot.hideButtons()
    plot.showGrid(x=True, y=True, alpha=0.15)
    for side, label in (("bottom", bottom), ("left", left)):
        axis = plot.getAxis(side)
        axis.enableAutoSIPrefix(False)
        axis.setPen(text)
        axis.setTextPen(text)
        if label:
            axis.setLabel(label)
    # pyqtgraph lets the label of the lower axis stand out of the axis.
    plot.plotItem.layout.setContentsMargins(1, 1, 1, _LABEL_STANDS_OUT)
    return plot


def text_colour() -> str:
    """Return the colour of text in napari's theme, which Qt's palette does not know."""
    from napari.settings import get_settings
    from napari.utils.theme import get_theme

    return str(get_theme(get_settings().appearance.theme).text.as_hex())
