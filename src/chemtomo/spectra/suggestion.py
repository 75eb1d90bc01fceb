"""A suggested element with its evidence."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

__all__ = ["Suggestion", "cautions_of"]

_ORIGINS = {
    "C": "also from the support film and contamination",
    "O": "also from oxidised surfaces and the support",
    "Cu": "probably from the grid or the holder",
    "Ni": "also from a nickel grid",
    "Mo": "also from a molybdenum grid or the holder",
    "Zr": "also from the pole pieces or the holder",
    "Au": "also from a gold grid or a coating",
    "Ga": "implanted by an ion beam, if the sample was made by one",
    "Pt": "also from a coating, or the protective layer of an ion-beam preparation",
    "W": "also from the protective layer of an ion-beam preparation",
    "Fe": "also from the pole pieces",
    "Co": "also from the pole pieces",
    "Be": "also from a beryllium holder",
    "Si": "also from the detector and a nitride support",
    "N": "also from a nitride support",
    "Ar": "also implanted by ion milling",
}
_LAYERS = ("Pt", "W")

_CERTAIN = 10.0


@dataclasses.dataclass(frozen=True)
class Suggestion:
    """An element that a spectrum may show.

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
        Evidence for it.
    cautions : tuple of str
        Reasons for doubt: overlaps, and other sources of the element than the sample.
    listed : bool, optional
        Whether the file lists the element; None where it lists none at all.
    """

    element: str
    line: str
    energy_keV: float
    counts: float
    significance: float
    reasons: tuple[str, ...]
    cautions: tuple[str, ...] = ()
    listed: bool | None = None

    @property
    def is_certain(self) -> bool:
        """Whether it is significant by at least ten standard deviations; check fainter ones."""
        return self.significance >= _CERTAIN

    @property
    def is_wanted(self) -> bool:
        """Whether it is mapped by default: it is certain, and listed if the file lists any."""
        return self.is_certain and self.listed is not False

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


def cautions_of(element: str, beside: Sequence[str]) -> tuple[str, ...]:
    """Return other sources of an element than the sample, given the other elements."""
    if element == "Ga" and any(layer in beside for layer in _LAYERS):
        return ("probably implanted by the ion beam that made the sample",)
    if element in _LAYERS and "Ga" in beside:
        return ("probably the protective layer of an ion-beam preparation: gallium is there too",)
    return (_ORIGINS[element],) if element in _ORIGINS else ()
