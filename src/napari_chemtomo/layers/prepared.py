"""Layers of prepared tilt series, and of the preview of one projection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import Dataset
from napari_chemtomo.layers.metadata import METADATA_KEY, PREPARED_SUFFIX, metadata_of
from napari_chemtomo.layers.tilt_series import series_layer

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Layer
    from napari.types import LayerDataTuple

__all__ = ["add_prepared", "preview_layer", "source_of"]

_PREVIEW = "preview of a prepared projection"


def preview_layer(
    image: npt.NDArray[np.float32],
    source: Image,
    pixel_size_nm: float,
    origin_nm: tuple[float, float],
    limits: tuple[float, float],
) -> LayerDataTuple:
    """Return the layer of a prepared projection, over the place in `source` that it shows.

    Parameters
    ----------
    image : numpy.ndarray, shape (y, x)
        The projection.
    source : Image
        The layer of the tilt series.
    pixel_size_nm : float
        Edge of a pixel of the image.
    origin_nm : (float, float)
        Place ``(y, x)`` of its first pixel from that of the series.
    limits : (float, float)
        Contrast limits.
    """
    _, z, y, x = (float(one) for one in source.translate)
    return (
        image[np.newaxis],
        {
            "name": f"{source.name} (preview)",
            "scale": (pixel_size_nm,) * 3,
            "translate": (z, y + origin_nm[0], x + origin_nm[1]),
            "units": ("nm", "nm", "nm"),
            "axis_labels": ("z", "y", "x"),
            "colormap": source.colormap,
            "blending": "opaque",
            "contrast_limits": limits,
            "metadata": {METADATA_KEY: {"kind": _PREVIEW, "of": source.name}},
        },
        "image",
    )


def add_prepared(viewer: Viewer, dataset: Dataset, sources: Sequence[Image]) -> list[Any]:
    """Add one layer for each prepared series, in the colour of its source, and hide the sources."""
    added = []
    for series, source in zip(dataset, sources, strict=True):
        data, attributes, _ = series_layer(series, source.colormap, source.opacity)
        attributes["name"] = series.name + PREPARED_SUFFIX
        attributes["metadata"][METADATA_KEY]["prepared_from"] = str(source.unique_id)
        # At the place of its source along the beam, or the viewer would have a slider of its own for that.
        tilt, _, y, x = attributes["translate"]
        attributes["translate"] = (tilt, float(source.translate[1]), y, x)
        added.append(viewer.add_image(data, **attributes))
    for source in sources:
        source.visible = False
    if added:
        viewer.fit_to_view()
    return added


def source_of(viewer: Viewer, layer: Layer) -> Image | None:
    """Return the layer from which a tilt series was prepared, if it was and is still there."""
    wanted = metadata_of(layer).get("prepared_from")
    return next((other for other in viewer.layers if str(other.unique_id) == wanted), None)
