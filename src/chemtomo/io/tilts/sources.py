"""The source of the tilts of a stack: the user, a sidecar file, or the file itself.

The first of these sources that has as many tilts as there are projections is used:

1. what the user gives (`parse_tilts`);
2. the ``.mdoc`` file of SerialEM, with the stage reading of every image;
3. ``.rawtlt``, the recorded tilts;
4. ``.tlt``, tilts refined by an alignment;
5. ``.csv``;
6. the file itself (extended header, axis, metadata).

Sidecar files take precedence over the stack itself because people correct tilts there without changing the
data. A note says where another source differs.

Angles are in degrees unless the source states radians, or the user does, which applies to any source.
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
from chemtomo.io.tilts.angle_files import ANGLE_SUFFIXES, read_angles_and_unit
from chemtomo.io.tilts.file_names import name_order, tilts_in_names
from chemtomo.io.tilts.mdoc import Mdoc, read_mdoc
from chemtomo.io.tilts.units import AngleUnit, radians_note, reread_in_unit

__all__ = [
    "FROM_NAMES",
    "ChosenTilts",
    "GivenTilts",
    "RecordedTilts",
    "TiltsArgument",
    "choose_tilts",
    "given_tilts",
    "parse_tilts",
    "sidecar_files",
    "sidecar_mdoc",
    "tilts_option_hint",
]

TiltsArgument = str | PathLike[str] | Sequence[float] | npt.NDArray[np.float64] | None

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_RANGE = re.compile(rf"({_NUMBER}):({_NUMBER}):(\d+)")
_LARGEST_COUNT = 1 << 20
_LARGEST_TILT = 360.0
_SAME_TILT_DEG = 0.01

FROM_NAMES = "names"
"""Given in place of tilts, this word says that the number in each file name is the tilt."""

# Notes abbreviate longer lists of files.
_MAX_NAMED_FILES = 200


@dataclasses.dataclass(frozen=True, eq=False)
class GivenTilts:
    """Tilts from the user, which replace all others, or only the unit of the tilts in the files.

    Attributes
    ----------
    tilts_deg : numpy.ndarray, shape (tilt,), or None
        In degrees; None if they are the numbers in the file names, or only the unit is given.
    source : str
        How they were given: `FROM_NAMES`, a file, a range. Empty if only the unit is given.
    unit : {"deg", "rad"} or None
        The unit of the angles from any source; None if the source decides, or else degrees.
    said : {"deg", "rad"} or None
        The unit stated in the file of the tilts; `tilts_deg` have been converted by it.
    """

    tilts_deg: npt.NDArray[np.float64] | None
    source: str
    unit: AngleUnit | None = None
    said: AngleUnit | None = None

    @property
    def are_given(self) -> bool:
        """Whether there are tilts, not only their unit."""
        return bool(self.source)

    def for_projections(self, projections: int, what: str) -> npt.NDArray[np.float64]:
        """Return the tilts for a stack of so many projections.

        Raises
        ------
        ReadError
            When the number of tilts differs; the message names the stack (`what`).
        """
        if self.tilts_deg is None:
            raise ReadError(
                f"{what}: found {projections} projections in one file; expected one file per tilt, to take "
                f"the tilts from the {FROM_NAMES}. Give them as a file or as START:STEP:COUNT"
            )
        if self.tilts_deg.size != projections:
            raise ReadError(
                f"{what}: found {self.tilts_deg.size} tilts in {self.source!r}; "
                f"expected {projections}, one for each projection"
            )
        return reread_in_unit(self.tilts_deg, self.said, self.unit)

    def for_files(self, paths: Sequence[Path], what: str) -> tuple[npt.NDArray[np.float64], str]:
        """Return the tilts of files with one projection each, in the order of the files, and a note on them.

        A list of tilts is assigned to the files in the order of their names, compared by signed numbers.

        Raises
        ------
        ReadError
            When the number of tilts differs, or the names contain no tilts.
        """
        if self.tilts_deg is None:
            tilts = reread_in_unit(np.array(tilts_in_names(paths), np.float64), None, self.unit)
            said = _checked(tilts, self.source).tilts_deg
            assert said is not None
            return said, _assigned(paths, said, "tilts from the names")
        listed = self.for_projections(len(paths), what)
        tilts = np.empty(len(paths))
        tilts[name_order(paths)] = listed
        return tilts, _assigned(paths, tilts, f"tilts from {self.source} in the order of the names")


@dataclasses.dataclass(frozen=True, eq=False)
class RecordedTilts:
    """The tilts recorded in the file of a stack.

    Attributes
    ----------
    tilts_deg : numpy.ndarray, shape (tilt,), or None
        In degrees.
    unit : {"deg", "rad"} or None
        The unit in the file; None if it is not stated.
    wrong_count : int, optional
        The number of tilts in the file, if that is not the number of projections; `tilts_deg` is then None.
    """

    tilts_deg: npt.NDArray[np.float64] | None = None
    unit: AngleUnit | None = None
    wrong_count: int | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class ChosenTilts:
    """The tilts that were chosen for a stack.

    Attributes
    ----------
    tilts_deg : numpy.ndarray, shape (tilt,), or None
        In degrees; None if there are none.
    source : str
        Where they come from; if there are none, what was tried.
    notes : tuple of str
        Which other sources differ.
    """

    tilts_deg: npt.NDArray[np.float64] | None
    source: str
    notes: tuple[str, ...] = ()


def parse_tilts(text: str | PathLike[str]) -> GivenTilts:
    """Read tilts from ``FILE``, ``START:STEP:COUNT`` or ``names``.

    Parameters
    ----------
    text : str or path
        A ``.rawtlt``, ``.tlt``, ``.txt`` or ``.csv`` file (see `chemtomo.io.tilts.angle_files`), an
        ``.mdoc`` file; a range such as ``-60:2:61``, 61 tilts from -60 degrees in steps of 2; or ``names``
        for the number in each file name.

    Raises
    ------
    ReadError
        When it is none of these, or the file does not contain tilts.
    """
    given = str(text)
    if given.strip().lower() == FROM_NAMES and not Path(text).is_file():
        return GivenTilts(None, FROM_NAMES)
    if found := _RANGE.fullmatch(given.strip()):
        start, step, count = float(found[1]), float(found[2]), int(found[3])
        if not 1 <= count <= _LARGEST_COUNT:
            raise ReadError(f"tilts {given!r}: found a count of {count}; expected 1 to {_LARGEST_COUNT}")
        return _checked(np.asarray(start + step * np.arange(count), np.float64), given)
    path = Path(text)
    if not path.is_file():
        raise ReadError(
            f"tilts {given!r}: found no such file; expected a file of tilts, or START:STEP:COUNT in degrees "
            f"such as -60:2:61, or {FROM_NAMES}"
        )
    if path.suffix.lower() == ".mdoc":
        tilts = read_mdoc(path).stack_tilts_deg()
        if tilts is None:
            raise ReadError(f"{path}: found no TiltAngle; expected one for every image")
        return _checked(tilts, given)
    tilts, said = read_angles_and_unit(path)
    return dataclasses.replace(_checked(tilts, given), said=said)


def given_tilts(tilts: TiltsArgument, unit: AngleUnit | None = None) -> GivenTilts | None:
    """Return the tilts that a user gives as text (see `parse_tilts`) or as numbers, and their unit.

    Parameters
    ----------
    tilts : path, str, sequence of float, or None
        None for the tilts of the files.
    unit : {"deg", "rad"}, optional
        The unit of all tilts, given or from the files; by default what the source states, else degrees.

    Returns
    -------
    GivenTilts or None
        None if neither is given.

    Raises
    ------
    ReadError
        When they are not tilts, or the unit is unknown.
    """
    if unit not in (None, "deg", "rad"):
        raise ReadError(f"unit of the tilts: found {unit!r}; expected 'deg' or 'rad'")
    if tilts is None:
        return None if unit is None else GivenTilts(None, "", unit)
    if isinstance(tilts, (str, PathLike)):
        return dataclasses.replace(parse_tilts(tilts), unit=unit)
    try:
        return dataclasses.replace(
            _checked(np.asarray(tilts, dtype=np.float64), "the tilts given"), unit=unit
        )
    except (TypeError, ValueError) as error:
        raise ReadError(f"tilts: found {tilts!r}; expected numbers in degrees") from error


def sidecar_files(path: Path) -> list[Path]:
    """List the sidecar files of `path` that can hold its tilts, in order of precedence.

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


def sidecar_mdoc(path: Path) -> Mdoc | None:
    """Read the ``.mdoc`` file beside an image or stack; None if there is none.

    Raises
    ------
    ReadError
        When it cannot be read.
    """
    mdocs = [one for one in sidecar_files(path) if one.suffix.lower() == ".mdoc"]
    return read_mdoc(mdocs[0]) if mdocs else None


def choose_tilts(
    path: Path,
    projections: int,
    inside: RecordedTilts,
    given: GivenTilts | None = None,
    mdoc: Path | None = None,
) -> ChosenTilts:
    """Choose the tilts of a stack by the order of precedence of this module.

    Parameters
    ----------
    path : pathlib.Path
        The file of the stack.
    projections : int
        Number of its projections.
    inside : RecordedTilts
        Tilts recorded in the file itself.
    given : GivenTilts, optional
        Tilts that the user gives, or their unit. A stack has one name: where the tilts are in the names
        of files, it keeps those that it has.
    mdoc : pathlib.Path, optional
        An ``.mdoc`` file with another name that names this stack.

    Raises
    ------
    ReadError
        When the number of the given tilts, or of all tilts that were found, differs from that of the
        projections, a file of tilts is damaged, or the stack is a montage.
    """
    unit = None if given is None else given.unit
    if given is not None and given.tilts_deg is not None:
        tilts = given.for_projections(projections, str(path))
        said = given.unit or given.said
        return ChosenTilts(tilts, given.source, radians_note(tilts, said))
    sources: list[tuple[str, npt.NDArray[np.float64], AngleUnit | None]] = []
    wrong: list[tuple[str, int]] = []
    broken: ReadError | None = None
    beside = sidecar_files(path)
    for file in beside if mdoc is None or mdoc in beside else [mdoc, *beside]:
        try:
            found, said = _tilts_in(file, projections)
        except ReadError as error:
            # A .csv table may hold anything; the other files hold tilts or are damaged.
            if file.suffix.lower() != ".csv":
                raise
            broken = error
            continue
        if found is None:
            continue
        if found.size == projections:
            sources.append((str(file), reread_in_unit(found, said, unit), unit or said))
        else:
            wrong.append((str(file), found.size))
    if inside.tilts_deg is not None:
        sources.append(
            ("the file itself", reread_in_unit(inside.tilts_deg, inside.unit, unit), unit or inside.unit)
        )
    if inside.wrong_count is not None:
        wrong.append(("the file itself", inside.wrong_count))
    if not sources:
        if wrong:
            listed = ", ".join(f"{count} tilts in {name}" for name, count in wrong)
            raise ReadError(
                f"{path}: found {listed}; expected {projections}, one for each projection in {path.name}"
            )
        if broken is not None:
            raise broken
        if given is not None and given.are_given:  # by the names of files, and this is one
            given.for_projections(projections, str(path))
        names = [f"{path.name}.mdoc", *(path.with_suffix(suffix).name for suffix in ANGLE_SUFFIXES)]
        return ChosenTilts(None, f"{', '.join(names[:-1])} or {names[-1]} beside it, or tilts in the file")
    name, chosen, said = sources[0]
    notes = [
        f"{Path(other).name} has {count} tilts for {projections} projections and is not used"
        for other, count in wrong
    ]
    for other, tilts, _ in sources[1:]:
        apart = float(np.abs(tilts - chosen).max())
        if apart > _SAME_TILT_DEG:
            notes.append(
                f"tilts from {Path(name).name}; those in {Path(other).name} differ by up to {apart:.4g} "
                "degrees and are not used"
            )
    return ChosenTilts(chosen, name, (*notes, *radians_note(chosen, said)))


def tilts_option_hint(from_names: bool) -> str:
    """Return advice for the message about files, one per tilt, whose tilts are unknown."""
    if from_names:
        return (
            f"The names look like tilts: --tilts {FROM_NAMES} takes them. As a list, --tilts gives them in "
            "the order of the file names"
        )
    return "The option --tilts gives them by hand, in the order of the file names"


def _assigned(paths: Sequence[Path], tilts_deg: npt.NDArray[np.float64], how: str) -> str:
    """Return a note on which file was given which tilt, in the order of the tilts."""
    pairs = [f"{paths[index].name} {tilts_deg[index]:.6g}" for index in np.argsort(tilts_deg, kind="stable")]
    if len(pairs) > _MAX_NAMED_FILES:
        pairs = [*pairs[: _MAX_NAMED_FILES // 2], "...", *pairs[-_MAX_NAMED_FILES // 2 :]]
    return f"{how}, in degrees: {', '.join(pairs)}"


def _tilts_in(file: Path, projections: int) -> tuple[npt.NDArray[np.float64] | None, AngleUnit | None]:
    if file.suffix.lower() != ".mdoc":
        return read_angles_and_unit(file)
    mdoc = read_mdoc(file)
    if len(mdoc.sections) == projections:
        mdoc.require_no_montage()
    tilts = mdoc.stack_tilts_deg()
    if tilts is not None and mdoc.is_frame_set:
        return np.repeat(tilts, projections), "deg"
    return tilts, "deg"


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
