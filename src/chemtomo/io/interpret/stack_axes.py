"""Find the tilt axis of an image file: TIFF and OME-Zarr have no axis of that name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chemtomo.errors import NoTiltSeriesError

__all__ = ["channel_stacks"]


def channel_stacks(data: Any, axes: Sequence[str], path: Path) -> list[Any]:
    """Return one stack ``(tilt, y, x)`` per channel; an image is a stack of one.

    The tilt axis is the one besides ``y``, ``x`` and the channels that is longer than 1. Programs write
    tilts as slices (``z``), times (``t``) or pages.

    Parameters
    ----------
    data : array
        The values; NumPy or dask.
    axes : sequence of str
        Names of its axes: ``y``, ``x`` and ``c``, in upper or lower case, and any others.
    path : pathlib.Path
        For the message.

    Raises
    ------
    NoTiltSeriesError
        When ``y`` and ``x`` are not the last axes, or more than one of the others is longer than 1.
    """
    names = [axis.lower() for axis in axes]
    outer = list(range(len(names) - 2))
    long = [index for index in outer if data.shape[index] > 1 and names[index] != "c"]
    if len(names) != data.ndim or names[-2:] != ["y", "x"] or len(long) > 1:
        raise NoTiltSeriesError(
            f"{path}: found the axes {', '.join(axes)} of shape {tuple(data.shape)}; expected y and x last, "
            "and beside them and the channels only one that is longer than 1, for the tilts"
        )
    # In the order channels, tilts, axes of length 1, y, x.
    channels = [index for index in outer if names[index] == "c"]
    rest = [index for index in outer if index not in (*channels, *long)]
    ordered = data.transpose(*channels, *long, *rest, len(names) - 2, len(names) - 1)
    count = data.shape[channels[0]] if channels else 1
    tilts = data.shape[long[0]] if long else 1
    return list(ordered.reshape(count, tilts, *data.shape[-2:]))
