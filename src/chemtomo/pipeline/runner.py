"""Run steps and record them: the one runner of command line, Python and napari."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from chemtomo.data import Dataset, SpectrumSeries, Volume
from chemtomo.data.records import recorded
from chemtomo.errors import ParameterError
from chemtomo.parameters import Parameters
from chemtomo.pipeline.jobs.prepare import prepare_job
from chemtomo.pipeline.keeping.checkpoint import Checkpoint
from chemtomo.pipeline.keeping.turn import Turn
from chemtomo.pipeline.recipes.history import recipe_of, with_recorded_alignments
from chemtomo.pipeline.recipes.inputs import in_folder, read_inputs_job
from chemtomo.pipeline.recipes.recipe import Entry, Recipe, with_settings
from chemtomo.pipeline.step import Made, State
from chemtomo.pipeline.steps import STEPS
from chemtomo.preprocess.operation import Operation
from chemtomo.preprocess.selection.select import Select
from chemtomo.progress import TaskProgress, finish

__all__ = ["Store", "content_key", "once_job", "run", "run_recipe_job", "run_steps_job", "with_key"]

_Job = Generator[Any, None, State]
_POLL_SECONDS = 0.2


class Store(Protocol):
    """A store of results of steps, by the content they were made from: see `run_steps_job`."""

    def find(self, key: str, before: State) -> Made | None:
        """Return the result that is kept under a key, or None."""

    def keep(self, key: str, before: State, made: Made) -> None:
        """Keep what a step made of a state."""

    def turn(self, key: str) -> Turn:
        """Return the right to make what belongs to a key, which one run has at a time."""


def run_steps_job(
    state: State,
    steps: Sequence[Entry],
    *,
    should_stop: Callable[[], bool] | None = None,
    store: Store | None = None,
    checkpoint: Checkpoint | None = None,
) -> _Job:
    """Do steps one after the other.

    Consecutive steps that work projection by projection are done in one pass, so that no stack in between is
    in memory. The result of such a pass, and of every other step, may be kept in a `store` under a key that
    depends on the inputs and all steps so far, and is then not computed again.

    Parameters
    ----------
    state : State
        The inputs. It is not modified.
    steps : sequence of Entry
        What to do.
    should_stop : callable, optional
        Asked regularly; ``True`` ends a step with its intermediate result, if it has one.
    store : Store, optional
        Where results are kept.
    checkpoint : Checkpoint, optional
        Where the state of the reconstruction is written regularly, and from which an earlier run is
        continued.

    Yields
    ------
    TaskProgress or Progress
        What the steps yield.

    Returns
    -------
    State
        The state after the steps. Each tilt series has its steps in its provenance, and a volume its recipe.

    Raises
    ------
    ChemTomoError
        When a step cannot be done.
    """
    key = state.made_from if store is None else content_key(state)
    for together, group in itertools.groupby(steps, lambda one: STEPS[one.step].by_projection):
        if together:
            operations = [one.parameters for one in group if isinstance(one.parameters, Operation)]
            key = _next_key(key, [(one.operation, one) for one in operations])
            if state.volume is not None:
                state = dataclasses.replace(state, volume=_selected(state.volume, operations))
                continue
            dataset = state.require_series(operations[0].operation)
            job = _prepared_job(state, dataset, operations)
            state = (yield from once_job(job, store, key, state, should_stop)).state
            continue
        for entry in group:
            key = _next_key(key, [(entry.step, entry.parameters)])
            step = STEPS[entry.step]
            more = {"checkpoint": checkpoint} if step.resumable else {}
            job = step.job(state, entry.parameters, should_stop, **more)
            made = yield from once_job(job, store, key, state, should_stop)
            if not made.complete:
                store, key = None, ""  # it was that of a complete result
            state = _recorded(state, entry, made)
    return dataclasses.replace(state, made_from=key)


def once_job(
    job: Generator[Any, None, Made],
    store: Store | None,
    key: str,
    before: State,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[Any, None, Made]:
    """Return what a store has under a key, or else do a job and keep what it made.

    Where another run, of this program or of another one, is doing the same, it waits for that.

    Parameters
    ----------
    job : generator
        Makes it; not begun where it is there already.
    store : Store or None
        Where results are kept; without one the job is done.
    key : str
        SHA-256 of all that the result depends on, see `content_key`.
    before : State
        The state before the steps.
    should_stop : callable, optional
        ``True`` ends the waiting; the job is to be stopped by it too.
    """
    if store is None:
        return (yield from job)
    with store.turn(key) as turn:
        while (kept := store.find(key, before)) is None and not turn.take():
            if should_stop is not None and should_stop():
                break
            yield TaskProgress(0, 1, "Waiting for another run that makes the same")
            time.sleep(_POLL_SECONDS)
        # It may have been made since it was looked for.
        made = kept or store.find(key, before)
        if made is None:
            made = yield from job
            if made.complete:
                store.keep(key, before, made)
    return made


def run_recipe_job(
    recipe: Recipe,
    *,
    accept_changed: bool = False,
    should_stop: Callable[[], bool] | None = None,
    store: Store | None = None,
    checkpoint: Checkpoint | None = None,
) -> _Job:
    """Read the inputs of a recipe and do its steps; see `read_inputs_job` and `run_steps_job`."""
    state = with_key((yield from read_inputs_job(recipe, accept_changed=accept_changed)))
    steps = run_steps_job(state, recipe.steps, should_stop=should_stop, store=store, checkpoint=checkpoint)
    return (yield from steps)


def run(
    recipe: Recipe | str | Path,
    *,
    settings: Mapping[str, Any] | None = None,
    inputs: str | Path | None = None,
    accept_changed: bool = False,
    on_progress: Callable[[Any], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Volume | Dataset:
    """Run a recipe: what `chemtomo run` does, in one call.

    Parameters
    ----------
    recipe : Recipe or path
        A recipe, or a TOML file of one.
    settings : mapping, optional
        Parameters to change: ``{"reconstruct.strength": 2}``.
    inputs : path, optional
        A folder in which to look for the files of the recipe.
    accept_changed : bool
        Continue although the values of an input differ from those of the recipe.
    on_progress, should_stop : callable, optional
        As in `chemtomo.reconstruct`.
    checkpoint : Checkpoint, optional
        As in `chemtomo.reconstruct`.

    Returns
    -------
    Volume or Dataset
        The volume, or the tilt series of a recipe without a reconstruction.

    Raises
    ------
    ReadError
        When the recipe or an input cannot be read, or an input has changed.
    ParameterError
        When a setting is unknown or out of bounds.
    ChemTomoError
        When a step cannot be done.
    """
    chosen = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    if inputs is not None:
        chosen = in_folder(chosen, Path(inputs))
    chosen = with_settings(chosen, list((settings or {}).items()))
    job = run_recipe_job(
        chosen, accept_changed=accept_changed, should_stop=should_stop, checkpoint=checkpoint
    )
    state = finish(job, on_progress)
    return state.volume if state.volume is not None else state.require_series("run")


def _prepared_job(
    state: State, dataset: Dataset, operations: Sequence[Operation]
) -> Generator[Any, None, Made]:
    prepared = yield from prepare_job(dataset, operations)
    return Made(dataclasses.replace(state, series=prepared))


def _selected(volume: Volume, operations: Sequence[Operation]) -> Volume:
    """Return the chosen channels of a volume: the only operation on volumes."""
    for one in operations:
        if not isinstance(one, Select) or one.channels is None or one.names:
            raise ParameterError(f"{one.operation}: found a volume; expected tilt series. Do it before")
        volume = volume.select(one.channels)
    return volume


def _recorded(before: State, entry: Entry, made: Made) -> State:
    """Return what a step made, with the record of the step in it."""
    after = made.state
    done = made.instead if made.instead is not None else ((entry.step, entry.parameters),)
    if after.volume is not None and after.volume is not before.volume:
        return dataclasses.replace(after, volume=_with_recipe(before, after, done))
    # Maps hold their own record, also when they are made without the runner.
    if after.series is None or after.series is before.series or entry.step == "maps":
        return after
    old = {} if before.series is None else {one.name: one for one in before.series}
    series = []
    for one in after.series:
        earlier = old.get(one.name)
        did = one.provenance[len(earlier.provenance) :] if earlier is not None else ()
        for name, parameters in done:
            one = recorded(earlier, one, name, parameters.differing(), did=list(did))
            earlier = one
        series.append(one)
    return dataclasses.replace(after, series=Dataset(tuple(series)))


def _with_recipe(before: State, after: State, done: Sequence[tuple[str, Parameters]]) -> Volume:
    """Return the volume with its recipe: that of what it was made from, and the step."""
    assert after.volume is not None
    if before.volume is not None:
        base = Recipe.from_json(before.volume.provenance)
    else:
        base = recipe_of(with_recorded_alignments(before.require_series("recipe")))
    device = next((str(report.get("device", "")) for _, report in reversed(after.reports)), "")
    steps = (*base.steps, *(Entry(name, parameters) for name, parameters in done))
    recipe = dataclasses.replace(base, steps=steps, device=device or base.device, made_from="")
    return dataclasses.replace(after.volume, provenance=recipe.to_json())


def with_key(state: State) -> State:
    """Return a state with the key of its content, which is passed on to all that is made from it."""
    return dataclasses.replace(state, made_from=content_key(state))


def content_key(state: State, steps: Sequence[Entry] = ()) -> str:
    """Return a SHA-256 of the state before the first step and of the steps: equal for equal results."""
    key = state.made_from or _state_key(state)
    return _next_key(key, [(one.step, one.parameters) for one in steps])


def _state_key(state: State) -> str:
    """Return a key of the values of a state."""
    from chemtomo.data.fingerprint import alignment_digest, series_digest

    parts: list[Any] = [_spectra_key(one) for one in state.spectra]
    if state.series is not None:
        parts += [[one.name, series_digest(one), alignment_digest(one.alignment)] for one in state.series]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _spectra_key(series: SpectrumSeries) -> list[Any]:
    from chemtomo.pipeline.recipes.inputs import files_digest

    if series.origin is not None:
        values = files_digest(series.origin.paths)  # decoding all of them takes long
    else:
        digest = hashlib.sha256()
        for tilt in range(series.shape[0]):
            digest.update(np.ascontiguousarray(series.data[tilt]).tobytes())
        values = f"{series.data.dtype.str} {digest.hexdigest()}"
    energies = [series.energy_offset_keV, series.energy_step_keV, series.signal, series.beam_energy_keV]
    about = [series.name, list(series.shape), series.tilts_deg.tolist(), series.pixel_size_nm]
    return [*about, *energies, list(series.elements), values]


def _next_key(key: str, steps: Sequence[tuple[str, Parameters]]) -> str:
    if not key:
        return ""  # not known
    for name, parameters in steps:
        text = json.dumps([key, name, parameters.differing(effective=True)], sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()
    return key
