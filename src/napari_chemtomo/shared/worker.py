"""The only place with threads: reconstructions and device queries beside napari's event loop."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import Dataset
from chemtomo.errors import ChemTomoError
from chemtomo.pipeline import Entry, ReconstructParameters, State
from chemtomo.pipeline.jobs.reconstruct import Result
from chemtomo.pipeline.runner import Store, run_steps_job
from chemtomo.preprocess.values.intensity import PublishedScaling
from chemtomo.progress import TaskProgress
from chemtomo.solvers import IterationRecord
from napari_chemtomo import settings

__all__ = [
    "Control",
    "Job",
    "Latest",
    "ReconstructionError",
    "Task",
    "TaskError",
    "Update",
    "find_devices",
    "start",
    "start_task",
]

# One run at a time on a device: two would share its memory, and each would be slower.
_locks: dict[str, threading.Lock] = defaultdict(threading.Lock)
_LOCK_POLL_SECONDS = 0.1


class ReconstructionError(ChemTomoError):
    """A reconstruction that failed for a reason of which the program did not think.

    It wraps builtin errors, because napari drops a ``RuntimeError`` of a worker without a word.
    """


class TaskError(ChemTomoError):
    """A job that failed for a reason of which the program did not think; see `ReconstructionError`."""


@dataclasses.dataclass
class Control:
    """What the viewer tells a running reconstruction; it may be changed at any time.

    Attributes
    ----------
    cancelled : threading.Event
        Set to stop with the last iterate.
    y_nm : float or None
        Place along ``y`` of the slice to show; ``None`` for no slice.
    interval : float
        Seconds between two slices at least.
    """

    cancelled: threading.Event = dataclasses.field(default_factory=threading.Event)
    y_nm: float | None = None
    interval: float = 0.3


@dataclasses.dataclass(frozen=True)
class Update:
    """What the viewer learns after an iteration.

    Attributes
    ----------
    iteration, iterations : int
        Iterations done, and the limit.
    seconds : float
        Since the first iteration began.
    record : IterationRecord, optional
        The objective, after the iterations that were evaluated.
    image : numpy.ndarray, optional
        The slice in view, shape (channel, z, x).
    origin_px : (float, float, float)
        Index ``(z, y, x)`` of the first voxel of `image` in the volume of the whole series.
    voxel_size_nm : float
        Edge of a voxel.
    """

    iteration: int
    iterations: int
    seconds: float
    record: IterationRecord | None = None
    image: npt.NDArray[np.float32] | None = None
    origin_px: tuple[float, float, float] = (0.0, 0.0, 0.0)
    voxel_size_nm: float = 1.0


@dataclasses.dataclass(frozen=True)
class Job:
    """A reconstruction in its thread."""

    control: Control
    worker: Any

    def cancel(self) -> None:
        """Ask it to stop after the present iteration, with the last iterate as its result."""
        self.control.cancelled.set()


def start(
    dataset: Dataset,
    parameters: ReconstructParameters,
    scaling: PublishedScaling | None,
    control: Control,
    *,
    on_update: Callable[[Update], None],
    on_result: Callable[[Result | None], None],
    on_error: Callable[[Exception], None],
    on_finished: Callable[[], None],
) -> Job:
    """Start a reconstruction in a thread; the callbacks run in the viewer's thread.

    `on_result` is called with ``None`` when there is nothing to keep: it was cancelled before it began.
    `on_finished` is the last call in any case.
    """
    from napari.qt.threading import create_worker
    from napari.utils.notifications import notification_manager

    def show_error(error: Exception) -> None:
        notification_manager.receive_error(type(error), error, error.__traceback__)
        on_error(error)

    steps = reconstruct(dataset, parameters, scaling, control)

    def reconstruction() -> Generator[Update, None, Result | None]:
        return (yield from steps)

    worker = create_worker(
        reconstruction,
        _connect={
            "yielded": on_update,
            "returned": on_result,
            "errored": show_error,
            # napari leaves the generator where it is; closed, it frees its device.
            "aborted": steps.close,
            "finished": on_finished,
        },
    )
    return Job(control, worker)


def reconstruct(
    dataset: Dataset,
    parameters: ReconstructParameters,
    scaling: PublishedScaling | None,
    control: Control,
) -> Generator[Update, None, Result | None]:
    """Run a reconstruction, one yield an iteration; see `start`.

    Raises
    ------
    ChemTomoError
        Whatever goes wrong: a `ReconstructionError` when it is no error of our own.
    """
    lock = _locks[_device_key(parameters.device)]
    while not lock.acquire(timeout=_LOCK_POLL_SECONDS):
        if control.cancelled.is_set():
            return None
        yield Update(0, parameters.iterations, 0.0)
    try:
        return (yield from _updates(dataset, parameters, scaling, control))
    except ChemTomoError:
        raise
    except Exception as error:
        raise ReconstructionError(f"the reconstruction failed: {type(error).__name__}: {error}") from error
    finally:
        lock.release()


def _updates(
    dataset: Dataset,
    parameters: ReconstructParameters,
    scaling: PublishedScaling | None,
    control: Control,
) -> Generator[Update, None, Result]:
    running = reconstruction_job(
        dataset, parameters, scaling, should_stop=control.cancelled.is_set, store=settings.result_cache()
    )
    shown = -np.inf
    while True:
        try:
            progress = next(running)
        except StopIteration as end:
            return end.value
        if isinstance(progress, TaskProgress):
            continue  # of steps before the first iteration
        y_nm = control.y_nm
        update = Update(progress.iteration, progress.iterations, progress.seconds, progress.record)
        if y_nm is not None and time.monotonic() - shown >= control.interval:
            y = progress.slice_at(y_nm)
            z0, y0, x0 = progress.origin_px
            update = dataclasses.replace(
                update,
                image=np.array(progress.slice(y), dtype=np.float32),
                origin_px=(z0, y0 + y, x0),
                voxel_size_nm=progress.voxel_size_nm,
            )
            shown = time.monotonic()
        yield update


def reconstruction_job(
    dataset: Dataset,
    parameters: ReconstructParameters,
    scaling: PublishedScaling | None,
    *,
    should_stop: Callable[[], bool] | None = None,
    store: Store | None = None,
) -> Generator[Any, None, Result]:
    """Run the steps of a reconstruction, with the published scaling before it where that is wanted."""
    steps = [Entry("reconstruct", parameters)]
    if scaling is not None:
        before = [Entry("published_scaling", scaling)]
        if any(one.alignment is not None for one in dataset):
            before.insert(0, Entry.of("apply_alignment", {}))
        steps = [*before, *steps]
    state = yield from run_steps_job(State(series=dataset), steps, should_stop=should_stop, store=store)
    assert state.volume is not None
    return Result(state.volume, state.reports[-1][1])


def _device_key(wanted: str) -> str:
    """Return one text for all ways to name a device."""
    from chemtomo.opencl import choose_device

    device = choose_device(wanted)
    return wanted if device is None else str(device.number)


@dataclasses.dataclass(frozen=True)
class Task:
    """A job in its thread; see `start_task`."""

    cancelled: threading.Event
    worker: Any

    def cancel(self) -> None:
        """Ask it to stop: jobs that watch the event return what they have, others end without a result."""
        self.cancelled.set()


def start_task(
    make_job: Callable[[Callable[[], bool]], Generator[TaskProgress, None, Any]],
    *,
    on_progress: Callable[[TaskProgress], None],
    on_result: Callable[[Any], None],
    on_error: Callable[[Exception], None],
    on_finished: Callable[[], None],
) -> Task:
    """Run a long job in a thread; the callbacks run in the viewer's thread.

    Parameters
    ----------
    make_job : callable
        Gets a function that tells whether to stop, and returns the job: a generator that yields its
        progress and returns its result. A job that goes on after it was cancelled is closed at its
        next yield, and its result is ``None``.
    on_progress, on_result, on_error, on_finished : callable
        `on_finished` is the last call in any case. An error is shown as a notification, too.
    """
    from napari.qt.threading import create_worker
    from napari.utils.notifications import notification_manager

    cancelled = threading.Event()

    def show_error(error: Exception) -> None:
        notification_manager.receive_error(type(error), error, error.__traceback__)
        on_error(error)

    worker = create_worker(
        _run_task,
        make_job,
        cancelled,
        _connect={
            "yielded": on_progress,
            "returned": on_result,
            "errored": show_error,
            "finished": on_finished,
        },
    )
    return Task(cancelled, worker)


def _run_task(
    make_job: Callable[[Callable[[], bool]], Generator[TaskProgress, None, Any]],
    cancelled: threading.Event,
) -> Generator[TaskProgress, None, Any]:
    after_cancel = 0
    job = None
    try:
        job = make_job(cancelled.is_set)
        while True:
            try:
                progress = next(job)
            except StopIteration as end:
                return end.value
            # One yield more is left to the job, so that it can notice and return what it has.
            after_cancel += cancelled.is_set()
            if after_cancel > 1:
                return None
            yield progress
    except ChemTomoError:
        raise
    except Exception as error:
        raise TaskError(f"{type(error).__name__}: {error}") from error
    finally:
        if job is not None:
            job.close()


class Latest:
    """Answers questions in a thread, one at a time; of those that wait only the newest is answered.

    Parameters
    ----------
    answer : callable
        Gets the question, and a function that returns the newer one that waits, or None. Runs in the thread.
    on_answer : callable
        Gets the question and the answer, in the viewer's thread.
    on_error : callable
        Gets the question and a `ChemTomoError`, in the viewer's thread.
    """

    def __init__(
        self,
        answer: Callable[[Any, Callable[[], Any]], Any],
        on_answer: Callable[[Any, Any], None],
        on_error: Callable[[Any, ChemTomoError], None],
    ) -> None:
        self._answer = answer
        self._on_answer = on_answer
        self._on_error = on_error
        self._waiting: list[Any] = []
        self._running = False

    @property
    def busy(self) -> bool:
        """Whether a question is being answered or waits."""
        return self._running or bool(self._waiting)

    def ask(self, question: Any) -> None:
        """Ask; a question that waits is forgotten."""
        self._waiting = [question]
        if not self._running:
            self._start()

    def forget(self) -> None:
        """Forget the question that waits."""
        self._waiting = []

    def _start(self) -> None:
        from napari.qt.threading import create_worker

        question = self._waiting.pop()
        self._running = True
        create_worker(
            self._answered,
            question,
            _connect={"returned": lambda found: self._done(question, found)},
        )

    def _answered(self, question: Any) -> Any:
        # An error goes with the answer: napari would raise one in the viewer's thread.
        try:
            return self._answer(question, self._newer), None
        except ChemTomoError as error:
            return None, error
        except Exception as error:  # noqa: BLE001 - the viewer shall say what it was, whatever it was
            return None, TaskError(f"{type(error).__name__}: {error}")

    def _newer(self) -> Any:
        waiting = self._waiting
        return waiting[0] if waiting else None

    def _done(self, question: Any, found: tuple[Any, ChemTomoError | None]) -> None:
        self._running = False
        answer, error = found
        if error is None:
            self._on_answer(question, answer)
        else:
            self._on_error(question, error)
        if self._waiting and not self._running:
            self._start()


def find_devices(on_found: Callable[[list[str]], None]) -> None:
    """Look for compute devices in a thread, and call `on_found` with their names in the viewer's."""
    from napari.qt.threading import create_worker

    create_worker(_device_names, _connect={"returned": on_found, "errored": lambda error: on_found([])})


def _device_names() -> list[str]:
    from chemtomo.opencl import list_devices

    return [one.name for one in list_devices()]
