"""Checkpoints: files from which a reconstruction continues after the program was ended."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from chemtomo.data import Dataset
from chemtomo.data.fingerprint import alignment_digest, series_digest
from chemtomo.errors import ParameterError, ReadError
from chemtomo.pipeline.keeping.archive import Archive, write_archive
from chemtomo.recon.method import SlabIteration
from chemtomo.recon.parameters import ReconstructParameters
from chemtomo.recon.slabs.checkpoint import Unfinished
from chemtomo.recon.slabs.plan import Slab
from chemtomo.solvers import IterationRecord, Limits, Outcome, Reached

__all__ = ["Checkpoint"]

_VERSION = 1
# Parameters that do not change the iterates: the device, and the end.
_FREE = {"device", "memory", "iterations"}


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Where and how often a reconstruction writes its state.

    Attributes
    ----------
    path : path
        The file. It is replaced atomically, so that there is a complete one at any time.
    resume : bool
        Continue from the file, if there is one. If false, an existing file is an error.
    seconds : float
        Seconds between two checkpoints.
    iterations : int, optional
        Also write a checkpoint every so many iterations.
    """

    path: str | Path
    resume: bool = False
    seconds: float = 300.0
    iterations: int | None = None

    @property
    def file(self) -> Path:
        """The file as a path."""
        return Path(self.path)

    def check(self) -> None:
        """Check, before any work, that no existing checkpoint would be lost.

        Raises
        ------
        ParameterError
            When there is a file that would be lost.
        """
        if self.file.exists() and not self.resume:
            raise ParameterError(
                f"{self.path}: found a checkpoint already; expected to resume it, or the name of a new file"
            )

    def of_problem(self, dataset: Dataset, parameters: ReconstructParameters) -> _ProblemCheckpoints:
        """Return the checkpoints of a reconstruction of a dataset: a `CheckpointStore`.

        Raises
        ------
        ParameterError
            See `check`.
        """
        self.check()
        series = {one.name: f"{series_digest(one)} {alignment_digest(one.alignment)}" for one in dataset}
        changed = parameters.differing(effective=True)
        free = {name: value for name, value in changed.items() if name not in _FREE}
        return _ProblemCheckpoints(self, {"series": series, "parameters": free})

    def remove(self) -> None:
        """Remove the file: the result has been written."""
        self.file.unlink(missing_ok=True)
        self.remove_parts()

    def remove_parts(self) -> None:
        """Remove unfinished files of a program that was ended while it wrote them."""
        for part in self.file.parent.glob(f".{self.file.name}.????????.part"):
            part.unlink(missing_ok=True)


class _ProblemCheckpoints:
    """The checkpoints of one reconstruction."""

    def __init__(self, checkpoint: Checkpoint, problem: dict[str, Any]) -> None:
        self._checkpoint = checkpoint
        self._problem = problem
        self._kept = time.monotonic()

    def find(self, limits: Limits) -> Unfinished | None:
        """Return the state from which to continue: see `CheckpointStore.find`."""
        path = self._checkpoint.file
        self._checkpoint.remove_parts()
        if not path.exists():
            return None
        with Archive(path) as archive:
            found = archive.description
            if found.get("version") != _VERSION:
                raise ReadError(
                    f"{path}: found a checkpoint of version {found.get('version')}; expected {_VERSION}"
                )
            try:
                self._require_same_problem(found["problem"])
                unfinished = _from_json(found, archive["image"], lambda: _read_all(path))
            except (KeyError, TypeError) as error:
                raise ReadError(
                    f"{path}: found a checkpoint without {error}; expected a whole one"
                ) from error
        self._require_same_limits(unfinished, limits)
        return unfinished

    def due(self, iterations: int) -> bool:
        """Tell whether to write the state after so many iterations: see `CheckpointStore.due`."""
        every = self._checkpoint.iterations
        if every is not None and iterations % every == 0:
            return True
        return time.monotonic() - self._kept >= self._checkpoint.seconds

    def keep(self, unfinished: Unfinished, iteration: SlabIteration) -> None:
        """Write a state in place of the previous one: see `CheckpointStore.keep`."""
        description = {"version": _VERSION, "problem": self._problem, **_to_json(unfinished)}

        def arrays() -> Any:
            yield "image", unfinished.image
            yield from iteration.variables()

        write_archive(self._checkpoint.file, description, arrays())
        self._kept = time.monotonic()

    def _require_same_problem(self, found: Mapping[str, Any]) -> None:
        differences = []
        here = self._problem["parameters"]
        for name in sorted({*found["parameters"], *here}):
            default = ReconstructParameters.model_fields[name].default
            there, now = found["parameters"].get(name, default), here.get(name, default)
            if there != now:
                differences.append(f"{name} is {there} in the checkpoint and {now} here")
        here = self._problem["series"]
        if list(found["series"]) != list(here):
            differences.append(
                f"the channels are {', '.join(found['series'])} in the checkpoint and {', '.join(here)} here"
            )
        else:
            differences += [
                f"the data of {name} have SHA-256 {there[:12]} in the checkpoint and {here[name][:12]} here"
                if there.split()[0] != here[name].split()[0]
                else f"the alignment of {name} is another one in the checkpoint than here"
                for name, there in found["series"].items()
                if there != here[name]
            ]
        if differences:
            raise ParameterError(
                f"{self._checkpoint.path}: found the checkpoint of another reconstruction: "
                f"{'; '.join(differences)}. Expected the same on both sides"
            )

    def _require_same_limits(self, unfinished: Unfinished, limits: Limits) -> None:
        before = unfinished.limits.iterations
        if unfinished.ended and before != limits.iterations:
            raise ParameterError(
                f"{self._checkpoint.path}: found {before} iterations in the slabs that have ended, and "
                f"{limits.iterations} for the others; expected the same number for all slabs"
            )
        done = unfinished.reached.iterations
        if done > limits.iterations:
            raise ParameterError(
                f"{self._checkpoint.path}: found a checkpoint after {done} iterations; expected at most the "
                f"limit of {limits.iterations}"
            )


def _read_all(path: Path) -> dict[str, npt.NDArray[Any]]:
    with Archive(path) as archive:
        return {name: archive[name] for name in archive if name != "image"}


def _to_json(unfinished: Unfinished) -> dict[str, Any]:
    return {
        "limits": dataclasses.asdict(unfinished.limits),
        "slab": dataclasses.asdict(unfinished.slab),
        "reached": dataclasses.asdict(unfinished.reached),
        "waiting": [dataclasses.asdict(slab) for slab in unfinished.waiting],
        "ended": [
            [dataclasses.asdict(slab), dataclasses.asdict(outcome)] for slab, outcome in unfinished.ended
        ],
        "notes": list(unfinished.notes),
        "peak_bytes": unfinished.peak_bytes,
    }


def _from_json(found: Mapping[str, Any], image: npt.NDArray[Any], variables: Any) -> Unfinished:
    return Unfinished(
        limits=Limits(**found["limits"]),
        slab=Slab(**found["slab"]),
        reached=Reached(**_with_history(found["reached"])),
        waiting=tuple(Slab(**slab) for slab in found["waiting"]),
        ended=tuple((Slab(**slab), Outcome(**_with_history(outcome))) for slab, outcome in found["ended"]),
        notes=tuple(found["notes"]),
        peak_bytes=found["peak_bytes"],
        image=image,
        variables=variables,
    )


def _with_history(found: Mapping[str, Any]) -> dict[str, Any]:
    history = tuple(IterationRecord(**(line | {"data": tuple(line["data"])})) for line in found["history"])
    return {**found, "history": history}
