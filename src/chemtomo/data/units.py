"""Lengths: nanometres inside, anything at the door."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from chemtomo.errors import DataError

if TYPE_CHECKING:
    import pint

__all__ = ["to_nanometre"]

# "A" is ampere to pint and an angstrom to microscopes.
_SPELLINGS = {
    "A": "angstrom",
    "\u00c5": "angstrom",  # the letter A with a ring
    "\u212b": "angstrom",  # the sign of the unit, which looks the same
    "µm": "micrometer",
    "um": "micrometer",
}


@cache
def _registry() -> pint.UnitRegistry[float]:
    import pint  # slow to import

    return pint.UnitRegistry()


def to_nanometre(value: float, unit: str) -> float:
    """Convert a length to nanometres.

    Parameters
    ----------
    value : float
        The length.
    unit : str
        Its unit as files spell it, for example ``"A"`` (an angstrom), ``"µm"`` or ``"m"``.

    Raises
    ------
    DataError
        When `unit` is no length.
    """
    from pint import PintError  # slow to import

    try:
        quantity = _registry().Quantity(value, _SPELLINGS.get(unit.strip(), unit.strip()))
        return float(quantity.to("nanometer").magnitude)
    except (PintError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"found the unit {unit!r}; expected a length such as 'nm' or 'A'") from error
