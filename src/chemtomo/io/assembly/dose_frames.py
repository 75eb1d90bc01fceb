"""Several frames of one tilt become one projection: the mean of the registered frames.

SerialEM can record every tilt as a row of short exposures, which drift apart less within themselves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["average_frames", "frame_runs", "mean_of_registered"]

_SAME_TILT_DEG = 0.02
# Shifts are estimated to a tenth of a pixel.
_UPSAMPLING = 10
_LAZY_FROM_BYTES = 512 << 20


def frame_runs(tilts_deg: npt.NDArray[np.float64]) -> list[range] | None:
    """Find the frames of every tilt: neighbours of the same tilt.

    Returns
    -------
    list of range or None
        The frames of every tilt; None when there is a tilt with a single one, because then the images
        are no frames but the projections themselves, of which two may have the same tilt.
    """
    starts = [0, *(np.flatnonzero(np.abs(np.diff(tilts_deg)) > _SAME_TILT_DEG) + 1).tolist()]
    runs = [range(*each) for each in zip(starts, [*starts[1:], tilts_deg.size], strict=True)]
    return runs if min(len(run) for run in runs) > 1 else None


def average_frames(data: Any, runs: list[range]) -> Any:
    """Return the mean of the registered frames of every tilt.

    Parameters
    ----------
    data : numpy.ndarray or dask array, shape (frame, y, x)
        All frames.
    runs : list of range
        The frames of every tilt.

    Returns
    -------
    numpy.ndarray or dask array, shape (tilt, y, x)
        float32. Lazy where the frames are, or are large.
    """
    if isinstance(data, np.ndarray) and not isinstance(data, np.memmap) and data.nbytes < _LAZY_FROM_BYTES:
        return np.stack([mean_of_registered(data[run.start : run.stop]) for run in runs])
    import dask.array
    from dask.delayed import delayed

    averages = [
        dask.array.from_delayed(
            delayed(mean_of_registered)(data[run.start : run.stop]), data.shape[1:], np.float32
        )
        for run in runs
    ]
    return dask.array.stack(averages)


def mean_of_registered(frames: Any) -> npt.NDArray[np.float32]:
    """Return the mean of frames after the drift between them was taken out.

    The shifts are estimated by cross-correlation, first with the frame in the middle and then with the
    mean of all, so that noise in one frame does not decide. A pixel at the border is the mean of
    the frames that show it.

    Parameters
    ----------
    frames : numpy.ndarray, shape (frame, y, x)
        Images of the same tilt.

    Returns
    -------
    numpy.ndarray, shape (y, x)
        float32, in the place of the frame in the middle.
    """
    stack = np.asarray(frames, dtype=np.float32)
    middle = len(stack) // 2
    shifts = _shifts(stack, stack[middle])
    shifts = _shifts(stack, _mean(stack, shifts))
    return _mean(stack, shifts - shifts[middle])


def _shifts(stack: npt.NDArray[np.float32], reference: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the shift (y, x) that puts every frame on the reference, in pixels."""
    from skimage.registration import phase_cross_correlation

    if not np.ptp(reference):
        return np.zeros((len(stack), 2))
    return np.array(
        [
            phase_cross_correlation(reference, frame, upsample_factor=_UPSAMPLING, normalization=None)[0]
            if np.ptp(frame)
            else (0.0, 0.0)
            for frame in stack
        ]
    )


def _mean(stack: npt.NDArray[np.float32], shifts: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    from chemtomo.geometry.affine import translation
    from chemtomo.geometry.resample import warp

    total = np.zeros(stack.shape[1:], np.float64)
    seen = np.zeros(stack.shape[1:], np.float64)
    for frame, shift in zip(stack, shifts, strict=True):
        if not shift.any():
            total += frame
            seen += 1
            continue
        # Both are interpolated alike, so that the border keeps the mean of what was seen there.
        (place,) = translation(-shift[0], -shift[1])
        total += warp(frame, place)
        seen += warp(np.ones_like(frame), place)
    return np.where(seen > 0.5, total / np.maximum(seen, 0.5), stack[len(stack) // 2]).astype(np.float32)
