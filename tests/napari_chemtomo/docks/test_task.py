"""The generator that runs in the thread: its progress, slices on request, and errors of our own."""

from __future__ import annotations

import numpy as np
import pytest

from chemtomo.errors import SolverError
from chemtomo.recon import ReconstructParameters
from napari_chemtomo import settings
from napari_chemtomo.docks.reconstruct import task
from napari_chemtomo.docks.reconstruct.task import ReconstructionError, SliceRequest, Update, reconstruct


@pytest.fixture(autouse=True)
def _tell_all(monkeypatch):
    monkeypatch.setattr(task, "_INTERVAL_SECONDS", 0.0)


class Run:
    """A reconstruction that the test may cancel."""

    def __init__(self, dataset, **values):
        self.cancelled = False
        self.request = SliceRequest()
        self.steps = reconstruct(
            dataset, ReconstructParameters(**values), None, self.request, lambda: self.cancelled
        )

    def __iter__(self):
        return self.steps

    def __next__(self):
        return next(self.steps)


@pytest.fixture
def start(dataset, fake_runner):
    return lambda **values: Run(dataset, **values)


def drain(run):
    updates = []
    while True:
        try:
            updates.append(next(run))
        except StopIteration as end:
            return [one for one in updates if isinstance(one, Update)], end.value


def test_it_tells_of_iterations_and_returns_the_result(start):
    updates, result = drain(start(iterations=12))
    assert [one.done for one in updates] == list(range(1, 13))
    assert all("objective" in one.message for one in updates)
    assert result.report["iterations"] == 12


def test_short_iterations_are_told_now_and_then(start, monkeypatch):
    monkeypatch.setattr(task, "_INTERVAL_SECONDS", 1e6)
    updates, _ = drain(start(iterations=12))
    assert [one.done for one in updates] == [1]


def test_slices_come_on_request_and_one_at_a_time(start):
    updates, _ = drain(start(iterations=5))
    assert all(one.image is None for one in updates)

    run = start(iterations=5)
    run.request.ask(4.0)
    updates, _ = drain(run)
    assert [one.image is not None for one in updates] == [True, False, False, False, False]
    assert updates[0].origin_px == (0.0, 2.0, 0.0)
    assert updates[0].voxel_size_nm == 2.0
    assert updates[0].image.shape == (2, 8, 8)


def test_cancel_returns_the_last_iterate_at_once(start):
    run = start(iterations=100)
    for _ in range(4):  # the first tells of the preparation
        next(run)
    run.cancelled = True
    updates, result = drain(run)
    assert not updates
    assert (result.volume.data == 3).all()


def test_what_is_cancelled_before_the_first_iteration_has_no_result(start):
    run = start(iterations=100)
    next(run)
    run.cancelled = True
    assert drain(run) == ([], None)


@pytest.mark.parametrize("kind", [RuntimeError, ValueError, MemoryError])
def test_builtin_errors_are_wrapped(start, fake_runner, kind):
    fake_runner.fails_with = kind("no")
    with pytest.raises(ReconstructionError, match=f"{kind.__name__}: no"):
        drain(start(iterations=10))


def test_errors_of_our_own_stay_what_they_are(start, fake_runner):
    fake_runner.fails_with = SolverError("not finite")
    with pytest.raises(SolverError, match="not finite"):
        drain(start(iterations=10))


def test_two_runs_on_a_device_take_turns(start):
    first, second = start(iterations=3), start(iterations=2)
    next(first)
    assert "Waiting" in next(second).message
    drain(first)
    updates, result = drain(second)
    assert [one.done for one in updates] == [1, 2]
    assert result is not None


def test_a_run_that_waits_can_be_cancelled(start):
    first, second = start(iterations=3), start(iterations=2)
    next(first)
    next(second)
    second.cancelled = True
    assert drain(second) == ([], None)
    drain(first)


def test_a_run_that_is_dropped_frees_its_device(start):
    first = start(iterations=3)
    next(first)
    first.steps.close()
    updates, _ = drain(start(iterations=1))
    assert [one.done for one in updates] == [1]


def test_what_was_made_before_is_found(dataset):
    parameters = ReconstructParameters(method="sirt", iterations=3, device="numpy", tolerance=0)

    def made():
        return drain(reconstruct(dataset, parameters, None, SliceRequest(), lambda: False))

    (first, result), (second, again) = made(), made()
    assert len(first) == 3
    assert second == []
    np.testing.assert_array_equal(again.volume.data, result.volume.data)
    assert again.volume.provenance == result.volume.provenance


def test_nothing_is_kept_where_the_user_wants_nothing(monkeypatch):
    class Section:
        cache_gib = 0.0

    assert settings.result_cache().bytes == 10 * 2**30
    monkeypatch.setattr(settings, "_section", Section)
    assert settings.result_cache() is None
