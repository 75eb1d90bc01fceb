"""Paint over pixels of a tilt series that are to be left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from napari.layers import Labels
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from chemtomo.errors import ChemTomoError, ParameterError
from napari_chemtomo.layers.painted import operations_of, painted_layer
from napari_chemtomo.shared.layer_choice import LayerChoice

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

__all__ = ["PaintedPixels"]

_PAINTED = 1


class PaintedPixels(QWidget):
    """A layer to paint on, and what is painted there as an operation.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    source : callable
        Returns the layer of the tilt series to paint over, or None.
    checked : callable
        Returns the layers of all series whose pixels are left out.
    """

    accepted = Signal(list)
    """Emitted with the operations that leave the painted pixels out."""

    refused = Signal(object)
    """Emitted with the error where there is nothing to leave out."""

    def __init__(
        self, viewer: Viewer, source: Callable[[], Image | None], checked: Callable[[], Sequence[Image]]
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._source = source
        self._checked = checked
        self.paint_button = QPushButton("Paint")
        self.paint_button.setToolTip(
            "Add a layer of labels over the active or first checked series, with the brush in hand."
        )
        self.layers = LayerChoice(viewer, lambda layer: isinstance(layer, Labels))
        self.layers.tooltip = "The layer of labels whose painted pixels are left out."
        self.mask_button = QPushButton("Mask painted pixels")
        self.mask_button.setToolTip(
            "Put 'Mask pixels' with the painted ones at the top of the operations. Reconstructions do not "
            "look at their values."
        )
        about = QLabel(
            "Paint over shadowed or dead pixels. A layer of labels without tilts holds for all of them."
        )
        about.setWordWrap(True)
        row = QHBoxLayout()
        row.addWidget(self.paint_button)
        row.addWidget(self.layers.native, stretch=1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(about)
        layout.addLayout(row)
        layout.addWidget(self.mask_button)
        self.paint_button.clicked.connect(self._paint)
        self.mask_button.clicked.connect(self._mask)

    def _paint(self) -> None:
        source = self._source()
        if source is None:
            self.refused.emit(ParameterError("no series is checked; expected a tilt series to paint over"))
            return
        data, attributes, _ = painted_layer(source)
        layer = self._viewer.add_labels(data, **attributes)
        layer.mode = "paint"
        layer.selected_label = _PAINTED
        self.layers.value = layer

    def _mask(self) -> None:
        labels = self.layers.value
        try:
            if labels is None:
                raise ParameterError(
                    "found no layer of labels; expected one with painted pixels: paint first"
                )
            self.accepted.emit(operations_of(labels, self._checked()))
        except ChemTomoError as error:
            self.refused.emit(error)
