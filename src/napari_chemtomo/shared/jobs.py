"""Long jobs in threads beside napari's event loop; the viewer owns them, and docks show them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from chemtomo.errors import ChemTomoError
from chemtomo.progress import TaskProgress

__all__ = ["Job", "MakeJob", "TaskError", "as_task_error"]

MakeJob = Callable[[Callable[[], bool]], Generator[TaskProgress, None, Any]]
"""Gets a function that tells whether to stop, and returns the generator that is the job."""

# A cancelled job that has nothing to show for itself is left to its thread after this time.
_PATIENCE_MILLISECONDS = 250


class TaskError(ChemTomoError):
    """A job that failed for a reason of which the program did not think.

    It wraps builtin errors, because napari drops a ``RuntimeError`` of a worker without a word.
    """


def as_task_error(error: Exception) -> ChemTomoError:
    """Return an error of ours as it is, and any other one as a `TaskError`."""
    return error if isinstance(error, ChemTomoError) else TaskError(f"{type(error).__name__}: {error}")


class Job(QObject):
    """A job in its thread, from its start to its end.

    Parameters
    ----------
    make_job : callable
        See `MakeJob`. A job that goes on after it was cancelled is closed at its next yield, and has no
        result.
    on_result : callable
        Gets the result in the viewer's thread and returns the sentence to show. The dock that started the
        job may be closed by then. Not called for ``None``, which a cancelled job returns.
    keeps : callable, optional
        Tells from the last progress whether a cancelled job has something to return, for which it is worth
        to wait. All others end at once.
    """

    progressed = Signal(object)
    """Emitted with the progress that the job yields."""

    ended = Signal(object)
    """Emitted once, with the result or ``None``."""

    def __init__(
        self,
        make_job: MakeJob,
        on_result: Callable[[Any], str],
        keeps: Callable[[TaskProgress], bool] = lambda progress: False,
    ) -> None:
        from napari.qt.threading import create_worker

        super().__init__()
        self.progress = TaskProgress(0, 0, "Starting…")
        self.sentence = "Cancelled; nothing was changed."
        self.running = True
        self.succeeded = False
        self._on_result = on_result
        self._keeps = keeps
        self._result: Any = None
        self._cancelled = threading.Event()
        steps = _run(make_job, self._cancelled)

        def work() -> Generator[TaskProgress, None, Any]:
            return (yield from steps)

        self.worker = create_worker(
            work,
            _connect={
                "yielded": self._show,
                "returned": self._take,
                "errored": self._fail,
                # napari leaves the generator where it is; closed, it frees what it uses.
                "aborted": steps.close,
                "finished": self._end,
            },
        )

    @property
    def cancelled(self) -> bool:
        """Whether the job was asked to stop."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Ask the job to stop: at once, or with what it has reached where it keeps that."""
        self._cancelled.set()
        if not self._keeps(self.progress):
            QTimer.singleShot(_PATIENCE_MILLISECONDS, self._end)

    def _show(self, progress: TaskProgress) -> None:
        if self.running:
            self.progress = progress
            self.progressed.emit(progress)

    def _take(self, result: Any) -> None:
        if result is None or not self.running:
            return
        try:
            self.sentence = self._on_result(result)
        except ChemTomoError as error:
            self._fail(error)
        else:
            self._result, self.succeeded = result, True

    def _fail(self, error: Exception) -> None:
        from napari.utils.notifications import notification_manager

        if self.running:
            self.sentence = str(error)
            notification_manager.receive_error(type(error), error, error.__traceback__)

    def _end(self) -> None:
        if self.running:
            self.running = False
            self.ended.emit(self._result)


def _run(make_job: MakeJob, cancelled: threading.Event) -> Generator[TaskProgress, None, Any]:
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
    except Exception as error:
        raise as_task_error(error) from error
    finally:
        if job is not None:
            job.close()
