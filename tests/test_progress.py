"""Long jobs, and their twins that block."""

from __future__ import annotations

import inspect

import pytest

from chemtomo.progress import TaskProgress, blocking, finish


def count_job(total, *, fails=False):
    """Count.

    Parameters
    ----------
    total : int
        How far.

    Yields
    ------
    TaskProgress
        After every number.

    Returns
    -------
    int
        The total.
    """
    for number in range(total):
        yield TaskProgress(number + 1, total)
    if fails:
        raise ValueError("at the end")
    return total


def test_the_blocking_twin_returns_what_the_job_does():
    count = blocking(count_job)
    assert count(3) == finish(count_job(3)) == 3
    with pytest.raises(ValueError, match="at the end"):
        count(2, fails=True)


def test_the_blocking_twin_has_the_text_and_the_name_of_the_job():
    count = blocking(count_job)
    assert count.__name__ == "count"
    assert "Yields" not in count.__doc__
    assert [title in count.__doc__ for title in ("Parameters", "How far.", "Returns", "The total.")] == [
        True
    ] * 4
    assert inspect.signature(count).parameters == inspect.signature(count_job).parameters


def test_every_progress_is_shown():
    seen = []
    assert finish(count_job(4), seen.append) == 4
    assert [one.done for one in seen] == [1, 2, 3, 4]
