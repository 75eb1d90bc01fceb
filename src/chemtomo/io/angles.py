"""Tilt angles in text files: one angle a line, in degrees."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from chemtomo.errors import ReadError

__all__ = ["ANGLE_SUFFIXES", "find_angle_files", "format_angles", "read_angles"]

ANGLE_SUFFIXES = (".rawtlt", ".tlt")
"""In order of precedence: the recorded tilts before those that an alignment refined."""


def find_angle_files(path: Path) -> list[Path]:
    """List the angle files beside the file `path` with its stem, in order of precedence.

    Raises
    ------
    ReadError
        When there is none.
    """
    tried = [path.with_suffix(suffix) for suffix in ANGLE_SUFFIXES]
    found = [angles for angles in tried if angles.is_file()]
    if not found:
        raise ReadError(
            f"{path}: no angle file beside it; expected {' or '.join(angles.name for angles in tried)} "
            "with one tilt in degrees a line"
        )
    return found


def read_angles(path: Path) -> npt.NDArray[np.float64]:
    """Read tilts in degrees.

    Raises
    ------
    ReadError
        When a line is not one finite number; the message gives the line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ReadError(
            f"{path}: found binary data; expected text with one tilt in degrees a line"
        ) from error
    angles = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            angle = float(line)
        except ValueError:
            angle = math.nan
        if not math.isfinite(angle):
            shown = line.strip()[:40]
            raise ReadError(f"{path}, line {number}: found {shown!r}; expected one tilt in degrees")
        angles.append(angle)
    return np.array(angles, dtype=np.float64)


def format_angles(angles: Iterable[float]) -> str:
    """Return the text of an angle file, from which `read_angles` gets exactly these numbers."""
    return "".join(f"{float(angle)!r}\n" for angle in angles)
