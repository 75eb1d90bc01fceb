"""The map of one line at the tilt in view, while its windows are chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, Signal

from chemtomo.data import SpectrumSeries
from chemtomo.pipeline.jobs import maps
from chemtomo.progress import TaskProgress
from chemtomo.spectra import EnergyWindow, Suggestion
from chemtomo.spectra.parameters import MapParameters
from napari_chemtomo.layers.spectra import preview_layer
from napari_chemtomo.shared import worker
from napari_chemtomo.shared.slider import projection_in_view

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

__all__ = ["MapPreview"]


class MapPreview(QObject):
    """A layer over that of the spectra, made anew in a thread whenever something changes.

    One job runs at a time; what is asked for meanwhile is made after it, the last request only.
    """

    failed = Signal(str)
    """Emitted with the reason when there is no preview."""

    shown = Signal(str)
    """Emitted with the name of a line when its map is there."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._layer: Image | None = None
        self._task: worker.Task | None = None
        self._waiting: tuple[object, ...] | None = None
        self._made: tuple[object, ...] | None = None

    def show(
        self,
        layer: Image,
        series: SpectrumSeries,
        parameters: MapParameters,
        window: EnergyWindow,
        others: Sequence[EnergyWindow],
        spectrum: npt.NDArray[np.float64] | None,
        suggestions: Sequence[Suggestion] = (),
    ) -> None:
        """Show the map of a window at the tilt in view."""
        tilt = projection_in_view(self._viewer, layer)
        key = (id(series), parameters, window, tuple(others), tilt, spectrum is None, tuple(suggestions))
        if key == self._made and self._layer in self._viewer.layers:
            return
        request = (layer, series, parameters, window, others, spectrum, suggestions)
        if self._task is not None:
            self._waiting = request
            return
        self._made = key

        def take(image: npt.NDArray[np.float32] | None) -> None:
            if image is not None and layer in self._viewer.layers and self._made == key:
                self._put(layer, window, image)

        self._task = worker.start_task(
            lambda should_stop: maps.preview_job(
                series,
                parameters,
                window,
                tilt,
                others=others,
                spectrum=spectrum,
                suggestions=suggestions,
                should_stop=should_stop,
            ),
            on_progress=_ignore,
            on_result=take,
            on_error=lambda error: self.failed.emit(str(error)),
            on_finished=self._next,
        )

    def remove(self) -> None:
        """Show no preview."""
        self._waiting, self._made = None, None
        if self._layer is not None and self._layer in self._viewer.layers:
            self._viewer.layers.remove(self._layer)
        self._layer = None

    def _next(self) -> None:
        self._task = None
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self.show(*waiting)  # type: ignore[arg-type]

    def _put(self, source: Image, window: EnergyWindow, image: npt.NDArray[np.float32]) -> None:
        from napari.layers import Layer

        data, attributes, kind = preview_layer(source, window.line, image)
        if self._layer is None or self._layer not in self._viewer.layers:
            active = self._viewer.layers.selection.active
            self._layer = self._viewer.add_layer(Layer.create(data, attributes, kind))
            self._viewer.layers.selection.active = active
        else:
            self._layer.data = data
            for name in ("name", "contrast_limits"):
                setattr(self._layer, name, attributes[name])
        self.shown.emit(window.line)


def _ignore(progress: TaskProgress) -> None:
    """Take no note: a preview is quick."""
