"""The size of a pixel in nanometres, from what a file says along x and y: one rule for all formats."""

from __future__ import annotations

import math

from chemtomo.data import to_nanometre
from chemtomo.errors import DataError

__all__ = ["bare_unit", "length_nm", "pixel_size"]

_SAME = 1e-3


def pixel_size(y: tuple[float, str], x: tuple[float, str]) -> tuple[float | None, list[str]]:
    """Return the pixel size along x, and what was assumed.

    Parameters
    ----------
    y, x : tuple of (float, str)
        The size of a pixel along each axis, with its unit. The size is not a number, or 0, where the file
        says none; the unit is then without meaning.

    Returns
    -------
    size_nm : float or None
        In nanometres; None where the file says none, or in a unit that is no length.
    notes : list of str
        That pixels are not square, and why a size is not used.
    """
    sizes = []
    for scale, unit in (y, x):
        scale = abs(float(scale))
        if not (math.isfinite(scale) and scale > 0):
            return None, []
        if not unit.strip():
            # 1 is what is written for a pixel of unknown size.
            return None, [] if scale == 1 else [f"the pixel size {scale:g} has no unit and is not used"]
        try:
            sizes.append(length_nm(scale, unit))
        except DataError:
            return None, [f"the unit of the pixels is {unit!r}, which is no length; the size is not used"]
    if abs(sizes[0] / sizes[1] - 1) > _SAME:
        return sizes[1], [
            f"pixels of {sizes[1]:g} x {sizes[0]:g} nm (x, y) in the file; {sizes[1]:g} nm is used"
        ]
    return sizes[1], []


def length_nm(value: float, unit: str) -> float:
    """Return a length of a file in nanometres, rounded to seven digits.

    Files keep float32, or a unit in which the number is small: more digits are not meant.

    Raises
    ------
    DataError
        When `unit` is no length.
    """
    return float(f"{to_nanometre(value, bare_unit(unit)):.7g}")


def bare_unit(unit: str) -> str:
    """Return a unit without what EMD files put around it: ``[n_m]`` is a nanometre."""
    return unit.strip().strip("[]").replace("_", "")
