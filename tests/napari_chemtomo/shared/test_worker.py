"""The generator that runs in the thread: one yield an iteration, and errors of our own."""

from __future__ import annotations

import numpy as np
import pytest

from chemtomo.errors import SolverError
from chemtomo.recon import ReconstructParameters
from napari_chemtomo import settings
from napari_chemtomo.shared import worker


@pytest.fixture
def start(dataset, fake_runner):
    def start(control=None, **values):
        return worker.reconstruct(dataset, ReconstructParameters(**values), None, control or worker.Control())

    return start


def drain(generator):
    updates = []
    while True:
        try:
            updates.append(next(generator))
        except StopIteration as end:
            return updates, end.value


def test_it_yields_once_an_iteration_and_returns_the_result(start):
    updates, result = drain(start(iterations=12))
    assert [one.iteration for one in updates] == list(range(1, 13))
    assert [one.iteration for one in updates if one.record is not None] == [1, 10, 12]
    assert result.report["iterations"] == 12


def test_slices_come_on_request_and_not_too_often(start):
    updates, _ = drain(start(iterations=5))
    assert all(one.image is None for one in updates)

    updates, _ = drain(start(worker.Control(y_nm=4.0, interval=1e6), iterations=5))
    assert [one.image is not None for one in updates] == [True, False, False, False, False]
    assert updates[0].origin_px == (0.0, 2.0, 0.0)
    assert updates[0].voxel_size_nm == 2.0
    assert updates[0].image.shape == (2, 8, 8)


def test_cancel_returns_the_last_iterate(start):
    control = worker.Control()
    running = start(control, iterations=100)
    for _ in range(4):
        next(running)
    control.cancelled.set()
    updates, result = drain(running)
    assert not updates
    assert (result.volume.data == 4).all()


@pytest.mark.parametrize("kind", [RuntimeError, ValueError, MemoryError])
def test_builtin_errors_are_wrapped(start, fake_runner, kind):
    fake_runner.fails_with = kind("no")
    with pytest.raises(worker.ReconstructionError, match=f"{kind.__name__}: no"):
        drain(start(iterations=10))


def test_errors_of_our_own_stay_what_they_are(start, fake_runner):
    fake_runner.fails_with = SolverError("not finite")
    with pytest.raises(SolverError, match="not finite"):
        drain(start(iterations=10))


def test_two_runs_on_a_device_take_turns(start):
    first, second = start(iterations=3), start(iterations=2)
    next(first)
    assert next(second).iteration == 0
    drain(first)
    updates, result = drain(second)
    assert [one.iteration for one in updates] == [1, 2]
    assert result is not None


def test_a_run_that_waits_can_be_cancelled(start):
    control = worker.Control()
    first, second = start(iterations=3), start(control, iterations=2)
    next(first)
    next(second)
    control.cancelled.set()
    assert drain(second) == ([], None)
    drain(first)


def test_a_run_that_is_dropped_frees_its_device(start):
    first = start(iterations=3)
    next(first)
    first.close()
    updates, _ = drain(start(iterations=1))
    assert [one.iteration for one in updates] == [1]


def test_what_was_made_before_is_found(dataset):
    parameters = ReconstructParameters(method="sirt", iterations=3, device="numpy", tolerance=0)

    def made():
        job = worker.reconstruct(dataset, parameters, None, worker.Control())
        seen = []
        while True:
            try:
                seen.append(next(job))
            except StopIteration as end:
                return seen, end.value

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
