"""Long jobs: how they report their progress and are stopped.

A long job is a generator function whose name ends in ``_job``: it yields `TaskProgress` and returns its
result. The caller shows the progress, and cancels the job by closing the generator, or, if the job takes
it, by the function ``should_stop``, with which the job returns an intermediate result.
``name = blocking(name_job)`` is the same without the progress.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Generator
from typing import ParamSpec, TypeVar

__all__ = ["TaskProgress", "blocking", "finish"]

_Arguments = ParamSpec("_Arguments")
_Progress = TypeVar("_Progress")
_Result = TypeVar("_Result")


@dataclasses.dataclass(frozen=True)
class TaskProgress:
    """The progress of a job.

    Attributes
    ----------
    done, total : int
        Number of parts done, and of all parts.
    message : str
        What is being done, for the user.
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


def blocking(
    job: Callable[_Arguments, Generator[_Progress, None, _Result]],
) -> Callable[_Arguments, _Result]:
    """Return a function that runs a job to its end; it has the name of the job without ``_job``."""

    @functools.wraps(job)
    def run(*arguments: _Arguments.args, **named: _Arguments.kwargs) -> _Result:
        return finish(job(*arguments, **named))

    run.__name__ = run.__qualname__ = job.__name__.removesuffix("_job")
    # Sections of a numpydoc text end before an empty line and the next title.
    run.__doc__ = re.sub(r"\n *Yields\n *-+\n.*?\n(?=\n)", "", job.__doc__ or "", flags=re.DOTALL)
    return run
