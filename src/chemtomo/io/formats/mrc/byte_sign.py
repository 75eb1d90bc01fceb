"""Whether the bytes of an MRC file of mode 0 are signed, unsigned, or shifted by 128.

MRC2014 defines them as signed. Older versions of IMOD wrote them unsigned; newer ones state it in a flag.
With the flag for signed bytes, IMOD stores images of 0 to 255 minus 128, and adds 128 on reading. Other
programs write either. The minimum and maximum in the header then tell which.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from chemtomo.io.formats.mrc.extended_header import ByteOrder

__all__ = ["ByteMeaning", "byte_meaning", "shifted"]

ByteMeaning = Literal["signed", "unsigned", "shifted"]

_IMOD_STAMP = 1146047817
_SIGNED_FLAG = 1
_SIGN_OFFSET = 128


def byte_meaning(raw: Any, order: ByteOrder, stored: npt.NDArray[np.uint8]) -> tuple[ByteMeaning, str | None]:
    """Decide how bytes are to be read, from IMOD's flag and then from the range in the header.

    Parameters
    ----------
    raw : numpy.void
        The header, of mrcfile's ``HEADER_DTYPE``.
    order : {"<", ">"}
        Byte order of the file.
    stored : numpy.ndarray of uint8
        Some of the bytes.

    Returns
    -------
    meaning : {"signed", "unsigned", "shifted"}
    note : str or None
        The decision, if it differs from MRC2014 or from the flag.
    """
    stamp, flags = np.frombuffer(bytes(raw["extra2"])[40:48], dtype=np.dtype("i4").newbyteorder(order))
    low, high = float(raw["dmin"]), float(raw["dmax"])
    said = math.isfinite(low) and math.isfinite(high) and low < high
    negative = bool((stored >= _SIGN_OFFSET).any())
    span = f"the header says {low:g} to {high:g}"
    if int(stamp) != _IMOD_STAMP:
        if said and low >= 0 and high >= _SIGN_OFFSET:
            return "unsigned", f"bytes are taken without a sign: {span}"
        return "signed", None
    if not int(flags) & _SIGNED_FLAG:
        if said and low < 0:
            return "signed", f"bytes are taken with a sign, against the flag of IMOD: {span}"
        return "unsigned", None
    if said and low >= 0 and high >= _SIGN_OFFSET and not _fits_shifted(stored, low, high):
        return "unsigned", f"bytes are taken without a sign, against the flag of IMOD: {span}"
    if not negative and said and low >= 0:
        return "signed", None
    return "shifted", "128 was added to the bytes, as IMOD does where its flag says that they have a sign"


def shifted(stored: Any) -> Any:
    """Add 128 to signed bytes that are given as unsigned ones: the result is 0 to 255."""
    return stored ^ np.uint8(_SIGN_OFFSET)


def _fits_shifted(stored: npt.NDArray[np.uint8], low: float, high: float) -> bool:
    """Tell whether the range in the header fits the shifted bytes better than the stored ones."""

    def apart(values: npt.NDArray[np.uint8]) -> float:
        return abs(float(values.min()) - low) + abs(float(values.max()) - high)

    return apart(shifted(stored)) <= apart(stored)
