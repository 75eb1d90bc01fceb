"""Transfers beside the computation: what is sent ahead is used, and what comes back is complete."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import numpy as np
import pytest

from chemtomo.data import Dataset
from chemtomo.opencl import choose_device
from chemtomo.recon import Reconstructed, reconstruction
from chemtomo.recon.classical.method import ClassicalMethod
from chemtomo.recon.frame import Frame
from chemtomo.recon.slabs.plan import Slab, plan_slabs
from chemtomo.recon.slabs.streaming import Streaming
from chemtomo.recon.variational import VariationalMethod

Run = Callable[..., Reconstructed]


class Iteration:
    """A slab whose every slice holds its own number."""

    def __init__(self, slab: Slab, gate: threading.Event | None = None) -> None:
        self.slab = slab
        self.gate = gate
        self.events: list[str] = []

    def release_all_but_image(self) -> None:
        self.events.append("release all but image")

    def release(self) -> None:
        self.events.append("release")

    def volume(self) -> np.ndarray:
        if self.gate is not None:
            self.gate.wait(10)
        self.events.append("volume")
        numbers = np.arange(self.slab.first, self.slab.last, dtype=np.float32)
        return np.broadcast_to(numbers[:, np.newaxis], (1, 2, self.slab.slices, 3)).copy()


class Sent:
    def __init__(self) -> None:
        self.released = False

    def release(self) -> None:
        self.released = True


SLABS = (Slab(0, 0, 3, 5), Slab(1, 3, 6, 8), Slab(4, 6, 8, 8))


def test_what_comes_back_is_complete_and_its_memory_is_free() -> None:
    image = np.full((1, 2, 8, 3), -1, np.float32)
    steps = [Iteration(slab) for slab in SLABS]
    with Streaming(image, None) as streaming:
        for step in steps:
            streaming.bring_back(step.slab, step)  # type: ignore[arg-type]
    np.testing.assert_array_equal(image[0, 1, :, 2], np.arange(8))
    assert all(step.events == ["release all but image", "volume", "release"] for step in steps)


def test_a_slab_comes_back_while_the_next_computes() -> None:
    """The copy is held up: `bring_back` returns all the same, and `land` waits."""
    image = np.full((1, 2, 8, 3), -1, np.float32)
    gate = threading.Event()
    with Streaming(image, None) as streaming:
        streaming.bring_back(SLABS[0], Iteration(SLABS[0], gate))  # type: ignore[arg-type]
        assert image.max() == -1
        gate.set()
        streaming.land()
        np.testing.assert_array_equal(image[0, 0, :3, 0], [0, 1, 2])
        assert (image[:, :, 3:] == -1).all()


def test_an_error_on_the_way_back_is_raised() -> None:
    class Broken(Iteration):
        def volume(self) -> np.ndarray:
            raise MemoryError("no room")

    step = Broken(SLABS[0])
    with (
        pytest.raises(MemoryError, match="no room"),
        Streaming(np.zeros((1, 2, 8, 3), np.float32), None) as streaming,
    ):
        streaming.bring_back(SLABS[0], step)  # type: ignore[arg-type]
    assert step.events[-1] == "release"


def test_what_nobody_takes_is_released() -> None:
    sent: list[Sent] = []

    def send(slab: Slab, executor: Executor) -> Any:
        sent.append(Sent())
        return sent[-1]

    with Streaming(np.zeros((1, 2, 8, 3), np.float32), send) as streaming:
        streaming.send_ahead(SLABS[1])
        assert streaming.take(SLABS[1]) is sent[0]
        streaming.send_ahead(SLABS[2])
        assert streaming.take(SLABS[1]) is None  # it was split, or tried again
        assert [one.released for one in sent] == [False, True]
        streaming.send_ahead(SLABS[2])
    assert sent[2].released


@pytest.mark.parametrize("device", ["numpy", "opencl"], indirect=True)
@pytest.mark.parametrize(
    ("method", "choices"),
    [
        (ClassicalMethod, {"method": "sirt"}),
        (ClassicalMethod, {"method": "mlem", "subsets": 2}),
        (VariationalMethod, {"method": "tv", "dims": 2}),
    ],
    ids=["sirt", "osem", "tv"],
)
def test_every_slab_after_the_first_is_sent_ahead(
    run: Run,
    dataset: Dataset,
    device: str,
    method: Any,
    choices: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And gives the volume that it gives at once."""
    choices = choices | {"device": device}
    whole = run(dataset, **choices)
    slices = dataset.series[0].shape[1]
    plan = plan_slabs
    monkeypatch.setattr(
        reconstruction, "plan_slabs", lambda slices, overlap, *_: plan(slices, overlap, lambda n: n <= 2)
    )
    sent: list[tuple[int, int]] = []
    taken: list[bool] = []
    upload, iteration = method.upload, method.iteration

    def spy_upload(self: Any, first: int, last: int, *others: Any) -> Any:
        sent.append((first, last))
        return upload(self, first, last, *others)

    def spy_iteration(
        self: Any, first: int, last: int, device: Any, should_stop: Any, given: Any = None
    ) -> Any:
        taken.append(given is not None)
        return iteration(self, first, last, device, should_stop, given)

    monkeypatch.setattr(method, "upload", spy_upload)
    monkeypatch.setattr(method, "iteration", spy_iteration)
    parts = run(dataset, **choices)
    bounds = [(slab.first, slab.last) for slab, _ in parts.slabs]
    assert bounds[-1][1] == slices
    assert len(bounds) > 1
    on_a_device = parts.device != "numpy"
    assert sent == (bounds[1:] if on_a_device else [])
    assert taken == [False] + [on_a_device] * (len(bounds) - 1)
    np.testing.assert_allclose(parts.volume.data, whole.volume.data, atol=1e-5 * whole.volume.data.max())


def test_a_background_is_sent_with_the_data(dataset: Dataset, opencl: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from chemtomo.opencl.variational import OpenCLBackend, upload_ahead
    from chemtomo.recon import ReconstructParameters
    from chemtomo.recon.variational import problem_of

    with_background = dataset.map(lambda one: one.replace(background=np.full(one.shape, 0.5, np.float32)))
    frame = Frame.of(with_background.select(["Al", "Yb"]), None, "none", True)
    problem, _ = problem_of(frame, ReconstructParameters(method="tv"))
    device = choose_device(opencl)
    assert device is not None
    with ThreadPoolExecutor(1) as executor:
        ahead = OpenCLBackend(problem, device, upload_ahead(problem, device, executor))
    at_once = OpenCLBackend(problem, device)
    assert ahead.allocated_bytes == at_once.allocated_bytes
    for name in ("data", "background"):
        held = (backend._variables for backend in (ahead, at_once))
        one, other = (own.queue.read(getattr(own, name), own.sinogram_shape) for own in held)
        np.testing.assert_array_equal(one, other)
        assert one.any()
