"""Bodies whose projections are known exactly."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Body", "Box", "Ellipsoid", "project", "voxels"]

_Array = npt.NDArray[np.float64]


class Body(Protocol):
    """A homogeneous body; lengths are in pixels, from the middle of the field."""

    @property
    def centre(self) -> tuple[float, float, float]:
        """Where it is, ``(z, y, x)``."""

    @property
    def density(self) -> float:
        """Signal of one pixel of thickness."""

    def reach(self, cosine: float, sine: float) -> tuple[float, float]:
        """Half the extent ``(y, s)`` of its shadow at a tilt."""

    def chord(self, y: _Array, s: _Array, cosine: float, sine: float) -> _Array:
        """Thickness along the beam at points relative to the centre of the shadow."""

    def inside(self, z: _Array, y: _Array, x: _Array) -> npt.NDArray[np.bool_]:
        """Tell which points, relative to the centre, are inside the body."""


@dataclasses.dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid with half axes along ``(z, y, x)``."""

    centre: tuple[float, float, float]
    half_axes: tuple[float, float, float]
    density: float = 1.0

    def reach(self, cosine: float, sine: float) -> tuple[float, float]:
        """Half the extent ``(y, s)`` of its shadow at a tilt."""
        along_z, along_y, along_x = self.half_axes
        return along_y, float(np.hypot(along_x * cosine, along_z * sine))

    def chord(self, y: _Array, s: _Array, cosine: float, sine: float) -> _Array:
        """Thickness along the beam: ``2 (a b / w) sqrt(1 - (s / w)^2 - (y / c)^2)``, ``w`` the half width."""
        along_z, along_y, along_x = self.half_axes
        _, width = self.reach(cosine, sine)
        left = 1 - (s / width) ** 2 - (y / along_y) ** 2
        thickness: _Array = 2 * along_z * along_x / width * np.sqrt(np.maximum(left, 0))
        return thickness

    def inside(self, z: _Array, y: _Array, x: _Array) -> npt.NDArray[np.bool_]:
        """Tell which points, relative to the centre, are inside the body."""
        along_z, along_y, along_x = self.half_axes
        within: npt.NDArray[np.bool_] = (z / along_z) ** 2 + (y / along_y) ** 2 + (x / along_x) ** 2 <= 1
        return within


@dataclasses.dataclass(frozen=True)
class Box:
    """A box with half edges along ``(z, y, x)``."""

    centre: tuple[float, float, float]
    half_edges: tuple[float, float, float]
    density: float = 1.0

    def reach(self, cosine: float, sine: float) -> tuple[float, float]:
        """Half the extent ``(y, s)`` of its shadow at a tilt."""
        along_z, along_y, along_x = self.half_edges
        return along_y, abs(along_x * cosine) + abs(along_z * sine)

    def chord(self, y: _Array, s: _Array, cosine: float, sine: float) -> _Array:
        """Thickness along the beam: a trapezium across the shadow of the rectangle."""
        along_z, along_y, along_x = self.half_edges
        wide, narrow = sorted((abs(along_x * cosine), abs(along_z * sine)), reverse=True)
        # The path between two opposite faces at most; shorter where the ray enters or leaves near a corner.
        most = 2 * min(along_x / max(abs(sine), 1e-12), along_z / max(abs(cosine), 1e-12))
        ramp = (wide + narrow - np.abs(s)) / max(2 * narrow, 1e-12)
        thickness: _Array = most * np.clip(ramp, 0, 1) * (np.abs(y) <= along_y)
        return thickness

    def inside(self, z: _Array, y: _Array, x: _Array) -> npt.NDArray[np.bool_]:
        """Tell which points, relative to the centre, are inside the body."""
        along_z, along_y, along_x = self.half_edges
        within: npt.NDArray[np.bool_] = (
            (np.abs(z) <= along_z) & (np.abs(y) <= along_y) & (np.abs(x) <= along_x)
        )
        return within


def project(
    bodies: tuple[Body, ...],
    tilts_deg: npt.ArrayLike,
    matrices: npt.NDArray[np.float64],
    shape: tuple[int, int],
    samples: int = 4,
) -> npt.NDArray[np.float64]:
    """Project bodies onto a detector that is not aligned.

    Every pixel is the mean of ``samples x samples`` exact values. No image is interpolated.

    Parameters
    ----------
    bodies : tuple of Body
        What is projected; where bodies overlap their densities add up.
    tilts_deg : array_like, shape (tilt,)
        Tilts in degrees.
    matrices : numpy.ndarray, shape (tilt, 2, 3)
        From aligned to recorded pixels, ``(y, x)``, as in `chemtomo.data.Alignment`. They must not
        change lengths.
    shape : (int, int)
        Rows and columns of a projection.
    samples : int
        Exact values along each edge of a pixel.

    Returns
    -------
    numpy.ndarray, shape (tilt, y, x)
        Expected signal.
    """
    tilts = np.deg2rad(np.asarray(tilts_deg, dtype=np.float64))
    middle = (np.asarray(shape, dtype=np.float64) - 1) / 2
    result = np.zeros((tilts.size, *shape))
    for projection, tilt, matrix in zip(result, tilts, matrices, strict=True):
        cosine, sine = float(np.cos(tilt)), float(np.sin(tilt))
        to_aligned = np.linalg.inv(matrix[:, :2])
        for body in bodies:
            z, y, x = body.centre
            place = middle + np.array([y, x * cosine + z * sine])
            window = _window(matrix, place, body.reach(cosine, sine), shape)
            if window is None:
                continue
            rows, columns = (_fine(part, samples) for part in window)
            from_centre = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1) - matrix[:, 2]
            aligned = from_centre @ to_aligned.T - place
            thickness = body.chord(aligned[..., 0], aligned[..., 1], cosine, sine)
            height, width = (part.stop - part.start for part in window)
            mean = thickness.reshape(height, samples, width, samples).mean(axis=(1, 3))
            projection[window] += body.density * mean
    return result


def voxels(bodies: tuple[Body, ...], edge: int, rows: int, samples: int = 3) -> npt.NDArray[np.float64]:
    """Return the mean density of every voxel, shape (edge, rows, edge), about the middle.

    Every voxel is the mean over ``samples`` points along each edge.
    """
    volume = np.zeros((edge, rows, edge))
    middle = (np.array(volume.shape) - 1) / 2
    for body in bodies:
        half = np.array([body.reach(0.0, 1.0)[1], *body.reach(1.0, 0.0)])
        centre = np.asarray(body.centre) + middle
        first = np.maximum(np.floor(centre - half).astype(int), 0)
        last = np.minimum(np.ceil(centre + half).astype(int) + 1, volume.shape)
        if (first >= last).any():
            continue
        window = tuple(slice(int(one), int(two)) for one, two in zip(first, last, strict=True))
        z, y, x = (_fine(part, samples) - at for part, at in zip(window, centre, strict=True))
        within = body.inside(z[:, np.newaxis, np.newaxis], y[:, np.newaxis], x)
        sizes = [one for part in window for one in (part.stop - part.start, samples)]
        volume[window] += body.density * within.reshape(sizes).mean(axis=(1, 3, 5))
    return volume


def _window(
    matrix: npt.NDArray[np.float64],
    place: npt.NDArray[np.float64],
    reach: tuple[float, float],
    shape: tuple[int, int],
) -> tuple[slice, slice] | None:
    """Pixels of the recorded image on which a shadow may fall, if any."""
    centre = matrix[:, :2] @ place + matrix[:, 2]
    half = np.abs(matrix[:, :2]) @ np.asarray(reach)
    first = np.maximum(np.floor(centre - half).astype(int) - 1, 0)
    last = np.minimum(np.ceil(centre + half).astype(int) + 2, shape)
    if (first >= last).any():
        return None
    return slice(int(first[0]), int(last[0])), slice(int(first[1]), int(last[1]))


def _fine(part: slice, samples: int) -> npt.NDArray[np.float64]:
    """Return coordinates that divide each pixel evenly."""
    within = (np.arange(samples) + 0.5) / samples - 0.5
    places: npt.NDArray[np.float64] = (np.arange(part.start, part.stop)[:, np.newaxis] + within).ravel()
    return places
