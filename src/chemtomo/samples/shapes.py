"""More bodies whose projections are known exactly: a cone along the tilt axis, and clouds of soft points."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

__all__ = ["Cloud", "Cone"]

_Array = npt.NDArray[np.float64]

_FARTHEST = 5.0  # standard deviations of a soft point that are drawn


@dataclasses.dataclass(frozen=True)
class Cone:
    """A truncated cone about a line parallel to ``y``: a needle that widens to one end.

    Attributes
    ----------
    centre : (float, float, float)
        Its middle, ``(z, y, x)``.
    half_length : float
        Half its length along ``y``.
    radius : float
        Radius in the middle.
    slope : float
        By how much the radius grows a pixel along ``y``.
    density : float
        Signal of one pixel of thickness.
    """

    centre: tuple[float, float, float]
    half_length: float
    radius: float
    slope: float
    density: float = 1.0

    def reach(self, cosine: float, sine: float) -> tuple[float, float]:
        """Half the extent ``(y, s)`` of its shadow at a tilt, the same at every tilt."""
        return self.half_length, self.radius + abs(self.slope) * self.half_length

    def chord(self, y: _Array, s: _Array, cosine: float, sine: float) -> _Array:
        """Thickness along the beam: that of a circle of the radius at ``y``."""
        radius = np.maximum(self.radius + self.slope * y, 0) * (np.abs(y) <= self.half_length)
        thickness: _Array = 2 * np.sqrt(np.maximum(radius**2 - s**2, 0))
        return thickness

    def inside(self, z: _Array, y: _Array, x: _Array) -> npt.NDArray[np.bool_]:
        """Whether places relative to the centre are in the body."""
        within: npt.NDArray[np.bool_] = (z**2 + x**2 <= np.maximum(self.radius + self.slope * y, 0) ** 2) & (
            np.abs(y) <= self.half_length
        )
        return within


@dataclasses.dataclass(frozen=True, eq=False)
class Cloud:
    """Round points with Gaussian profiles: the texture of a material.

    Attributes
    ----------
    centres : numpy.ndarray, shape (point, 3)
        Where they are, ``(z, y, x)`` in pixels from the middle.
    widths : numpy.ndarray, shape (point,)
        Standard deviations in pixels.
    masses : numpy.ndarray, shape (point,)
        Signal of each, summed over a projection.
    """

    centres: _Array
    widths: _Array
    masses: _Array

    def project(
        self, tilts_deg: npt.ArrayLike, matrices: npt.NDArray[np.float64], shape: tuple[int, int]
    ) -> npt.NDArray[np.float64]:
        """Project it onto a detector that is not aligned, see `chemtomo.samples.bodies.project`.

        A round Gaussian is the product of its profiles along rows and columns, however the detector is
        turned: its integral over every pixel is exact.
        """
        from scipy.special import erf

        tilts = np.deg2rad(np.asarray(tilts_deg, dtype=np.float64))
        middle = (np.asarray(shape, dtype=np.float64) - 1) / 2
        z, y, x = self.centres.T
        result = np.zeros((tilts.size, *shape))
        for projection, tilt, matrix in zip(result, tilts, matrices, strict=True):
            aligned = np.stack([y, x * np.cos(tilt) + z * np.sin(tilt)], axis=1) + middle
            seen = aligned @ matrix[:, :2].T + matrix[:, 2]
            far = _FARTHEST * self.widths[:, np.newaxis]
            drawn = ((seen > -far) & (seen < np.asarray(shape) + far)).all(axis=1)
            profiles = []
            for axis in range(2):
                edges = np.arange(shape[axis] + 1) - 0.5
                away = (edges - seen[drawn, axis, np.newaxis]) / (2**0.5 * self.widths[drawn, np.newaxis])
                profiles.append(np.diff(erf(away), axis=1) / 2)
            projection += (profiles[0] * self.masses[drawn, np.newaxis]).T @ profiles[1]
        return result

    def density(self, edge: int, rows: int) -> npt.NDArray[np.float64]:
        """Return what it adds to every voxel, shape (edge, rows, edge), about the middle."""
        volume = np.zeros((edge, rows, edge))
        middle = (np.array([edge, rows, edge]) - 1) / 2
        for centre, width, mass in zip(self.centres + middle, self.widths, self.masses, strict=True):
            first = np.maximum(np.floor(centre - _FARTHEST * width).astype(int), 0)
            last = np.minimum(np.ceil(centre + _FARTHEST * width).astype(int) + 1, volume.shape)
            if (first >= last).any():
                continue
            parts = [
                np.exp(-((np.arange(one, two) - at) ** 2) / (2 * width**2)) / (width * (2 * np.pi) ** 0.5)
                for one, two, at in zip(first, last, centre, strict=True)
            ]
            window = tuple(slice(one, two) for one, two in zip(first, last, strict=True))
            volume[window] += mass * np.einsum("i,j,k->ijk", *parts)
        return volume
