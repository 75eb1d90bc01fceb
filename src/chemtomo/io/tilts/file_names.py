"""Tilts in file names, and the order of file names by the numbers in them.

Where every tilt is a file, its name often contains the tilt: ``-40.bcf``, ``stack_-40.5deg.dm3``,
``m40.tif`` and ``p35.tif``. Of several numbers in a name, the tilt is the one that differs from file to
file; dates and sample numbers stay the same.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from chemtomo.errors import ReadError

__all__ = ["look_like_tilts", "name_order", "natural_order", "tilts_in_names"]

_LARGEST_TILT = 180.0
_MINUS = ("-", "−", "–", "m", "n", "neg", "minus")
# A number with a possible sign. A letter can be a sign only where it is not the end of a word.
_NUMBER = re.compile(
    r"(?P<sign>[-+−–]|(?<![a-z])(?:minus|plus|neg|pos|[mpn])(?=\d))?(?P<digits>\d+(?:[.,]\d+)?)",
    re.IGNORECASE,
)
_DEGREES = re.compile(r"[\s_]*(?:deg|°|º)", re.IGNORECASE)
_TILT_WORD = re.compile(r"(?:tilt|angle|alpha|ang)[\s_=]*$", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class _Number:
    """A number in a name: the text before it, what may be its sign, its digits, and the text after it.

    `stands_apart`: no letter or digit is right before the sign, which would make a hyphen of it.
    """

    before: str
    sign: str
    digits: str
    after: str
    stands_apart: bool

    @property
    def size(self) -> float:
        return float(self.digits.replace(",", "."))

    def value(self, signed: bool) -> float:
        return -self.size if signed and self.sign.lower() in _MINUS else self.size


@dataclasses.dataclass(frozen=True)
class _Column:
    """The numbers at one position in all file names."""

    values: tuple[float, ...]
    is_marked: bool

    @property
    def can_be_tilts(self) -> bool:
        return len(set(self.values)) > 1 and max(abs(one) for one in self.values) <= _LARGEST_TILT


def natural_order(path: Path) -> list[tuple[int, int | str]]:
    """Return a sort key that compares numbers as numbers: ``a2`` before ``a10``, ``-40`` before ``-35``.

    A hyphen is a minus at the beginning of the name and after anything but a letter or digit.
    """
    key: list[tuple[int, int | str]] = []
    name, end = path.name.lower(), 0
    for found in re.finditer(r"(?<![^\W_])-\d+|\d+", name):
        if found.start() > end:
            key.append((1, name[end : found.start()]))
        text = found.group()
        key.append((0, int(text)) if len(text) < 20 else (1, text))
        end = found.end()
    if end < len(name):
        key.append((1, name[end:]))
    return key


def name_order(paths: Sequence[Path]) -> list[int]:
    """Return the indices of the files in the order of their names, compared by signed numbers."""
    columns = _columns(paths)
    if columns is None:
        return sorted(range(len(paths)), key=lambda index: natural_order(paths[index]))
    return sorted(range(len(paths)), key=lambda index: [column.values[index] for column in columns])


def look_like_tilts(paths: Sequence[Path]) -> bool:
    """Tell whether the names clearly contain tilts: with signs, with degrees, or after the word tilt."""
    columns = _columns(paths) or []
    return sum(one.is_marked and one.can_be_tilts for one in columns) == 1


def tilts_in_names(paths: Sequence[Path]) -> list[float]:
    """Return the tilt in degrees in the name of every file.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        One file per tilt, whose names differ only in numbers.

    Raises
    ------
    ReadError
        When no number in the names can be the tilt, or more than one can.
    """
    where = f"{paths[0]} and the other files of its set" if len(paths) > 1 else str(paths[0])
    columns = _columns(paths)
    if columns is None:
        shown = ", ".join(dict.fromkeys(path.name for path in paths[:4]))
        raise ReadError(
            f"{where}: found names that differ in more than numbers ({shown}); "
            "expected the tilt as the one number that differs, such as -40.bcf, tilt_-40.5deg.dm3 or m40.tif"
        )
    if len(paths) == 1:
        fitting = [one for one in columns if abs(one.values[0]) <= _LARGEST_TILT]
    else:
        fitting = [one for one in columns if one.can_be_tilts]
    marked = [one for one in fitting if one.is_marked]
    chosen = marked if len(marked) == 1 else fitting
    if len(chosen) != 1:
        found = f"{len(chosen)} numbers that can be" if chosen else "no number that can be"
        raise ReadError(
            f"{where}: found {found} the tilt in names such as {paths[0].name}; expected the tilt as the one "
            "number that differs, from -180 to 180 degrees"
        )
    return list(chosen[0].values)


def _columns(paths: Sequence[Path]) -> list[_Column] | None:
    """Return the numbers in all names, position by position; None if the text between them differs."""
    names = [_numbers(path.stem) for path in paths]
    if not names or not names[0]:
        return None
    if len({tuple(one.before.lower() for one in name) for name in names}) > 1:
        return None
    if len({len(name) for name in names}) > 1 or len({name[-1].after.lower() for name in names}) > 1:
        return None
    return [_column(place) for place in zip(*names, strict=True)]


def _numbers(stem: str) -> list[_Number]:
    found = list(_NUMBER.finditer(stem))
    numbers = []
    for index, match in enumerate(found):
        start = found[index - 1].end() if index else 0
        stop = found[index + 1].start() if index + 1 < len(found) else len(stem)
        before, after = stem[start : match.start()], stem[match.end() : stop]
        apart = not stem[: match.start()][-1:].isalnum()
        numbers.append(_Number(before, match["sign"] or "", match["digits"], after, apart))
    return numbers


def _column(place: tuple[_Number, ...]) -> _Column:
    signs = {one.sign.lower() for one in place}
    # A letter, or a hyphen inside a word, is a sign only if it differs between files.
    differ = len(signs) > 1
    signed = differ or all(one.stands_apart and not one.sign.isalpha() for one in place)
    values = tuple(one.value(signed) for one in place)
    marked = (
        min(values) < 0 < max(values)
        or (signed and bool(signs - {""}))
        or all(_DEGREES.match(one.after) for one in place)
        or all(_TILT_WORD.search(one.before) for one in place)
    )
    return _Column(values, marked)
