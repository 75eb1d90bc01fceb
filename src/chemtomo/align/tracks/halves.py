"""How far parts of the tracks disagree: errors that do not rest on the model of the noise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from chemtomo.align.tracks.bundle import Bundle, adjust
from chemtomo.align.tracks.patches import Observations

__all__ = ["jackknife", "odd_even", "upper_lower"]

_Real = npt.NDArray[np.float64]

_ROUNDS = 8
_FEWEST = 8


def jackknife(found: Observations, tilts_deg: _Real, middle: _Real, bundle: Bundle) -> tuple[_Real, float]:
    """Return standard errors of the shifts, shape (tilt,), and of the angle in degrees.

    They are from alignments in each of which one quadrant of the field is left out (jackknife). Errors of
    neighbouring patches, and of one patch at neighbouring tilts, go together; those of the quadrants hardly
    do.
    """
    place = bundle.points[:, 1:]
    centre = np.median(place, axis=0)
    quadrant = 2 * (place[:, 0] > centre[0]).astype(int) + (place[:, 1] > centre[1])
    others = []
    for one in range(4):
        part = found.part(quadrant[found.track] != one)
        if part.tracks < _FEWEST:
            continue
        others.append(adjust(part, tilts_deg, middle, start=bundle, rounds=_ROUNDS))
    if len(others) < 2:
        return np.full(len(tilts_deg), np.inf), np.inf
    factor = (len(others) - 1) / len(others)
    shifts = np.stack([_comparable(one, tilts_deg) for one in others])
    angles = np.array([one.angle_deg for one in others])
    variance = factor * ((shifts - shifts.mean(axis=0)) ** 2).sum(axis=(0, 2))
    return np.sqrt(variance), float(np.sqrt(factor * ((angles - angles.mean()) ** 2).sum()))


def upper_lower(found: Observations, tilts_deg: _Real, middle: _Real, bundle: Bundle) -> float | None:
    """Return the root mean square disagreement in pixels of shifts from upper and from lower rows."""
    row = bundle.points[:, 1]
    parts = [found.part(chosen[found.track]) for chosen in (row > np.median(row), row <= np.median(row))]
    if min(part.tracks for part in parts) < _FEWEST:
        return None
    one, two = (adjust(part, tilts_deg, middle, start=bundle, rounds=_ROUNDS) for part in parts)
    difference = _comparable(one, tilts_deg) - _comparable(two, tilts_deg)
    return float(np.sqrt((difference**2).sum(axis=1).mean()))


def odd_even(found: Observations, tilts_deg: _Real, middle: _Real, bundle: Bundle) -> float | None:
    """Return how far points from odd tilts are from those of even ones, as they are seen, in pixels.

    Two alignments of different projections have no shifts to compare; the places of the same patches are,
    but for a motion of the sample.
    """
    from scipy.spatial.transform import Rotation

    counts = [np.bincount(found.track[found.tilt % 2 == one], minlength=found.tracks) for one in (0, 1)]
    both = (counts[0] >= 3) & (counts[1] >= 3) & (bundle.trust > 0.5)
    if both.sum() < _FEWEST:
        return None
    kept = found.part(both[found.track])
    one, two = (
        adjust(kept.part(kept.tilt % 2 == half, 1), tilts_deg, middle, start=None, rounds=30).points
        for half in (0, 1)
    )
    one, two = one - one.mean(axis=0), two - two.mean(axis=0)
    turn, _ = Rotation.align_vectors(one, two)
    left = one - turn.apply(two)
    tilts = np.deg2rad(tilts_deg)
    across = left[:, 2, np.newaxis] * np.cos(tilts) + left[:, 0, np.newaxis] * np.sin(tilts)
    return float(np.sqrt(np.median(across**2 + left[:, 1, np.newaxis] ** 2)))


def _comparable(bundle: Bundle, tilts_deg: _Real) -> _Real:
    """Shifts along and across the axis without what only moves the sample."""
    angle, tilts = np.deg2rad(bundle.angle_deg), np.deg2rad(tilts_deg)
    along = bundle.shifts @ np.array([np.cos(angle), np.sin(angle)])
    across = bundle.shifts @ np.array([-np.sin(angle), np.cos(angle)])
    waves = np.stack([np.cos(tilts), np.sin(tilts)], axis=1)
    across = across - waves @ np.linalg.lstsq(waves, across, rcond=None)[0]
    return np.stack([along - along.mean(), across], axis=1)
