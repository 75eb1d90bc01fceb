"""Chemical elements in the names of channels."""

from __future__ import annotations

import re

__all__ = ["SYMBOLS", "element_of"]

_LIST = """
    H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr
    Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm
    Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm
"""

SYMBOLS = tuple(_LIST.split())
"""Symbols of the elements by atomic number, from 1 to 96."""

_NAMES = frozenset(SYMBOLS)
# An X-ray line ("Ka", "K\u03b11", "M4,5") or a method.
_WHAT = r"(?:[KLMN](?:[ab\u03b1\u03b2]?\d?|\d(?:,\d)?)?|EELS|EDS|EDX|map)"
# After a one-letter symbol a separator is needed: "CM" is not a line of carbon.
_CHANNEL = re.compile(rf"([A-Z][a-z](?=$|[\W_A-Z])|[A-Z](?=$|[\W_]))(?:[\s_-]*{_WHAT}){{0,2}}")


def element_of(name: str) -> str | None:
    """Return the symbol of the element after which a channel is named; None if it is none.

    >>> element_of("Fe Ka"), element_of("O-EELS"), element_of("HAADF")
    ('Fe', 'O', None)
    """
    match = _CHANNEL.fullmatch(name.strip())
    return match.group(1) if match and match.group(1) in _NAMES else None
