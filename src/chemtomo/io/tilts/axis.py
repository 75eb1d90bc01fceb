"""Tilt axis angles of other programs, converted to the convention of this one.

IMOD and SerialEM measure it from the vertical of the image, counterclockwise positive, with the image
displayed upright (``-rotation`` of IMOD's *tiltxcorr*; ``Tilt axis angle = ...`` in titles). SerialEM's
``RotationAngle`` is that of the other axis of the stage, 90 degrees more (``EMbufferManager.cpp``). Here the
angle is measured from ``y`` towards ``x`` in array order (rows, columns):

- MRC files have the bottom row first: the angle is IMOD's with the opposite sign;
- TIFF files have the top row first: ``y`` points down, and the angle is IMOD's plus 180 degrees.

The half turn keeps the direction of the axis, and with it the handedness of the volume.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["axis_angle_in_text", "axis_from_imod", "is_aligned_by_imod", "wrap_angle"]

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)"
_AXIS_ANGLE_TEXT = re.compile(
    rf"tilt[ _-]?axis(?:[ _-]?rotation)?(?:[ _-]?angle)?(?:[ _]*\(?deg(?:rees)?\)?)?\s*[=:]\s*"
    rf"({_NUMBER})(?![\d.])",
    re.IGNORECASE,
)


def axis_angle_in_text(text: str) -> float | None:
    """Return the angle of ``Tilt axis angle = ...`` in a title or description; None if there is none."""
    found = _AXIS_ANGLE_TEXT.search(text)
    angle = None if found is None else float(found[1])
    return angle if angle is not None and abs(angle) <= 360 else None


def axis_from_imod(angle_deg: float, *, bottom_row_first: bool) -> float:
    """Convert a tilt axis angle of IMOD to the angle from ``y`` towards ``x``.

    Parameters
    ----------
    angle_deg : float
        From the vertical, counterclockwise.
    bottom_row_first : bool
        Whether the first row of the array is the bottom row of the image, as in MRC files.
    """
    return wrap_angle(-angle_deg if bottom_row_first else angle_deg + 180)


def is_aligned_by_imod(path: Path) -> bool:
    """Tell from the name whether IMOD aligned a stack: its titles then still have the former tilt axis."""
    return path.suffix.lower() == ".ali" or path.stem.lower().endswith("_ali")


def wrap_angle(angle_deg: float) -> float:
    """Return the equivalent angle in (-180, 180] degrees."""
    return round(180 - (180 - angle_deg) % 360, 6) + 0.0
