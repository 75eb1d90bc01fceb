"""What the viewer shows of a run: its slices while it goes on, its volume afterwards."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from chemtomo.pipeline import ReconstructParameters
from chemtomo.pipeline.jobs.reconstruct import Result
from chemtomo.pipeline.preview import FACTOR, binned_range
from napari_chemtomo.layers.metadata import channel_name
from napari_chemtomo.layers.volume import slice_layers, volume_layers

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

    def restore(self) -> None:
        """Show the inputs again, and turn the viewer back unless the user has turned it since."""
        dims = self._viewer.dims
        if (dims.ndisplay, dims.order) == (2, self._turned) and len(self._before[1]) == dims.ndim:
            dims.ndisplay, dims.order = self._before
            self._viewer.fit_to_view()
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
        self._colours = {channel_name(layer): layer.colormap for layer in inputs}
        self._frame = _Frame.of(series, parameters)
        self._layers: list[Image] = []

    def slice_in_view(self) -> int:
        """Return the slice of the volume at which the viewer's slider ``y`` stands, or the nearest one."""
        return self._frame.slice_at(self._viewer.dims.point[-2])

    def show_slice(self, y: int, image: npt.NDArray[np.float32]) -> None:
        """Show the slice `y` of the volume that is being made, shape (channel, z, x)."""
        origin = self._frame.origin_of(y, image.shape[1], image.shape[2])
        tuples = slice_layers(list(self._colours), image, origin, self._frame.voxel_nm, self._colours)
        if not self._layers:
            self._layers = _add(self._viewer, tuples)
            self._viewer.dims.set_point(self._viewer.dims.ndim - 2, self._frame.voxel_nm * origin[1])
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


@dataclasses.dataclass(frozen=True)
class _Frame:
    """Where the slices of a volume that is being made lie in the sample.

    Lengths and indices are in voxels of that volume, which a preview makes larger.
    """

    voxel_nm: float
    shift: float
    """Index of the first voxel's centre, where 0 is that of the first pixel of the series."""
    slices: tuple[int, int]
    columns: int
    axis: float
    crop_start: int | None

    @classmethod
    def of(cls, series: TiltSeries, parameters: ReconstructParameters) -> _Frame:
        _, rows, columns = series.shape
        factor = FACTOR if parameters.preview else 1
        start, stop = parameters.slices or (0, rows)
        slices = (start, min(stop, rows))
        crop = parameters.crop if isinstance(parameters.crop, tuple) else None
        if parameters.preview:
            slices = binned_range(slices, rows)
            crop = None if crop is None else binned_range(crop, columns)
        return cls(
            voxel_nm=series.pixel_size_nm * factor,
            shift=(factor - 1) / (2 * factor),
            slices=slices,
            columns=columns // factor,
            axis=(series.axis_position - (factor - 1) / 2) / factor,
            crop_start=None if crop is None else crop[0],
        )

    def slice_at(self, y_nm: float) -> int:
        """Return the slice at a place, or the nearest one."""
        start, stop = self.slices
        return int(np.clip(round(y_nm / self.voxel_nm - self.shift), start, stop - 1)) - start

    def origin_of(self, y: int, depth: int, width: int) -> tuple[float, float, float]:
        """Return the index ``(z, y, x)`` of the first voxel of a slice of that size."""
        if self.crop_start is not None and width < self.columns:
            x = self.crop_start
        else:
            x = int(np.clip(round(self.axis - (width - 1) / 2), 0, self.columns - width))
        z = (self.columns - depth) / 2
        return z + self.shift, self.slices[0] + y + self.shift, x + self.shift


def hide(layers: Sequence[Layer]) -> None:
    """Close the eye of layers, without touching their data."""
    for layer in layers:
        layer.visible = False


def _add(viewer: Viewer, tuples: Sequence[LayerDataTuple]) -> list[Any]:
    return [viewer.add_image(data, **attributes) for data, attributes, _ in tuples]
