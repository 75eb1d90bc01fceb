"""A viewer that forgets, and a runner that takes no time."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("napari", reason="napari is not installed; the extra 'all' brings it")

from chemtomo.data import Dataset, TiltSeries, Volume
from chemtomo.pipeline.jobs.reconstruct import Result
from chemtomo.pipeline.keeping import cache
from chemtomo.recon.reconstruction import ReconstructionProgress
from chemtomo.solvers import Limits, Objective, iterate
from napari_chemtomo.docks.reconstruct import task


@pytest.fixture(autouse=True)
def _forget(monkeypatch, tmp_path):
    """Keep every test from the settings and kept results of the user and of the other tests."""
    from napari import settings

    monkeypatch.setattr(settings, "_CFG_PATH", str(tmp_path / "settings.yaml"))
    settings._clear_plugin_settings_cache()
    monkeypatch.setattr(cache, "default_cache_folder", lambda: tmp_path / "cache")
    yield
    settings._clear_plugin_settings_cache()


@pytest.fixture
def _drawing(qapp):
    """Skip where napari cannot draw, before any viewer is made."""
    if qapp.platformName() == "offscreen":
        pytest.skip("napari draws layers with OpenGL only; found no X server (install xvfb)")


@pytest.fixture
def viewer(_drawing, make_napari_viewer_proxy):
    from napari.qt.threading import WorkerBase

    yield make_napari_viewer_proxy()
    # A test that failed may have left a run behind.
    WorkerBase.await_workers(10_000)


@pytest.fixture
def dataset() -> Dataset:
    """Two channels with different values, 5 tilts, 6 slices, 8 detector pixels."""
    rng = np.random.default_rng(3)
    tilts = np.linspace(-60.0, 60.0, 5)
    return Dataset(
        (
            TiltSeries("HAADF", rng.random((5, 6, 8)).astype(np.float32), tilts, 2.0),
            TiltSeries("Al", rng.poisson(3.0, (5, 6, 8)).astype(np.float32), tilts, 2.0, "counts"),
        )
    )


class ConstantStep:
    """A step whose iterate is the number of iterations, in every voxel."""

    def __init__(self, dataset: Dataset, rows: int, seconds: float, fails_with: Exception | None) -> None:
        self.shape = (len(dataset), dataset.series[0].shape[2], rows, dataset.series[0].shape[2])
        self.done = 0
        self.seconds = seconds
        self.fails_with = fails_with

    def advance(self):
        time.sleep(self.seconds)
        if self.done == 3 and self.fails_with is not None:
            raise self.fails_with
        self.done += 1

    def objective(self):
        return Objective(1.0 / self.done, (0.5,) * self.shape[0], 0.0)

    def change(self):
        return None

    def slice(self, y):
        assert 0 <= y < self.shape[2]
        return np.full((self.shape[0], self.shape[1], self.shape[3]), self.done, np.float32)

    def volume(self):
        return np.full(self.shape, self.done, np.float32)


class FakeRunner:
    """A runner with the real loop; it remembers what it was asked to do."""

    def __init__(self) -> None:
        self.calls = []
        self.seconds = 0.0
        self.fails_with = None
        self.notes = ()

    def run(self, dataset, parameters, preprocess=None, *, should_stop=None, store=None):
        self.calls.append((dataset, parameters, preprocess))
        start, stop = parameters.slices or (0, dataset.series[0].shape[1])
        step = ConstantStep(dataset, stop - start, self.seconds, self.fails_with)
        size = dataset.series[0].pixel_size_nm
        running = iterate(step, Limits(parameters.iterations, 10), should_stop)
        while True:
            try:
                progress = next(running)
            except StopIteration as end:
                outcome = end.value
                break
            yield ReconstructionProgress(
                **vars(progress), origin_px=(0.0, float(start), 0.0), voxel_size_nm=size, slices=stop - start
            )
        volume = Volume(
            step.volume(),
            dataset.names,
            size,
            (0.0, float(start), 0.0),
            {"steps": [{"step": "reconstruct", **parameters.model_dump()}]},
        )
        report = {
            "method": parameters.method,
            "iterations": outcome.iterations,
            "seconds": outcome.seconds,
            "stopped": outcome.reason,
            "cancelled": outcome.cancelled,
            "memory": {"notes": list(self.notes)},
        }
        return Result(volume, report)


@pytest.fixture
def fake_runner(monkeypatch):
    fake = FakeRunner()
    monkeypatch.setattr(task, "reconstruction_job", fake.run)
    monkeypatch.setattr(task, "_device_key", str)  # no OpenCL is needed
    return fake


@pytest.fixture
def notifications():
    """The notifications that the viewer shows during the test."""
    from napari.utils.notifications import notification_manager

    before = len(notification_manager.records)

    class Shown:
        @property
        def messages(self):
            return [one.message for one in notification_manager.records[before:]]

    return Shown()
