"""Do planned runs: one after the other in this process, or several at a time on the workers of a cluster."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, TypeVar

from chemtomo.errors import ParameterError
from chemtomo.pipeline.many.planned import Outcome, PlannedRun, planned_run_job
from chemtomo.progress import TaskProgress

__all__ = ["as_tasks", "run_many_job"]

_Result = TypeVar("_Result")


def run_many_job(
    runs: Sequence[PlannedRun],
    *,
    workers: int = 0,
    scheduler: str | None = None,
    on_outcome: Callable[[Outcome], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[TaskProgress, None, tuple[Outcome, ...]]:
    """Do planned runs; one that fails does not end the others.

    A worker does one run at a time. The run of a worker that dies is tried once more on another one.

    Parameters
    ----------
    runs : sequence of PlannedRun
        See `chemtomo.pipeline.many.plan_runs`.
    workers : int
        Number of processes of a cluster that is started here; 0 does the runs in this process.
    scheduler : str, optional
        Address of a running Dask scheduler, instead of starting one. Its workers must see the files at the
        same paths.
    on_outcome : callable, optional
        Called when a run has ended.
    should_stop : callable, optional
        Asked regularly; ``True`` ends the present runs without results, and starts no others.

    Yields
    ------
    TaskProgress
        How many runs are done, and what is running.

    Returns
    -------
    tuple of Outcome
        One for each run, in their order.

    Raises
    ------
    ParameterError
        When a cluster is asked for and Dask is not installed, or no scheduler is at this address.
    """
    stop = should_stop or (lambda: False)
    running = (
        _here(runs, stop) if not workers and scheduler is None else _there(runs, workers, scheduler, stop)
    )
    outcomes: dict[str, Outcome] = {}
    for event in running:
        if isinstance(event, Outcome):
            outcomes[event.run.output] = event
            if on_outcome is not None:
                on_outcome(event)
        message = event.message if isinstance(event, TaskProgress) else event.run.title
        yield TaskProgress(len(outcomes), len(runs), message)
    return tuple(outcomes[run.output] for run in runs)


def _here(runs: Sequence[PlannedRun], should_stop: Callable[[], bool]) -> Iterator[Outcome | TaskProgress]:
    for run in runs:
        if should_stop():
            yield Outcome(run, "cancelled")
            continue
        outcome = yield from as_tasks(planned_run_job(run, should_stop), run.title)
        yield outcome


def as_tasks(job: Generator[Any, None, _Result], title: str) -> Generator[TaskProgress, None, _Result]:
    """Do a job, and yield each progress, of iterations too, as a `TaskProgress` with a title."""
    while True:
        try:
            progress: Any = next(job)
        except StopIteration as end:
            result: _Result = end.value
            return result
        if isinstance(progress, TaskProgress):
            yield dataclasses.replace(progress, message=f"{title}: {progress.message}")
        else:
            at = f"{progress.iteration} of {progress.iterations} iterations"
            yield TaskProgress(progress.iteration, progress.iterations, f"{title}: {at}")


def _there(
    runs: Sequence[PlannedRun], workers: int, scheduler: str | None, should_stop: Callable[[], bool]
) -> Iterator[Outcome | TaskProgress]:
    try:
        from chemtomo.pipeline.many import cluster
    except ImportError as error:
        raise ParameterError(
            f"found no Dask for several processes ({error}); expected pip install 'napari-chemtomo[cluster]'"
        ) from error
    with cluster.connected(workers, scheduler) as client:
        yield from cluster.distributed_runs(client, runs, should_stop)
