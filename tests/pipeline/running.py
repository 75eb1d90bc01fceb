"""Reconstruct in a test, with a model of the parameters."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

from chemtomo.data import Dataset
from chemtomo.pipeline import Entry, State
from chemtomo.pipeline.jobs.reconstruct import Result
from chemtomo.pipeline.runner import run_steps_job
from chemtomo.preprocess.operation import Operation
from chemtomo.progress import finish
from chemtomo.recon import ReconstructParameters


def run(
    dataset: Dataset,
    parameters: ReconstructParameters,
    operations: Sequence[Operation] = (),
    *,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[Any, None, Result]:
    """Do operations and a reconstruction, one iteration at a time."""
    steps = [*(Entry(one.operation, one) for one in operations), Entry("reconstruct", parameters)]
    state = yield from run_steps_job(State(series=dataset), steps, should_stop=should_stop)
    assert state.volume is not None
    return Result(state.volume, state.reports[-1][1])


def execute(
    dataset: Dataset,
    parameters: ReconstructParameters,
    operations: Sequence[Operation] = (),
    *,
    on_progress: Callable[[Any], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Result:
    """Do the same to the end."""
    return finish(run(dataset, parameters, operations, should_stop=should_stop), on_progress)
