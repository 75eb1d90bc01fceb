"""What the bytes of an MRC file of mode 0 mean: with a sign, without, or shifted by 128.

MRC2014 says that they have a sign. IMOD wrote them without before it followed that, and says in a flag how.
Where its flag says that they have one, it stores images of 0 to 255 less 128, and adds 128 again when it
reads them. Programs without the flag write either. The smallest and largest value in the header tell.
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
    """Decide what bytes mean: by the flag of IMOD, then by the range in the header.

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
        What was decided where it is not what MRC2014, or the flag, says.
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
    """Return bytes with a sign, given as those without, plus 128: 0 to 255."""
    return stored ^ np.uint8(_SIGN_OFFSET)


def _fits_shifted(stored: npt.NDArray[np.uint8], low: float, high: float) -> bool:
    """Tell whether the range in a header is nearer to that of the shifted bytes than to that of the bytes."""

    def apart(values: npt.NDArray[np.uint8]) -> float:
        return abs(float(values.min()) - low) + abs(float(values.max()) - high)

    return apart(shifted(stored)) <= apart(stored)
