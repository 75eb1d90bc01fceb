"""Shifts between pairs of images by cross-correlation, and one shift per image from all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["band_pass", "correlation_shift", "shifts_from_pairs", "spectrum"]

# Around its highest pixel the correlation is evaluated on a finer grid; a parabola then finds the maximum.
_SAMPLES_PER_PX = 8
_FINE_RANGE_PX = 1.25
_REWEIGHTINGS = 30

_Spectrum = npt.NDArray[np.complex64]
_Floats = npt.NDArray[np.float64]


def band_pass(shape: tuple[int, int], longest_px: float, shortest_px: float) -> npt.NDArray[np.float32]:
    """Return a filter for `spectrum` that fades out below and above a range of wavelengths.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of the images.
    longest_px, shortest_px : float
        Wavelengths in pixels at which it is at about 0.4 and 0.6; infinite and 0 for no limit.
    """
    square = np.fft.fftfreq(shape[0])[:, np.newaxis] ** 2 + np.fft.rfftfreq(shape[1]) ** 2
    passed = np.exp(-square * shortest_px**2 / 2) if shortest_px > 0 else np.ones_like(square)
    if np.isfinite(longest_px):
        passed *= 1 - np.exp(-square * longest_px**2 / 2)
    passed[0, 0] = 0
    return passed.astype(np.float32)


def spectrum(image: npt.NDArray[np.float32]) -> _Spectrum:
    """Return the real Fourier transform of an image."""
    from scipy import fft

    transformed: _Spectrum = fft.rfft2(image).astype(np.complex64, copy=False)
    return transformed


def correlation_shift(
    first: _Spectrum,
    second: _Spectrum,
    shape: tuple[int, int],
    weights: npt.NDArray[np.float32],
    *,
    whitening: float = 1.0,
    max_shift_px: float | None = None,
) -> tuple[float, float]:
    """Return by how much the second image is shifted against the first, ``(dy, dx)``.

    What is at ``p`` in the first image is at ``p + d`` in the second: the highest point of
    ``c(d) = sum_p first(p) second(p + d)``, with both filtered by `weights`.

    Parameters
    ----------
    first, second : numpy.ndarray
        Their transforms by `spectrum`.
    shape : (int, int)
        Rows and columns of the images.
    weights : numpy.ndarray
        Filter of the products, from `band_pass`.
    whitening : float
        1, phase correlation: all wavelengths count alike, whatever their strength. 0, plain correlation.
    max_shift_px : float, optional
        No larger shift is looked for, along ``y`` and along ``x``; half the image by default.
    """
    from scipy import fft

    cross = np.conj(first) * second
    if whitening:
        size = np.abs(cross)
        cross /= np.maximum(size, 1e-6 * size.max() + np.finfo(np.float32).tiny) ** np.float32(whitening)
    cross *= weights
    correlation = fft.irfft2(cross, s=shape)
    if max_shift_px is not None:
        for axis, extent in enumerate(shape):
            far = np.abs(np.fft.fftfreq(extent, 1 / extent)) > max_shift_px
            correlation[far if axis == 0 else (slice(None), far)] = -np.inf
    peak = np.unravel_index(int(correlation.argmax()), shape)
    whole = [
        int(at) - extent if at > extent // 2 else int(at) for at, extent in zip(peak, shape, strict=True)
    ]
    return _finer_peak(cross, shape, whole)


def _finer_peak(cross: _Spectrum, shape: tuple[int, int], whole: Sequence[int]) -> tuple[float, float]:
    steps = (
        np.arange(-round(_FINE_RANGE_PX * _SAMPLES_PER_PX), round(_FINE_RANGE_PX * _SAMPLES_PER_PX) + 1)
        / _SAMPLES_PER_PX
    )
    fy = np.fft.fftfreq(shape[0])
    fx = np.fft.rfftfreq(shape[1])
    # The other half of a real spectrum is the mirror of this one.
    twice = np.where((fx == 0) | (fx == 0.5), 1.0, 2.0)
    down = np.exp(2j * np.pi * np.outer(whole[0] + steps, fy)).astype(np.complex64)
    right = (twice[:, np.newaxis] * np.exp(2j * np.pi * np.outer(fx, whole[1] + steps))).astype(np.complex64)
    fine = (down @ cross @ right).real
    i, j = np.unravel_index(int(fine.argmax()), fine.shape)
    i, j = (min(max(int(at), 1), fine.shape[0] - 2) for at in (i, j))
    dy = steps[i] + _parabola(fine[i - 1 : i + 2, j]) / _SAMPLES_PER_PX
    dx = steps[j] + _parabola(fine[i, j - 1 : j + 2]) / _SAMPLES_PER_PX
    return whole[0] + float(dy), whole[1] + float(dx)


def _parabola(three: npt.NDArray[np.floating]) -> float:
    """Return where the parabola through three neighbours has its top, at most one step away."""
    before, at, after = (float(one) for one in three)
    curvature = before - 2 * at + after
    if curvature >= 0:
        return 0.0
    return float(np.clip(0.5 * (before - after) / curvature, -1, 1))


def shifts_from_pairs(
    pairs: Sequence[tuple[int, int]], between: _Floats, weights: _Floats, count: int, reference: int
) -> tuple[_Floats, _Floats]:
    """Find one shift per image that agrees best with the shifts measured between pairs, robustly.

    Minimises ``sum w |s_j - s_i - d_ij|`` (by weighted least squares, in turns), ``s`` of the reference
    being zero. A pair that disagrees with all others has little influence.

    Parameters
    ----------
    pairs : sequence of (int, int)
        Images ``i, j``. They connect all images that have a shift to the reference.
    between : numpy.ndarray, shape (pair, 2)
        The measured shifts ``d_ij``.
    weights : numpy.ndarray, shape (pair,)
        How much a pair counts.
    count, reference : int
        Number of images, and the one that is not shifted.

    Returns
    -------
    shifts : numpy.ndarray, shape (count, 2)
        NaN for images that are in no pair.
    residual : numpy.ndarray, shape (count,)
        Root mean square of the disagreement of the pairs of an image, in pixels; NaN likewise.
    """
    shifts = np.full((count, 2), np.nan)
    residual = np.full(count, np.nan)
    shifts[reference] = 0
    if not len(pairs):
        return shifts, residual
    i, j = np.array(pairs).T
    used = np.unique(np.concatenate([i, j, [reference]]))
    number = np.full(count, -1)
    number[used] = np.arange(used.size)
    rows = np.arange(i.size)
    design = np.zeros((i.size, used.size))
    design[rows, number[j]] = 1
    design[rows, number[i]] -= 1
    free = used != reference
    strength = weights.astype(np.float64)
    solution = np.zeros((used.size, 2))
    for _ in range(_REWEIGHTINGS):
        root = np.sqrt(strength)[:, np.newaxis]
        solution[free] = np.linalg.lstsq(root * design[:, free], root * between, rcond=None)[0]
        off = np.linalg.norm(design @ solution - between, axis=1)
        scale = max(1.4826 * float(np.median(off)), 1e-3)
        strength = weights / np.maximum(1.0, off / (1.5 * scale))
    shifts[used] = solution
    # By weights: an outlier that was overruled is no residual of the images that it compared.
    for image in used:
        mine = (i == image) | (j == image)
        if mine.any():
            residual[image] = np.sqrt(np.average(off[mine] ** 2, weights=strength[mine]))
    return shifts, residual
