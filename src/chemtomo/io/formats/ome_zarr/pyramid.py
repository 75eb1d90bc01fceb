"""Smaller copies of an image, which viewers show while the whole is large or far away."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

__all__ = ["halve", "level_count", "levels_of"]

_SMALLEST = 96


def level_count(shape: tuple[int, ...]) -> int:
    """Return how many levels an image has, the first, of full resolution, included.

    Every level has half the pixels of the one before along every axis. The last is at least 96 pixels
    long: in 3D napari shows the last, which shall still be worth looking at.

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
    """Return the local mean over two pixels along every axis, and over one where an odd axis ends.

    Counts become mean counts too, not sums, so that one contrast shows all levels. The mean of whole
    numbers is rounded to a whole number. The data type stays.
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
