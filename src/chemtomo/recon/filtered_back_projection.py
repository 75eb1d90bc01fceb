"""Filtered back-projection of a few rows, in a fraction of a second."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector

if TYPE_CHECKING:
    from scipy import sparse

__all__ = ["Window", "back_project", "filter_sinograms"]

_CACHED_PROJECTORS = 2

Window = Literal["ramp", "shepp-logan", "cosine", "hamming", "hann"]

# Of the frequency in cycles per pixel, up to a half.
_WINDOWS: dict[str, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    "ramp": np.ones_like,
    "shepp-logan": np.sinc,
    "cosine": lambda frequency: np.cos(np.pi * frequency),
    "hamming": lambda frequency: 0.54 + 0.46 * np.cos(2 * np.pi * frequency),
    "hann": lambda frequency: 0.5 + 0.5 * np.cos(2 * np.pi * frequency),
}

_Stack = npt.NDArray[np.float32]


def filter_sinograms(
    sinograms: _Stack,
    tilts_deg: npt.NDArray[np.float64],
    offset_px: float = 0.0,
    window: Window = "hann",
) -> _Stack:
    """Filter sinograms for back-projection: a ramp with a window, weighted by the angle per tilt.

    A tilt counts by the angle between its neighbours, so that uneven increments do no harm. Together they
    count for 180 degrees at most.

    Parameters
    ----------
    sinograms : numpy.ndarray, shape (row, tilt, x)
        Rows of aligned projections.
    tilts_deg : numpy.ndarray, shape (tilt,)
        Tilts in degrees.
    offset_px : float
        What is at ``x + offset`` is moved to ``x``. The shift is made in Fourier space: interpolation
        would blur half a pixel more than a whole one.
    window : {"ramp", "shepp-logan", "cosine", "hamming", "hann"}
        Factor on the ramp, which falls towards the highest frequency; ``ramp`` for none.
    """
    from scipy import fft

    width = sinograms.shape[-1]
    size = fft.next_fast_len(2 * width, real=True)
    frequency = np.fft.rfftfreq(size)
    # The ramp of a kernel that is sampled in space: no offset, unlike |f| itself (Kak and Slaney, 3.3.3).
    distance = np.minimum(np.arange(size), size - np.arange(size)).astype(np.float64)
    kernel = np.where(distance % 2 == 1, -1 / np.maximum(np.pi * distance, 1.0) ** 2, 0.0)
    kernel[0] = 0.25
    ramp = fft.rfft(kernel).real * _WINDOWS[window](frequency)
    moved = ramp * np.exp(2j * np.pi * frequency * offset_px)
    spectra = fft.rfft(sinograms, size, axis=-1) * moved.astype(np.complex64)
    weights = np.deg2rad(_tilt_spans_deg(tilts_deg))[:, np.newaxis]
    result: _Stack = (fft.irfft(spectra, size, axis=-1)[..., :width] * weights).astype(np.float32)
    return result


def _tilt_spans_deg(tilts_deg: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the angular range that each tilt represents, in degrees."""
    if tilts_deg.size < 2:
        return np.full(tilts_deg.size, 180.0)
    order = np.argsort(tilts_deg, kind="stable")
    steps = np.empty(tilts_deg.size)
    steps[order] = np.gradient(tilts_deg[order])
    spans = np.clip(steps, 0.0, 3 * max(float(np.median(steps)), 1e-3))
    return spans * min(1.0, 180.0 / max(float(spans.sum()), 1e-3))


def back_project(sinograms: _Stack, tilts_deg: npt.NDArray[np.float64]) -> _Stack:
    """Back-project filtered sinograms (row, tilt, x) about the middle of the detector, shape (row, z, x)."""
    rows, _, width = sinograms.shape
    weights = _back_projector(tuple(float(one) for one in tilts_deg), width)
    columns = sinograms.reshape(rows, -1).T
    slices: _Stack = np.ascontiguousarray((weights @ columns).T).reshape(rows, width, width)
    return slices


@functools.lru_cache(maxsize=_CACHED_PROJECTORS)
def _back_projector(tilts_deg: tuple[float, ...], width: int) -> sparse.csr_array:
    projector = Projector(ParallelBeam(tilts_deg, width, (width, width)), 1, 1)
    transposed: sparse.csr_array = projector.matrix.astype(np.float32).T.tocsr()
    return transposed
