"""Classical methods as methods that run slab by slab: what each needs of data, settings and memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from chemtomo.errors import DataError
from chemtomo.opencl import DeviceInfo
from chemtomo.opencl.memory import MemoryEstimate, estimate_classical_memory
from chemtomo.recon.classical.levels import estimate_levels
from chemtomo.recon.filtered_back_projection import filter_sinograms
from chemtomo.recon.frame import Frame
from chemtomo.recon.parameters import ReconstructParameters
from chemtomo.solvers.classical.back_projection import FilteredBackProjection
from chemtomo.solvers.classical.cgls import ConjugateGradients
from chemtomo.solvers.classical.dart import DiscreteTomography, DiscreteTomographySettings
from chemtomo.solvers.classical.iteration import ClassicalIteration
from chemtomo.solvers.classical.mlem import ExpectationMaximisation
from chemtomo.solvers.classical.numpy_workspace import NumpyWorkspace
from chemtomo.solvers.classical.ordered_subsets import OrderedSubsets
from chemtomo.solvers.classical.problem import Bounds, ProjectionData, inverse_sums
from chemtomo.solvers.classical.subsets import Subsets
from chemtomo.solvers.classical.workspace import Workspace

if TYPE_CHECKING:
    from chemtomo.opencl.upload import Upload

__all__ = ["CLASSICAL_METHODS", "ClassicalMethod"]

CLASSICAL_METHODS: dict[str, type[ClassicalIteration]] = {
    "bp": OrderedSubsets,
    "fbp": FilteredBackProjection,
    "sirt": OrderedSubsets,
    "sart": OrderedSubsets,
    "cgls": ConjugateGradients,
    "mlem": ExpectationMaximisation,
    "dart": DiscreteTomography,
}


class ClassicalMethod:
    """A method that treats every channel and slice alone: a `chemtomo.recon.method.Method`.

    Parameters
    ----------
    frame : Frame
        The data.
    settings : ReconstructParameters
        The method and what it has to be told.

    Raises
    ------
    DataError
        When a channel has negative values that the method cannot take.
    """

    overlap = False

    def __init__(self, frame: Frame, settings: ReconstructParameters) -> None:
        self._settings = settings
        self._kind = CLASSICAL_METHODS[settings.method]
        self.most_iterations: int | None = 1 if settings.method in ("bp", "fbp") else None
        self._first_slice = frame.slices[0]
        self._bounds = Bounds(*settings.bounds)
        count = {"sart": frame.geometry.tilts, "bp": 1}.get(settings.method, settings.subsets)
        self._subsets = Subsets(frame.geometry, count, settings.order, settings.seed)
        self._measured = self._problem = _projections(frame, subtract=settings.method != "mlem")
        if settings.method == "mlem":
            _require_counts(frame, self._problem)
            self._start = _uniform_value(self._problem)
        if settings.method == "fbp":
            self._problem = _filtered(frame, self._measured, settings)
        self._levels: npt.NDArray[np.float32] | None = None

    def estimate_memory(self, slices: int, device: DeviceInfo) -> MemoryEstimate:
        """Device memory for so many slices."""
        return estimate_classical_memory(
            self._problem.geometry,
            len(self._problem.data),
            slices,
            needs=self._kind.needs(partial_sums=self._problem.valid is not None or len(self._subsets) > 1),
            background=self._problem.background is not None,
            device=device,
        )

    def upload(self, first: int, last: int, device: DeviceInfo, executor: Executor) -> Upload:
        """Send the data of some slices ahead, for an `iteration` of the same slices."""
        from chemtomo.opencl.classical import upload_ahead  # pyopencl is loaded when it is used

        return upload_ahead(self._problem.part(first, last), device, executor)

    def iteration(
        self,
        first: int,
        last: int,
        device: DeviceInfo | None,
        should_stop: Callable[[], bool] | None = None,
        upload: Upload | None = None,
    ) -> ClassicalIteration:
        """Return the iteration of the slices ``first <= y < last``, at its start."""
        settings = self._settings
        workspace = _workspace(self._problem.part(first, last), device, upload)
        match settings.method:
            case "fbp":
                return FilteredBackProjection(workspace, self._bounds, self._measured.part(first, last))
            case "cgls":
                return ConjugateGradients(workspace, self._bounds)
            case "mlem":
                return ExpectationMaximisation(workspace, self._bounds, self._subsets, self._start)
            case "dart":
                levels = self._grey_levels(device, should_stop)
                return DiscreteTomography(
                    workspace, self._bounds, levels, _discrete(settings), self._first_slice + first
                )
            case _:
                relaxation = 1.0 if settings.method == "bp" else settings.relaxation
                return OrderedSubsets(workspace, self._bounds, self._subsets, relaxation)

    def _grey_levels(
        self, device: DeviceInfo | None, should_stop: Callable[[], bool] | None
    ) -> npt.NDArray[np.float32]:
        """Return the grey levels (channel, level), found at the first question if they are not given."""
        if self._levels is None:
            settings, channels = self._settings, len(self._problem.data)
            if settings.grey_levels:
                self._levels = np.tile(np.sort(np.array(settings.grey_levels, np.float32)), (channels, 1))
            else:
                self._levels = estimate_levels(
                    self._problem,
                    settings.levels,
                    self._bounds,
                    _discrete(settings),
                    lambda problem: _workspace(problem, device),
                    should_stop,
                )
        return self._levels


def _workspace(problem: ProjectionData, device: DeviceInfo | None, upload: Upload | None = None) -> Workspace:
    if device is None:
        return NumpyWorkspace(problem)
    from chemtomo.opencl.classical import OpenCLWorkspace  # pyopencl is loaded when it is used

    return OpenCLWorkspace(problem, device, upload)


def _discrete(settings: ReconstructParameters) -> DiscreteTomographySettings:
    return DiscreteTomographySettings(
        start_iterations=settings.start_iterations,
        inner_iterations=settings.inner_iterations,
        free_share=settings.free_share,
        smoothing=settings.smoothing,
        seed=settings.seed,
    )


def _projections(frame: Frame, *, subtract: bool) -> ProjectionData:
    """Divide by the gains; the background is subtracted, or goes along."""
    data, background, gains, valid = frame.sinograms(), frame.backgrounds(), frame.gains, frame.valid()
    if background is not None and subtract:
        data -= background
        background = None
    if (gains != 1).any():
        has = gains > 0
        factors = (has / np.where(has, gains, 1)).astype(np.float32)[:, :, np.newaxis, np.newaxis]
        data *= factors
        if background is not None:
            background *= factors
    if valid is not None:
        data = np.where(valid, data, np.float32(0))
    return ProjectionData(frame.geometry, data, gains, valid, background)


def _require_counts(frame: Frame, problem: ProjectionData) -> None:
    arrays = {"values": problem.data, "background": problem.background}
    for what, array in arrays.items():
        for name, own in zip(frame.dataset.names, () if array is None else array, strict=array is not None):
            if own.min() < 0:
                raise DataError(
                    f"tilt series {name!r} has {what} down to {own.min():g}; expected none below 0 for the "
                    "method mlem. Choose another method, or remove the background"
                )


def _uniform_value(problem: ProjectionData) -> npt.NDArray[np.float64]:
    """Return the value (channel,) that gives a uniform volume the signal that was measured, above zero."""
    inverse = inverse_sums(problem.geometry, np.ones((1, problem.geometry.tilts)))[0]
    ray_sums = np.where(inverse > 0, 1 / np.where(inverse > 0, inverse, 1), 0)
    values = []
    for channel, weights in enumerate(problem.weights):
        data = problem.data[channel].sum(axis=(1, 2), dtype=np.float64)
        signal = weights @ data
        if problem.background is not None:
            background = problem.background[channel]
            if problem.valid is not None:
                background = np.where(problem.valid[channel], background, 0)
            signal = max(signal - weights @ background.sum(axis=(1, 2), dtype=np.float64), 1e-3 * signal)
        seen = np.ones(problem.data.shape[1:]) if problem.valid is None else problem.valid[channel]
        lengths = np.einsum("t,tyd,td->", weights, seen, ray_sums[0])
        values.append(max(signal / max(lengths, 1e-30), 1e-9))
    return np.array(values)


def _filtered(frame: Frame, measured: ProjectionData, settings: ReconstructParameters) -> ProjectionData:
    """Filter every channel at its own tilts; what is not valid is interpolated along the detector."""
    data = np.zeros_like(measured.data)
    for channel, places in enumerate(frame.joint.places):
        own = measured.data[channel, places]
        if measured.valid is not None:
            own = _interpolated(own, measured.valid[channel, places])
        rows = filter_sinograms(own.transpose(1, 0, 2), frame.joint.tilts_deg[places], window=settings.filter)
        data[channel, places] = rows.transpose(1, 0, 2)
    return dataclasses.replace(measured, data=data, weights=np.ones_like(measured.weights), valid=None)


def _interpolated(lines: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Interpolate (..., detector) where it is not valid; lines without a valid pixel are 0."""
    result = np.where(valid, lines, np.float32(0))
    pixels = np.arange(lines.shape[-1])
    for at in zip(*np.nonzero(~valid.all(axis=-1) & valid.any(axis=-1)), strict=True):
        own = valid[at]
        result[at] = np.interp(pixels, pixels[own], lines[at][own])
    return result
