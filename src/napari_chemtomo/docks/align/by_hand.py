"""Move one projection, or some, by hand: with the mouse, or by steps of a fraction of a pixel."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui.widgets import ComboBox
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
)

from chemtomo.align import nudge
from chemtomo.data import Alignment
from napari_chemtomo.layers.aligned import (
    append_alignment,
    current_alignment,
    is_aligned,
    preview_alignment,
    show_alignment,
)
from napari_chemtomo.layers.metadata import metadata_of
from napari_chemtomo.shared.editors import FloatEdit, keep_from_wheel
from napari_chemtomo.shared.slider import projection_in_view

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

__all__ = ["ByHand"]

_STEP_PX = 0.5


class ByHand(QGroupBox):
    """Moves projections of an aligned layer; what was moved is accepted as one alignment, or discarded.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """

    changed = Signal()
    """Emitted when the alignment that is being made has changed, or was accepted or discarded."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__("By hand")
        self._viewer = viewer
        self._layer: Image | None = None
        self.pending: Alignment | None = None
        self.drag = QCheckBox("Drag the image in view with the mouse")
        self.drag.setToolTip("Moves the projection at which the slider stands.")
        self.first, self.last = (
            ComboBox(tooltip=f"The {which} tilt of the projections that are moved.")
            for which in ("lowest", "highest")
        )
        self.this = QPushButton("In view")
        self.this.setToolTip("The projection at which the slider stands.")
        self.step = FloatEdit(_STEP_PX, min=0.01, max=1000.0, tooltip="How far an arrow moves them.")
        self.up, self.down, self.left, self.right = (QPushButton(sign) for sign in "↑↓←→")
        self.accept = QPushButton("Accept")
        self.accept.setToolTip("Keep what was moved as a new alignment in the history.")
        self.discard = QPushButton("Discard")
        self.discard.setToolTip("Go back to the alignment in use.")
        for arrow in (self.up, self.down, self.left, self.right):
            arrow.setToolTip("Move the projections of these tilts by one step.")
        self._lay_out()
        for button, (dy, dx) in (
            (self.up, (-1, 0)),
            (self.down, (1, 0)),
            (self.left, (0, -1)),
            (self.right, (0, 1)),
        ):
            button.clicked.connect(lambda checked=False, dy=dy, dx=dx: self._nudge(dy, dx))
        self.this.clicked.connect(self._choose_this)
        self.accept.clicked.connect(self._accept)
        self.discard.clicked.connect(self._discard)
        self.drag.toggled.connect(self._listen)
        self.set_layer(None)

    def set_layer(self, layer: Image | None) -> None:
        """Work on an aligned layer; what was not accepted on another is discarded."""
        if layer is self._layer and layer is not None:
            self._enable()
            return
        self._discard()
        self._listen(False)
        self._layer = layer if layer is not None and is_aligned(layer) else None
        if self._layer is not None:
            tilts = sorted(metadata_of(self._layer)["tilts_deg"])
            for box in (self.first, self.last):
                box.choices = [(f"{tilt:g}°", tilt) for tilt in tilts]
                keep_from_wheel(box.native)
            self._listen(self.drag.isChecked())
        self._enable()

    def _enable(self) -> None:
        fits = self._layer is not None and current_alignment(self._layer) is not None
        self.setEnabled(fits)
        for button in (self.accept, self.discard):
            button.setEnabled(self.pending is not None)

    def _choose_this(self) -> None:
        if self._layer is not None:
            index = projection_in_view(self._viewer, self._layer)
            self.first.value = self.last.value = metadata_of(self._layer)["tilts_deg"][index]

    def _nudge(self, dy: int, dx: int) -> None:
        if self._layer is None:
            return
        first, last = sorted((self.first.value, self.last.value))
        tilts = metadata_of(self._layer)["tilts_deg"]
        step = self.step.value
        moved = [index for index, tilt in enumerate(tilts) if first <= tilt <= last]
        self._move(moved, dy * step, dx * step)

    def _move(self, tilts: Sequence[int], dy: float, dx: float) -> None:
        if self._layer is None:
            return
        start = self.pending or current_alignment(self._layer)
        if start is None:
            return
        self.pending = nudge(start, tilts, dy, dx)
        preview_alignment(self._layer, self.pending)
        self._enable()
        self.changed.emit()

    def _accept(self) -> None:
        if self._layer is not None and self.pending is not None:
            alignment, self.pending = self.pending, None
            append_alignment(self._layer, alignment)
            self._enable()
            self.changed.emit()

    def _discard(self) -> None:
        if self._layer is not None and self.pending is not None:
            self.pending = None
            if self._layer in self._viewer.layers:
                show_alignment(self._layer, "current")
            self._enable()
            self.changed.emit()

    def _listen(self, wanted: bool) -> None:
        """Take the mouse from the camera while images are dragged."""
        layer = self._layer
        if layer is None:
            return
        if self._dragged in layer.mouse_drag_callbacks:
            layer.mouse_drag_callbacks.remove(self._dragged)
        layer.mouse_pan = not wanted
        if wanted:
            layer.mouse_drag_callbacks.append(self._dragged)

    def _dragged(self, layer: Image, event: Any) -> Generator[None, None, None]:
        """Move the projection in view with the mouse, as napari calls it: once for every event."""
        index = projection_in_view(self._viewer, layer)
        before = np.asarray(layer.world_to_data(event.position))
        yield
        while event.type == "mouse_move":
            here = np.asarray(layer.world_to_data(event.position))
            self._move([index], *(here - before)[-2:].tolist())
            before = here
            yield

    def _lay_out(self) -> None:
        tilts = QHBoxLayout()
        for widget in (QLabel("Tilts"), self.first.native, QLabel("to"), self.last.native, self.this):
            tilts.addWidget(widget)
        arrows = QGridLayout()
        arrows.addWidget(QLabel("Step (px)"), 0, 0)
        arrows.addWidget(self.step.native, 0, 1)
        for column, button in enumerate((self.left, self.up, self.down, self.right), start=2):
            button.setMaximumWidth(32)
            arrows.addWidget(button, 0, column)
        ends = QHBoxLayout()
        ends.addWidget(self.accept)
        ends.addWidget(self.discard)
        layout = QVBoxLayout(self)
        layout.addWidget(self.drag)
        layout.addLayout(tilts)
        layout.addLayout(arrows)
        layout.addLayout(ends)
