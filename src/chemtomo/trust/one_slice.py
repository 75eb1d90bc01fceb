"""One slice, again and again: with other parameters, or as it was after some of its iterations."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Sequence

import numpy as np
import numpy.typing as npt

from chemtomo.data import Dataset
from chemtomo.errors import ParameterError
from chemtomo.opencl import choose_device
from chemtomo.operators import Projector
from chemtomo.progress import TaskProgress
from chemtomo.recon.frame import Frame
from chemtomo.recon.parameters import ReconstructParameters
from chemtomo.recon.reconstruction import frame_of, method_of
from chemtomo.solvers import IterationRecord, Limits, iterate
from chemtomo.trust.curves import standard_error
from chemtomo.trust.held_out import divide, misfit

__all__ = ["Convergence", "Sweep", "convergence_job", "sweep_job"]

_Stack = npt.NDArray[np.float32]
_Numbers = npt.NDArray[np.float64]
_Iterating = Generator[tuple[IterationRecord, _Stack], None, _Stack]


@dataclasses.dataclass(frozen=True, eq=False)
class Sweep:
    """One slice with several settings.

    Attributes
    ----------
    names : tuple of str
        The channels.
    y : int
        The slice.
    slices : numpy.ndarray, shape (setting, channel, z, x)
        The slice with every setting, in the frame of the volume.
    misfits, errors : numpy.ndarray, shape (setting, channel)
        How far data that were held out are from their prediction, above the best setting, and the standard
        error of that difference: see `chemtomo.trust.held_out`.
    pixel_size_nm : float
        Edge of a voxel.
    """

    names: tuple[str, ...]
    y: int
    slices: _Stack
    misfits: _Numbers
    errors: _Numbers
    pixel_size_nm: float


@dataclasses.dataclass(frozen=True, eq=False)
class Convergence:
    """One slice on its way.

    Attributes
    ----------
    names : tuple of str
        The channels.
    y : int
        The slice.
    iterations : tuple of int
        The iterations that are reported.
    iterates : numpy.ndarray, shape (report, channel, z, x)
        The slice after each of them, in the frame of the volume.
    residuals : numpy.ndarray, shape (report, channel)
        Norm of the data less their expectation, over that of the data.
    objectives : numpy.ndarray, shape (report,)
        What the method minimises.
    gaps : numpy.ndarray, shape (report,)
        Relative duality gap; NaN for methods that have none.
    seconds : numpy.ndarray, shape (report,)
        Since the first iteration.
    pixel_size_nm : float
        Edge of a voxel.
    """

    names: tuple[str, ...]
    y: int
    iterations: tuple[int, ...]
    iterates: _Stack
    residuals: _Numbers
    objectives: _Numbers
    gaps: _Numbers
    seconds: _Numbers
    pixel_size_nm: float


def sweep_job(
    recorded: Dataset,
    prepare: Callable[[Dataset], Dataset],
    settings: Sequence[ReconstructParameters],
    y: int | None = None,
    *,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[TaskProgress, None, Sweep]:
    """Reconstruct one slice with several settings, and say how well each predicts data that are held out.

    Parameters
    ----------
    recorded : Dataset
        As recorded: counts are divided before they are aligned.
    prepare : callable
        Makes of it what is to be reconstructed; it is also given single signals.
    settings : sequence of ReconstructParameters
        Their slices do not matter; nothing is ``auto``.
    y : int, optional
        The slice, that in the middle by default.
    should_stop : callable, optional
        Asked before every iteration.

    Yields
    ------
    TaskProgress
        After every reconstruction.

    Raises
    ------
    ParameterError
        When there are no settings, no such slice, or something is ``auto``.
    ChemTomoError
        When data, parameters or device do not fit together.
    """
    if not settings:
        raise ParameterError("found no settings; expected at least one")
    prepared = prepare(recorded)
    whole = {one.name: one for one in recorded}
    images, scores = [], []
    for number, one in enumerate(settings):
        frame = _frame(prepared, one, y)
        yield TaskProgress(2 * number, 2 * len(settings), "Slice")
        images.append(_in_frame(frame, _finished(_iterating(frame, one, should_stop))))
        yield TaskProgress(2 * number + 1, 2 * len(settings), "Held-out data")
        division = divide(frame, 0, one.seed, whole, prepare)
        fitted = _finished(_iterating(division.fitted, one, should_stop))
        scores.append(misfit(division, fitted, Projector(frame.geometry, 1, 1)))
    best = np.argmin([one.sum(axis=1) for one in scores], axis=0)
    every = np.arange(len(prepared))
    differences = np.array(scores) - np.array(scores)[best, every]
    errors = np.array([[standard_error(tilts[tilts != 0]) for tilts in one] for one in differences])
    return Sweep(
        prepared.names,
        frame.slices[0],
        np.stack(images),
        differences.sum(axis=2),
        errors,
        prepared.series[0].pixel_size_nm,
    )


def convergence_job(
    prepared: Dataset,
    settings: ReconstructParameters,
    y: int | None = None,
    *,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[TaskProgress, None, Convergence]:
    """Reconstruct one slice, and keep what it was after every report.

    Parameters
    ----------
    prepared : Dataset
        What is to be reconstructed.
    settings : ReconstructParameters
        Of an iterative method; ``report_every`` says how often. Their slices do not matter.
    y : int, optional
        The slice, that in the middle by default.
    should_stop : callable, optional
        Asked before every iteration; ``True`` ends it with what there is.

    Yields
    ------
    TaskProgress
        After every report.

    Raises
    ------
    ParameterError
        When there is no such slice, or something is ``auto``.
    ChemTomoError
        When data, parameters or device do not fit together.
    """
    frame = _frame(prepared, settings, y)
    projector = Projector(frame.geometry, 1, 1)
    records, iterates, residuals = [], [], []
    for record, image in _iterating(frame, settings, should_stop):
        records.append(record)
        iterates.append(_in_frame(frame, image))
        residuals.append(_residuals(frame, image, projector))
        yield TaskProgress(record.iteration, settings.iterations, f"Iteration {record.iteration}")
    return Convergence(
        prepared.names,
        frame.slices[0],
        tuple(one.iteration for one in records),
        np.stack(iterates),
        np.stack(residuals),
        np.array([one.objective for one in records]),
        np.array([np.nan if one.gap is None else one.gap for one in records]),
        np.array([one.seconds for one in records]),
        prepared.series[0].pixel_size_nm,
    )


def _frame(prepared: Dataset, settings: ReconstructParameters, y: int | None) -> Frame:
    rows = prepared.series[0].shape[1]
    row = rows // 2 if y is None else y
    if not 0 <= row < rows:
        raise ParameterError(f"slice: found {y}; expected 0 to {rows - 1}")
    frame = frame_of(prepared, settings.model_copy(update={"slices": (row, row + 1)}))
    if frame.resolutions.cell > 1:
        raise ParameterError("found signals with pixels of different sizes; expected one size. Bin the finer")
    return frame


def _iterating(
    frame: Frame, settings: ReconstructParameters, should_stop: Callable[[], bool] | None
) -> _Iterating:
    """Yield the records with the iterates (channel, z, y, x) of the geometry; return the last iterate."""
    device = choose_device(settings.device)
    method = method_of(frame, settings)
    most = settings.iterations
    if method.most_iterations is not None:
        most = min(most, method.most_iterations)
    iteration = method.iteration(0, frame.slices[1] - frame.slices[0], device, should_stop)
    try:
        limits = Limits(most, settings.report_every, settings.tolerance or None)
        for progress in iterate(iteration, limits, should_stop):
            if progress.record is not None:
                yield progress.record, iteration.volume()
        return iteration.volume()
    finally:
        iteration.release()


def _finished(iterating: _Iterating) -> _Stack:
    while True:
        try:
            next(iterating)
        except StopIteration as end:
            image: _Stack = end.value
            return image


def _in_frame(frame: Frame, image: _Stack) -> _Stack:
    return frame.to_slice(frame.within(image[:, :, 0]))


def _residuals(frame: Frame, image: _Stack, projector: Projector) -> _Numbers:
    data, background, valid = frame.sinograms(), frame.backgrounds(), frame.valid()
    found = np.zeros(len(data))
    for channel, recorded in enumerate(data):
        expected = projector.forward(image[channel : channel + 1])[0] * frame.gains[channel][:, None, None]
        if background is not None:
            expected = expected + background[channel]
        known = np.broadcast_to((frame.gains[channel] > 0)[:, None, None], recorded.shape)
        if valid is not None:
            known = known & valid[channel]
        size = np.linalg.norm(recorded[known].astype(np.float64))
        found[channel] = np.linalg.norm((recorded - expected)[known]) / (size if size > 0 else 1)
    return found
