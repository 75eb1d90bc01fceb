"""What the viewer shows of a run: its slices while it goes on, its volume afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from chemtomo.pipeline.parameters import ReconstructParameters
from chemtomo.pipeline.runner import Result
from napari_chemtomo.layers import slice_layers, volume_layers

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Layer
    from napari.types import LayerDataTuple

    from chemtomo.data import TiltSeries

__all__ = ["ResultLayers", "SliceView", "hide"]


class SliceView:
    """The viewer turned so that it shows a slice ``(z, x)`` and moves along ``y``.

    Parameters
    ----------
    viewer : napari.Viewer
        It is turned at once.
    inputs : sequence of napari layers
        The tilt series; they are hidden, as they would lie across the slice.
    """

    def __init__(self, viewer: Viewer, inputs: Sequence[Layer]) -> None:
        self._viewer = viewer
        self._before = (viewer.dims.ndisplay, viewer.dims.order)
        self._hidden = [layer for layer in inputs if layer.visible]
        hide(self._hidden)
        *others, _, y, x = range(viewer.dims.ndim)
        viewer.dims.ndisplay = 2
        viewer.dims.order = (*others, y, y - 1, x)
        self._turned = viewer.dims.order

    def restore(self, *, show_inputs: bool) -> None:
        """Turn the viewer back, unless the user has turned it since; open the inputs' eyes if asked."""
        dims = self._viewer.dims
        if (dims.ndisplay, dims.order) == (2, self._turned) and len(self._before[1]) == dims.ndim:
            dims.ndisplay, dims.order = self._before
            self._viewer.fit_to_view()
        if show_inputs:
            for layer in self._hidden:
                layer.visible = True


class ResultLayers:
    """The layers of a result, one a channel: a slice at first, and in the end the volume.

    Parameters
    ----------
    viewer : napari.Viewer
        Where the layers appear.
    series : TiltSeries
        One of the inputs, for the geometry that all share.
    inputs : sequence of napari layers
        The tilt series; the result takes their colours.
    parameters : ReconstructParameters
        For the slices and the crop.
    """

    def __init__(
        self,
        viewer: Viewer,
        series: TiltSeries,
        inputs: Sequence[Layer],
        parameters: ReconstructParameters,
    ) -> None:
        self._viewer = viewer
        self._series = series
        self._colours = {layer.name: layer.colormap for layer in inputs}
        self._crop = parameters.crop
        rows = series.shape[1]
        self._start, self._stop = parameters.slices or (0, rows)
        self._stop = min(self._stop, rows)
        self._layers: list[Image] = []

    def slice_in_view(self) -> int:
        """Return the slice of the volume at which the viewer's slider ``y`` stands, or the nearest one."""
        place = self._viewer.dims.point[-2] / self._series.pixel_size_nm
        return int(np.clip(round(place), self._start, self._stop - 1)) - self._start

    def show_slice(self, y: int, image: npt.NDArray[np.float32]) -> None:
        """Show the slice `y` of the volume that is being made, shape (channel, z, x)."""
        names = list(self._colours)
        tuples = slice_layers(
            names, image, self._origin(y, image.shape), self._series.pixel_size_nm, self._colours
        )
        if not self._layers:
            self._layers = _add(self._viewer, tuples)
            self._viewer.fit_to_view()
            return
        for layer, (data, attributes, _) in zip(self._layers, tuples, strict=True):
            if layer in self._viewer.layers:
                layer.data = data
                layer.translate = attributes["translate"]
                layer.contrast_limits = attributes["contrast_limits"]

    def finish(self, result: Result) -> list[Image]:
        """Show the volume in place of its slices, and return its layers."""
        self.discard()
        self._layers = _add(self._viewer, volume_layers(result.volume, result.report, self._colours))
        return self._layers

    def discard(self) -> None:
        """Remove the slices: there is no volume."""
        for layer in self._layers:
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        self._layers = []

    def _origin(self, y: int, shape: tuple[int, ...]) -> tuple[float, float, float]:
        """Return where a slice lies in the volume of the whole tilt series."""
        columns = self._series.shape[2]
        _, z_size, x_size = shape
        if isinstance(self._crop, tuple) and x_size < columns:
            x = self._crop[0]
        else:
            x = int(np.clip(round(self._series.axis_position - (x_size - 1) / 2), 0, columns - x_size))
        return (columns - z_size) / 2, self._start + y, x


def hide(layers: Sequence[Layer]) -> None:
    """Close the eye of layers, without touching their data."""
    for layer in layers:
        layer.visible = False


def _add(viewer: Viewer, tuples: Sequence[LayerDataTuple]) -> list[Any]:
    return [viewer.add_image(data, **attributes) for data, attributes, _ in tuples]
