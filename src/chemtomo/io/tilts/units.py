"""Units of tilts: degrees, or radians where the source or the user says so; a note on suspected radians."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["AngleUnit", "as_degrees", "radians_note", "reread_in_unit", "unit_in"]

AngleUnit = Literal["deg", "rad"]

_UNITS: dict[AngleUnit, re.Pattern[str]] = {
    "rad": re.compile(r"(?<![a-z])rad(?:ians?|s)?(?![a-z])", re.IGNORECASE),
    "deg": re.compile(r"(?<![a-z])deg(?:rees?|s)?(?![a-z])|[°º]", re.IGNORECASE),
}
# Tilts in radians that were taken for degrees: their range, and the largest step between them.
_RADIANS_SPAN = (0.2, 4.0)
_RADIANS_STEP = 0.2
_MIN_TILTS_FOR_RADIANS = 5


def unit_in(text: str) -> AngleUnit | None:
    """Return the unit of angles in a heading such as ``tilt angle [rad]``; None if there is none."""
    found = [unit for unit, pattern in _UNITS.items() if pattern.search(text)]
    return found[0] if len(found) == 1 else None


def as_degrees(angles: npt.NDArray[np.float64], unit: AngleUnit | None) -> npt.NDArray[np.float64]:
    """Convert angles from `unit` (None: degrees) to degrees."""
    return np.rad2deg(angles) if unit == "rad" else angles


def reread_in_unit(
    tilts_deg: npt.NDArray[np.float64], said: AngleUnit | None, unit: AngleUnit | None
) -> npt.NDArray[np.float64]:
    """Convert tilts that were read in the unit `said` (None: degrees) as if they had been in `unit`."""
    if unit is None or unit == (said or "deg"):
        return tilts_deg
    return as_degrees(tilts_deg, "rad") if unit == "rad" else np.deg2rad(tilts_deg)


def radians_note(tilts_deg: npt.NDArray[np.float64], said: AngleUnit | None) -> tuple[str, ...]:
    """Return a note if tilts of unknown unit (`said` is None) look like radians taken for degrees."""
    span = float(np.ptp(tilts_deg))
    if said is not None or tilts_deg.size < _MIN_TILTS_FOR_RADIANS:
        return ()
    if (
        not _RADIANS_SPAN[0] < span < _RADIANS_SPAN[1]
        or float(np.diff(np.sort(tilts_deg)).max()) >= _RADIANS_STEP
    ):
        return ()
    note = (
        f"the tilts go from {tilts_deg.min():.4g} to {tilts_deg.max():.4g} and may be radians; degrees are "
        "assumed. --tilts-unit rad takes them for radians, --tilts-unit deg says that they are degrees"
    )
    return (note,)
