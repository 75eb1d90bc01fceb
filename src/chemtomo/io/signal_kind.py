"""Guess what the numbers of a file are, where the file does not say it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from chemtomo.data import SignalKind
from chemtomo.data.colours import is_structural
from chemtomo.errors import ReadError

__all__ = ["ValueSummary", "guess_kind", "summarise"]

_LARGEST_COUNT = 4095


@dataclasses.dataclass(frozen=True)
class ValueSummary:
    """Smallest and largest value of a stack, and whether all its values are whole numbers.

    `looked_at` is how many projections were looked at: all when it is None.
    """

    smallest: float
    largest: float
    whole: bool
    looked_at: int | None = None


def summarise(data: Any, path: Path) -> ValueSummary:
    """Look at all values of a stack ``(tilt, y, x)``, one projection at a time.

    Of a stack that is not in memory only the first, the middle and the last projection are looked at.

    Raises
    ------
    ReadError
        When a value is not finite: the message names the file `path` and the first such place.
    """
    tilts = range(data.shape[0])
    lazy = not isinstance(data, np.ndarray) or isinstance(data, np.memmap)
    looked_at = sorted({0, len(tilts) // 2, len(tilts) - 1}) if lazy else tilts
    smallest, largest, whole = np.inf, -np.inf, True
    for tilt in looked_at:
        projection = np.asarray(data[tilt])
        if not np.isfinite(projection).all():
            y, x = np.argwhere(~np.isfinite(projection))[0].tolist()
            raise ReadError(
                f"{path}: found {projection[y, x]} at (tilt, y, x) = ({tilt}, {y}, {x}); "
                "expected finite values"
            )
        smallest = min(smallest, float(projection.min()))
        largest = max(largest, float(projection.max()))
        whole = whole and bool((projection == np.rint(projection)).all())
    return ValueSummary(smallest, largest, whole, len(looked_at) if len(looked_at) < len(tilts) else None)


def guess_kind(name: str, values: ValueSummary) -> tuple[SignalKind, str]:
    """Guess whether values are event counts.

    They are taken for counts when all are whole numbers from 0 to at most 4095 and the name is not
    that of a detector image such as HAADF (see `chemtomo.data.colours.is_structural`): intensities
    that were digitised are whole numbers too, but rarely so small, or they are called by such a name.

    Returns
    -------
    kind : {"counts", "intensity"}
    note : str
        A sentence with the reason.
    """
    found = f"from {values.smallest:g} to {values.largest:g}"
    if values.looked_at is not None:
        found += f", in {values.looked_at} projections"
    if not values.whole:
        return "intensity", f"taken for intensities: not all values are whole numbers ({found})"
    if values.smallest < 0 or values.largest > _LARGEST_COUNT:
        return "intensity", f"taken for intensities: the values go {found}"
    if is_structural(name):
        return "intensity", f"taken for intensities: {name!r} is the name of a detector image"
    return "counts", f"taken for event counts: all values are whole numbers {found}"
