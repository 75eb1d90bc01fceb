"""Do planned runs on the workers of a Dask cluster, one run and one device per worker."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import signal
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

import dask.config
from distributed import Client, Event, Future, LocalCluster, WorkerPlugin, get_worker, wait

from chemtomo.errors import DeviceError, ParameterError
from chemtomo.opencl.choice.choosing import ENVIRONMENT_VARIABLE, list_devices
from chemtomo.opencl.choice.sharing import SHARED_BY_VARIABLE
from chemtomo.pipeline.many.planned import Outcome, PlannedRun, planned_run_job
from chemtomo.progress import TaskProgress, finish

__all__ = ["connected", "distributed_runs"]

_MOST_KILLS = 2
_POLL_SECONDS = 0.5
_ASK_SECONDS = 1.0
_CONNECT_SECONDS = 20
_RESULT_SECONDS = 30
# How many threads libraries start: NumPy and SciPy before they are loaded, OpenCL drivers of the CPU later.
_NUMPY_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_OPENCL_THREADS = ("POCL_MAX_PTHREAD_COUNT", "DPCPP_CPU_NUM_CUS", "CL_CONFIG_CPU_TBB_NUM_WORKERS")

_Do = Callable[[PlannedRun, Callable[[], bool]], Outcome]


@contextlib.contextmanager
def connected(workers: int, scheduler: str | None = None) -> Iterator[Client]:
    """Connect to a running cluster, or to one that is started here and closed afterwards.

    Parameters
    ----------
    workers : int
        How many processes to start; they share the threads of this computer evenly.
    scheduler : str, optional
        The address of a scheduler, instead of starting processes.

    Raises
    ------
    ParameterError
        When there is no scheduler at the address.
    """
    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=_CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ParameterError(
                f"{scheduler}: found no Dask scheduler ({error}); expected an address such as tcp://host:8786"
            ) from error
        with client:
            yield client
        return
    threads = str(max(1, (os.cpu_count() or 1) // workers))
    before = {f"distributed.nanny.pre-spawn-environ.{name}": threads for name in _NUMPY_THREADS}
    # Readers and drivers may start processes, which daemons must not.
    with (
        dask.config.set({**before, "distributed.worker.daemon": False}),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=None,  # a reconstruction has its own limit
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # the dashboard is started in any case
            silence_logs=logging.CRITICAL,
            env={name: os.environ.get(name, threads) for name in _OPENCL_THREADS},
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        client.register_plugin(_LeavesInterrupts())
        yield client


class _LeavesInterrupts(WorkerPlugin):
    """Makes workers ignore Ctrl-C, which the terminal sends to them too: the command handles it."""

    def setup(self, worker: Any) -> None:
        with contextlib.suppress(ValueError):  # not in the main thread, which is never interrupted
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def do_planned(run: PlannedRun, should_stop: Callable[[], bool]) -> Outcome:
    """Do a run without reporting its progress."""
    return finish(planned_run_job(run, should_stop))


def distributed_runs(
    client: Client, runs: Sequence[PlannedRun], should_stop: Callable[[], bool], do: _Do = do_planned
) -> Generator[Outcome | TaskProgress, None, None]:
    """Do runs on the workers of a cluster, each of which has one at a time.

    Runs are assigned to workers here and not by the scheduler. So when a worker dies it is known which run it
    did; only this one is tried once more, on another worker.

    Parameters
    ----------
    client : distributed.Client
        Workers may come and go.
    runs : sequence of PlannedRun
        What to do.
    should_stop : callable
        ``True`` ends the present runs without results, and starts no others.
    do : callable
        Does a run, on the worker.

    Yields
    ------
    Outcome or TaskProgress
        The outcome of a run, or the progress.
    """
    stop = Event(f"chemtomo-stop-{uuid.uuid4().hex}", client=client)
    waiting = deque(runs)
    running: dict[Future[Outcome], _Running] = {}
    places = _Places()
    kills: Counter[str] = Counter()
    stopped = False
    while waiting or running:
        if not stopped and should_stop():
            stopped = True
            stop.set()
        if stopped:
            yield from (Outcome(run, "cancelled") for run in waiting)
            waiting.clear()
        workers: dict[str, Any] = client.scheduler_info()["workers"]
        for future, one in list(running.items()):
            if not future.done() and one.worker in workers:
                continue
            del running[future]
            outcome = _outcome(future, one) if future.done() else None
            if outcome is not None:
                if kills[one.run.output]:
                    said = f"{one.run.title}: the first worker died; done by another one"
                    outcome = dataclasses.replace(outcome, notes=(said, *outcome.notes))
                yield outcome
                continue
            future.cancel()
            kills[one.run.output] += 1
            if stopped:
                yield Outcome(one.run, "cancelled")
            elif kills[one.run.output] < _MOST_KILLS:
                waiting.append(one.run)
            else:
                message = (
                    f"found {_MOST_KILLS} workers that died during this run; expected a result. "
                    "The memory may be too small"
                )
                yield Outcome(one.run, "failed", message, seconds=time.monotonic() - one.start)
        places.update(workers)
        busy = {one.worker for one in running.values()}
        for worker in workers:
            if waiting and worker not in busy:
                run = waiting.popleft()
                future = client.submit(
                    _on_worker,
                    (run, stop.name, *places.of(worker), do),
                    key=f"chemtomo-{uuid.uuid4().hex}",
                    workers=[worker],
                    allow_other_workers=False,
                    pure=False,
                )
                running[future] = _Running(run, worker, time.monotonic())
        names = ", ".join(one.run.title for one in running.values())
        yield TaskProgress(0, len(runs), names or "Waiting for workers")
        with client.as_current():
            _wait(list(running))


@dataclasses.dataclass(frozen=True)
class _Running:
    run: PlannedRun
    worker: str
    start: float


class _Places:
    """Numbers the workers of each computer, so that each uses a different GPU."""

    def __init__(self) -> None:
        self._numbers: dict[str, tuple[str, int]] = {}

    def update(self, workers: Mapping[str, Any]) -> None:
        """Remove workers that are gone, and give free numbers to new ones."""
        self._numbers = {address: place for address, place in self._numbers.items() if address in workers}
        for address, about in workers.items():
            if address not in self._numbers:
                host = str(about["host"])
                taken = {number for other, number in self._numbers.values() if other == host}
                self._numbers[address] = (host, min(set(range(len(taken) + 1)) - taken))

    def of(self, worker: str) -> tuple[int, int]:
        """Return the number of a worker on its computer, and how many there are."""
        host, number = self._numbers[worker]
        return number, sum(other == host for other, _ in self._numbers.values())


def _outcome(future: Future[Outcome], one: _Running) -> Outcome | None:
    """Return what a run returned; None where its worker died."""
    from distributed import CancelledError, KilledWorker

    try:
        found: Outcome = future.result(timeout=_RESULT_SECONDS)
    except (CancelledError, KilledWorker, TimeoutError):
        return None
    except Exception as error:  # noqa: BLE001 - for example a worker without this program
        message = f"{one.worker}: {type(error).__name__}: {error}"
        return Outcome(one.run, "failed", message, seconds=time.monotonic() - one.start)
    return found


def _wait(futures: list[Future[Outcome]]) -> None:
    if not futures:
        time.sleep(_POLL_SECONDS)
        return
    with contextlib.suppress(TimeoutError):
        wait(futures, timeout=_POLL_SECONDS, return_when="FIRST_COMPLETED")


def _on_worker(sent: tuple[PlannedRun, str, int, int, _Do]) -> Outcome:
    """Do a run on a worker, with its device and its share of the memory."""
    run, stop_name, number, count, do = sent
    event = Event(stop_name)
    asked_at, stopped = 0.0, False

    def should_stop() -> bool:
        nonlocal asked_at, stopped
        if not stopped and time.monotonic() - asked_at > _ASK_SECONDS:
            stopped = bool(event.is_set())
            asked_at = time.monotonic()
        return stopped

    with _environment(_share(number, count)):
        outcome = do(run, should_stop)
    return dataclasses.replace(outcome, worker=str(get_worker().address))


def _share(number: int, count: int) -> dict[str, str]:
    """Return the environment of one of several workers of a computer: which device, and how much of it."""
    try:
        gpus = [device for device in list_devices() if device.kind == "gpu"] if count > 1 else []
    except DeviceError:
        gpus = []
    if len(gpus) < 2:
        return {SHARED_BY_VARIABLE: str(count)}
    shared_by = len(range(number % len(gpus), count, len(gpus)))
    chosen = {SHARED_BY_VARIABLE: str(shared_by)}
    if ENVIRONMENT_VARIABLE not in os.environ:
        chosen[ENVIRONMENT_VARIABLE] = str(gpus[number % len(gpus)].number)
    return chosen


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
