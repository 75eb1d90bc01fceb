"""Shifts of one-dimensional profiles against their common shape."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["profile_shifts"]

_PASSES = 10
_SMOOTH_PX = 1.5

_Floats = npt.NDArray[np.float64]


def profile_shifts(
    profiles: _Floats, usable: npt.NDArray[np.bool_], start: _Floats
) -> tuple[_Floats, _Floats]:
    """Find by how much every profile is shifted against the mean of the shifted profiles.

    The slopes of the profiles are correlated, so that a constant or slowly varying background has no
    influence. Each profile is compared with the median of all, which single profiles with additional matter
    do not change. The median shift from `start` is kept at zero.

    Parameters
    ----------
    profiles : numpy.ndarray, shape (tilt, position)
        For example the mass of every slice.
    usable : numpy.ndarray of bool, shape (tilt,)
        Which ones to use.
    start : numpy.ndarray, shape (tilt,)
        Shifts to begin with.

    Returns
    -------
    shifts, residual : numpy.ndarray, shape (tilt,)
        What is at ``p`` in the common profile is at ``p + shift``. The residual is the last change.
    """
    from scipy import ndimage

    at = np.arange(profiles.shape[1], dtype=np.float64)
    totals = np.abs(profiles).sum(axis=1, keepdims=True)
    scaled = ndimage.gaussian_filter1d(profiles / np.where(totals > 0, totals, 1.0), _SMOOTH_PX, axis=1)
    slopes = np.gradient(scaled, axis=1)
    shifts, change = start.astype(np.float64).copy(), np.zeros(len(profiles))
    for _ in range(_PASSES):
        moved = np.stack([np.interp(at + shift, at, one) for one, shift in zip(slopes, shifts, strict=True)])
        common = np.median(moved[usable], axis=0)
        change = np.array(
            [_lag(common, one) if good else 0.0 for one, good in zip(moved, usable, strict=True)]
        )
        change -= np.median(change[usable])
        shifts += change
    return shifts, np.abs(change)


def _lag(common: _Floats, other: _Floats) -> float:
    """Return by how much `other` is shifted against `common`."""
    size = 2 * common.size
    correlation = np.fft.irfft(np.conj(np.fft.rfft(common, size)) * np.fft.rfft(other, size), size)
    reach = common.size // 2
    window = np.concatenate([correlation[-reach:], correlation[: reach + 1]])
    peak = int(window.argmax())
    if not window[peak] > 0:
        return 0.0
    if not 0 < peak < window.size - 1:
        return float(peak - reach)
    before, top, after = window[peak - 1 : peak + 2]
    curvature = before - 2 * top + after
    return float(peak - reach + (0.5 * (before - after) / curvature if curvature < 0 else 0.0))
