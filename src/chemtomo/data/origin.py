"""Where data came from: which files were read, and how, or what was simulated."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

__all__ = ["Origin"]


@dataclasses.dataclass(frozen=True)
class Origin:
    """What is needed to read or simulate the data again, as it was before the first step.

    Attributes
    ----------
    name : str
        Name of the signal there.
    paths : tuple of str
        The files and folders that were read together; absolute. None for a sample.
    tilts : str or tuple of float, optional
        The tilts that were given in place of those of the files; the path of a file is absolute.
    tilts_unit : str, optional
        The unit that was given for them.
    sample : str
        The name of a simulated sample, in place of files.
    options : dict
        The arguments with which it was simulated.
    steps_before : int
        Number of steps in the provenance when the file was read: those before it was written.
    frame : str
        `chemtomo.data.fingerprint.frame_digest` of what was read, to see whether it was edited by hand.
    spectra : bool
        Whether these were spectra.
    """

    name: str
    paths: tuple[str, ...] = ()
    tilts: str | tuple[float, ...] | None = None
    tilts_unit: str | None = None
    sample: str = ""
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    steps_before: int = 0
    frame: str = ""
    spectra: bool = False

    @classmethod
    def of_files(
        cls,
        name: str,
        paths: Sequence[Path],
        *,
        tilts: Any = None,
        tilts_unit: str | None = None,
        steps_before: int = 0,
        frame: str = "",
        spectra: bool = False,
    ) -> Origin:
        """Return the origin of a signal that was read from files."""
        given: str | tuple[float, ...] | None
        if tilts is None:
            given = None
        elif isinstance(tilts, (str, PathLike)):
            given = fspath(tilts)
            given = str(Path(given).resolve()) if Path(given).is_file() else given
        else:
            given = tuple(float(tilt) for tilt in tilts)
        listed = tuple(str(path.resolve()) for path in paths)
        return cls(name, listed, given, tilts_unit, steps_before=steps_before, frame=frame, spectra=spectra)

    def call(self) -> tuple[Any, ...]:
        """Return what is equal for all signals that were read, or simulated, by one call."""
        return (
            self.spectra,
            self.paths,
            self.tilts,
            self.tilts_unit,
            self.sample,
            tuple(sorted(map(str, self.options.items()))),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the origin as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any] | None) -> Origin | None:
        """Return the origin that `to_json` described; None for None."""
        if found is None:
            return None
        tilts = found.get("tilts")
        lists = {
            "paths": tuple(found.get("paths", ())),
            "tilts": tuple(tilts) if isinstance(tilts, list) else tilts,
        }
        return cls(**{**found, **lists})
