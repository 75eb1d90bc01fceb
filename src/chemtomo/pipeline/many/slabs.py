"""Reconstruct one large volume in slabs on several workers, and join the slabs."""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chemtomo.data import Volume
from chemtomo.errors import ParameterError
from chemtomo.pipeline.many.planned import Outcome, PlannedRun, begun_job, is_made_from
from chemtomo.pipeline.many.running import as_tasks, run_many_job
from chemtomo.pipeline.recipes.recipe import Entry, Input, Recipe
from chemtomo.pipeline.runner import content_key, run_steps_job
from chemtomo.pipeline.writing import write, write_series
from chemtomo.progress import TaskProgress
from chemtomo.recon.parameters import ReconstructParameters
from chemtomo.recon.slabs.plan import OVERLAP, Slab, even_slabs

__all__ = ["run_in_slabs_job"]


def run_in_slabs_job(
    run: PlannedRun,
    count: int,
    *,
    workers: int = 0,
    scheduler: str | None = None,
    on_outcome: Callable[[Outcome], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[TaskProgress, None, tuple[Outcome, ...]]:
    """Do one run whose volume is reconstructed in slabs, each of them by a run of its own.

    The steps before the reconstruction are done once, in this process. Their results and the slabs are
    kept in a hidden folder beside the output until the volume is complete: after a failure or a stop, the
    same call continues from there.

    Parameters
    ----------
    run : PlannedRun
        What to make; its last step is a reconstruction.
    count : int
        Number of slabs.
    workers, scheduler, on_outcome, should_stop
        See `chemtomo.pipeline.many.run_many_job`.

    Yields
    ------
    TaskProgress
        The progress.

    Returns
    -------
    tuple of Outcome
        Those of the slabs, and last that of the volume; only that of the volume if it existed already.

    Raises
    ------
    ParameterError
        When the last step is no reconstruction, makes a preview or has something ``auto``.
    ChemTomoError
        When the steps before it cannot be done, or a result cannot be written.
    """
    start = time.monotonic()
    recipe = Recipe.from_json(run.recipe)
    parameters = recipe.steps[-1].parameters if recipe.steps else None
    if not isinstance(parameters, ReconstructParameters) or parameters.preview:
        raise ParameterError("found no full reconstruction at the end of the recipe; expected one for slabs")
    if parameters.undecided and parameters.method != "sirt":
        raise ParameterError(
            f"{', '.join(parameters.undecided)}: found auto for a volume in slabs; expected the same numbers "
            "for all of them. A reconstruction of a few slices with auto finds them"
        )
    note = on_outcome or (lambda _: None)
    prepared = yield from as_tasks(_prepared_job(run, recipe, should_stop), run.data)
    if isinstance(prepared, Outcome):
        note(prepared)
        return (prepared,)
    key, series = prepared
    folder = series.parent
    slabs = _slabs(series, parameters, count)
    runs = [_run_of(slab, run, parameters, series) for slab in slabs]
    outcomes = yield from run_many_job(
        runs, workers=workers, scheduler=scheduler, on_outcome=note, should_stop=should_stop
    )
    became = {one.became for one in outcomes}
    whole = Outcome(run, "cancelled" if "cancelled" in became else "failed")
    if "cancelled" in became or "failed" in became:
        message = f"some slabs are missing; those in {folder} are not made again"
        whole = dataclasses.replace(whole, message=message)
    else:
        yield TaskProgress(count, count, "Joining the slabs")
        volume = _joined(slabs, runs, parameters)
        written = write(volume, run.output, overwrite=run.overwrite, made_from=key)
        shutil.rmtree(folder, ignore_errors=True)
        whole = Outcome(run, "made", "", tuple(map(str, written)), written.notes)
    whole = dataclasses.replace(whole, seconds=time.monotonic() - start)
    note(whole)
    return (*outcomes, whole)


def _prepared_job(
    run: PlannedRun, recipe: Recipe, should_stop: Callable[[], bool] | None
) -> Generator[Any, None, tuple[str, Path] | Outcome]:
    """Do the steps before the reconstruction; return the key of the volume and the series that they gave."""
    begun = yield from begun_job(run)
    if isinstance(begun, Outcome):
        return begun
    state = begun[1]
    output, key = Path(run.output), content_key(state, recipe.steps)
    folder = output.with_name(f".{output.name}.slabs")
    folder.mkdir(exist_ok=True)
    series = folder / "series.zarr"
    series_key = content_key(state, recipe.steps[:-1])
    if not is_made_from(series, series_key):
        steps = recipe.steps[:-1]
        state = yield from run_steps_job(state, steps, should_stop=should_stop, store=run.cache)
        if should_stop is not None and should_stop():
            return Outcome(run, "cancelled")
        write_series(state.require_series("slabs"), series, overwrite=True, made_from=series_key)
    return key, series


def _slabs(series: Path, parameters: ReconstructParameters, count: int) -> tuple[Slab, ...]:
    from chemtomo.io import read

    first, last = parameters.slices or (0, read(series).series[0].shape[1])
    overlap = OVERLAP if parameters.couples_slices else 0
    return tuple(
        Slab(*(first + at for at in dataclasses.astuple(slab)))
        for slab in even_slabs(last - first, min(count, last - first), overlap)
    )


def _run_of(slab: Slab, run: PlannedRun, parameters: ReconstructParameters, series: Path) -> PlannedRun:
    """Return the run of a slab with its overlap; its weights and crop are those of the whole series."""
    own = parameters.model_copy(update={"slices": (slab.first, slab.last), "slabs": None})
    recipe = Recipe((Input(paths=(str(series),)),), (Entry("reconstruct", own),))
    name = f"{slab.start}-{slab.stop}.zarr"
    return PlannedRun(
        data=f"{run.data} {slab.start}:{slab.stop}",
        path=None,
        settings=run.settings,
        recipe=recipe.to_json(),
        output=str(series.with_name(name)),
        overwrite=True,
    )


def _joined(slabs: Sequence[Slab], runs: Sequence[PlannedRun], parameters: ReconstructParameters) -> Volume:
    from chemtomo.io import read_volume

    parts: list[Any] = []
    first: Volume | None = None
    for slab, run in zip(slabs, runs, strict=True):
        volume = read_volume(run.output)
        first = volume if first is None else first
        parts.append(volume.data[:, :, slab.start - slab.first : slab.stop - slab.first])
    assert first is not None
    recipe = Recipe.from_json(first.provenance)
    count = len(slabs) if parameters.couples_slices and len(slabs) > 1 else None
    whole = parameters.model_copy(update={"slabs": count})
    steps = (*recipe.steps[:-1], Entry("reconstruct", whole))
    return dataclasses.replace(
        first,
        data=np.concatenate(parts, axis=2),
        provenance=dataclasses.replace(recipe, steps=steps, made_from="").to_json(),
    )
