"""Run a method on a dataset: at once, or slab by slab if the device memory is too small."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from chemtomo.data import Dataset, Volume
from chemtomo.errors import DeviceMemoryError, ParameterError
from chemtomo.opencl import DeviceInfo, choose_device
from chemtomo.opencl.choice.sharing import share_of_memory
from chemtomo.progress import TaskProgress
from chemtomo.recon.classical.method import CLASSICAL_METHODS, ClassicalMethod
from chemtomo.recon.frame import Frame
from chemtomo.recon.method import Method
from chemtomo.recon.parameters import ReconstructParameters
from chemtomo.recon.slabs.checkpoint import CheckpointStore, SlabCheckpoints, Unfinished
from chemtomo.recon.slabs.plan import OVERLAP, Slab, halves, plan_slabs
from chemtomo.recon.slabs.streaming import Streaming
from chemtomo.recon.variational import VariationalMethod
from chemtomo.solvers import Iteration, Limits, Outcome, Progress, Reached, iterate

if TYPE_CHECKING:
    from chemtomo.opencl.upload import Upload

__all__ = ["Plan", "Reconstructed", "ReconstructionProgress", "frame_of", "method_of", "reconstruct"]

# So many slices are iterated before the run to tell its time, where they are a small part of it.
_TIMED_SLICES = 16
_TIMED_PART = 4
_TIMED_ITERATIONS = 2
_DEFAULT_MEMORY_FRACTION = 0.7  # of what the device reports: other programs need memory too


@dataclasses.dataclass(frozen=True)
class Plan(TaskProgress):
    """What a long reconstruction takes, before its first iteration; the message says it in words.

    Attributes
    ----------
    memory_bytes : int, optional
        Device memory that will be used; ``None`` for NumPy.
    seconds : float, optional
        Time of all iterations up to the limit, from a few iterations of some slices; ``None`` where these
        would be a large part of the run.
    """

    memory_bytes: int | None = None
    seconds: float | None = None


@dataclasses.dataclass(frozen=True)
class ReconstructionProgress(Progress):
    """`Progress` of a reconstruction, with the position of its slices in the sample.

    Attributes
    ----------
    origin_px : (float, float, float)
        Index ``(z, y, x)`` of the first voxel of slice 0 in the volume of the whole series, as in
        `chemtomo.data.Volume`; slice ``y`` of the iterate is ``y`` voxels further along ``y``.
    voxel_size_nm : float
        Edge of a voxel.
    slices : int
        Number of slices that are reconstructed.
    plan : str
        Field, voxels, memory, slabs and time of the whole run, in words.
    """

    origin_px: tuple[float, float, float]
    voxel_size_nm: float
    slices: int
    plan: str = ""

    def slice_at(self, y_nm: float) -> int:
        """Return the slice at a place along ``y``, or the nearest one."""
        return min(max(round(y_nm / self.voxel_size_nm - self.origin_px[1]), 0), self.slices - 1)


@dataclasses.dataclass(frozen=True)
class Reconstructed:
    """A finished reconstruction.

    Attributes
    ----------
    volume : Volume
        The reconstruction, without provenance.
    device : str
        Where it was computed.
    slabs : tuple of (Slab, Outcome)
        How the slabs ended; one for the whole volume, if it fits. Slabs left out by a cancel are missing.
    budget_bytes : int, optional
        Device memory that could be used; ``None`` for NumPy.
    peak_bytes : int
        Device memory that was used.
    notes : tuple of str
        Changes that were necessary during the run.
    tilts : tuple of int
        Number of projections of every channel.
    gains : dict of str to tuple of float, optional
        The gain of every projection of every channel, where they were refined.
    """

    volume: Volume
    device: str
    slabs: tuple[tuple[Slab, Outcome], ...]
    budget_bytes: int | None
    peak_bytes: int
    notes: tuple[str, ...]
    tilts: tuple[int, ...]
    gains: dict[str, tuple[float, ...]] | None = None


def reconstruct(
    dataset: Dataset,
    settings: ReconstructParameters,
    limits: Limits,
    should_stop: Callable[[], bool] | None = None,
    checkpoints: CheckpointStore | None = None,
    frame: Frame | None = None,
) -> Generator[Plan | ReconstructionProgress, None, Reconstructed]:
    """Reconstruct a dataset, one iteration at a time.

    Parameters
    ----------
    dataset : Dataset
        Signals with the same field of view and tilt axis, aligned. Their tilts may differ; with ``tv`` and
        ``tgv`` the pixels of some may be ``2 x 2``, ``3 x 3`` ... of those of the others.
    settings : ReconstructParameters
        Method, weights, ranges, device and memory.
    limits : Limits
        For every slab.
    should_stop : callable, optional
        Asked before every iteration; ``True`` ends the run with the present iterate.
    checkpoints : CheckpointStore, optional
        Where the state of the iteration is written, and from which an earlier run continues.
    frame : Frame, optional
        That of other data with the same tilts, rows and columns, in place of one chosen by these.

    Yields
    ------
    Plan
        Before the first iteration, where its time can be told: what the run takes.
    ReconstructionProgress
        After every iteration. With several slabs the iterations count on from one to the next.

    Returns
    -------
    Reconstructed
        The volume, in the units of the data, and a summary of the run.

    Raises
    ------
    DataError
        When the data is unsuitable for the method.
    ParameterError
        When a range or a name does not fit the data.
    DeviceError
        When there is no such device, or it has too little memory.
    """
    device = choose_device(settings.device)
    frame = frame_of(dataset, settings) if frame is None else frame.with_data(dataset)
    method = method_of(frame, settings)
    if method.most_iterations is not None:
        limits = dataclasses.replace(limits, iterations=min(limits.iterations, method.most_iterations))
    slices = frame.slices[1] - frame.slices[0]
    overlap = OVERLAP if method.overlap else 0
    budget = None if device is None else _budget(settings.memory, device)
    cell = frame.resolutions.cell
    waiting = deque(_plan(method, slices, overlap, device, budget, settings.slabs, cell))
    image = np.zeros((len(dataset), *frame.cropped_shape), dtype=np.float32)
    ended: list[tuple[Slab, Outcome]] = []
    notes = [] if frame.note is None else [frame.note]
    peak = 0
    cancelled = False
    earlier = None if checkpoints is None else checkpoints.find(limits)
    if earlier is not None:
        image[:, :, : earlier.slab.start] = earlier.image
        ended, notes, peak = list(earlier.ended), list(earlier.notes), earlier.peak_bytes
        waiting = deque((earlier.slab, *earlier.waiting))
    plan = _planned(frame, method, waiting, device, limits.iterations, should_stop)
    if plan.seconds is not None:
        yield plan
    send = None if device is None else partial(_send, method, device)
    with Streaming(image, send, frame.within) as streaming:
        while waiting and not cancelled:
            slab = waiting.popleft()
            try:
                iteration = method.iteration(slab.first, slab.last, device, should_stop, streaming.take(slab))
            except DeviceMemoryError as error:
                parts = halves(slab, overlap, slices, cell)
                notes.append(f"{error}. Slices {slab.start} to {slab.stop - 1} were split in two")
                waiting.extendleft(reversed(parts))
                streaming.land()  # wait for transfers, which may have taken the memory
                continue
            if waiting:
                streaming.send_ahead(waiting[0])
            start = Reached()
            if earlier is not None and earlier.slab == slab:
                start = earlier.reached
                iteration.restore(earlier.variables(), start.iterations)
            saving = None
            if checkpoints is not None:
                so_far = Unfinished(
                    limits, slab, start, tuple(waiting), tuple(ended), tuple(notes), peak, image, dict
                )
                saving = SlabCheckpoints(checkpoints, so_far, iteration, streaming.land)
            running = iterate(iteration, limits, should_stop, start=start, on_reached=saving)
            view = _View(frame, image, slab, iteration, streaming, plan.message)
            outcome = yield from _counting_on(running, view, len(ended), len(ended) + 1 + len(waiting))
            on_the_way = (
                method.estimate_memory(slab.slices, device).streaming if device is not None and waiting else 0
            )
            peak = max(peak, iteration.allocated_bytes + on_the_way)
            cancelled = outcome.cancelled
            if cancelled and saving is not None:
                saving.keep()
            streaming.bring_back(slab, iteration)
            ended.append((slab, outcome))
    pixel = frame.dataset.series[0].pixel_size_nm
    volume = Volume(frame.to_volume(image), dataset.names, pixel, frame.origin_px)
    name = "numpy" if device is None else device.name
    tilts = tuple(series.shape[0] for series in dataset)
    gains = _refined_gains(frame, method)
    return Reconstructed(volume, name, tuple(ended), budget, peak, tuple(notes), tilts, gains)


def method_of(frame: Frame, settings: ReconstructParameters) -> Method:
    """Return the method with its data.

    Raises
    ------
    DataError, ParameterError
        When the data are unsuitable for the method.
    """
    classical = settings.method in CLASSICAL_METHODS
    if frame.resolutions.cell > 1 and classical:
        raise ParameterError(
            f"method {settings.method}: found signals with different pixel sizes ({frame.resolutions.note}); "
            "expected the same, or tv or tgv. Bin the finer ones, or reconstruct the signals one by one"
        )
    kind = ClassicalMethod if classical else VariationalMethod
    return kind(frame, settings)


def frame_of(dataset: Dataset, settings: ReconstructParameters) -> Frame:
    """Return the frame in which data are reconstructed; see `Frame.of`.

    A field ``auto`` is never wide with columns set by hand or with published weights.
    """
    by_hand = settings.crop not in ("auto", "none") or settings.normalisation == "paper"
    field = "sample" if settings.field == "auto" and by_hand else settings.field
    return Frame.of(dataset, settings.slices, settings.crop, settings.keep_crop, field, settings.thickness)


def _refined_gains(frame: Frame, method: Method) -> dict[str, tuple[float, ...]] | None:
    if not isinstance(method, VariationalMethod) or method.refined_gains is None:
        return None
    found = frame.gains * method.refined_gains
    return {
        series.name: tuple(found[channel, frame.joint.places[channel]].tolist())
        for channel, series in enumerate(frame.dataset)
    }


def _budget(memory_gib: float | None, device: DeviceInfo) -> int:
    if memory_gib is not None:
        return int(memory_gib * 2**30)
    return int(_DEFAULT_MEMORY_FRACTION * share_of_memory() * device.memory_bytes)


def _plan(
    method: Method,
    slices: int,
    overlap: int,
    device: DeviceInfo | None,
    budget: int | None,
    least: int | None,
    cell: int,
) -> tuple[Slab, ...]:
    if device is None or budget is None:
        return plan_slabs(slices, overlap, lambda _: True, least, cell)

    def fits(count: int) -> bool:
        need = method.estimate_memory(count, device)
        # The whole volume in one slab has nothing before or after it.
        total = need.total + (need.streaming if count < slices else 0)
        return total <= budget and need.largest <= device.largest_buffer_bytes

    return plan_slabs(slices, overlap, fits, least, cell)


def _planned(
    frame: Frame,
    method: Method,
    slabs: Sequence[Slab],
    device: DeviceInfo | None,
    iterations: int,
    should_stop: Callable[[], bool] | None,
) -> Plan:
    height, width = frame.geometry.volume_shape
    text = f"{height} x {frame.slices[1] - frame.slices[0]} x {width} voxels"
    memory = seconds = None
    if device is not None:
        memory = max(
            one.total + (one.streaming if len(slabs) > 1 else 0)
            for one in (method.estimate_memory(slab.slices, device) for slab in slabs)
        )
        text += f", {memory / 2**30:.2g} GiB of device memory"
        each = _seconds_per_iteration(method, sum(slab.slices for slab in slabs), device, should_stop)
        if each is not None:
            seconds = each * iterations
            text += f", at most about {seconds:.0f} s for {iterations} iterations"
    if len(slabs) > 1:
        text += f", {len(slabs)} slabs one after the other"
    if frame.note is not None:
        text += f"; {frame.note}"
    return Plan(0, iterations, text, memory, seconds)


def _seconds_per_iteration(
    method: Method, slices: int, device: DeviceInfo, should_stop: Callable[[], bool] | None
) -> float | None:
    """Return the time of an iteration of so many slices, from a few of some; the first one compiles."""
    short = slices < _TIMED_PART * _TIMED_SLICES or method.most_iterations is not None
    if short or (should_stop is not None and should_stop()):
        return None
    iteration = method.iteration(0, _TIMED_SLICES, device, should_stop)
    try:
        iteration.advance()
        iteration.slice(0)  # waits for the device
        began = time.perf_counter()
        for _ in range(_TIMED_ITERATIONS):
            iteration.advance()
        iteration.slice(0)
        took = time.perf_counter() - began
    finally:
        iteration.release()
    return took / _TIMED_ITERATIONS * slices / _TIMED_SLICES


def _send(method: Method, device: DeviceInfo, slab: Slab, executor: Executor) -> Upload:
    return method.upload(slab.first, slab.last, device, executor)


@dataclasses.dataclass(frozen=True)
class _View:
    """The whole volume while a slab is being reconstructed."""

    frame: Frame
    image: npt.NDArray[np.float32]
    slab: Slab
    current: Iteration
    streaming: Streaming
    plan: str

    def slice(self, y: int) -> npt.NDArray[np.float32]:
        """Return the slice `y` of the volume in the frame of the result, shape (channel, z, x)."""
        if self.slab.start <= y < self.slab.stop:
            return self.frame.to_slice(self.frame.within(self.current.slice(y - self.slab.first)))
        self.streaming.land()
        return self.frame.to_slice(self.image[:, :, y])


def _counting_on(
    running: Generator[Progress, None, Outcome], view: _View, before: int, slabs: int
) -> Generator[ReconstructionProgress, None, Outcome]:
    frame = view.frame
    first, stop = frame.slices
    while True:
        try:
            progress = next(running)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        yield ReconstructionProgress(
            iteration=before * progress.iterations + progress.iteration,
            iterations=slabs * progress.iterations,
            seconds=progress.seconds,
            record=progress.record,
            slice=view.slice,
            origin_px=frame.origin_px,
            voxel_size_nm=frame.dataset.series[0].pixel_size_nm,
            slices=stop - first,
            plan=view.plan,
        )
