"""The tilts of a set of files with one projection each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from chemtomo.errors import NoTiltsError
from chemtomo.io.tilts.file_names import look_like_tilts
from chemtomo.io.tilts.sources import GivenTilts, tilts_option_hint
from chemtomo.io.tilts.units import AngleUnit, radians_note

__all__ = ["tilts_of_set"]


def tilts_of_set(
    paths: Sequence[Path],
    recorded_deg: Sequence[float | None],
    given: GivenTilts | None,
    file_unit: AngleUnit | None,
    *,
    kind: str,
    members: str,
) -> tuple[npt.NDArray[np.float64], list[str]]:
    """Return the tilts of a set in degrees: those that the user gives, or else those of the files.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        The file of every projection.
    recorded_deg : sequence of float or None
        The tilt that every file has; None for a file without one.
    given : GivenTilts, optional
        Tilts from the user, or their unit.
    file_unit : {"deg", "rad"} or None
        The unit in the files; None if they do not state it.
    kind, members : str
        What one projection and the whole set are called in messages: ``"image"``, ``"images of 'Al'"``.

    Returns
    -------
    tilts_deg : numpy.ndarray, shape (file,)
    notes : list of str
        What was assumed.

    Raises
    ------
    NoTiltsError
        When some files have no tilt.
    ReadError
        When the given tilts do not fit.
    """
    if given is not None and given.are_given:
        where = str(paths[0]) if len(paths) == 1 else f"{paths[0]} and the other {members}"
        tilts, assigned = given.for_files(paths, where)
        return tilts, [assigned, *radians_note(tilts, given.unit or given.said)]
    without = [path for path, tilt in zip(paths, recorded_deg, strict=True) if tilt is None]
    if not without:
        tilts = np.array(recorded_deg, np.float64)
        return tilts, list(radians_note(tilts, file_unit if given is None else given.unit))
    if len(paths) == 1:
        return np.zeros(1), [f"a single {kind} without a tilt; 0 degrees are assumed"]
    named = look_like_tilts(paths)
    raise NoTiltsError(
        f"{without[0]}: found no tilt in {len(without)} of {len(paths)} {members}; "
        f"expected one in each. {tilts_option_hint(named)}",
        len(paths),
        named,
    )
