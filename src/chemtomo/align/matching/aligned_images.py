"""Projections in the aligned frame, and their derivatives for shifts and rotation."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from chemtomo.align.matching.consistency import Derivatives
from chemtomo.geometry import affine
from chemtomo.geometry.resample import warp

__all__ = ["bin_images", "derivatives", "subtract_background", "warp_all", "window"]

_Real = npt.NDArray[np.float64]
_Images = npt.NDArray[np.float32]


def bin_images(images: npt.NDArray[np.float32], factor: int) -> npt.NDArray[np.float32]:
    """Return means of ``factor x factor`` pixels; a remainder at the far edges is dropped."""
    if factor == 1:
        return images
    tilts, height, width = images.shape
    rows, columns = height // factor, width // factor
    whole = images[:, : rows * factor, : columns * factor]
    means: npt.NDArray[np.float32] = whole.reshape(tilts, rows, factor, columns, factor).mean(axis=(2, 4))
    return means


def subtract_background(image: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Subtract the lowest level on which the image stays, the mode of the means of small squares."""
    edge = max(1, min(8, min(image.shape) // 16))
    squares = bin_images(image[np.newaxis].astype(np.float32), edge).ravel().astype(np.float64)
    noise = float(np.median(np.abs(np.diff(image, axis=1)))) / 0.95 / edge
    width = 4 * max(noise, 1e-6 * float(np.ptp(image)))
    level = float(np.percentile(squares, 10))
    for _ in range(30):
        near = np.abs(squares - level) <= width
        if not near.any():
            break
        change = float(squares[near].mean()) - level
        level += change
        if abs(change) < 1e-4 * width:
            break
    return (image - level).astype(np.float32)


def warp_all(images: npt.NDArray[np.float32], matrices: npt.NDArray[np.float64], factor: int) -> _Images:
    """Return the aligned projections, from the raw ones, binned afterwards."""
    with ThreadPoolExecutor() as pool:
        warped = list(
            pool.map(
                lambda pair: warp(pair[0], pair[1], order=3, fill="nearest"),
                zip(images, matrices, strict=True),
            )
        )
    return bin_images(np.stack(warped), factor)


def window(
    shape: tuple[int, int], radius: float, matrices: npt.NDArray[np.float64], raw_shape: tuple[int, int]
) -> tuple[_Real, _Real]:
    """Weights of rows and columns, 1 within and falling smoothly to 0.

    Rows that every projection has recorded are kept, and columns within the radius about the axis.
    """
    height, width = shape
    middle = affine.centre(shape)
    taper = max(3.0, 0.06 * width)
    reach = min(radius, width / 2 - taper)
    columns = _fall(np.abs(np.arange(width) - middle[1]) - reach, taper)
    rows = np.arange(height, dtype=np.float64)
    inner = 0.5 * reach
    points = np.stack([np.repeat(rows, 2), middle[1] + np.tile([-inner, inner], height)], axis=1)
    seen = affine.apply(matrices, points)[:, :, 0].reshape(len(matrices), height, 2)
    inside = ((seen >= 0) & (seen <= raw_shape[0] - 1)).all(axis=2).mean(axis=0) > 0.99
    if inside.sum() < height // 2:  # a few projections are far off: they count less than half of the sample
        inside = np.abs(rows - middle[0]) < height / 4
    first, last = np.flatnonzero(inside)[[0, -1]]
    return _fall(np.maximum(first + taper - rows, rows - last + taper), taper), columns


def _fall(beyond: _Real, taper: float) -> _Real:
    fall: _Real = 0.5 + 0.5 * np.cos(np.pi * np.clip(beyond / taper, 0, 1))
    return fall


def derivatives(images: _Images, rows: _Real, columns: _Real, cosines: _Real | None = None) -> Derivatives:
    """Return windowed images and their derivatives for shifts and for a rotation about the middle.

    The window is fixed while the images move: ``w dp = d(w p) - p dw``. Of images that were stretched along
    ``x`` by one over the cosine of the tilt, derivatives are those for shifts and turns before that.
    """
    from scipy import fft

    height, width = images.shape[1:]
    to_y = (2j * np.pi * np.fft.fftfreq(height)[:, np.newaxis]).astype(np.complex64)
    to_x = (2j * np.pi * np.fft.rfftfreq(width)).astype(np.complex64)
    y = (np.arange(height) - (height - 1) / 2)[:, np.newaxis].astype(np.float32)
    x = (np.arange(width) - (width - 1) / 2).astype(np.float32)

    def weights(along_y: _Real, along_x: _Real) -> _Images:
        return (along_y[:, np.newaxis] * along_x).astype(np.float32)

    def spectra(of: _Images) -> npt.NDArray[np.complex64]:
        transformed: npt.NDArray[np.complex64] = fft.rfft2(of, workers=2)
        return transformed

    def back(of: npt.NDArray[np.complex64]) -> _Images:
        image: _Images = fft.irfft2(of, s=(height, width), workers=2)
        return image

    slope = images * weights(rows, np.gradient(columns))
    if cosines is not None:
        one_each = cosines[:, np.newaxis, np.newaxis].astype(np.float32)
        to_x, x, slope = to_x / one_each, x * one_each, slope / one_each
    values = images * weights(rows, columns)
    spectrum = spectra(values)
    along_x = back(spectrum * to_x) - slope
    along_y = back(spectrum * to_y) - images * weights(np.gradient(rows), columns)
    turn = along_x * y - along_y * x
    spectrum_x, spectrum_turn = spectra(along_x), spectra(turn)
    turn_x, turn_y = back(spectrum_turn * to_x), back(spectrum_turn * to_y)
    second = {
        (0, 0): back(spectrum_x * to_x),
        (0, 1): back(spectrum_x * to_y),
        (1, 1): back(spectra(along_y) * to_y),
        (0, 2): turn_x,
        (1, 2): turn_y,
        (2, 2): turn_x * y - turn_y * x,
    }
    return Derivatives(values, (along_x, along_y, turn), second)
