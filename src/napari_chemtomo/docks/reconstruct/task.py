"""The reconstruction as a job: its progress, and the slice in view when the viewer asks for it."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import Dataset
from chemtomo.errors import ChemTomoError
from chemtomo.pipeline import Entry, ReconstructParameters, State
from chemtomo.pipeline.jobs.reconstruct import Result
from chemtomo.pipeline.runner import Store, run_steps_job
from chemtomo.preprocess.values.intensity import PublishedScaling
from chemtomo.progress import TaskProgress
from napari_chemtomo import settings

__all__ = ["ReconstructionError", "SliceRequest", "Update", "device_names", "reconstruct"]

# One run at a time on a device: two would share its memory, and each would be slower.
_locks: dict[str, threading.Lock] = defaultdict(threading.Lock)
_LOCK_POLL_SECONDS = 0.1
# Progress without a picture is told no more often, however short the iterations are.
_INTERVAL_SECONDS = 0.1


class ReconstructionError(ChemTomoError):
    """A reconstruction that failed for a reason of which the program did not think."""


class SliceRequest:
    """What the viewer wants to see of a running reconstruction; both threads use it.

    The viewer asks for one slice at a time, when it has shown the one before: it is never behind.
    """

    def __init__(self) -> None:
        self._y_nm: float | None = None
        self._lock = threading.Lock()

    def ask(self, y_nm: float) -> None:
        """Ask for the slice at a place along ``y``."""
        with self._lock:
            self._y_nm = y_nm

    def take(self) -> float | None:
        """Return the place that was asked for; it is answered with that."""
        with self._lock:
            wanted, self._y_nm = self._y_nm, None
        return wanted


@dataclasses.dataclass(frozen=True)
class Update(TaskProgress):
    """What the viewer learns after an iteration.

    Attributes
    ----------
    image : numpy.ndarray, optional
        The slice in view, shape (channel, z, x).
    origin_px : (float, float, float)
        Index ``(z, y, x)`` of the first voxel of `image` in the volume of the whole series.
    voxel_size_nm : float
        Edge of a voxel.
    """

    image: npt.NDArray[np.float32] | None = None
    origin_px: tuple[float, float, float] = (0.0, 0.0, 0.0)
    voxel_size_nm: float = 1.0


def reconstruct(
    dataset: Dataset,
    parameters: ReconstructParameters,
    scaling: PublishedScaling | None,
    request: SliceRequest,
    should_stop: Callable[[], bool],
) -> Generator[TaskProgress, None, Result | None]:
    """Run a reconstruction and tell of its iterations.

    Its result is ``None`` when it was cancelled before it began, and the last iterate when later.

    Raises
    ------
    ChemTomoError
        Whatever goes wrong: a `ReconstructionError` when it is no error of our own.
    """
    lock = _locks[_device_key(parameters.device)]
    while not lock.acquire(timeout=_LOCK_POLL_SECONDS):
        if should_stop():
            return None
        yield TaskProgress(0, 0, "Waiting for the device, which another reconstruction uses…")
    try:
        return (yield from _updates(dataset, parameters, scaling, request, should_stop))
    except ChemTomoError:
        raise
    except Exception as error:
        raise ReconstructionError(f"the reconstruction failed: {type(error).__name__}: {error}") from error
    finally:
        lock.release()


def _updates(
    dataset: Dataset,
    parameters: ReconstructParameters,
    scaling: PublishedScaling | None,
    request: SliceRequest,
    should_stop: Callable[[], bool],
) -> Generator[TaskProgress, None, Result | None]:
    yield TaskProgress(0, 0, "Preparing…")
    running = reconstruction_job(
        dataset, parameters, scaling, should_stop=should_stop, store=settings.result_cache()
    )
    objective = ""
    begun, told = False, -np.inf
    while True:
        try:
            progress = next(running)
        except StopIteration as end:
            # What was cancelled before the first iteration is a volume of zeros.
            return None if should_stop() and not begun else end.value
        if isinstance(progress, TaskProgress):  # of steps before the first iteration
            yield progress
            continue
        begun = True
        if should_stop():
            continue  # to the result
        if (record := progress.record) is not None:
            gap = "" if record.gap is None else f" · gap {record.gap:.1e}"
            objective = f" · objective {record.objective:.6g}{gap}"
        done, total, seconds = progress.iteration, progress.iterations, progress.seconds
        left = seconds / max(done, 1) * (total - done)
        message = f"Iteration {done} of {total}{objective} · {seconds:.1f} s, at most {left:.0f} s left"
        y_nm = request.take()
        if y_nm is None:
            if time.monotonic() - told >= _INTERVAL_SECONDS:
                told = time.monotonic()
                yield Update(done, total, message)
            continue
        y = progress.slice_at(y_nm)
        z0, y0, x0 = progress.origin_px
        yield Update(
            done,
            total,
            message,
            image=np.array(progress.slice(y), dtype=np.float32),
            origin_px=(z0, y0 + y, x0),
            voxel_size_nm=progress.voxel_size_nm,
        )


def reconstruction_job(
    dataset: Dataset,
    parameters: ReconstructParameters,
    scaling: PublishedScaling | None,
    *,
    should_stop: Callable[[], bool] | None = None,
    store: Store | None = None,
) -> Generator[Any, None, Result]:
    """Run the steps of a reconstruction, with the published scaling before it where that is wanted."""
    steps = [Entry("reconstruct", parameters)]
    if scaling is not None:
        before = [Entry("published_scaling", scaling)]
        if any(one.alignment is not None for one in dataset):
            before.insert(0, Entry.of("apply_alignment", {}))
        steps = [*before, *steps]
    state = yield from run_steps_job(State(series=dataset), steps, should_stop=should_stop, store=store)
    assert state.volume is not None
    return Result(state.volume, state.reports[-1][1])


def device_names() -> list[str]:
    """Return the names of the compute devices."""
    from chemtomo.opencl import list_devices

    return [one.name for one in list_devices()]


def _device_key(wanted: str) -> str:
    """Return one text for all ways to name a device."""
    from chemtomo.opencl import choose_device

    device = choose_device(wanted)
    return wanted if device is None else str(device.number)
