"""What the viewer shows of a run: its slices while it goes on, its volume afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chemtomo.pipeline.jobs.reconstruct import Result
from napari_chemtomo.docks.reconstruct.task import Update
from napari_chemtomo.layers.metadata import channel_name
from napari_chemtomo.layers.volume import slice_layers, volume_layers

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Layer
    from napari.types import LayerDataTuple

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

    def restore(self) -> None:
        """Show the inputs again, and turn the viewer back unless the user has turned it since."""
        dims = self._viewer.dims
        if (dims.ndisplay, dims.order) == (2, self._turned) and len(self._before[1]) == dims.ndim:
            dims.ndisplay, dims.order = self._before
            self._viewer.fit_to_view()
        for layer in self._hidden:
            layer.visible = True


class ResultLayers:
    """The layers of a result, one per channel: a slice at first, and in the end the volume.

    Parameters
    ----------
    viewer : napari.Viewer
        Where the layers appear.
    inputs : sequence of napari layers
        The tilt series; the result takes their colours.
    """

    def __init__(self, viewer: Viewer, inputs: Sequence[Layer]) -> None:
        self._viewer = viewer
        self._colours = {channel_name(layer): layer.colormap for layer in inputs}
        self._layers: list[Image] = []

    def show_slice(self, update: Update) -> None:
        """Show the slice that an update brings, at its place in the volume that is being made."""
        assert update.image is not None
        voxel = update.voxel_size_nm
        tuples = slice_layers(list(self._colours), update.image, update.origin_px, voxel, self._colours)
        if not self._layers:
            self._layers = _add(self._viewer, tuples)
            self._viewer.dims.set_point(self._viewer.dims.ndim - 2, voxel * update.origin_px[1])
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


def hide(layers: Sequence[Layer]) -> None:
    """Close the eye of layers, without touching their data."""
    for layer in layers:
        layer.visible = False


def _add(viewer: Viewer, tuples: Sequence[LayerDataTuple]) -> list[Any]:
    return [viewer.add_image(data, **attributes) for data, attributes, _ in tuples]
