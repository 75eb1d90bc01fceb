"""What the classical methods are told: projections, bounds, and the sums of the projector."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import numpy.typing as npt

from chemtomo.geometry import ParallelBeam
from chemtomo.operators import inverse_of_sums

__all__ = ["Bounds", "Needs", "ProjectionData", "inverse_sums", "per_ray"]

_Floats = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, eq=False)
class ProjectionData:
    """Projections, with what is known of each of them.

    The projections are ``f / g`` with the gain ``g`` of each: what was recorded with less gain is noisier
    after the division, so that its weight is ``g``.

    Attributes
    ----------
    geometry : ParallelBeam
        Geometry of a slice.
    data : numpy.ndarray, shape (channel, tilt, y, detector)
        The projections ``f / g``, float32.
    weights : numpy.ndarray, shape (channel, tilt)
        Weight ``g`` of every projection; 0 where a channel has none.
    valid : numpy.ndarray of bool, shape (channel, tilt, y, detector), optional
        Which pixels were measured; all by default.
    background : numpy.ndarray, shape (channel, tilt, y, detector), optional
        What is expected without a sample, ``b / g``, where it is part of the model and not subtracted.
    """

    geometry: ParallelBeam
    data: _Floats
    weights: npt.NDArray[np.float64]
    valid: npt.NDArray[np.bool_] | None = None
    background: _Floats | None = None

    def part(self, first: int, last: int) -> ProjectionData:
        """Return the slices ``first <= y < last``."""
        own = slice(first, last)
        return dataclasses.replace(
            self,
            data=self.data[:, :, own],
            valid=None if self.valid is None else self.valid[:, :, own],
            background=None if self.background is None else self.background[:, :, own],
        )


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Lowest and highest value that a voxel may have; without limit by default."""

    lowest: float = -np.inf
    highest: float = np.inf

    def clip(self, image: _Floats) -> _Floats:
        """Return the nearest image within the bounds."""
        if self == Bounds():
            return image
        return np.clip(image, np.float32(self.lowest), np.float32(self.highest))


@dataclasses.dataclass(frozen=True)
class Needs:
    """What a method keeps on a device besides the data: volumes, sinograms, and tables of one slice."""

    volumes: int
    sinograms: int
    ray_tables: int
    voxel_tables: int = 0


def inverse_sums(
    geometry: ParallelBeam, weights: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Inverse sums of the rows and columns of the projector, 0 where a sum is next to 0.

    Parameters
    ----------
    geometry : ParallelBeam
        Geometry of one slice.
    weights : numpy.ndarray, shape (channel, tilt)
        Weight of every projection; 0 where a channel has none.

    Returns
    -------
    rows : numpy.ndarray, shape (channel, tilt, detector), float32
        Weight over the sum of a row.
    columns : numpy.ndarray, shape (channel, z, x), float32
        Inverse weighted sum of a column.
    """
    return _inverse_sums(geometry, tuple(tuple(own) for own in weights.tolist()))


@functools.lru_cache(maxsize=2)
def _inverse_sums(
    geometry: ParallelBeam, weights: tuple[tuple[float, ...], ...]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    pixels = geometry.detector_pixels
    row_sums = np.zeros(geometry.sinogram_shape)
    column_sums = np.zeros((len(weights), *geometry.volume_shape))
    for tilt in range(geometry.tilts):
        s = geometry.detector_coordinate(tilt)
        left = np.floor(s).astype(np.int64)
        seen = np.zeros_like(s)
        for detector, weight in ((left, 1 - (s - left)), (left + 1, s - left)):
            on_detector = (detector >= 0) & (detector < pixels)
            row_sums[tilt] += np.bincount(detector[on_detector], weight[on_detector], pixels)
            seen += np.where(on_detector, weight, 0)
        for own, sums in zip(weights, column_sums, strict=True):
            sums += own[tilt] * seen
    rows = np.array(weights)[:, :, np.newaxis] * inverse_of_sums(row_sums)
    columns = np.stack([inverse_of_sums(sums) for sums in column_sums])
    results = rows.astype(np.float32), columns.astype(np.float32)
    for one in results:
        one.setflags(write=False)
    return results


def per_ray(per_projection: npt.NDArray[np.float64], geometry: ParallelBeam) -> npt.NDArray[np.float64]:
    """Repeat numbers (channel, tilt) for every detector pixel, shape (channel, tilt, detector)."""
    return np.repeat(per_projection[:, :, np.newaxis], geometry.detector_pixels, axis=2)
