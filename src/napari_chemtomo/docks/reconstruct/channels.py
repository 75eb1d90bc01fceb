"""The list of channels: the viewer's tilt series, with a check mark and a weight each."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QCheckBox, QGridLayout, QLabel, QVBoxLayout, QWidget

from chemtomo.pipeline import ReconstructParameters
from napari_chemtomo.layers.aligned import is_aligned, raw_of
from napari_chemtomo.layers.metadata import channel_name, is_tilt_series
from napari_chemtomo.layers.prepared import source_of
from napari_chemtomo.shared.editors import FloatEditor
from napari_chemtomo.shared.layer_follower import LayerFollower

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Layer

__all__ = ["ChannelList"]

_SWATCH = 12


@dataclasses.dataclass
class _Row:
    layer: Image
    check: QCheckBox
    weight: FloatEditor


class ChannelList(QWidget):
    """The tilt series among the viewer's layers, as they come, go and are renamed.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """

    changed = Signal()
    """Emitted when the list, a check mark or a weight has changed."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.rows: list[_Row] = []
        # Check marks and weights of layers that are listed, or were: a layer may come back.
        self._kept: dict[Any, tuple[bool, float | None]] = {}
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setColumnStretch(0, 1)
        self._empty = QLabel(
            "No tilt series in the viewer. Drop MRC files on it, or try\n"
            "File > Open Sample > Simulated tilt series."
        )
        self._empty.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._empty)
        layout.addLayout(self._grid)
        self._follower = LayerFollower(viewer, self._list_layers)
        self._list_layers()

    def layers(self) -> list[Image]:
        """Return the checked layers, in the viewer's order."""
        return [row.layer for row in self.rows if row.check.isChecked()]

    def weights(self) -> dict[str, float]:
        """Return the weights that were given, by the channels of the checked layers."""
        found = {channel_name(row.layer): row.weight.get() for row in self.rows if row.check.isChecked()}
        return {name: weight for name, weight in found.items() if weight is not None}

    def reset(self) -> None:
        """Check all channels, without weights; of those that are prepared or aligned, that layer only."""
        replaced = self._replaced()
        for row in self.rows:
            row.check.setChecked(row.layer.unique_id not in replaced)
            row.weight.set(None)

    def _list_layers(self) -> None:
        for row in self.rows:
            self._kept[row.layer.unique_id] = (row.check.isChecked(), row.weight.get())
        while (item := self._grid.takeAt(0)) is not None:
            item.widget().deleteLater()
        listed = [layer for layer in self._viewer.layers if is_tilt_series(layer)]
        for layer in listed:
            if layer.unique_id not in self._kept:
                # It takes the place of what it was made from, unless the user wants it otherwise.
                raw = self._made_from(layer)
                if raw is not None:
                    self._kept[raw.unique_id] = (False, None)
        self.rows = [self._row(layer) for layer in listed]
        self._empty.setVisible(not self.rows)
        if self.rows:
            self._grid.addWidget(QLabel("Channel"), 0, 0)
            self._grid.addWidget(QLabel("Weight"), 0, 1)
        for index, row in enumerate(self.rows, start=1):
            self._grid.addWidget(row.check, index, 0)
            self._grid.addWidget(row.weight, index, 1)
        self.changed.emit()

    def _replaced(self) -> set[Any]:
        """Return the identities of layers of which there is a prepared or an aligned one."""
        raw = [self._made_from(row.layer) for row in self.rows]
        return {layer.unique_id for layer in raw if layer is not None}

    def _made_from(self, layer: Layer) -> Layer | None:
        return raw_of(self._viewer, layer) if is_aligned(layer) else source_of(self._viewer, layer)

    def _row(self, layer: Image) -> _Row:
        checked, weight = self._kept.get(layer.unique_id, (True, None))
        check = QCheckBox(layer.name)
        swatch = QPixmap(_SWATCH, _SWATCH)
        swatch.fill(QColor.fromRgbF(*(float(part) for part in layer.colormap.colors[-1])))
        check.setIcon(QIcon(swatch))
        check.setChecked(checked)
        check.toggled.connect(lambda checked: self.changed.emit())
        editor = FloatEditor(1e-7, 1e9, absent="auto")
        editor.setToolTip(ReconstructParameters.model_fields["mu"].description or "")
        editor.set(weight)
        editor.changed.connect(self.changed)
        return _Row(layer, check, editor)
