"""Choose one or several of the viewer's layers, as they come, go and are renamed."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox
from psygnal import Signal
from qtpy import QtCore
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QCheckBox, QGridLayout, QLabel, QVBoxLayout, QWidget

from chemtomo.data.colours import is_structural
from napari_chemtomo.layers.metadata import channel_name, is_tilt_series
from napari_chemtomo.shared.editors import LEAST_FLOAT, FloatEdit, WordsEdit, keep_from_wheel

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Layer

__all__ = ["LayerChecks", "LayerChoice", "LayerFollower", "LayerRow"]

_SWATCH = 12


@dataclasses.dataclass
class LayerRow:
    """A layer of `LayerChecks` with its widgets."""

    layer: Image
    check: QCheckBox
    weight: WordsEdit | None


class LayerChoice(ComboBox):
    """One of the viewer's layers.

    Until the user chooses, it is the first signal of the whole sample (HAADF), or else the first layer.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    accepts : callable
        Which layers to list; all tilt series by default.
    **options
        Those of `magicgui.widgets.ComboBox`.
    """

    layer_changed = Signal()
    """Emitted when another layer, or none, is chosen."""

    def __init__(
        self, viewer: Viewer, accepts: Callable[[Layer], bool] = is_tilt_series, **options: Any
    ) -> None:
        self._viewer = viewer
        self._accepts = accepts
        self._chosen: Layer | None = None
        self._by_user = False
        super().__init__(choices=self._listed, **options)
        self.native.setSizeAdjustPolicy(self.native.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.native.setMinimumContentsLength(12)
        keep_from_wheel(self.native)
        self._follower = LayerFollower(viewer, self.refresh)
        self.changed.connect(self._choose)
        self.refresh()

    def refresh(self) -> None:
        """List the layers anew; the chosen one stays."""
        with self.changed.blocked():
            self.reset_choices()
            layers = self.choices
            if self._chosen not in layers:
                self._by_user = False
            if not self._by_user:
                wanted = (layer for layer in layers if is_structural(channel_name(layer)))
                self._set(next(wanted, layers[0] if layers else None))
            if self._chosen is not None:
                self.value = self._chosen

    def _listed(self, widget: Any) -> list[Any]:
        # Those behind the proxies that napari gives to plugins, which Qt does not know.
        layers = [getattr(layer, "__wrapped__", layer) for layer in self._viewer.layers]
        return [layer for layer in layers if self._accepts(layer)]

    def _choose(self, layer: Layer) -> None:
        self._by_user = True
        self._set(layer)

    def _set(self, layer: Layer | None) -> None:
        if layer is not self._chosen:
            self._chosen = layer
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

    changed = QtCore.Signal()
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
                self._grid.addWidget(row.weight.native, number, 1)
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
        weight = WordsEdit(
            value=self._weights.get(key),
            words={"Auto": None},
            kind="Number",
            editor=FloatEdit(1.0, min=LEAST_FLOAT),
            tooltip=self._weight_help,
        )
        keep_from_wheel(weight.native)

        def keep_weight(value: float | None) -> None:
            self._weights[key] = value
            self.changed.emit()

        weight.changed.connect(keep_weight)
        return LayerRow(layer, check, weight)


class LayerFollower:
    """Calls a method when the layers of a viewer, their names or their metadata change.

    Both this object and napari keep weak references: when the widget that owns them goes, so do they.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    changed : callable
        A method without arguments, of the widget that keeps this object.
    """

    def __init__(self, viewer: Viewer, changed: Callable[[], None]) -> None:
        self._viewer = viewer
        self._changed = weakref.WeakMethod(changed)
        self._watched: list[Layer] = []
        for event in ("inserted", "removed", "reordered"):
            getattr(viewer.layers.events, event).connect(self._layers_changed)
        self._watch()

    def _layers_changed(self, event: Any = None) -> None:
        self._watch()
        self._tell()

    def _tell(self, event: Any = None) -> None:
        changed = self._changed()
        if changed is not None:
            changed()

    def _watch(self) -> None:
        for layer in self._watched:
            layer.events.name.disconnect(self._tell)
            layer.events.metadata.disconnect(self._tell)
        self._watched = list(self._viewer.layers)
        for layer in self._watched:
            layer.events.name.connect(self._tell)
            layer.events.metadata.connect(self._tell)
