"""Filtered back-projection of a few rows, in a fraction of a second."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector

if TYPE_CHECKING:
    from scipy import sparse

__all__ = ["back_project", "filter_sinograms"]

_CACHED_PROJECTORS = 2

_Stack = npt.NDArray[np.float32]


def filter_sinograms(sinograms: _Stack, tilts_deg: npt.NDArray[np.float64], offset_px: float = 0.0) -> _Stack:
    """Filter sinograms for back-projection: a ramp with a Hann window, weighted by the angle per tilt.

    A tilt counts by the angle between its neighbours, so that uneven increments do no harm.

    Parameters
    ----------
    sinograms : numpy.ndarray, shape (row, tilt, x)
        Rows of aligned projections.
    tilts_deg : numpy.ndarray, shape (tilt,)
        Tilts in degrees.
    offset_px : float
        What is at ``x + offset`` is moved to ``x``. The shift is made in Fourier space: interpolation
        would blur half a pixel more than a whole one.
    """
    from scipy import fft

    width = sinograms.shape[-1]
    size = fft.next_fast_len(2 * width, real=True)
    frequency = np.fft.rfftfreq(size)
    # The ramp of a kernel that is sampled in space: no offset, unlike |f| itself (Kak and Slaney, 3.3.3).
    distance = np.minimum(np.arange(size), size - np.arange(size)).astype(np.float64)
    kernel = np.where(distance % 2 == 1, -1 / np.maximum(np.pi * distance, 1.0) ** 2, 0.0)
    kernel[0] = 0.25
    ramp = fft.rfft(kernel).real * (0.5 + 0.5 * np.cos(2 * np.pi * frequency))
    moved = ramp * np.exp(2j * np.pi * frequency * offset_px)
    spectra = fft.rfft(sinograms, size, axis=-1) * moved.astype(np.complex64)
    weights = np.deg2rad(_tilt_spans_deg(tilts_deg))[:, np.newaxis]
    result: _Stack = (fft.irfft(spectra, size, axis=-1)[..., :width] * weights).astype(np.float32)
    return result


def _tilt_spans_deg(tilts_deg: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the angle that each tilt stands for, in degrees."""
    if tilts_deg.size < 2:
        return np.full(tilts_deg.size, 180.0)
    order = np.argsort(tilts_deg, kind="stable")
    steps = np.empty(tilts_deg.size)
    steps[order] = np.gradient(tilts_deg[order])
    return np.clip(steps, 0.0, 3 * max(float(np.median(steps)), 1e-3))


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
