"""The direction of the tilt axis that other programs wrote down, as the angle of this program.

IMOD and SerialEM measure it from the vertical of the image, counterclockwise positive, with the image
displayed upright (``-rotation`` of IMOD's *tiltxcorr*; ``Tilt axis angle = ...`` in titles). SerialEM's
``RotationAngle`` is that of the other axis of the stage, 90 degrees more (``EMbufferManager.cpp``). Here the
angle is from ``y`` towards ``x``, in the order of the rows and columns of the array:

- MRC files have the bottom row first: the angle is that of IMOD with the other sign;
- TIFF files have the top row first: ``y`` points down, and the angle is that of IMOD plus 180 degrees.

The half turn keeps the sense of the axis, and so the handedness of the volume.
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
    """Return the angle of ``Tilt axis angle = ...`` in a title or description; None where there is none."""
    found = _AXIS_ANGLE_TEXT.search(text)
    angle = None if found is None else float(found[1])
    return angle if angle is not None and abs(angle) <= 360 else None


def axis_from_imod(angle_deg: float, *, bottom_row_first: bool) -> float:
    """Return the angle from ``y`` towards ``x`` of a tilt axis that IMOD has at `angle_deg`.

    Parameters
    ----------
    angle_deg : float
        From the vertical, counterclockwise.
    bottom_row_first : bool
        Whether the first row of the array is the lowest of the image, as in MRC files.
    """
    return wrap_angle(-angle_deg if bottom_row_first else angle_deg + 180)


def is_aligned_by_imod(path: Path) -> bool:
    """Tell by the name whether IMOD aligned a stack: its titles still say where the tilt axis once was."""
    return path.suffix.lower() == ".ali" or path.stem.lower().endswith("_ali")


def wrap_angle(angle_deg: float) -> float:
    """Return the same direction as an angle above -180 and up to 180 degrees."""
    return round(180 - (180 - angle_deg) % 360, 6) + 0.0
