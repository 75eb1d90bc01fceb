"""The only place where an image is interpolated."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Fill", "warp", "warp_valid"]

Fill = Literal["zero", "nearest"]

# Maps that differ from a whole-pixel shift by less than this, in pixels, anywhere, copy the values.
_EXACT = 1e-6
# A pixel is valid when at least this share of its value comes from valid pixels; the rest is rounding.
_ALL_VALID = 1 - 1e-3


def warp(
    image: npt.NDArray[Any],
    matrix: npt.NDArray[np.float64],
    *,
    shape: tuple[int, int] | None = None,
    order: Literal[1, 3] = 1,
    fill: Fill = "zero",
    conserve: bool = False,
) -> npt.NDArray[np.float32]:
    """Pull an image back through an affine map: ``out(y, x) = image(matrix @ (y, x, 1))``.

    Shifts by whole pixels copy the values. Otherwise they are interpolated, linearly by default: values
    that are not negative stay so, and shifts and rotations conserve the sum of what stays within
    the image (shifts exactly, rotations approximately).

    Parameters
    ----------
    image : numpy.ndarray, shape (y, x)
        It is not modified.
    matrix : numpy.ndarray, shape (2, 3)
        Maps a pixel of the result to its position in `image`.
    shape : (int, int), optional
        Rows and columns of the result, those of `image` by default.
    order : {1, 3}
        1, linear; 3, cubic splines: sharper, but they overshoot at edges. Not for counts.
    fill : {"zero", "nearest"}
        What is outside of the image: zeros, or the values at its edge.
    conserve : bool
        Multiply by the area that a pixel of the result covers in `image`, as counts want it when the map
        scales.

    Returns
    -------
    numpy.ndarray, shape (y, x)
        A new array in float32.
    """
    height, width = image.shape if shape is None else shape
    shift = _whole_shift(matrix, max(height, width))
    if shift is not None:
        return _shifted(image, shift, (height, width), fill)
    from scipy import ndimage  # slow to import

    warped: npt.NDArray[np.float32] = ndimage.affine_transform(
        image,
        matrix,
        output_shape=(height, width),
        output=np.float32,
        order=order,
        # 'constant' would drop the outermost half pixel, and with it mass
        mode="grid-constant" if fill == "zero" else "nearest",
    )
    if conserve:
        warped *= np.float32(abs(np.linalg.det(matrix[:, :2])))
    return warped


def warp_valid(
    valid: npt.NDArray[np.bool_], matrix: npt.NDArray[np.float64], *, shape: tuple[int, int] | None = None
) -> npt.NDArray[np.bool_]:
    """Return which pixels of `warp` are made of valid pixels only, and of none outside of the image.

    Parameters
    ----------
    valid : numpy.ndarray of bool, shape (y, x)
        It is not modified.
    matrix, shape
        As for `warp`.
    """
    part: npt.NDArray[np.bool_] = warp(valid.astype(np.float32), matrix, shape=shape) > _ALL_VALID
    return part


def _whole_shift(matrix: npt.NDArray[np.float64], extent: int) -> tuple[int, int] | None:
    if np.abs(matrix[:, :2] - np.eye(2)).max() * extent > _EXACT:
        return None
    whole = np.round(matrix[:, 2])
    if np.abs(matrix[:, 2] - whole).max() > _EXACT:
        return None
    return int(whole[0]), int(whole[1])


def _shifted(
    image: npt.NDArray[Any], shift: tuple[int, int], shape: tuple[int, int], fill: Fill
) -> npt.NDArray[np.float32]:
    rows, columns = (np.arange(size) + offset for size, offset in zip(shape, shift, strict=True))
    inside = [(index >= 0) & (index < size) for index, size in zip((rows, columns), image.shape, strict=True)]
    near = [np.clip(index, 0, size - 1) for index, size in zip((rows, columns), image.shape, strict=True)]
    copied: npt.NDArray[np.float32] = image[np.ix_(*near)].astype(np.float32)
    if fill == "zero":
        copied[~inside[0]] = 0
        copied[:, ~inside[1]] = 0
    return copied
