"""The cache: a folder with results of steps, by the content from which they were made."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import Alignment, Dataset, TiltSeries, Volume
from chemtomo.data.origin import Origin
from chemtomo.errors import ChemTomoError, WriteError
from chemtomo.pipeline.keeping.archive import Archive, write_archive
from chemtomo.pipeline.keeping.turn import Turn
from chemtomo.pipeline.step import Made, State
from chemtomo.version import VERSION

__all__ = ["DEFAULT_GIB", "Cache", "default_cache_folder"]

DEFAULT_GIB = 10.0
_SUFFIX = ".kept"
# Age of unfinished files that are removed: their process has ended.
_ABANDONED_SECONDS = 24 * 3600.0
_CLASSES = {one.__name__: one for one in (Alignment, Origin)}
# Where data came from is taken from the present data.
_HISTORY = {"provenance", "origin", "source"}


class Cache:
    """A folder of results with a size limit: a `chemtomo.pipeline.runner.Store`.

    Several programs may use it at once. An entry is one file, written atomically; a damaged one is
    ignored, and made again. The least recently used entries are removed first.

    Parameters
    ----------
    folder : path
        The folder. It is created when the first result is kept.
    gib : float
        Size of all entries together, in GiB.
    """

    def __init__(self, folder: str | os.PathLike[str], gib: float = DEFAULT_GIB) -> None:
        self.folder = Path(folder).absolute()
        self.bytes = int(gib * 2**30)
        self.problem = ""
        """Why a result could not be kept; the run continues without."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user."""
        return (f"results of steps could not be kept: {self.problem}",) if self.problem else ()

    def find(self, key: str, before: State) -> Made | None:
        """Return what a step made of a state, or None.

        Parameters
        ----------
        key : str
            SHA-256 of everything that the result depends on.
        before : State
            The state before the step, which supplies what the step did not change.
        """
        path = self._path(key)
        try:
            with Archive(path) as archive:
                made = Made(_after(before, archive.description["state"], archive))
            os.utime(path)  # used now
        except (ChemTomoError, OSError, KeyError, TypeError, ValueError):
            return None
        return made

    def keep(self, key: str, before: State, made: Made) -> None:
        """Keep what a step made of a state, and remove the least recently used entries."""
        arrays: dict[str, Any] = {}
        series = () if made.state.series is None else made.state.series
        old = _by_name(before)
        if any(one.is_lazy and one.data is not old.get(one.name, one).data for one in series):
            return  # lazy results cost nothing to make again
        try:
            description = {"program": VERSION, "state": _difference(before, made.state, arrays)}
            if sum(int(one.nbytes) for one in arrays.values()) > self.bytes:
                return
            self.folder.mkdir(parents=True, exist_ok=True)
            write_archive(self._path(key), description, ((name, arrays[name]) for name in arrays))
            self._remove_oldest()
        except (WriteError, OSError, TypeError, ValueError) as error:
            # A full disk, or a value that cannot be stored: the result itself is not lost.
            self.problem = str(error)

    def turn(self, key: str) -> Turn:
        """Return the right to make what belongs to a key, which one run has at a time."""
        path = self._path(key)
        return Turn(path.with_name(f".{path.name}.turn"))

    def _path(self, key: str) -> Path:
        # Another version of the program may give another result.
        return self.folder / f"{key}-{VERSION}{_SUFFIX}"

    def _remove_oldest(self) -> None:
        now = time.time()
        entries = []
        for path in self.folder.iterdir():
            part = path.name.startswith(".") and f"{_SUFFIX}." in path.name
            if not part and path.suffix != _SUFFIX:
                continue  # not ours
            with contextlib.suppress(OSError):  # removed by another process
                found = path.stat()
                if part and now - found.st_mtime > _ABANDONED_SECONDS:
                    path.unlink()
                elif not part:
                    entries.append((found.st_mtime_ns, found.st_size, path))
        size = sum(one for _, one, _ in entries)
        for _, one, path in sorted(entries):
            if size <= self.bytes:
                break
            with contextlib.suppress(
                OSError
            ):  # it is gone, or is being read on a system where that prevents removal
                path.unlink()
            size -= one


def default_cache_folder() -> Path:
    """Return the folder for caches of this program, in the place that the operating system has for caches."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "chemtomo"


def _difference(before: State, after: State, arrays: dict[str, Any]) -> dict[str, Any]:
    """Describe what a step changed as JSON values; the arrays go into `arrays`."""
    found: dict[str, Any] = {"reports": list(after.reports[len(before.reports) :])}
    if after.series is not None and after.series is not before.series:
        old = _by_name(before)
        found["series"] = [_changes(old.get(one.name), one) for one in after.series]
    for name in ("alignment", "table"):
        if getattr(after, name) is not getattr(before, name):
            found[name] = getattr(after, name)
    if after.volume is not None and after.volume is not before.volume:
        volume = after.volume
        found["volume"] = [volume.data, volume.names, volume.voxel_size_nm, volume.origin_px]
    described: dict[str, Any] = _encoded(found, arrays)
    return described


def _changes(before: TiltSeries | None, after: TiltSeries) -> dict[str, Any]:
    """Return the attributes of a series that a step changed; all of a new one."""
    fields = {field.name: getattr(after, field.name) for field in dataclasses.fields(TiltSeries)}
    if before is None:
        return fields
    changed = {
        name: value
        for name, value in fields.items()
        if name not in _HISTORY and value is not getattr(before, name)
    }
    did = after.provenance[len(before.provenance) :]
    return {**changed, "name": after.name, "did": did}


def _after(before: State, found: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> State:
    """Return the state after a step from that before it and what the step changed."""
    decoded = _decoded(found, arrays)
    changes: dict[str, Any] = {"reports": (*before.reports, *map(tuple, decoded["reports"]))}
    if "series" in decoded:
        old = _by_name(before)
        changes["series"] = Dataset(tuple(_series(old, one, before) for one in decoded["series"]))
    for name in ("alignment", "table"):
        if name in decoded:
            changes[name] = decoded[name]
    if "volume" in decoded:
        data, names, size, origin = decoded["volume"]
        changes["volume"] = Volume(data, names, size, origin)
    return dataclasses.replace(before, **changes)


def _series(old: Mapping[str, TiltSeries], changes: dict[str, Any], before: State) -> TiltSeries:
    if "did" in changes:
        earlier = old[changes["name"]]
        history = {"provenance": (*earlier.provenance, *changes.pop("did")), "origin": earlier.origin}
        return earlier.replace(**changes, **history)
    made = TiltSeries(**changes)
    places = {one.origin.paths for one in before.spectra if one.origin is not None}
    if made.origin is not None and made.origin.paths not in places:
        raise KeyError("the spectra were in other files")
    return made


def _by_name(state: State) -> dict[str, TiltSeries]:
    return {} if state.series is None else {one.name: one for one in state.series}


def _encoded(value: Any, arrays: dict[str, Any]) -> Any:
    """Return a value for JSON that `_decoded` turns into the same value again."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_encoded(one, arrays) for one in value]
    if isinstance(value, tuple):
        return {"tuple": [_encoded(one, arrays) for one in value]}
    if isinstance(value, Mapping):
        return {"table": [[key, _encoded(one, arrays)] for key, one in value.items()]}
    if type(value).__name__ in _CLASSES:
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {"class": type(value).__name__, "fields": _encoded(fields, arrays)}
    if isinstance(value, np.generic) or hasattr(value, "__array__"):
        name = f"array_{len(arrays)}"
        arrays[name] = value
        return {"array": name, "scalar": isinstance(value, np.generic)}
    raise TypeError(f"found {type(value).__name__}; expected something that a step makes")


def _decoded(value: Any, arrays: Mapping[str, npt.NDArray[Any]]) -> Any:
    if isinstance(value, list):
        return [_decoded(one, arrays) for one in value]
    if not isinstance(value, dict):
        return value
    if "tuple" in value:
        return tuple(_decoded(one, arrays) for one in value["tuple"])
    if "table" in value:
        return {key: _decoded(one, arrays) for key, one in value["table"]}
    if "class" in value:
        return _CLASSES[value["class"]](**_decoded(value["fields"], arrays))
    array = arrays[value["array"]]
    return array[()] if value["scalar"] else array
