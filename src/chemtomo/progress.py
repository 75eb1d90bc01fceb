"""How long jobs tell how far they are, and how they are asked to stop.

A long job is a generator: it yields a `TaskProgress` now and then, and returns its result. Who runs it
shows the progress, and cancels it by closing the generator, or by the function ``should_stop``, where
the job takes one, which lets it return what it has reached.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator
from typing import TypeVar

__all__ = ["TaskProgress", "finish"]

_Progress = TypeVar("_Progress")
_Result = TypeVar("_Result")


@dataclasses.dataclass(frozen=True)
class TaskProgress:
    """How far a job is.

    Attributes
    ----------
    done, total : int
        Steps done, of how many.
    message : str
        What is being done, for people.
    """

    done: int
    total: int
    message: str = ""


def finish(
    job: Generator[_Progress, None, _Result],
    on_progress: Callable[[_Progress], None] | None = None,
) -> _Result:
    """Run a job to its end and return its result; `on_progress` is called with every progress."""
    while True:
        try:
            progress = next(job)
        except StopIteration as end:
            result: _Result = end.value
            return result
        if on_progress is not None:
            on_progress(progress)
