"""Layers of labels that are painted over a tilt series, and the pixels that they mark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from chemtomo.align import recorded_pixels
from chemtomo.errors import DataError
from chemtomo.preprocess.values.masked import MaskPixels, boxes_of
from napari_chemtomo.layers.aligned import current_alignment
from napari_chemtomo.layers.metadata import channel_name

if TYPE_CHECKING:
    from napari.layers import Image, Labels
    from napari.types import LayerDataTuple

__all__ = ["operations_of", "painted_layer", "painted_pixels"]


def painted_layer(source: Image) -> LayerDataTuple:
    """Return an empty layer of labels over a tilt series, to paint on."""
    return (
        np.zeros(source.data.shape, dtype=np.uint8),
        {
            "name": f"{source.name} (left out)",
            "scale": source.scale,
            "translate": source.translate,
            "units": source.units,
            "axis_labels": source.axis_labels,
        },
        "labels",
    )


def operations_of(labels: Labels, sources: Sequence[Image]) -> list[MaskPixels]:
    """Return the operations that leave out what is painted over tilt series.

    It is one for all series where these are the same pixels in all.

    Parameters
    ----------
    labels : Labels
        Any layer of labels.
    sources : sequence of Image
        The tilt series.

    Raises
    ------
    DataError
        When nothing is painted over any of them.
    """
    channels: dict[str, list[str]] = {}
    for source in sources:
        channels.setdefault(boxes_of(painted_pixels(labels, source)), []).append(channel_name(source))
    painted = {boxes: names for boxes, names in channels.items() if boxes}
    if not painted:
        over = ", ".join(repr(source.name) for source in sources) or "any checked series"
        raise DataError(f"layer {labels.name!r}: nothing is painted over {over}; expected painted pixels")
    if len(channels) == 1:
        return [MaskPixels(pixels=boxes) for boxes in painted]
    return [MaskPixels(pixels=boxes, channels=tuple(names)) for boxes, names in painted.items()]


def painted_pixels(labels: Labels, source: Image) -> npt.NDArray[np.bool_]:
    """Return which pixels of a tilt series, as recorded, lie under painted ones.

    What was painted over an aligned series goes back to the recorded projections. A layer of fewer axes holds
    for every place along those that it lacks; the place along the beam does not matter.

    Parameters
    ----------
    labels : Labels
        Any layer of labels.
    source : Image
        The tilt series.

    Returns
    -------
    numpy.ndarray of bool, shape (tilt, y, x)
    """
    painted = np.asarray(labels.data) != 0
    missing = source.ndim - painted.ndim
    # Without an axis there is one pixel along it, which is everywhere.
    painted = painted.reshape((1,) * missing + painted.shape).any(axis=1, keepdims=True)
    for axis in (0, 2, 3):
        if axis < missing:
            continue
        world = source.translate[axis] + source.scale[axis] * np.arange(source.data.shape[axis])
        at = np.round((world - labels.translate[axis - missing]) / labels.scale[axis - missing]).astype(int)
        inside = (at >= 0) & (at < painted.shape[axis])
        shape = tuple(-1 if one == axis else 1 for one in range(painted.ndim))
        painted = painted.take(np.clip(at, 0, painted.shape[axis] - 1), axis=axis) & inside.reshape(shape)
    tilts, _, rows, columns = source.data.shape
    invalid = np.array(np.broadcast_to(painted[:, 0], (tilts, rows, columns)))
    alignment = current_alignment(source)
    return invalid if alignment is None else recorded_pixels(invalid, alignment)
