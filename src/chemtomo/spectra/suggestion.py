"""What a search for elements says of one of them."""

from __future__ import annotations

import dataclasses
from typing import Any

__all__ = ["Suggestion"]

_CERTAIN = 10.0


@dataclasses.dataclass(frozen=True)
class Suggestion:
    """An element that a spectrum shows.

    Attributes
    ----------
    element : str
        Chemical symbol.
    line : str
        The line or edge to map, for example ``"Fe_Ka"``.
    energy_keV : float
        Its energy, or the onset of the edge.
    counts : float
        Estimated counts of the element in the window of the line.
    significance : float
        Those counts in standard deviations of all counts in the window.
    reasons : tuple of str
        What speaks for it.
    cautions : tuple of str
        What to think of before it is believed: overlaps, and other places that the element comes from.
    """

    element: str
    line: str
    energy_keV: float
    counts: float
    significance: float
    reasons: tuple[str, ...]
    cautions: tuple[str, ...] = ()

    @property
    def is_certain(self) -> bool:
        """Whether it stands out by ten standard deviations at least; faint ones are to be looked at."""
        return self.significance >= _CERTAIN

    def to_json(self) -> dict[str, Any]:
        """Return the suggestion as JSON values."""
        return {
            **dataclasses.asdict(self),
            "energy_keV": round(self.energy_keV, 4),
            "counts": round(self.counts, 1),
            "significance": round(self.significance, 1),
            "reasons": list(self.reasons),
            "cautions": list(self.cautions),
            "certain": self.is_certain,
        }
