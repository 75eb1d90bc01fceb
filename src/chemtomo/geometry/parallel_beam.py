"""Parallel-beam geometry with one tilt axis, the same for every slice."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from chemtomo.errors import DataError

__all__ = ["ParallelBeam"]


@dataclasses.dataclass(frozen=True, init=False)
class ParallelBeam:
    """Parallel beam, one tilt axis parallel to ``y``: the geometry of one slice (z, x).

    The volume pixel ``(z, x)`` falls on the detector coordinate

    ``s = (x - cx) cos(t) + (z - cz) sin(t) + cs + shift_t``

    at the tilt ``t``, where ``(cz, cx)`` is the tilt axis in the slice, ``cs`` the tilt axis on the
    detector, and ``shift_t`` how far it is from there in this projection. Pixel centres are integers.

    Parameters
    ----------
    tilts_deg : array_like, shape (tilt,)
        Tilts in degrees.
    detector_pixels : int
        Number of detector pixels.
    volume_shape : (int, int)
        Pixels of a slice, ``(nz, nx)``.
    detector_axis : float, optional
        Detector coordinate of the tilt axis, by default the centre ``(detector_pixels - 1) / 2``.
    volume_axis : (float, float), optional
        Index ``(z, x)`` of the tilt axis in the slice, by default the centre
        ``((nz - 1) / 2, (nx - 1) / 2)``.
    detector_shifts : array_like, shape (tilt,), optional
        How far the tilt axis is from `detector_axis` in every projection, in pixels; 0 by default.

    Raises
    ------
    DataError
        When there is no tilt, a number is not finite or a size is not a positive integer.
    """

    tilts_deg: tuple[float, ...]
    detector_pixels: int
    volume_shape: tuple[int, int]
    detector_axis: float
    volume_axis: tuple[float, float]
    detector_shifts: tuple[float, ...]

    def __init__(
        self,
        tilts_deg: npt.ArrayLike,
        detector_pixels: int,
        volume_shape: Sequence[int],
        detector_axis: float | None = None,
        volume_axis: Sequence[float] | None = None,
        detector_shifts: npt.ArrayLike | None = None,
    ) -> None:
        tilts = np.asarray(tilts_deg, dtype=np.float64)
        if tilts.ndim != 1 or tilts.size == 0:
            raise DataError(
                f"geometry: the tilts have shape {tilts.shape}; expected a list of at least one tilt"
            )
        if not np.isfinite(tilts).all():
            bad = np.flatnonzero(~np.isfinite(tilts)).tolist()
            raise DataError(f"geometry: the tilts at {bad} are not finite; expected degrees")
        pixels = _positive_integer("number of detector pixels", detector_pixels)
        if len(volume_shape) != 2:
            raise DataError(f"geometry: the slice has shape {volume_shape}; expected (nz, nx)")
        nz, nx = (_positive_integer("edge of the slice", edge) for edge in volume_shape)
        if detector_axis is None:
            detector_axis = (pixels - 1) / 2
        if volume_axis is None:
            volume_axis = ((nz - 1) / 2, (nx - 1) / 2)
        if len(volume_axis) != 2:
            raise DataError(f"geometry: the tilt axis in the slice is {volume_axis}; expected (z, x)")
        cz, cx = (float(index) for index in volume_axis)
        if not all(math.isfinite(number) for number in (detector_axis, cz, cx)):
            raise DataError(
                f"geometry: the tilt axis is at {detector_axis} on the detector and at {(cz, cx)} "
                "in the slice; expected finite positions"
            )
        shifts = np.zeros(tilts.size)
        if detector_shifts is not None:
            shifts = np.asarray(detector_shifts, dtype=np.float64)
        if shifts.shape != tilts.shape:
            raise DataError(
                f"geometry: the detector shifts have shape {shifts.shape}; expected one for each of "
                f"{tilts.size} tilts"
            )
        if not np.isfinite(shifts).all():
            bad = np.flatnonzero(~np.isfinite(shifts)).tolist()
            raise DataError(f"geometry: the detector shifts at {bad} are not finite; expected pixels")
        object.__setattr__(self, "tilts_deg", tuple(tilts.tolist()))
        object.__setattr__(self, "detector_pixels", pixels)
        object.__setattr__(self, "volume_shape", (nz, nx))
        object.__setattr__(self, "detector_axis", float(detector_axis))
        object.__setattr__(self, "volume_axis", (cz, cx))
        object.__setattr__(self, "detector_shifts", tuple(shifts.tolist()))

    @property
    def tilts(self) -> int:
        """Number of tilts."""
        return len(self.tilts_deg)

    @property
    def sinogram_shape(self) -> tuple[int, int]:
        """Shape of the projections of one slice: ``(tilt, detector)``."""
        return self.tilts, self.detector_pixels

    @property
    def tilts_rad(self) -> npt.NDArray[np.float64]:
        """Tilts in radians, shape (tilt,)."""
        radians: npt.NDArray[np.float64] = np.deg2rad(np.array(self.tilts_deg))
        return radians

    @property
    def cos(self) -> npt.NDArray[np.float64]:
        """Cosine of every tilt, exact at multiples of 90 degrees."""
        return self._direction()[0]

    @property
    def sin(self) -> npt.NDArray[np.float64]:
        """Sine of every tilt, exact at multiples of 90 degrees."""
        return self._direction()[1]

    @property
    def detector_axes(self) -> npt.NDArray[np.float64]:
        """Detector coordinate of the tilt axis in every projection, shape (tilt,)."""
        axes: npt.NDArray[np.float64] = self.detector_axis + np.array(self.detector_shifts)
        return axes

    def _direction(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Cosine and sine from the angle to the nearest multiple of 90 degrees, at most 45."""
        tilts = np.array(self.tilts_deg)
        quarter_turns = np.round(tilts / 90)
        rest = np.deg2rad(tilts - 90 * quarter_turns)
        cosine, sine = np.cos(rest), np.sin(rest)
        turn = quarter_turns % 4
        return (
            np.choose(turn.astype(int), [cosine, -sine, -cosine, sine]) + 0.0,  # no negative zero
            np.choose(turn.astype(int), [sine, cosine, -sine, -cosine]) + 0.0,
        )

    def detector_coordinate(self, tilt_index: int) -> npt.NDArray[np.float64]:
        """Detector coordinate ``s`` of every pixel of a slice at one tilt, shape (nz, nx)."""
        nz, nx = self.volume_shape
        cz, cx = self.volume_axis
        z = np.arange(nz, dtype=np.float64)[:, np.newaxis]
        x = np.arange(nx, dtype=np.float64)[np.newaxis, :]
        cosine, sine = self.cos[tilt_index], self.sin[tilt_index]
        axis = self.detector_axis + self.detector_shifts[tilt_index]
        s: npt.NDArray[np.float64] = (x - cx) * cosine + (z - cz) * sine + axis
        return s


def _positive_integer(what: str, found: int) -> int:
    try:
        number = operator.index(found)
    except TypeError:
        raise DataError(f"geometry: the {what} is {found!r}; expected a positive integer") from None
    if number < 1:
        raise DataError(f"geometry: the {what} is {number}; expected a positive integer")
    return number
