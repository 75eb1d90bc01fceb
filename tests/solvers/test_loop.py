"""The loop: when it stops, what it says, and what stays."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.errors import SolverError
from chemtomo.solvers import Limits, Objective, Outcome, Progress, iterate


class Halving:
    """A step whose iterate is 1, halved in every iteration, and which counts what it is asked."""

    def __init__(
        self,
        objective: Callable[[float], Objective] = lambda u: Objective(3 * u, (u, u), u, u),
        change: float | None = 0.0,
    ) -> None:
        self.u = 1.0
        self.evaluated: list[float] = []
        self._objective = objective
        self._change = change

    def advance(self) -> None:
        self.u /= 2

    def objective(self) -> Objective:
        self.evaluated.append(self.u)
        return self._objective(self.u)

    def change(self) -> float | None:
        return self._change

    def slice(self, y: int) -> npt.NDArray[np.float32]:
        return np.full((1, 2, 2), y + self.u, np.float32)

    def volume(self) -> npt.NDArray[np.float32]:
        return np.full((1, 2, 3, 2), self.u, np.float32)


def run(
    step: Halving, limits: Limits, should_stop: Callable[[], bool] | None = None
) -> tuple[list[Progress], Outcome]:
    """Everything that is yielded, and what is returned."""
    seen = []
    generator = iterate(step, limits, should_stop)
    while True:
        try:
            seen.append(next(generator))
        except StopIteration as end:
            return seen, end.value


@given(iterations=st.integers(1, 40), report_every=st.integers(1, 50))
def test_runs_to_the_limit_and_reports_now_and_then(iterations: int, report_every: int) -> None:
    step = Halving()
    seen, outcome = run(step, Limits(iterations, report_every))
    assert step.u == 2.0**-iterations
    assert [progress.iteration for progress in seen] == list(range(1, iterations + 1))
    assert {progress.iterations for progress in seen} == {iterations}
    expected = sorted({1, iterations, *range(report_every, iterations + 1, report_every)})
    assert [record.iteration for record in outcome.history] == expected
    assert [progress.record for progress in seen if progress.record] == list(outcome.history)
    assert step.evaluated == [2.0**-done for done in expected]
    assert outcome.iterations == iterations
    assert not outcome.cancelled
    assert outcome.reason == f"the limit of {iterations} iterations was reached"


def test_a_record_holds_the_objective_after_its_iteration() -> None:
    _, outcome = run(Halving(), Limits(4, 2))
    last = outcome.history[-1]
    assert (last.iteration, last.objective, last.data, last.regulariser, last.gap) == (
        4,
        3 / 16,
        (1 / 16, 1 / 16),
        1 / 16,
        1 / 16,
    )


def test_seconds_count_the_iterations_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by one second each time it is read, and by a minute while others have a turn."""
    ticks = itertools.count()
    away = [0]
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks) + 60 * away[0])
    generator = iterate(Halving(objective=lambda u: _late(away, u)), Limits(4, 1))
    seconds = []
    for progress in generator:
        seconds.append(progress.seconds)
        away[0] += 1
    assert seconds == [1, 2, 3, 4]


def _late(away: list[int], u: float) -> Objective:
    away[0] += 1
    return Objective(u, (u,), 0.0)


def test_nothing_is_done_before_the_first_is_asked_for() -> None:
    step = Halving()
    generator = iterate(step, Limits(3))
    assert step.u == 1
    next(generator)
    assert step.u == 0.5


def test_an_observer_may_look_at_a_slice() -> None:
    seen = [progress.slice(7)[0, 0, 0] for progress in iterate(Halving(), Limits(3))]
    assert seen == [7.5, 7.25, 7.125]


@pytest.mark.parametrize("after", [0, 1, 7, 11])
def test_cancel_keeps_the_last_iterate_and_its_objective(after: int) -> None:
    step = Halving()
    questions = itertools.count()
    seen, outcome = run(step, Limits(12, 5), lambda: next(questions) >= after)
    assert len(seen) == after
    assert step.u == 2.0**-after
    assert step.volume()[0, 0, 0, 0] == np.float32(step.u)
    assert outcome.cancelled
    assert outcome.iterations == after
    assert outcome.reason == f"cancelled after {after} of 12 iterations"
    if after:
        assert outcome.history[-1].iteration == after
        assert outcome.history[-1].objective == 3 * step.u
        assert len({record.iteration for record in outcome.history}) == len(outcome.history)
    else:
        assert outcome.history == ()
        assert step.evaluated == []


def test_asked_before_every_iteration_and_no_more() -> None:
    questions: list[int] = []

    def should_stop() -> bool:
        questions.append(1)
        return False

    run(Halving(), Limits(5), should_stop)
    assert len(questions) == 5


def test_a_closed_generator_leaves_the_iterate() -> None:
    step = Halving()
    generator = iterate(step, Limits(10))
    next(generator)
    next(generator)
    generator.close()
    assert step.u == 0.25


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_not_finite_stops_with_a_sentence(value: float) -> None:
    step = Halving(lambda u: Objective(value if u < 0.1 else u, (u,), 0.0))
    generator = iterate(step, Limits(10, 2))
    seen = []
    with pytest.raises(SolverError) as error:
        seen.extend(generator)
    assert step.u == 1 / 16  # as it was when it was seen
    message = str(error.value)
    assert f"the objective is {value} after 4 iterations; expected a finite number" in message
    assert "Look for NaN or very large values in the data" in message


def test_an_error_of_a_step_passes_through() -> None:
    class Failing(Halving):
        def advance(self) -> None:
            raise SolverError("found nothing; expected something")

    with pytest.raises(SolverError, match="found nothing"):
        next(iterate(Failing(), Limits(3)))


def test_stops_at_the_tolerance() -> None:
    """The gap is the iterate: at most 0.1 after 4 iterations."""
    seen, outcome = run(Halving(change=0.01), Limits(50, 1, tolerance=0.1))
    assert outcome.iterations == len(seen) == 4
    assert not outcome.cancelled
    assert outcome.history[-1].gap == 1 / 16
    assert outcome.reason.startswith("converged after 4 iterations: the relative duality gap is 6.2e-02")
    assert "changes by less than 3%" in outcome.reason


def test_the_gap_is_looked_at_only_in_reports() -> None:
    _, outcome = run(Halving(), Limits(50, 10, tolerance=0.1))
    assert outcome.iterations == 10


@pytest.mark.parametrize(
    ("gap", "change"),
    [(None, 0.0), (float("nan"), 0.0), (0.2, 0.0), (0.0, None), (0.0, 0.031), (0.0, float("nan"))],
)
def test_goes_on_unless_both_gap_and_change_are_known_and_small(
    gap: float | None, change: float | None
) -> None:
    step = Halving(lambda u: Objective(u, (u,), 0.0, gap), change)
    _, outcome = run(step, Limits(5, 1, tolerance=0.1))
    assert outcome.iterations == 5
    assert "limit" in outcome.reason


def test_without_a_tolerance_even_a_gap_of_zero_goes_on() -> None:
    _, outcome = run(Halving(lambda u: Objective(u, (u,), 0.0, 0.0)), Limits(5, 1))
    assert outcome.iterations == 5


def test_limits_below_one_are_an_error() -> None:
    with pytest.raises(SolverError, match="found 0 iterations; expected at least 1"):
        next(iterate(Halving(), Limits(0)))
    with pytest.raises(SolverError, match="found a report every 0 iterations; expected at least 1"):
        next(iterate(Halving(), Limits(3, report_every=0)))
