"""Choose one or several of the viewer's layers, as they come, go and are renamed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QCheckBox, QComboBox, QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_chemtomo.layers.metadata import channel_name, is_tilt_series
from napari_chemtomo.shared.editors import LEAST_FLOAT, FloatEditor
from napari_chemtomo.shared.layer_follower import LayerFollower

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Layer

__all__ = ["LayerChecks", "LayerChoice", "LayerRow"]

_SWATCH = 12


@dataclasses.dataclass
class LayerRow:
    """A layer of `LayerChecks` with its widgets."""

    layer: Image
    check: QCheckBox
    weight: FloatEditor | None


class LayerChoice(QComboBox):
    """One of the viewer's layers.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    accepts : callable
        Which layers to list; all tilt series by default.
    """

    layer_changed = Signal()
    """Emitted when another layer, or none, is chosen."""

    def __init__(self, viewer: Viewer, accepts: Callable[[Layer], bool] = is_tilt_series) -> None:
        super().__init__()
        self._viewer = viewer
        self._accepts = accepts
        self._last: Any = None
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(12)
        self._follower = LayerFollower(viewer, self._list)
        self.currentIndexChanged.connect(lambda index: self._tell())
        self._list()

    def layer(self) -> Image | None:
        """Return the chosen layer."""
        wanted = self.currentData()
        return next((layer for layer in self._viewer.layers if str(layer.unique_id) == wanted), None)

    def choose(self, layer: Layer) -> None:
        """Choose a layer."""
        at = self.findData(str(layer.unique_id))
        if at >= 0:
            self.setCurrentIndex(at)

    def _list(self) -> None:
        wanted = self.currentData()
        self.blockSignals(True)
        self.clear()
        for layer in self._viewer.layers:
            if self._accepts(layer):
                self.addItem(layer.name, str(layer.unique_id))
        at = self.findData(wanted)
        self.setCurrentIndex(at if at >= 0 else self.count() - 1)
        self.blockSignals(False)
        self._tell()

    def _tell(self) -> None:
        if self.currentData() != self._last:
            self._last = self.currentData()
            self.layer_changed.emit()


class LayerChecks(QWidget):
    """Several of the viewer's layers, each with a check mark, and with a number where that is wanted.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    accepts : callable
        Which layers to list.
    checked : callable
        Whether a layer is checked, until the user decides otherwise. When the answer changes, because another
        layer takes its place, it counts again.
    weight_help : str, optional
        What the number of a layer means; without it there are no numbers.
    empty : str
        What to say when there is no layer.
    """

    changed = Signal()
    """Emitted when the list, a check mark or a number has changed."""

    def __init__(
        self,
        viewer: Viewer,
        accepts: Callable[[Layer], bool] = is_tilt_series,
        *,
        checked: Callable[[Layer], bool],
        weight_help: str | None = None,
        empty: str = "",
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._accepts = accepts
        self._checked = checked
        self._weight_help = weight_help
        self.rows: list[LayerRow] = []
        # Of layers that are listed, or were: a layer may come back.
        self._marks: dict[Any, tuple[bool, bool]] = {}
        self._weights: dict[Any, float | None] = {}
        self._empty = QLabel(empty)
        self._empty.setWordWrap(True)
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setColumnStretch(0, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._empty)
        layout.addLayout(self._grid)
        self._follower = LayerFollower(viewer, self.refresh)
        self.refresh()

    def layers(self) -> list[Image]:
        """Return the checked layers, in the viewer's order."""
        return [row.layer for row in self.rows if row.check.isChecked()]

    def weights(self) -> dict[str, float]:
        """Return the numbers that were given, by the channels of the checked layers."""
        found = {channel_name(row.layer): self._weights.get(row.layer.unique_id) for row in self.rows}
        checked = {channel_name(layer) for layer in self.layers()}
        return {name: one for name, one in found.items() if one is not None and name in checked}

    def reset(self) -> None:
        """Forget check marks and numbers of the user."""
        self._marks.clear()
        self._weights.clear()
        self.refresh()

    def refresh(self) -> None:
        """List the layers anew; check marks and numbers stay."""
        while (item := self._grid.takeAt(0)) is not None:
            item.widget().deleteLater()
        self.rows = [self._row(layer) for layer in self._viewer.layers if self._accepts(layer)]
        self._empty.setVisible(not self.rows and bool(self._empty.text()))
        if self.rows and self._weight_help is not None:
            self._grid.addWidget(QLabel("Channel"), 0, 0)
            self._grid.addWidget(QLabel("Weight"), 0, 1)
        for number, row in enumerate(self.rows, start=1):
            self._grid.addWidget(row.check, number, 0)
            if row.weight is not None:
                self._grid.addWidget(row.weight, number, 1)
        self.changed.emit()

    def _row(self, layer: Image) -> LayerRow:
        key = layer.unique_id
        by_default = self._checked(layer)
        mark, default_then = self._marks.get(key, (by_default, by_default))
        check = QCheckBox(layer.name)
        check.setToolTip(f"Use {layer.name}.")
        swatch = QPixmap(_SWATCH, _SWATCH)
        swatch.fill(QColor.fromRgbF(*(float(part) for part in layer.colormap.colors[-1])))
        check.setIcon(QIcon(swatch))
        check.setChecked(mark if default_then == by_default else by_default)

        def keep_mark(checked: bool) -> None:
            self._marks[key] = (checked, by_default)
            self.changed.emit()

        check.toggled.connect(keep_mark)
        if self._weight_help is None:
            return LayerRow(layer, check, None)
        weight = FloatEditor(LEAST_FLOAT, 1e9, absent="auto")
        weight.setToolTip(self._weight_help)
        weight.set(self._weights.get(key))

        def keep_weight() -> None:
            self._weights[key] = weight.get()
            self.changed.emit()

        weight.changed.connect(keep_weight)
        return LayerRow(layer, check, weight)
