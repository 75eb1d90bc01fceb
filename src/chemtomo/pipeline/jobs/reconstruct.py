"""The step from tilt series to a volume: align, bin for a preview, reconstruct, and report."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np

from chemtomo.align import apply
from chemtomo.data import Dataset, TiltSeries, Volume
from chemtomo.pipeline.keeping.checkpoint import Checkpoint
from chemtomo.pipeline.preview import (
    full_resolution_origin,
    full_resolution_strength,
    in_full_resolution_units,
    preview_of,
)
from chemtomo.preprocess import from_vacuum, without_saturated
from chemtomo.progress import TaskProgress
from chemtomo.recon.parameters import ReconstructParameters
from chemtomo.recon.reconstruction import Plan, Reconstructed, ReconstructionProgress
from chemtomo.recon.reconstruction import reconstruct as reconstruct_dataset
from chemtomo.recon.slabs.plan import OVERLAP, Slab, even_slabs
from chemtomo.solvers import IterationRecord, Limits, Progress
from chemtomo.trust.strength import choose_job

__all__ = ["Result", "make_report", "measured", "reconstruct_job", "repeated_by"]


@dataclasses.dataclass(frozen=True)
class Result:
    """A volume and the report on how it was made.

    Attributes
    ----------
    volume : Volume
        The reconstruction. Its ``provenance`` is the recipe.
    report : dict
        ``method, device, seconds, iterations, seconds_per_iteration, stopped, cancelled, history``,
        ``memory``, if there are several ``slabs``, and what was chosen if something was ``auto``, ready to be
        written as JSON.
    """

    volume: Volume
    report: dict[str, Any]


def reconstruct_job(
    dataset: Dataset,
    parameters: ReconstructParameters,
    *,
    should_stop: Callable[[], bool] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Generator[TaskProgress | Plan | Progress, None, Result]:
    """Reconstruct a dataset, one iteration at a time.

    A series with an alignment is aligned first (`chemtomo.align.apply`), so that all later
    steps have the tilt axis at its true position.

    Parameters
    ----------
    dataset : Dataset
        Signals with the same rows, columns, pixel size and tilt axis once they are aligned. Their tilts
        may differ. It is not modified.
    parameters : ReconstructParameters
        Method and weights.
    should_stop : callable, optional
        Asked before every iteration; ``True`` ends the run with the present iterate.
    checkpoint : Checkpoint, optional
        Where the state is written regularly, and from which an earlier run is continued.

    Yields
    ------
    TaskProgress
        While parameters that are ``auto`` are found: see `chemtomo.trust.strength`.
    Plan
        Before the first iteration of a long run: its memory and time.
    Progress
        After every iteration. Its slices are in the units and the frame of the result, numbered
        from 0 within the slices that are reconstructed.

    Returns
    -------
    Result
        The volume, without a recipe, and the report.

    Raises
    ------
    ChemTomoError
        When data, parameters or device do not fit together, or an iterate is not finite.
    """
    checkpoints = None if checkpoint is None else checkpoint.of_problem(dataset, parameters)
    prepared, notes = measured(dataset, parameters)
    settings = parameters
    binned = prepared
    if parameters.preview:
        binned, settings = preview_of(prepared, parameters)
    if settings.slices is None:
        # All of it is needed in memory, by several passes: it is read, or computed, once.
        binned = binned.map(_read)
    choice = None
    if settings.undecided:

        def prepare(series: Dataset) -> Dataset:
            recorded, _ = measured(series, parameters)
            return preview_of(recorded, parameters)[0] if parameters.preview else recorded

        choice = yield from choose_job(dataset, prepare, settings, prepared=binned, should_stop=should_stop)
        settings = choice.parameters
    limits = Limits(settings.iterations, settings.report_every, settings.tolerance or None)
    if parameters.preview and limits.tolerance is not None:
        limits = dataclasses.replace(limits, tolerance=10 * limits.tolerance, change_tolerance=0.1)
    running = reconstruct_dataset(binned, settings, limits, should_stop, checkpoints)
    reconstructed = yield from _placed(running) if parameters.preview else running
    reconstructed = dataclasses.replace(reconstructed, notes=(*notes, *reconstructed.notes))
    volume = reconstructed.volume
    if parameters.preview:
        volume = in_full_resolution_units(volume, prepared)
    report = make_report(settings, reconstructed)
    if choice is not None:
        strength = full_resolution_strength(settings) if parameters.preview else settings.strength
        report["auto"] = choice.report | {"chosen": choice.report["chosen"] | {"strength": strength}}
    return Result(volume, report)


def _placed(
    running: Generator[Plan | ReconstructionProgress, None, Reconstructed],
) -> Generator[Plan | ReconstructionProgress, None, Reconstructed]:
    """Set the origin of the progress of a preview to that of its volume."""
    try:
        while True:
            progress = next(running)
            if isinstance(progress, ReconstructionProgress):
                origin = full_resolution_origin(progress.origin_px)
                progress = dataclasses.replace(progress, origin_px=origin)
            yield progress
    except StopIteration as end:
        reconstructed: Reconstructed = end.value
        return reconstructed
    finally:
        running.close()


def measured(dataset: Dataset, parameters: ReconstructParameters) -> tuple[Dataset, list[str]]:
    """Align, mask invalid pixels, set the zero of intensities to vacuum; return notes on these too."""
    prepared, notes = [], []
    for series in dataset:
        one, note = without_saturated(series)
        notes.append(note)
        one = apply(one)
        if parameters.slices is None and not parameters.preview:
            one = _read(one)  # needed in memory, by several passes
        if parameters.vacuum == "auto" and parameters.normalisation != "paper":
            one, note = from_vacuum(one)
            notes.append(note)
        prepared.append(one)
    return Dataset(tuple(prepared)), [note for note in notes if note is not None]


def repeated_by(parameters: ReconstructParameters, report: dict[str, Any]) -> ReconstructParameters:
    """Return the parameters that repeat a run.

    They have what was chosen in place of every ``auto``, so that a repetition chooses nothing. One that was
    stopped is repeated up to its last iteration. Slabs of slices that depend on each other are named, where
    the memory of the device decided how many there are: another device would have others.
    """
    if "auto" in report:
        parameters = parameters.model_copy(update=report["auto"]["chosen"])
    done = report["iterations"]
    if "slabs" not in report:
        stopped = report["cancelled"] and done > 0
        return parameters.model_copy(update={"iterations": done, "tolerance": 0.0}) if stopped else parameters
    slabs = []
    for one in report["slabs"]:
        (first, last), (start, stop) = one["reconstructed"], one["slices"]
        slabs.append(Slab(first, start, stop, last))
    if report["cancelled"] or not parameters.couples_slices:
        return parameters
    if tuple(slabs) != even_slabs(slabs[-1].stop, len(slabs), OVERLAP):
        return parameters  # the device had no room for the whole overlap: no number says it
    return parameters.model_copy(update={"slabs": len(slabs)})


def _read(series: TiltSeries) -> TiltSeries:
    if not series.is_lazy:
        return series
    background = None if series.background is None else np.asarray(series.background)
    valid = None if series.valid is None else np.asarray(series.valid)
    return series.replace(data=series.values(), background=background, valid=valid)


def make_report(parameters: ReconstructParameters, reconstructed: Reconstructed) -> dict[str, Any]:
    """Describe how a reconstruction went, as JSON values.

    Seconds count from the start of the first iteration, logging excluded. With several slabs each
    line of the history names its slab, and its seconds and iterations are those of the slab.
    """
    outcomes = [outcome for _, outcome in reconstructed.slabs]
    several = len(outcomes) > 1
    names = reconstructed.volume.names
    seconds = sum(outcome.seconds for outcome in outcomes)
    iterations = sum(outcome.iterations for outcome in outcomes)
    history = []
    for number, outcome in enumerate(outcomes):
        for record in outcome.history:
            line = _describe_record(record, names)
            history.append(line | {"slab": number} if several else line)
    report: dict[str, Any] = {
        "method": parameters.method,
        "device": reconstructed.device,
        "seconds": seconds,
        "tilts": dict(zip(names, reconstructed.tilts, strict=True)),
        "iterations": iterations,
        "seconds_per_iteration": seconds / max(iterations, 1),
        "stopped": "; ".join(dict.fromkeys(outcome.reason for outcome in outcomes)),
        "cancelled": any(outcome.cancelled for outcome in outcomes),
        "history": history,
        "memory": {
            "budget_bytes": reconstructed.budget_bytes,
            "peak_bytes": reconstructed.peak_bytes,
            "notes": list(reconstructed.notes),
        },
    }
    if reconstructed.gains is not None:
        report["gains"] = {name: list(gains) for name, gains in reconstructed.gains.items()}
    if several:
        report["slabs"] = [
            {
                "slices": [slab.start, slab.stop],
                "reconstructed": [slab.first, slab.last],
                "iterations": outcome.iterations,
                "seconds": outcome.seconds,
                "stopped": outcome.reason,
            }
            for slab, outcome in reconstructed.slabs
        ]
    return report


def _describe_record(record: IterationRecord, names: Sequence[str]) -> dict[str, Any]:
    line = {
        "iteration": record.iteration,
        "seconds": record.seconds,
        "objective": record.objective,
        "data": dict(zip(names, record.data, strict=True)),
        "regulariser": record.regulariser,
    }
    return line if record.gap is None else line | {"gap": record.gap}
