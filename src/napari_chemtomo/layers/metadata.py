"""What a layer of ours says of itself, in its metadata, name, scale and units.

What a layer cannot say by its data, name, scale and units is in ``layer.metadata["chemtomo"]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from chemtomo.data import to_nanometre
from chemtomo.errors import DataError

if TYPE_CHECKING:
    from napari.layers import Layer

__all__ = [
    "ALIGNED_SUFFIX",
    "METADATA_KEY",
    "PREPARED_SUFFIX",
    "SAMPLE_AXES",
    "SAMPLE_UNITS",
    "TILT_SERIES",
    "VOLUME",
    "channel_name",
    "is_stack",
    "is_tilt_series",
    "is_volume",
    "metadata_of",
    "pixel_size_nm",
]

METADATA_KEY = "chemtomo"

PREPARED_SUFFIX = " (prepared)"
"""Ends the name of a prepared layer; the channel has the name without it."""

ALIGNED_SUFFIX = " (aligned)"
"""Ends the name of an aligned layer; the channel has the name without it."""

TILT_SERIES = "tilt series"
VOLUME = "volume"
"""Kinds of layers, in their metadata."""

SAMPLE_AXES = ("z", "y", "x")
SAMPLE_UNITS = ("nm", "nm", "nm")


def metadata_of(layer: Layer) -> dict[str, Any]:
    """Return what we keep in the metadata of a layer; nothing for a layer that is none of ours."""
    kept = layer.metadata.get(METADATA_KEY)
    return kept if isinstance(kept, dict) else {}


def is_tilt_series(layer: Layer) -> bool:
    """Tell whether a layer is a tilt series with its tilts."""
    return metadata_of(layer).get("kind") == TILT_SERIES


def is_volume(layer: Layer) -> bool:
    """Tell whether a layer is a channel of a reconstructed volume."""
    return metadata_of(layer).get("kind") == VOLUME


def is_stack(layer: Layer) -> bool:
    """Tell whether a layer is a plain stack of images, which becomes a tilt series with its tilts."""
    from napari.layers import Image

    return (
        isinstance(layer, Image)
        and not metadata_of(layer)
        and not layer.multiscale
        and not layer.rgb
        and len(layer.data.shape) == 3
    )


def channel_name(layer: Layer) -> str:
    """Return the name of a layer without what prepared and aligned layers have at its end."""
    if not is_tilt_series(layer):
        return str(layer.name)
    return str(layer.name).partition(ALIGNED_SUFFIX)[0].partition(PREPARED_SUFFIX)[0]


def pixel_size_nm(layer: Layer) -> float:
    """Return the pixel size that the scale and units of a layer say."""
    where = f"layer {layer.name!r}"
    try:
        sizes = [
            to_nanometre(float(scale), str(unit))
            for scale, unit in zip(layer.scale[-2:], layer.units[-2:], strict=True)
        ]
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    if not np.isclose(*sizes, rtol=1e-3):
        raise DataError(f"{where}: the pixels measure {sizes[0]:g} x {sizes[1]:g} nm; expected square ones")
    return sizes[1]
