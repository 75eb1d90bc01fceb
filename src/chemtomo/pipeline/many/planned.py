"""One of many runs: a recipe on a data set, and its outcome."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Literal

from chemtomo.errors import ChemTomoError, ParameterError
from chemtomo.pipeline.keeping.cache import Cache
from chemtomo.pipeline.recipes.history import recipe_as_written
from chemtomo.pipeline.recipes.inputs import in_folder, read_inputs_job
from chemtomo.pipeline.recipes.recipe import Recipe
from chemtomo.pipeline.runner import content_key, run_steps_job, with_key
from chemtomo.pipeline.step import State
from chemtomo.pipeline.writing import write

__all__ = ["Outcome", "PlannedRun", "begun_job", "is_made_from", "planned_run_job"]

Became = Literal["made", "there already", "failed", "cancelled"]
ShouldStop = Callable[[], bool]


@dataclasses.dataclass(frozen=True)
class PlannedRun:
    """A result to be made. It is plain data, so that it can be sent to another computer.

    Attributes
    ----------
    data : str
        Name of the data set.
    path : str, optional
        Where its files are; None for those of the recipe.
    settings : dict of str to str
        The parameters that were set for this result, as text.
    recipe : dict
        What to do, as `Recipe.to_json` describes it.
    output : str
        Where the result goes, absolute.
    overwrite : bool
        Whether a result of other inputs or steps may be replaced.
    accept_changed : bool
        Continue although the values of an input differ from those of the recipe.
    cache : Cache, optional
        Where results of steps are kept that are common to several runs.
    """

    data: str
    path: str | None
    settings: dict[str, str]
    recipe: dict[str, Any]
    output: str
    overwrite: bool = False
    accept_changed: bool = False
    cache: Cache | None = None

    @property
    def title(self) -> str:
        """The name of the data set, with the settings."""
        return " ".join([self.data, *(f"{place}={value}" for place, value in self.settings.items())])


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The outcome of a run.

    Attributes
    ----------
    run : PlannedRun
        What was to be made.
    became : {"made", "there already", "failed", "cancelled"}
        A result is there already when it was made from the same values by the same steps.
    message : str
        The error.
    files : tuple of str
        What was written.
    notes : tuple of str
        What the format could not store, and whether a worker died.
    seconds : float
        How long it took.
    reports : tuple of (str, dict)
        Reports of the steps.
    worker : str
        Where it was done; empty for this process.
    """

    run: PlannedRun
    became: Became
    message: str = ""
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    reports: tuple[tuple[str, dict[str, Any]], ...] = ()
    worker: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as JSON values."""
        found = dataclasses.asdict(self)
        run = found.pop("run")
        about = {key: run[key] for key in ("data", "path", "settings", "output")}
        return {**about, **found, "reports": [{"step": name, **report} for name, report in self.reports]}


def planned_run_job(run: PlannedRun, should_stop: ShouldStop) -> Generator[Any, None, Outcome]:
    """Do one run. An error is stored in the outcome, and does not end other runs.

    Parameters
    ----------
    run : PlannedRun
        What to make.
    should_stop : callable
        Asked regularly; ``True`` ends the run without a result.

    Yields
    ------
    TaskProgress or Progress
        What the steps yield.

    Returns
    -------
    Outcome
        The outcome.
    """
    start = time.monotonic()
    try:
        outcome = yield from _try(run, should_stop)
    except ChemTomoError as error:
        outcome = Outcome(run, "failed", " ".join(str(error).split()))
    except Exception as error:  # noqa: BLE001 - it must not end the others
        outcome = Outcome(run, "failed", f"{type(error).__name__}: {error}")
    return dataclasses.replace(outcome, seconds=time.monotonic() - start)


def begun_job(run: PlannedRun) -> Generator[Any, None, tuple[Recipe, State] | Outcome]:
    """Read the inputs of a run, and check its output.

    Returns
    -------
    (Recipe, State) or Outcome
        What is to be done, and with what; or that the result is there already.

    Raises
    ------
    ChemTomoError
        When an input cannot be read, or the result could not be written.
    """
    from chemtomo.io import check_output, check_targets, input_files

    recipe = Recipe.from_json(run.recipe)
    if run.path is not None:
        recipe = _on_data_set(recipe, Path(run.path))
    output = Path(run.output)
    check_targets([output], input_files(path for one in recipe.inputs for path in one.paths))
    state = with_key((yield from read_inputs_job(recipe, accept_changed=run.accept_changed)))
    if is_made_from(output, content_key(state, recipe.steps)):
        return Outcome(run, "there already")
    output.parent.mkdir(parents=True, exist_ok=True)
    check_output(output, overwrite=run.overwrite)
    return recipe, state


def _try(run: PlannedRun, should_stop: ShouldStop) -> Generator[Any, None, Outcome]:
    begun = yield from begun_job(run)
    if isinstance(begun, Outcome):
        return begun
    recipe, state = begun
    state = yield from run_steps_job(state, recipe.steps, should_stop=should_stop, store=run.cache)
    if should_stop():
        return Outcome(run, "cancelled")
    result = state.volume if state.volume is not None else state.require_series("run")
    written = write(result, run.output, overwrite=run.overwrite, made_from=state.made_from)
    notes = written.notes if run.cache is None else (*written.notes, *run.cache.notes)
    return Outcome(run, "made", "", tuple(map(str, written)), notes, reports=state.reports)


def _on_data_set(recipe: Recipe, path: Path) -> Recipe:
    """Return a recipe for the files of another data set, whose values are not checked."""
    paths = [one for entry in recipe.inputs for one in entry.paths]
    if not paths:
        raise ParameterError("found a recipe without files; expected files that other data sets have too")
    if len(paths) == 1 and not (path / Path(paths[0]).name).exists():
        # A single input may have another name, and be a file.
        moved = [one.model_copy(update={"paths": (str(path),)} if one.paths else {}) for one in recipe.inputs]
        recipe = dataclasses.replace(recipe, inputs=tuple(moved))
    else:
        recipe = in_folder(recipe, path)
    inputs = [
        one.model_copy(
            update={
                "sha256": "",
                "signals": tuple(signal.model_copy(update={"sha256": ""}) for signal in one.signals),
            }
        )
        for one in recipe.inputs
    ]
    return dataclasses.replace(recipe, inputs=tuple(inputs))


def is_made_from(output: Path, key: str) -> bool:
    """Tell whether there is a result at a place that was made from this, see `Recipe.made_from`."""
    from chemtomo.io import is_volume, read, recipe_of_volume

    try:
        if is_volume(output, ours=True):
            return Recipe.from_json(recipe_of_volume(output)).made_from == key
        written = recipe_as_written(read(output)) if output.exists() else None
    except ChemTomoError:
        return False
    return written is not None and written.made_from == key
