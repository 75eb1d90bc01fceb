"""The workspace of the classical methods in NumPy: the specification."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.operators import Projector
from chemtomo.solvers.classical.problem import Bounds, ProjectionData

__all__ = ["NumpyWorkspace", "chance", "nearest_level"]

_Floats = npt.NDArray[np.float32]


class NumpyWorkspace:
    """The specification: see `Workspace`. Handles are the arrays themselves.

    Parameters
    ----------
    problem : ProjectionData
        The projections.
    """

    allocated_bytes = 0

    def __init__(self, problem: ProjectionData) -> None:
        self.problem = problem
        channels, _, slices, _ = problem.data.shape
        self._size = channels, slices
        projector = Projector(problem.geometry, channels, slices)
        self._volume_shape, self._sinogram_shape = projector.domain_shape, projector.range_shape
        self._valid = np.float32(1) if problem.valid is None else problem.valid.astype(np.float32)
        # What is at pixels that are not valid may be anything.
        self._data = problem.data if problem.valid is None else np.where(problem.valid, problem.data, 0)

    def release(self) -> None:
        """Do nothing: it is in main memory."""

    def release_all_but(self, volume: _Floats) -> None:
        """Do nothing: it is in main memory."""

    def finish(self) -> None:
        """Do nothing: all is done when a method returns."""

    def volume(self) -> _Floats:
        """Return a new volume of zeros."""
        return np.zeros(self._volume_shape, np.float32)

    def sinogram(self) -> _Floats:
        """Return a new sinogram of zeros."""
        return np.zeros(self._sinogram_shape, np.float32)

    def tilts_at(self, indices: Sequence[int]) -> Projector:
        """Choose tilts."""
        return Projector(self.problem.geometry, *self._size, indices)

    def ray_factors(self, factors: npt.NDArray[np.floating[Any]]) -> _Floats:
        """Take one factor for every ray of a slice."""
        return factors.astype(np.float32)[:, :, np.newaxis]

    def voxel_factors(self, factors: npt.NDArray[np.floating[Any]]) -> _Floats:
        """Take one factor for every voxel of a slice."""
        return factors.astype(np.float32)[:, :, np.newaxis]

    def read_volume(self, volume: _Floats) -> _Floats:
        """Return a volume."""
        return volume.copy()

    def read_slice(self, volume: _Floats, y: int) -> _Floats:
        """Return a slice of a volume."""
        return volume[:, :, y].copy()

    def read_sinogram(self, sinogram: _Floats) -> _Floats:
        """Return a sinogram."""
        return sinogram.copy()

    def write_volume(self, volume: _Floats, array: _Floats) -> None:
        """Set a volume."""
        volume[...] = array

    def write_sinogram(self, sinogram: _Floats, array: _Floats) -> None:
        """Set a sinogram."""
        sinogram[...] = array

    def project(self, volume: _Floats, sinogram: _Floats, tilts: Projector) -> None:
        """``sinogram <- T volume``."""
        tilts.forward(volume, sinogram)

    def back_project(self, sinogram: _Floats, volume: _Floats, tilts: Projector) -> None:
        """``volume <- T^T sinogram``."""
        tilts.adjoint(sinogram, volume)

    def subtract_from_data(self, sinogram: _Floats, factors: _Floats, tilts: Projector) -> None:
        """``sinogram <- factors (data - sinogram)``."""
        sinogram[...] = self._valid * factors * (self._data - sinogram)

    def scale_rays(self, sinogram: _Floats, scaled: _Floats, factors: _Floats, tilts: Projector) -> None:
        """``scaled <- factors sinogram``."""
        scaled[...] = self._valid * factors * sinogram

    def fill_rays(self, sinogram: _Floats, factors: _Floats, tilts: Projector) -> None:
        """``sinogram <- factors``."""
        sinogram[...] = self._valid * factors

    def data_over(self, sinogram: _Floats, factors: _Floats, tilts: Projector) -> None:
        """``sinogram <- factors data / (sinogram + background)``."""
        background = self.problem.background
        expected = sinogram if background is None else sinogram + background
        positive = expected > 0
        ratio = self._data / np.where(positive, expected, np.float32(1))
        sinogram[...] = np.where(positive, self._valid * factors * ratio, np.float32(0))

    def invert(self, sums: _Floats, least: npt.NDArray[np.float64], *, volume: bool = True) -> None:
        """Invert a volume or a sinogram."""
        enough = sums > least.astype(np.float32)[:, np.newaxis, np.newaxis, np.newaxis]
        sums[...] = np.where(enough, 1 / np.where(enough, sums, np.float32(1)), np.float32(0))

    def add(self, volume: _Floats, change: _Floats, factors: _Floats, step: float, bounds: Bounds) -> None:
        """``volume <- volume + step factors change``."""
        volume[...] = bounds.clip(volume + np.float32(step) * factors * change)

    def multiply(self, volume: _Floats, change: _Floats, factors: _Floats, bounds: Bounds) -> None:
        """``volume <- volume factors change``."""
        volume[...] = np.where(factors > 0, bounds.clip(volume * factors * change), volume)

    def combine(
        self,
        x: _Floats,
        y: _Floats,
        a: npt.NDArray[np.float64],
        b: npt.NDArray[np.float64],
        *,
        volume: bool,
    ) -> None:
        """``y <- a x + b y``."""
        own = (slice(None), np.newaxis, slice(None), np.newaxis)
        y[...] = a.astype(np.float32)[own] * x + b.astype(np.float32)[own] * y

    def dot(self, x: _Floats, y: _Floats, *, volume: bool) -> npt.NDArray[np.float64]:
        """Return the inner products, shape (channel, slice)."""
        products: npt.NDArray[np.float64] = np.einsum("cayb,cayb->cy", x, y, dtype=np.float64)
        return products

    def segment(self, volume: _Floats, segmented: _Floats, levels: npt.NDArray[np.float32]) -> None:
        """Set every voxel of `segmented` to the nearest of its channel's levels."""
        segmented[...] = nearest_level(volume, levels)

    def choose_free(self, segmented: _Floats, free: _Floats, share: float, seed: int, first: int) -> None:
        """``free <- 1`` at edges and at a random share."""
        free[...] = chance(self._volume_shape[1:], seed, first) < np.float32(share)
        for neighbour in _around(segmented):
            free[neighbour != segmented] = 1

    def replace(self, volume: _Floats, other: _Floats, mask: _Floats) -> None:
        """``volume <- other`` where the mask is 0."""
        volume[...] = np.where(mask != 0, volume, other)

    def smooth(self, volume: _Floats, smoothed: _Floats, mask: _Floats, weight: float) -> None:
        """``smoothed <- volume``, and where the mask is not 0 partly the mean of the voxels around it."""
        around = np.zeros_like(volume)
        for neighbour in _around(volume):
            around += neighbour
        mixed = np.float32(1 - weight) * volume + np.float32(weight / 8) * around
        smoothed[...] = np.where(mask != 0, mixed, volume)


def nearest_level(image: _Floats, levels: npt.NDArray[np.float32]) -> _Floats:
    """Return the nearest of rising levels (channel, level) for every value of (channel, ...)."""
    result = np.empty_like(image)
    for one, own, target in zip(image, levels, result, strict=True):
        target[...] = own[0]
        for below, level in itertools.pairwise(own):
            target[one > np.float32(0.5) * (below + level)] = level
    return result


def chance(shape: tuple[int, ...], seed: int, first: int) -> npt.NDArray[np.float32]:
    """Return pseudo-random numbers from 0 to 1 that depend on the place and the seed alone.

    So slabs, channels and devices make no difference. The numbers are the place, hashed by the finaliser of
    MurmurHash3 (Appleby 2016).

    Parameters
    ----------
    shape : (int, int, int)
        Voxels (z, y, x).
    seed : int
        Of 32 bits.
    first : int
        Number ``y`` of the first slice.
    """
    z, y, x = (np.arange(size, dtype=np.uint32) for size in shape)
    y = y + np.uint32(first)
    number = np.full(shape, np.uint32(seed))
    for place in (z[:, None, None], y[:, None], x):
        number = number ^ place
        number = (number ^ (number >> np.uint32(16))) * np.uint32(0x85EBCA6B)
        number = (number ^ (number >> np.uint32(13))) * np.uint32(0xC2B2AE35)
        number = number ^ (number >> np.uint32(16))
    return (number >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def _around(volume: _Floats) -> Iterator[_Floats]:
    """Yield the eight neighbours of all voxels (channel, z, y, x) in their slices; the edge continues."""
    padded = np.pad(volume, ((0, 0), (1, 1), (0, 0), (1, 1)), mode="edge")
    height, width = volume.shape[1], volume.shape[3]
    for z, x in itertools.product(range(3), range(3)):
        if (z, x) != (1, 1):
            yield padded[:, z : z + height, :, x : x + width]
