"""Tilt angles in text files: one per line or in a column of a table, in degrees or, if stated, in radians."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from chemtomo.errors import ReadError
from chemtomo.io.tilts.units import AngleUnit, as_degrees, unit_in

__all__ = [
    "ANGLE_SUFFIXES",
    "format_angles",
    "read_angles",
    "read_angles_and_unit",
    "read_text",
]

ANGLE_SUFFIXES = (".rawtlt", ".tlt", ".csv")
"""In order of precedence: recorded tilts, tilts refined by an alignment, tables."""

_LARGEST_BYTES = 64 << 20
_LARGEST_TILT = 360.0
_MAX_TILTS = 1 << 16
_DELIMITERS = ("\t", ";", ",")
# Headings of the column with the tilts; "tilt axis angle" and "beta" are something else.
_TILT_HEADING = re.compile(r"tilts?|angles?|alpha", re.IGNORECASE)
_OTHER_HEADING = re.compile(r"axis|beta|azimuth|rotation", re.IGNORECASE)
_TABLES = (".csv", ".txt")


def read_angles(path: Path) -> npt.NDArray[np.float64]:
    """Read tilts in degrees from a text file; see `read_angles_and_unit`."""
    return read_angles_and_unit(path)[0]


def read_angles_and_unit(path: Path) -> tuple[npt.NDArray[np.float64], AngleUnit | None]:
    """Read tilts from a text file with one number per line, and the unit that the file states.

    In a ``.csv`` or ``.txt`` file the numbers may also be a column of a table: the only one, or the one whose
    heading has the word tilt, angle or alpha. Columns are separated by commas, semicolons or tabs. Where
    the heading, or a line that starts with ``#`` above the numbers, says radians, they become degrees.

    Parameters
    ----------
    path : pathlib.Path
        The file. Empty lines are skipped, and so are lines that start with ``#``.

    Returns
    -------
    tilts_deg : numpy.ndarray, shape (tilt,)
        The tilts in degrees, in the order of the lines.
    unit : {"deg", "rad"} or None
        The unit in the file; None if it states none, and degrees are assumed.

    Raises
    ------
    ReadError
        When a line is not one finite tilt within 360 degrees; the message gives the line number.
    """
    expected = "text with one tilt in degrees a line"
    lines = [
        (number, line.strip())
        for number, line in enumerate(read_text(path, expected).splitlines(), start=1)
        if line.strip()
    ]
    rows = [(number, line) for number, line in lines if not line.startswith("#")]
    if len(rows) > _MAX_TILTS:
        raise ReadError(f"{path}: found {len(rows)} lines; expected {expected}, at most {_MAX_TILTS}")
    first = rows[0][0] if rows else 0
    comments = [line for number, line in lines if number < first]
    heading, cells = _column(path, rows) if path.suffix.lower() in _TABLES else ("", rows)
    unit = unit_in(heading)
    if unit is None:
        unit = next((said for line in comments if (said := unit_in(line)) is not None), None)
    tilts = np.array([_tilt(path, number, text) for number, text in cells], dtype=np.float64)
    return as_degrees(tilts, unit), unit


def read_text(path: Path, expected: str) -> str:
    """Read a small text file.

    Raises
    ------
    ReadError
        When it is larger than 64 MiB or not text; the message says what was `expected`.
    """
    try:
        size = path.stat().st_size
        if size > _LARGEST_BYTES:
            raise ReadError(
                f"{path}: found {size} bytes; expected {expected}, at most {_LARGEST_BYTES} bytes"
            )
        raw = path.read_bytes()
    except ReadError:
        raise
    except OSError as error:
        raise ReadError(f"{path}: cannot be read ({error.strerror or error})") from error
    if b"\0" in raw:
        raise ReadError(f"{path}: found binary data; expected {expected}")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Microscopes write the degree and micro signs in a Windows code page. Which characters these are
        # does not matter here; that they are few tells text from binary data.
        text = raw.decode("latin-1")
        if sum(ord(character) > 127 for character in text) > len(text) / 10:
            raise ReadError(f"{path}: found binary data; expected {expected}") from None
        return text


def format_angles(angles: Iterable[float]) -> str:
    """Return the text of an angle file, from which `read_angles` reads exactly these numbers."""
    return "".join(f"{float(angle)!r}\n" for angle in angles)


def _column(path: Path, rows: Sequence[tuple[int, str]]) -> tuple[str, list[tuple[int, str]]]:
    """Return the heading of the column with the tilts, and its cells with their line numbers."""
    if not rows:
        return "", []
    delimiter = next((one for one in _DELIMITERS if one in rows[0][1]), ",")
    table = [(number, next(csv.reader([line], delimiter=delimiter))) for number, line in rows]
    head_line, head = table[0]
    if all(_is_number(cell) for cell in head):
        if len(head) > 1:
            raise ReadError(
                f"{path}, line {head_line}: found {len(head)} columns without headings; "
                "expected one, or a column with the heading tilt, angle or alpha"
            )
        heading, column, body = "", 0, table
    else:
        fitting = [
            index
            for index, cell in enumerate(head)
            if _TILT_HEADING.search(cell) and not _OTHER_HEADING.search(cell)
        ]
        if not fitting and len(head) == 1 and len(table) > 1:
            fitting = [0]
        if len(fitting) != 1:
            raise ReadError(
                f"{path}, line {head_line}: found the headings {', '.join(map(repr, head))[:80]}; "
                "expected one column with the heading tilt, angle or alpha"
            )
        heading, column, body = head[fitting[0]], fitting[0], table[1:]
    cells = []
    for number, row in body:
        if column >= len(row):
            raise ReadError(
                f"{path}, line {number}: found {len(row)} columns; expected the tilt in column {column + 1}"
            )
        cells.append((number, row[column]))
    return heading, cells


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _tilt(path: Path, number: int, text: str) -> float:
    angle = float(text) if _is_number(text) else math.nan
    if not abs(angle) <= _LARGEST_TILT:
        raise ReadError(f"{path}, line {number}: found {text.strip()[:40]!r}; expected one tilt in degrees")
    return angle
