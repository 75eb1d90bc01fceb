"""A list to choose one of the viewer's tilt series from, and what several docks ask of the choice."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QListWidget, QListWidgetItem

from napari_chemtomo.layers.metadata import is_tilt_series
from napari_chemtomo.shared.layer_follower import LayerFollower

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Layer

__all__ = ["SeriesChecks", "SeriesChoice"]


class SeriesChoice(QComboBox):
    """One of the tilt series among the viewer's layers, as they come, go and are renamed.

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


class SeriesChecks(QListWidget):
    """Several of the viewer's tilt series, each with a check mark.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    accepts : callable
        Which layers to list.
    checked : bool
        Whether a layer that appears is checked.
    """

    def __init__(self, viewer: Viewer, accepts: Callable[[Layer], bool], *, checked: bool) -> None:
        super().__init__()
        self._viewer = viewer
        self._accepts = accepts
        self._checked = checked
        self.setMaximumHeight(110)
        self._follower = LayerFollower(viewer, self.refresh)
        self.refresh()

    def layers(self) -> list[Image]:
        """Return the checked layers."""
        wanted = {key for key, checked in self._marks().items() if checked}
        return [layer for layer in self._viewer.layers if str(layer.unique_id) in wanted]

    def refresh(self) -> None:
        """List the layers anew; the check marks stay."""
        marks = self._marks()
        self.clear()
        for layer in self._viewer.layers:
            if not self._accepts(layer):
                continue
            item = QListWidgetItem(layer.name)
            key = str(layer.unique_id)
            item.setData(Qt.ItemDataRole.UserRole, key)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            checked = marks.get(key, self._checked)
            item.setCheckState(Qt.CheckState.Checked if checked else Qt.CheckState.Unchecked)
            self.addItem(item)

    def _marks(self) -> dict[str, bool]:
        items = [self.item(row) for row in range(self.count())]
        return {
            item.data(Qt.ItemDataRole.UserRole): item.checkState() == Qt.CheckState.Checked for item in items
        }
