"""How layers look at first: contrast, opacity and rendering, so that channels can be told apart.

Channels are added up in their colours. One that is everywhere in the sample would hide what is in it,
and a bright grey would whiten all colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data.colours import is_structural

__all__ = ["STRUCTURAL_OPACITY", "image_opacities", "intensity_limits", "volume_appearance"]

# Values looked at, evenly taken from the data.
_SAMPLES = 500_000
_BRIGHTEST_PERCENTILE = 99.5
_FAINTEST_FRACTION = 0.02

STRUCTURAL_OPACITY = 0.3
"""Of HAADF and the like where there are elements beside it."""
_FILLING_OPACITY = 0.4
# A voxel belongs to a channel from this fraction of its upper contrast limit.
_PRESENT_FRACTION = 0.25
_SURFACE_FRACTION = 0.5


def intensity_limits(data: npt.NDArray[Any]) -> tuple[float, float]:
    """Choose contrast limits: from zero, or the darkest value, to nearly the brightest.

    The brightest are looked for among the values that are not nearly zero, so that a channel that
    is rare is not lost in its background.
    """
    values = _sample(data)
    if not values.size:
        return 0.0, 1.0
    low = min(0.0, float(values.min()))
    bright = values[values > _FAINTEST_FRACTION * max(float(values.max()), 0.0)]
    high = float(np.percentile(bright, _BRIGHTEST_PERCENTILE)) if bright.size else 0.0
    return low, high if high > low else low + 1.0


def image_opacities(names: Sequence[str]) -> list[float]:
    """Dim the signals of the whole sample (HAADF) where there are elements beside them."""
    structural = [is_structural(name) for name in names]
    dim = not all(structural)
    return [STRUCTURAL_OPACITY if dim and one else 1.0 for one in structural]


def volume_appearance(names: Sequence[str], data: npt.NDArray[np.float32]) -> list[dict[str, Any]]:
    """Choose how the channels of a volume look.

    Channels that fill the sample become a haze, and those that are rare a surface in it.

    Parameters
    ----------
    names : sequence of str
        The channels.
    data : numpy.ndarray, shape (channel, ...)
        Their values.

    Returns
    -------
    list of dict
        The attributes of an image layer, one per channel.
    """
    limits = [intensity_limits(channel) for channel in data]
    extents = np.array(
        [
            np.mean(_sample(channel) > low + _PRESENT_FRACTION * (high - low))
            for channel, (low, high) in zip(data, limits, strict=True)
        ]
    )
    filling = extents >= extents.max() / 2
    if len(names) == 1:
        opacities = [1.0]
    else:
        opacities = [
            min(opacity, _FILLING_OPACITY) if fills else opacity
            for opacity, fills in zip(image_opacities(names), filling, strict=True)
        ]
    return [
        {
            "contrast_limits": (low, high),
            "opacity": opacity,
            "rendering": "attenuated_mip" if fills else "iso",
            "iso_threshold": low + _SURFACE_FRACTION * (high - low),
        }
        for (low, high), opacity, fills in zip(limits, opacities, filling, strict=True)
    ]


def _sample(data: npt.NDArray[Any]) -> npt.NDArray[Any]:
    flat = np.asarray(data).reshape(-1)
    flat = flat[:: max(1, flat.size // _SAMPLES)]
    return flat[np.isfinite(flat)]
