"""Progress bars, and Ctrl-C while an iteration or a job runs."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from types import FrameType
from typing import TYPE_CHECKING, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from chemtomo.progress import TaskProgress, finish

if TYPE_CHECKING:
    from chemtomo.solvers import Progress

__all__ = ["TaskWatch", "Watch", "show_tasks", "task_bar", "watch"]

_Result = TypeVar("_Result")


@dataclasses.dataclass
class Watch:
    """The observer of an iteration: shows its progress, and stops it on request.

    Attributes
    ----------
    show : callable
        Shows the progress to the user.
    iterations : int
        Iterations done.
    stop_asked : bool
        Whether the user asked to stop.
    """

    show: Callable[[Progress | TaskProgress], None]
    iterations: int = 0
    stop_asked: bool = False

    def should_stop(self) -> bool:
        """Tell whether the user asked to stop."""
        return self.stop_asked

    def on_progress(self, progress: Progress | TaskProgress) -> None:
        """Record and show an iteration, or a task before the first one."""
        if not isinstance(progress, TaskProgress):
            self.iterations = progress.iteration
        self.show(progress)


@contextlib.contextmanager
def watch(iterations: int) -> Iterator[Watch]:
    """Show a progress bar where stderr is a terminal, and let Ctrl-C stop the iteration.

    The first Ctrl-C asks for a stop, and the iterate is kept; a second one aborts. Before there is
    an iterate to keep, the first one aborts.

    Parameters
    ----------
    iterations : int
        The limit of iterations.

    Yields
    ------
    Watch
        Its `on_progress` and `should_stop` are for the jobs of `chemtomo.pipeline.runner`.
    """
    with _progress_bar(iterations) as show:
        watching = Watch(show)
        with _interruptible(watching):
            yield watching


@dataclasses.dataclass
class TaskWatch:
    """The observer of a long job; see `task_bar`."""

    show: Callable[[TaskProgress], None]
    stop_asked: bool = False

    def should_stop(self) -> bool:
        """Tell whether the user asked to stop."""
        return self.stop_asked

    def finish(self, job: Generator[TaskProgress, None, _Result]) -> _Result:
        """Run a job to its end, show its progress, and return its result."""
        return finish(job, self.show)


@contextlib.contextmanager
def task_bar(kept: str = "what has been done") -> Iterator[TaskWatch]:
    """Show the progress of a job where stderr is a terminal, and let Ctrl-C stop it.

    The first Ctrl-C asks the job to stop and to return what it has; a second one aborts.

    Parameters
    ----------
    kept : str
        What is kept after a stop, for the message.
    """
    with show_tasks() as show:
        watching = TaskWatch(show)

        def handle(number: int, frame: FrameType | None) -> None:
            if watching.stop_asked:
                raise KeyboardInterrupt
            watching.stop_asked = True
            typer.echo(f"Stopping soon, with {kept}. Ctrl-C again aborts.", err=True)

        with _handling_interrupts(handle):
            yield watching


@contextlib.contextmanager
def _bar(total: int | None, *more: TextColumn, transient: bool = False) -> Iterator[Callable[..., None]]:
    """Show a bar on stderr if it is a terminal; yields a function with the arguments of `Progress.update`."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        *more,
    )
    console = Console(stderr=True)
    # No bar in a log, where an error is to be a single line.
    with Bar(*columns, console=console, disable=not console.is_interactive, transient=transient) as bar:
        task = bar.add_task("Preparing", total=total, scalars="")
        try:
            yield functools.partial(bar.update, task)
        except BaseException:
            bar.remove_task(task)  # only the message is shown
            raise


@contextlib.contextmanager
def _progress_bar(iterations: int) -> Iterator[Callable[[Progress | TaskProgress], None]]:
    with _bar(iterations, TextColumn("{task.fields[scalars]}")) as update:

        def show(progress: Progress | TaskProgress) -> None:
            if isinstance(progress, TaskProgress):
                update(completed=progress.done, total=progress.total, description=progress.message)
                return
            update(completed=progress.iteration, total=progress.iterations, description="Reconstructing")
            if progress.record is not None:
                scalars = f"objective {progress.record.objective:.6g}"
                if progress.record.gap is not None:
                    scalars += f", gap {progress.record.gap:.1e}"
                update(scalars=scalars)

        yield show


@contextlib.contextmanager
def _interruptible(watching: Watch) -> Iterator[None]:
    def handle(number: int, frame: FrameType | None) -> None:
        if watching.stop_asked or watching.iterations == 0:
            raise KeyboardInterrupt
        watching.stop_asked = True
        typer.echo("Stopping after this iteration; its result is kept. Ctrl-C again aborts.", err=True)

    with _handling_interrupts(handle):
        yield


@contextlib.contextmanager
def _handling_interrupts(handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def show_tasks() -> Iterator[Callable[[TaskProgress], None]]:
    """Show the progress of jobs of `chemtomo.progress` on a bar, where stderr is a terminal."""
    with _bar(None, transient=True) as update:

        def show(progress: TaskProgress) -> None:
            update(completed=progress.done, total=progress.total, description=progress.message or "Working")

        yield show
