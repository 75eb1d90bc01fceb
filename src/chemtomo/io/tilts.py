"""The tilts of a stack: given by the user, in a file beside it, or in the file itself.

In this order, the first whose number of tilts is that of the projections is taken:

1. what the user gives (`parse_tilts`);
2. the ``.mdoc`` file of SerialEM, which has the stage's own reading for every image;
3. ``.rawtlt``, the recorded tilts;
4. ``.tlt``, those that an alignment refined;
5. ``.csv``;
6. the file itself (extended header, axis, metadata).

Files beside the stack come before what is inside it because that is how tilts are corrected without
touching the data. Where another source differs, a note says so.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import numpy.typing as npt

from chemtomo.errors import ReadError
from chemtomo.io.angles import ANGLE_SUFFIXES, read_angles
from chemtomo.io.mdoc import Mdoc, read_mdoc

__all__ = [
    "GivenTilts",
    "StackTilts",
    "TiltsArgument",
    "companions",
    "given_tilts",
    "mdoc_beside",
    "parse_tilts",
    "stack_tilts",
]

TiltsArgument = str | PathLike[str] | Sequence[float] | npt.NDArray[np.float64] | None

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_RANGE = re.compile(rf"({_NUMBER}):({_NUMBER}):(\d+)")
_LARGEST_COUNT = 1 << 20
_LARGEST_TILT = 360.0
_SAME_DEG = 0.01


@dataclasses.dataclass(frozen=True, eq=False)
class GivenTilts:
    """Tilts that the user gives in place of all others.

    Attributes
    ----------
    tilts_deg : numpy.ndarray, shape (tilt,)
        In degrees.
    source : str
        How they were given.
    """

    tilts_deg: npt.NDArray[np.float64]
    source: str

    def for_projections(self, projections: int, what: str) -> npt.NDArray[np.float64]:
        """Return the tilts of that many projections.

        Raises
        ------
        ReadError
            When their number is another; the message names `what` they are for.
        """
        if self.tilts_deg.size != projections:
            raise ReadError(
                f"{what}: found {self.tilts_deg.size} tilts in {self.source!r}; "
                f"expected {projections}, one for each projection"
            )
        return self.tilts_deg


@dataclasses.dataclass(frozen=True, eq=False)
class StackTilts:
    """The tilts that were chosen for a stack.

    Attributes
    ----------
    tilts_deg : numpy.ndarray, shape (tilt,), or None
        In degrees; None where there are none.
    source : str
        Where they are from; what was tried where there are none.
    notes : tuple of str
        Which others differ.
    """

    tilts_deg: npt.NDArray[np.float64] | None
    source: str
    notes: tuple[str, ...] = ()


def parse_tilts(text: str | PathLike[str]) -> GivenTilts:
    """Read tilts from ``FILE`` or ``START:STEP:COUNT``.

    Parameters
    ----------
    text : str or path
        A ``.rawtlt``, ``.tlt``, ``.txt`` or ``.csv`` file (see `chemtomo.io.angles.read_angles`), an
        ``.mdoc`` file, or for example ``-60:2:61``: 61 tilts from -60 degrees in steps of 2.

    Raises
    ------
    ReadError
        When it is neither, or the file is not one of tilts.
    """
    given = str(text)
    if found := _RANGE.fullmatch(given.strip()):
        start, step, count = float(found[1]), float(found[2]), int(found[3])
        if not 1 <= count <= _LARGEST_COUNT:
            raise ReadError(f"tilts {given!r}: found a count of {count}; expected 1 to {_LARGEST_COUNT}")
        return _checked(np.asarray(start + step * np.arange(count), np.float64), given)
    path = Path(text)
    if not path.is_file():
        raise ReadError(
            f"tilts {given!r}: found no such file; expected a file of tilts, or START:STEP:COUNT in degrees "
            "such as -60:2:61"
        )
    if path.suffix.lower() == ".mdoc":
        tilts = read_mdoc(path).stack_tilts_deg()
        if tilts is None:
            raise ReadError(f"{path}: found no TiltAngle; expected one for every image")
        return _checked(tilts, given)
    return _checked(read_angles(path), given)


def given_tilts(tilts: TiltsArgument) -> GivenTilts | None:
    """Return tilts that may be given as text (see `parse_tilts`) or as numbers in degrees.

    Raises
    ------
    ReadError
        When they are no tilts.
    """
    if tilts is None:
        return None
    if isinstance(tilts, (str, PathLike)):
        return parse_tilts(tilts)
    try:
        return _checked(np.asarray(tilts, dtype=np.float64), "the tilts given")
    except (TypeError, ValueError) as error:
        raise ReadError(f"tilts: found {tilts!r}; expected numbers in degrees") from error


def companions(path: Path) -> list[Path]:
    """List the files beside `path` that can hold its tilts, in order of precedence.

    For ``a.st`` these are ``a.st.mdoc``, ``a.mdoc``, ``a.rawtlt``, ``a.tlt`` and ``a.csv``, in lower or
    upper case.
    """
    tried = [path.with_name(f"{path.name}.mdoc"), path.with_suffix(".mdoc")]
    tried += [path.with_suffix(suffix) for suffix in ANGLE_SUFFIXES]
    found = []
    for one in tried:
        spellings = (one, one.with_suffix(one.suffix.upper()))
        found += [spelling for spelling in spellings if spelling.is_file()][:1]
    return [one for one in found if one != path]


def mdoc_beside(path: Path) -> Mdoc | None:
    """Read the ``.mdoc`` file beside an image or stack; None when there is none.

    Raises
    ------
    ReadError
        When it cannot be read.
    """
    mdocs = [one for one in companions(path) if one.suffix.lower() == ".mdoc"]
    return read_mdoc(mdocs[0]) if mdocs else None


def stack_tilts(
    path: Path, projections: int, inside: npt.NDArray[np.float64] | None, given: GivenTilts | None = None
) -> StackTilts:
    """Choose the tilts of a stack by the precedence of this module.

    Parameters
    ----------
    path : pathlib.Path
        The file of the stack.
    projections : int
        Number of its projections.
    inside : numpy.ndarray, shape (tilt,), or None
        Tilts that the file itself gives.
    given : GivenTilts, optional
        Tilts that the user gives.

    Raises
    ------
    ReadError
        When the given tilts, or all that were found, are of another number, or a file of tilts is broken.
    """
    if given is not None:
        return StackTilts(given.for_projections(projections, str(path)), given.source)
    sources: list[tuple[str, npt.NDArray[np.float64]]] = []
    wrong: list[tuple[str, npt.NDArray[np.float64]]] = []
    broken: ReadError | None = None
    for file in companions(path):
        try:
            tilts = _tilts_in(file, projections)
        except ReadError as error:
            # A table of that name may be of anything; the other files are of tilts or damaged.
            if file.suffix.lower() != ".csv":
                raise
            broken = error
            continue
        if tilts is None:
            continue
        (sources if tilts.size == projections else wrong).append((str(file), tilts))
    if inside is not None:
        sources.append(("the file itself", inside))
    if not sources:
        if wrong:
            found = ", ".join(f"{tilts.size} tilts in {name}" for name, tilts in wrong)
            raise ReadError(
                f"{path}: found {found}; expected {projections}, one for each projection in {path.name}"
            )
        if broken is not None:
            raise broken
        names = [f"{path.name}.mdoc", *(path.with_suffix(suffix).name for suffix in ANGLE_SUFFIXES)]
        return StackTilts(None, f"{', '.join(names[:-1])} or {names[-1]} beside it, or tilts in the file")
    name, chosen = sources[0]
    notes = [
        f"{Path(other).name} has {tilts.size} tilts for {projections} projections and is not used"
        for other, tilts in wrong
    ]
    for other, tilts in sources[1:]:
        apart = float(np.abs(tilts - chosen).max())
        if apart > _SAME_DEG:
            notes.append(
                f"tilts from {Path(name).name}; those in {Path(other).name} differ by up to {apart:.4g} "
                "degrees and are not used"
            )
    return StackTilts(chosen, name, tuple(notes))


def _tilts_in(file: Path, projections: int) -> npt.NDArray[np.float64] | None:
    if file.suffix.lower() != ".mdoc":
        return read_angles(file)
    mdoc = read_mdoc(file)
    tilts = mdoc.stack_tilts_deg()
    if tilts is not None and mdoc.is_frame_set:
        return np.repeat(tilts, projections)
    return tilts


def _checked(tilts: npt.NDArray[np.float64], source: str) -> GivenTilts:
    if tilts.ndim != 1 or not tilts.size:
        raise ReadError(
            f"tilts {source!r}: found {tilts.size} of shape {tilts.shape}; expected a list of them"
        )
    if not (np.abs(tilts) <= _LARGEST_TILT).all():
        raise ReadError(
            f"tilts {source!r}: found {tilts.min():g} to {tilts.max():g}; expected at most "
            f"{_LARGEST_TILT:g} degrees"
        )
    return GivenTilts(tilts, source)
