"""The pixel size in nanometres from the sizes that a file gives along x and y: one rule for all formats."""

from __future__ import annotations

import math

from chemtomo.data import to_nanometre
from chemtomo.errors import DataError

__all__ = ["bare_unit", "length_nm", "pixel_size"]

_SQUARE_TOLERANCE = 1e-3


def pixel_size(y: tuple[float, str], x: tuple[float, str]) -> tuple[float | None, list[str]]:
    """Return the pixel size along x, with notes on what was assumed.

    Parameters
    ----------
    y, x : tuple of (float, str)
        The pixel size along each axis, with its unit. The size is NaN or 0 if the file gives none; the unit
        then has no meaning.

    Returns
    -------
    size_nm : float or None
        In nanometres; None if the file gives none, or not in a unit of length.
    notes : list of str
        That pixels are not square, or why a size is not used.
    """
    sizes = []
    for scale, unit in (y, x):
        scale = abs(float(scale))
        if not (math.isfinite(scale) and scale > 0):
            return None, []
        if not unit.strip():
            # Programs write 1 for an unknown size.
            return None, [] if scale == 1 else [f"the pixel size {scale:g} has no unit and is not used"]
        try:
            sizes.append(length_nm(scale, unit))
        except DataError:
            return None, [f"the unit of the pixels is {unit!r}, which is no length; the size is not used"]
    if abs(sizes[0] / sizes[1] - 1) > _SQUARE_TOLERANCE:
        return sizes[1], [
            f"pixels of {sizes[1]:g} x {sizes[0]:g} nm (x, y) in the file; {sizes[1]:g} nm is used"
        ]
    return sizes[1], []


def length_nm(value: float, unit: str) -> float:
    """Convert a length in a file to nanometres, rounded to seven digits.

    Files store float32, so that further digits are noise.

    Raises
    ------
    DataError
        When `unit` is not a unit of length.
    """
    return float(f"{to_nanometre(value, bare_unit(unit)):.7g}")


def bare_unit(unit: str) -> str:
    """Return a unit without the brackets and underscores of EMD files: ``[n_m]`` is a nanometre."""
    return unit.strip().strip("[]").replace("_", "")
