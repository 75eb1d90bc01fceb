"""Run jobs: one after the other in this process, or many at a time on the workers of a cluster."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from chemtomo.errors import ParameterError
from chemtomo.pipeline.many.job import Job, Outcome, do_job_job
from chemtomo.progress import TaskProgress

__all__ = ["run_jobs_job"]


def run_jobs_job(
    jobs: Sequence[Job],
    *,
    workers: int = 0,
    scheduler: str | None = None,
    on_outcome: Callable[[Outcome], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[TaskProgress, None, tuple[Outcome, ...]]:
    """Do jobs; one that fails does not end the others.

    A worker does one job at a time. The job of a worker that dies is tried once more on another one.

    Parameters
    ----------
    jobs : sequence of Job
        See `chemtomo.pipeline.many.plan_jobs`.
    workers : int
        Number of processes of a cluster that is started here; 0 does the jobs in this process.
    scheduler : str, optional
        Address of a running Dask scheduler, in place of these. Its workers see the files by the same paths.
    on_outcome : callable, optional
        Called when a job has ended.
    should_stop : callable, optional
        Asked now and then; ``True`` ends the running jobs without results, and begins no others.

    Yields
    ------
    TaskProgress
        How many jobs are done, and what is running.

    Returns
    -------
    tuple of Outcome
        One for each job, in their order.

    Raises
    ------
    ParameterError
        When a cluster is asked for and Dask is not installed, or no scheduler is at this address.
    """
    stop = should_stop or (lambda: False)
    running = (
        _here(jobs, stop) if not workers and scheduler is None else _there(jobs, workers, scheduler, stop)
    )
    outcomes: dict[str, Outcome] = {}
    for event in running:
        if isinstance(event, Outcome):
            outcomes[event.job.output] = event
            if on_outcome is not None:
                on_outcome(event)
        message = event.message if isinstance(event, TaskProgress) else event.job.title
        yield TaskProgress(len(outcomes), len(jobs), message)
    return tuple(outcomes[job.output] for job in jobs)


def _here(jobs: Sequence[Job], should_stop: Callable[[], bool]) -> Iterator[Outcome | TaskProgress]:
    for job in jobs:
        if should_stop():
            yield Outcome(job, "cancelled")
            continue
        outcome = yield from _shown(job, should_stop)
        yield outcome


def _shown(job: Job, should_stop: Callable[[], bool]) -> Generator[TaskProgress, None, Outcome]:
    doing = do_job_job(job, should_stop)
    while True:
        try:
            progress: Any = next(doing)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        if isinstance(progress, TaskProgress):
            yield dataclasses.replace(progress, message=f"{job.title}: {progress.message}")
        else:
            at = f"{progress.iteration} of {progress.iterations} iterations"
            yield TaskProgress(progress.iteration, progress.iterations, f"{job.title}: {at}")


def _there(
    jobs: Sequence[Job], workers: int, scheduler: str | None, should_stop: Callable[[], bool]
) -> Iterator[Outcome | TaskProgress]:
    try:
        from chemtomo.pipeline.many import cluster
    except ImportError as error:
        raise ParameterError(
            f"found no Dask for several processes ({error}); expected pip install 'napari-chemtomo[cluster]'"
        ) from error
    with cluster.connected(workers, scheduler) as client:
        yield from cluster.distributed_jobs(client, jobs, should_stop)
