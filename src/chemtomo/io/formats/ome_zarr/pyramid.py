"""Downsampled copies of an image, which viewers show while zoomed out or loading."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

__all__ = ["halve", "level_count", "levels_of"]

_SMALLEST = 96


def level_count(shape: tuple[int, ...]) -> int:
    """Return the number of levels of an image, including that of full resolution.

    Every level has half the pixels of the previous one along every axis. The last one is at least 96 pixels
    long, because napari shows it in 3D, where it has to be useful.

    Parameters
    ----------
    shape : tuple of int
        The axes that are halved.
    """
    longest, levels = max(shape), 1
    while (longest := (longest + 1) // 2) >= _SMALLEST:
        levels += 1
    return levels


def halve(image: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Average pairs of pixels along every axis; the last pixel of an odd axis has no partner.

    Counts become mean counts, not sums, so that one contrast setting suits all levels. Means of integers are
    rounded to integers. The data type is kept.
    """
    means = np.asarray(image, dtype=np.float64 if image.dtype.itemsize > 2 else np.float32)
    for axis in range(means.ndim):
        size = means.shape[axis]
        starts = np.arange(0, size, 2)
        sums = np.add.reduceat(means, starts, axis=axis)
        counts = np.minimum(2, size - starts).astype(means.dtype)
        means = sums / counts.reshape([-1 if one == axis else 1 for one in range(means.ndim)])
    if image.dtype.kind in "ui":
        means = np.rint(means)
    return means.astype(image.dtype)


def levels_of(image: npt.NDArray[np.generic], count: int) -> Iterator[npt.NDArray[np.generic]]:
    """Yield the image and its `count - 1` smaller copies."""
    for level in range(count):
        yield image
        if level + 1 < count:
            image = halve(image)
