"""What is seen and can be done while an iteration runs: a progress bar, and Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from chemtomo.solvers import Progress

__all__ = ["interruptible", "progress_bar"]


@contextlib.contextmanager
def progress_bar(iterations: int) -> Iterator[Callable[[Progress], None]]:
    """Show a progress bar on stderr; gives the function to call after every iteration."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[scalars]}"),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("Reconstructing", total=iterations, scalars="")

        def show(progress: Progress) -> None:
            bar.update(task, completed=progress.iteration, total=progress.iterations)
            if progress.record is not None:
                scalars = f"objective {progress.record.objective:.6g}"
                if progress.record.gap is not None:
                    scalars += f", gap {progress.record.gap:.1e}"
                bar.update(task, scalars=scalars)

        yield show


@contextlib.contextmanager
def interruptible(say: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C ask for a stop and the second one abort; gives the question to ask.

    Parameters
    ----------
    say : callable
        Tells the user what the first Ctrl-C did.
    """
    asked = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        say("Stopping after this iteration and keeping what there is. Ctrl-C again aborts.")

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = signal.signal(signal.SIGINT, handle)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)
