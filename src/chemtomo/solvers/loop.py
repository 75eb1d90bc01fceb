"""The loop around any iterative method: limits, reporting, cancel, non-finite values.

The loop knows nothing of the mathematics. An `Iteration` advances its iterate by one
and answers questions about it. Whatever ends the loop, the last good iterate stays in the `Iteration`.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Generator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from chemtomo.errors import SolverError

__all__ = ["Iteration", "IterationRecord", "Limits", "Objective", "Outcome", "Progress", "Reached", "iterate"]


@dataclasses.dataclass(frozen=True)
class Objective:
    """Value of the objective function and its parts, in float64.

    Attributes
    ----------
    total : float
        What the method minimises.
    data : tuple of float
        Data term of every channel, without its weight.
    regulariser : float
        ``total`` less the weighted data terms.
    gap : float, optional
        Relative duality gap, where the method can tell: see `chemtomo.functionals`.
    """

    total: float
    data: tuple[float, ...]
    regulariser: float
    gap: float | None = None


class Iteration(Protocol):
    """One iteration of a method, with the iterate that it works on."""

    def advance(self) -> None:
        """Do one iteration."""

    def objective(self) -> Objective:
        """Evaluate the objective at the iterate."""

    def change(self) -> float | None:
        """Relative change of the image since a question before half of the iterations, if known."""

    def slice(self, y: int) -> npt.NDArray[np.float32]:
        """Return the slice ``y`` of the iterate, shape (channel, z, x)."""

    def volume(self) -> npt.NDArray[np.float32]:
        """Return the iterate, shape (channel, z, y, x)."""


@dataclasses.dataclass(frozen=True)
class IterationRecord:
    """One line of the history: the scalars after an iteration.

    ``seconds`` counts from the start of the first iteration, with logging left out.
    """

    iteration: int
    seconds: float
    objective: float
    data: tuple[float, ...]
    regulariser: float
    gap: float | None = None


@dataclasses.dataclass(frozen=True)
class Limits:
    """When to stop, and how often to look.

    Attributes
    ----------
    iterations : int
        Hard limit.
    report_every : int
        Evaluate the objective every so many iterations, and after the last.
    tolerance : float, optional
        Stop when the relative duality gap is at most this and the image has changed by at most
        `change_tolerance` since half as many iterations. ``None`` runs to the limit.
    change_tolerance : float
        See `tolerance`.
    """

    iterations: int
    report_every: int = 10
    tolerance: float | None = None
    change_tolerance: float = 0.03


@dataclasses.dataclass(frozen=True)
class Progress:
    """What an observer sees after each iteration.

    Attributes
    ----------
    iteration, iterations : int
        Iterations done, and the limit.
    seconds : float
        Since the start of the first iteration, logging excluded.
    record : IterationRecord, optional
        The scalars, after the iterations that were evaluated.
    slice : callable
        ``slice(y)`` returns the slice ``y`` of the iterate, shape (channel, z, x). It is valid
        until the generator is advanced.
    """

    iteration: int
    iterations: int
    seconds: float
    record: IterationRecord | None
    slice: Callable[[int], npt.NDArray[np.float32]]


@dataclasses.dataclass(frozen=True)
class Reached:
    """The progress of an iteration; with the variables of the method it can continue from here.

    Attributes
    ----------
    iterations : int
        Iterations done.
    seconds : float
        Time that they took, logging excluded.
    history : tuple of IterationRecord
        The recorded scalars.
    """

    iterations: int = 0
    seconds: float = 0.0
    history: tuple[IterationRecord, ...] = ()


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How an iteration ended.

    Attributes
    ----------
    iterations : int
        Iterations done.
    seconds : float
        Time that they took, logging excluded.
    history : tuple of IterationRecord
        The recorded scalars.
    reason : str
        Why it stopped, as a sentence.
    cancelled : bool
        Whether the caller asked it to stop.
    """

    iterations: int
    seconds: float
    history: tuple[IterationRecord, ...]
    reason: str
    cancelled: bool = False


def iterate(
    method: Iteration,
    limits: Limits,
    should_stop: Callable[[], bool] | None = None,
    *,
    start: Reached | None = None,
    on_reached: Callable[[Reached], None] | None = None,
) -> Generator[Progress, None, Outcome]:
    """Advance `method` until a limit, a cancel or the tolerance ends it.

    Parameters
    ----------
    method : Iteration
        The method. It holds the last iterate when the loop has ended.
    limits : Limits
        When to stop and how often to report.
    should_stop : callable, optional
        Asked before every iteration; ``True`` ends the loop with the iterate as it is.
    start : Reached, optional
        How far `method` is already; not begun by default.
    on_reached : callable, optional
        Called after every iteration that is not the last, when all questions to the method have been asked.

    Yields
    ------
    Progress
        After every iteration.

    Returns
    -------
    Outcome
        How it ended, with the history.

    Raises
    ------
    SolverError
        When a limit is below 1, or the objective is not finite: the sentence says after how many
        iterations.
    """
    if limits.iterations < 1:
        raise SolverError(f"found {limits.iterations} iterations; expected at least 1")
    if limits.report_every < 1:
        raise SolverError(f"found a report every {limits.report_every} iterations; expected at least 1")
    before = Reached() if start is None else start
    if before.iterations > limits.iterations:
        raise SolverError(
            f"found {before.iterations} iterations done; expected at most the limit of {limits.iterations}"
        )
    history = list(before.history)
    seconds = before.seconds
    done = before.iterations
    cancelled = False
    reason = f"the limit of {limits.iterations} iterations was reached"
    while done < limits.iterations:
        if should_stop is not None and should_stop():
            cancelled = True
            reason = f"cancelled after {done} of {limits.iterations} iterations"
            break
        began = time.perf_counter()
        method.advance()
        seconds += time.perf_counter() - began
        done += 1
        record = None
        if done % limits.report_every == 0 or done in (1, limits.iterations):
            record = _record(method, done, seconds)
            history.append(record)
        yield Progress(done, limits.iterations, seconds, record, method.slice)
        if record is not None and _converged(method, record, limits):
            reason = (
                f"converged after {done} iterations: the relative duality gap is {record.gap:.1e} "
                f"and the image changes by less than {limits.change_tolerance:.0%}"
            )
            break
        if on_reached is not None and done < limits.iterations:
            on_reached(Reached(done, seconds, tuple(history)))
    if done and (not history or history[-1].iteration != done):
        history.append(_record(method, done, seconds))
    return Outcome(done, seconds, tuple(history), reason, cancelled)


def _record(method: Iteration, done: int, seconds: float) -> IterationRecord:
    found = method.objective()
    if not math.isfinite(found.total):
        raise SolverError(
            f"the objective is {found.total} after {done} iterations; expected a finite number. "
            "Look for NaN or very large values in the data, and for weights far from the default"
        )
    return IterationRecord(done, seconds, found.total, found.data, found.regulariser, found.gap)


def _converged(method: Iteration, record: IterationRecord, limits: Limits) -> bool:
    if limits.tolerance is None:
        return False
    change = method.change()  # asked every time: it is a change since an earlier question
    if record.gap is None or not record.gap <= limits.tolerance:
        return False  # also for a gap that is not a number
    return change is not None and change <= limits.change_tolerance
