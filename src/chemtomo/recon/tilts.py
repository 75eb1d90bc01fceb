"""The joint tilts of several signals, each of which may have been recorded at only some of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from chemtomo.data import Dataset, TiltSeries

__all__ = ["JointTilts"]

_SAME_TILT_DEG = 0.01
_SAME_SHIFT_PX = 1e-3


@dataclasses.dataclass(frozen=True, eq=False)
class JointTilts:
    """Tilts and detector shifts of all projections of a dataset, and which signal has which of them.

    Projections of two signals share an entry where their tilts differ by at most 0.01 degrees and their
    detector shifts by at most 0.001 pixels. Two projections of one signal never share an entry, even at the
    same tilt.

    Attributes
    ----------
    tilts_deg, detector_shifts_px : numpy.ndarray, shape (tilt,)
        Tilt and shift of every entry: those of the first signal in its order, then further ones of the
        others.
    places : tuple of numpy.ndarray
        For every signal the entry of each of its projections.
    """

    tilts_deg: npt.NDArray[np.float64]
    detector_shifts_px: npt.NDArray[np.float64]
    places: tuple[npt.NDArray[np.intp], ...]

    @classmethod
    def of(cls, dataset: Dataset) -> JointTilts:
        """Match the projections of all signals."""
        tilts = np.zeros(0)
        shifts = np.zeros(0)
        places = []
        for series in dataset:
            own_tilts, own_shifts = series.tilts_deg, _shifts_of(series)
            place = np.full(own_tilts.size, -1, dtype=np.intp)
            free = np.ones(tilts.size, dtype=bool)
            for projection, (tilt, shift) in enumerate(zip(own_tilts, own_shifts, strict=True)):
                apart = np.abs(tilts - tilt)
                fitting = free & (apart <= _SAME_TILT_DEG) & (np.abs(shifts - shift) <= _SAME_SHIFT_PX)
                if fitting.any():
                    place[projection] = np.where(fitting, apart, np.inf).argmin()
                    free[place[projection]] = False
            new = np.flatnonzero(place < 0)
            place[new] = tilts.size + np.arange(new.size)
            tilts = np.concatenate([tilts, own_tilts[new]])
            shifts = np.concatenate([shifts, own_shifts[new]])
            places.append(place)
        return cls(tilts, shifts, tuple(places))

    @property
    def count(self) -> int:
        """Number of entries."""
        return self.tilts_deg.size

    def spread(self, per_projection: npt.NDArray[np.float64], channel: int) -> npt.NDArray[np.float64]:
        """Assign one number per projection of a signal to the entries; 0 where the signal has none."""
        spread = np.zeros(self.count)
        spread[self.places[channel]] = per_projection
        return spread


def _shifts_of(series: TiltSeries) -> npt.NDArray[np.float64]:
    return np.zeros(series.shape[0]) if series.detector_shifts_px is None else series.detector_shifts_px
