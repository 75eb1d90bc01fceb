"""Plots use napari's Qt binding, and say what their axes are."""

from __future__ import annotations

import os

import numpy as np
from qtpy import API_NAME, QtWidgets

from napari_chemtomo.shared.plots import make_plot, pyqtgraph


def test_plots_use_the_qt_binding_of_napari(qapp):
    module = pyqtgraph()
    assert os.environ["PYQTGRAPH_QT_LIB"] == module.Qt.QT_LIB == API_NAME
    assert issubclass(module.PlotWidget, QtWidgets.QWidget)


def test_a_plot_is_a_widget_with_labelled_axes_and_curves(qtbot):
    plot = make_plot("Tilt (°)", "Score")
    qtbot.addWidget(plot)
    curve = plot.plot(np.arange(5.0), np.arange(5.0) ** 2)
    assert isinstance(plot, QtWidgets.QWidget)
    assert [plot.getAxis(side).labelText for side in ("bottom", "left")] == ["Tilt (°)", "Score"]
    np.testing.assert_array_equal(curve.getData()[1], np.arange(5.0) ** 2)
