"""Units of length: all lengths are converted to nanometres on input.

Only the lengths of microscopy are known, in the spellings that occur in files. General libraries of units
take ``px`` for a pixel of a printed page and ``au`` for the distance to the sun.
"""

from __future__ import annotations

import unicodedata

from chemtomo.errors import DataError

__all__ = ["to_nanometre"]

_NANOMETRES = {
    "pm": 1e-3,
    "Å": 1e-1,
    "nm": 1.0,
    "µm": 1e3,
    "mm": 1e6,
    "cm": 1e7,
    "m": 1e9,
}
# Symbols after NFKC, which leaves one mu and one A with a ring. Those of two letters may be in capitals.
_SYMBOLS = {
    "pm": "pm",
    "A": "Å",
    "Å": "Å",
    "nm": "nm",
    "um": "µm",
    "μm": "µm",
    "mm": "mm",
    "cm": "cm",
    "m": "m",
    # UTF-8 that was read as Latin-1, and the reverse.
    "Âμm": "µm",
    "\ufffdm": "µm",
}
# Words in lower case and in the singular; both spellings of the metre.
_WORDS = {
    "ang": "Å",
    "angstrom": "Å",
    "angström": "Å",
    "ångstrom": "Å",
    "ångström": "Å",
    "picometer": "pm",
    "nanometer": "nm",
    "micrometer": "µm",
    "micron": "µm",
    "millimeter": "mm",
    "centimeter": "cm",
    "meter": "m",
}


def to_nanometre(value: float, unit: str) -> float:
    """Convert a length to nanometres.

    Parameters
    ----------
    value : float
        The length.
    unit : str
        Its unit as files spell it, for example ``"A"`` (an angstrom), ``"µm"``, ``"microns"`` or ``"m"``.

    Raises
    ------
    DataError
        When `unit` is not a unit of length in this table, such as ``"px"``.
    """
    text = unicodedata.normalize("NFKC", unit).strip("\0 \t\r\n")
    word = text.lower().replace("metre", "meter")
    known = (
        _SYMBOLS.get(text)
        or (_SYMBOLS.get(text.lower()) if len(text) == 2 and text.isupper() else None)
        or _WORDS.get(word)
        or _WORDS.get(word.removesuffix("s"))
    )
    if known is None:
        raise DataError(f"found the unit {unit!r}; expected a length such as 'nm' or 'A'")
    return float(value) * _NANOMETRES[known]
