"""Mass and centre of mass of the slices of projections, with the slices across any tilt axis."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

__all__ = ["SliceMoments", "slice_moments"]

_Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class SliceMoments:
    """What remains of projections when they are summed across the tilt axis.

    Attributes
    ----------
    mass : numpy.ndarray, shape (tilt, slice)
        Sum of the values.
    moment : numpy.ndarray, shape (tilt, slice)
        Sum of the values times their distance from the middle, across the axis, in pixels.
    along_px : numpy.ndarray, shape (slice,)
        Place of the slice along the axis, from the middle.
    pixels : numpy.ndarray, shape (slice,)
        Number of pixels that a slice sums.
    spread : numpy.ndarray, shape (slice,)
        Sum of the squared distances of these pixels: white noise of variance 1 gives the mass the variance
        `pixels`, and the moment this one.
    """

    mass: _Floats
    moment: _Floats
    along_px: _Floats
    pixels: _Floats
    spread: _Floats


def slice_moments(stack: npt.NDArray[np.float32], angle_deg: float = 0.0) -> SliceMoments:
    """Sum projections across a tilt axis that makes `angle_deg` with ``y``, towards ``x``.

    A pixel is shared between the two slices next to it, so mass is conserved exactly. Slices are one
    pixel wide and go through the middle of the image.

    Parameters
    ----------
    stack : numpy.ndarray, shape (tilt, y, x)
        Projections.
    angle_deg : float
        Angle of the axis.
    """
    count, height, width = stack.shape
    turn = np.deg2rad(angle_deg)
    y = (np.arange(height) - (height - 1) / 2)[:, np.newaxis]
    x = (np.arange(width) - (width - 1) / 2)[np.newaxis, :]
    along = (y * np.cos(turn) + x * np.sin(turn)).ravel()
    across = (x * np.cos(turn) - y * np.sin(turn)).ravel()
    slices = int(np.ceil(height * abs(np.cos(turn)) + width * abs(np.sin(turn)))) + 2
    index = along + (slices - 1) / 2
    left = np.floor(index).astype(np.int32)
    share = index - left
    pixel = np.arange(along.size, dtype=np.int32)
    rows, columns = np.concatenate([left, np.minimum(left + 1, slices - 1)]), np.concatenate([pixel, pixel])
    weights = np.concatenate([1 - share, share])
    from scipy import sparse  # slow to import

    sums = sparse.csr_array((weights, (rows, columns)), shape=(slices, along.size))
    moments = sparse.csr_array((weights * across[columns], (rows, columns)), shape=(slices, along.size))
    flat = stack.reshape(count, -1).T.astype(np.float64)
    ones = np.ones(along.size)
    return SliceMoments(
        mass=(sums @ flat).T,
        moment=(moments @ flat).T,
        along_px=np.arange(slices, dtype=np.float64) - (slices - 1) / 2,
        pixels=sums @ ones,
        spread=moments @ across,
    )
