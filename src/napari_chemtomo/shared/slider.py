"""Where the viewer's slider stands among the projections of a layer of four axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

__all__ = ["projection_in_view", "show_projection"]


def projection_in_view(viewer: Viewer, layer: Image) -> int:
    """Return the index of the projection at which the slider stands, or the nearest."""
    place = float(layer.world_to_data(viewer.dims.point)[0])
    return int(np.clip(round(place), 0, layer.data.shape[0] - 1))


def show_projection(viewer: Viewer, layer: Image, index: int) -> None:
    """Move the slider so that a projection is in view."""
    if viewer.dims.ndim >= 4:
        place = float(layer.translate[0]) + index * float(layer.scale[0])
        viewer.dims.set_point(viewer.dims.ndim - 4, place)
