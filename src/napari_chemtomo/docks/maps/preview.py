"""The map of one line at the tilt in view, while its windows are chosen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, Signal

from chemtomo.data import SpectrumSeries
from chemtomo.errors import ChemTomoError
from chemtomo.pipeline.jobs import maps
from chemtomo.progress import finish
from chemtomo.spectra import EnergyWindow, Suggestion
from chemtomo.spectra.parameters import MapParameters
from napari_chemtomo.layers.spectra import preview_layer
from napari_chemtomo.shared.latest import Latest

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

__all__ = ["MapPreview", "MapQuestion"]


@dataclasses.dataclass(frozen=True, eq=False)
class MapQuestion:
    """Which map to show: that of a window, as it would be made together with the others."""

    layer: Image
    series: SpectrumSeries
    parameters: MapParameters
    window: EnergyWindow
    tilt: int
    others: tuple[EnergyWindow, ...] = ()
    spectrum: npt.NDArray[np.float64] | None = None
    suggestions: tuple[Suggestion, ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """What the map depends on, to be compared."""
        known = self.spectrum is not None
        given = (self.parameters, self.window, self.tilt, self.others, known, self.suggestions)
        return (id(self.series), *given)


class MapPreview(QObject):
    """A layer over that of the spectra, made anew in a thread whenever something changes.

    Parameters
    ----------
    viewer : napari.Viewer
        Where the layer appears.
    """

    failed = Signal(str)
    """Emitted with the reason when there is no preview."""

    shown = Signal(str)
    """Emitted with the name of a line when its map is there."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._layer: Image | None = None
        self._wanted: tuple[object, ...] | None = None
        self._latest = Latest(_answer, self._put, self._fail)

    def show(self, question: MapQuestion) -> None:
        """Show a map, unless it is there."""
        if question.key != self._wanted or self._layer not in self._viewer.layers:
            self._wanted = question.key
            self._latest.ask(question)

    def remove(self) -> None:
        """Show no preview."""
        self._latest.forget()
        self._wanted = None
        if self._layer is not None and self._layer in self._viewer.layers:
            self._viewer.layers.remove(self._layer)
        self._layer = None

    def _fail(self, question: MapQuestion, error: ChemTomoError) -> None:
        if question.key == self._wanted:
            self.failed.emit(str(error))

    def _put(self, question: MapQuestion, image: npt.NDArray[np.float32] | None) -> None:
        from napari.layers import Layer

        if image is None or question.layer not in self._viewer.layers or question.key != self._wanted:
            return
        data, attributes, kind = preview_layer(question.layer, question.window.line, image)
        if self._layer is None or self._layer not in self._viewer.layers:
            active = self._viewer.layers.selection.active
            self._layer = self._viewer.add_layer(Layer.create(data, attributes, kind))
            self._viewer.layers.selection.active = active
        else:
            self._layer.data = data
            for name in ("name", "contrast_limits"):
                setattr(self._layer, name, attributes[name])
        self.shown.emit(question.window.line)


def _answer(question: MapQuestion, newer: Callable[[], Any]) -> npt.NDArray[np.float32] | None:
    job = maps.preview_job(
        question.series,
        question.parameters,
        question.window,
        question.tilt,
        others=question.others,
        spectrum=question.spectrum,
        suggestions=question.suggestions,
        should_stop=lambda: newer() is not None,
    )
    return finish(job)
