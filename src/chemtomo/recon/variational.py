"""Joint reconstruction with TV or TGV."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from chemtomo.errors import DataError, ParameterError
from chemtomo.functionals import DataTermName, Problem
from chemtomo.opencl import DeviceInfo
from chemtomo.opencl.memory import MemoryEstimate, estimate_variational_memory
from chemtomo.operators import Projector
from chemtomo.preprocess import select_slices
from chemtomo.recon.frame import Frame
from chemtomo.recon.method import BackendIteration
from chemtomo.recon.noise import NoiseModel
from chemtomo.recon.parameters import ReconstructParameters
from chemtomo.recon.weights import Weights, counts_weights, paper_weights, typical_value
from chemtomo.solvers.backend import Backend
from chemtomo.solvers.gain_refinement import GainRefinement
from chemtomo.solvers.loop import Objective
from chemtomo.solvers.metric_norm import MetricNorms, metric_norm
from chemtomo.solvers.numpy_backend import NumpyBackend
from chemtomo.solvers.primal_dual import FastIteration, PaperIteration, PrimalDualIteration, fast_step_sizes

if TYPE_CHECKING:
    from chemtomo.opencl.upload import Upload

__all__ = ["VariationalIteration", "VariationalMethod", "backend_of", "problem_of"]

# Shared by all runs of this process.
_NORMS = MetricNorms()


class VariationalMethod:
    """TV or TGV of all channels: a `chemtomo.recon.method.Method`.

    Parameters
    ----------
    frame : Frame
        The data.
    settings : ReconstructParameters
        Method and weights.

    Raises
    ------
    DataError, ParameterError
        See `problem_of`.
    """

    def __init__(self, frame: Frame, settings: ReconstructParameters) -> None:
        self._settings = settings
        self._problem, self._weights = problem_of(frame, settings)
        self.overlap = settings.couples_slices
        self.most_iterations: int | None = None
        # From the whole data, so that all slabs have the same step sizes.
        self._dual_step_sizes = fast_step_sizes(self._problem) if settings.steps == "fast" else None
        self._gains: GainRefinement | None = None

    def estimate_memory(self, slices: int, device: DeviceInfo) -> MemoryEstimate:
        """Device memory for so many slices."""
        return estimate_variational_memory(
            self._problem.geometry,
            self._problem.channels,
            slices,
            dims=self._problem.dims,
            second_order=self._problem.second_order,
            fast=self._dual_step_sizes is not None,
            device=device,
            background=self._problem.background is not None or self._problem.pixel_weights is not None,
        )

    def upload(self, first: int, last: int, device: DeviceInfo, executor: Executor) -> Upload:
        """Send the data of some slices ahead, for an `iteration` of the same slices."""
        from chemtomo.opencl.variational import upload_ahead  # pyopencl is loaded when it is used

        return upload_ahead(self._problem.part(slices=slice(first, last)), device, executor)

    def iteration(
        self,
        first: int,
        last: int,
        device: DeviceInfo | None,
        should_stop: Callable[[], bool] | None = None,
        upload: Upload | None = None,
    ) -> VariationalIteration:
        """Return the iteration of the slices ``first <= y < last``, at its start."""
        problem = self._problem.part(slices=slice(first, last))
        metric = None
        if self._dual_step_sizes is not None:
            metric = metric_norm(
                problem,
                self._dual_step_sizes,
                lambda small: backend_of(small, device),
                should_stop,
                norms=_NORMS,
                device=device,
            )
        backend = backend_of(problem, device, upload)
        iteration: PrimalDualIteration
        if self._dual_step_sizes is not None and metric is not None:
            backend.reserve(metric)
            iteration = FastIteration(backend, self._dual_step_sizes, metric)
        else:
            iteration = PaperIteration(backend)
        if self._settings.refine_gains:
            # The first slab finds them, so that all have the same.
            known = None if self._gains is None else self._gains.factors
            self._gains = GainRefinement(backend, known)
        return VariationalIteration(iteration, backend, self._weights, self._gains)

    @property
    def refined_gains(self) -> npt.NDArray[np.float64] | None:
        """The factors on the gains of the data, shape (channel, tilt), where they were looked for."""
        return None if self._gains is None else self._gains.factors


class VariationalIteration(BackendIteration[Backend]):
    """The iteration on some slices, in the units of the data: a `SlabIteration`."""

    def __init__(
        self,
        iteration: PrimalDualIteration,
        backend: Backend,
        weights: Weights,
        gains: GainRefinement | None = None,
    ) -> None:
        self._iteration = iteration
        self._gains = gains
        self._done = 0
        self._weights = weights
        norm = np.float32(backend.problem.operator_norm)
        super().__init__(backend, np.array(weights.scales, dtype=np.float32) / norm)

    def variables(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Yield all that `restore` needs to continue from here, by names."""
        yield from self._iteration.variables()
        if self._gains is not None:
            yield "gains", self._gains.factors
            yield "gains_settled", np.array(self._gains.settled)

    def restore(self, variables: Mapping[str, npt.NDArray[Any]], iterations: int) -> None:
        """Continue from `variables` after so many iterations."""
        self._done = iterations
        if self._gains is not None:
            self._gains.restore(variables["gains"], bool(variables["gains_settled"]))
        self._iteration.restore(variables, iterations)

    def advance(self) -> None:
        """Do one iteration."""
        self._iteration.advance()
        self._done += 1
        if self._gains is not None:
            self._gains.after(self._done)

    def objective(self) -> Objective:
        """Evaluate the objective in the units of the normalisation, see `Weights`."""
        found = self._iteration.objective()
        problem = self._backend.problem
        weighted = sum(m * value for m, value in zip(problem.weights, found.data, strict=True))
        return Objective(
            total=found.total * self._weights.report,
            data=tuple(v * unit for v, unit in zip(found.data, self._weights.data_report, strict=True)),
            regulariser=(found.total - float(weighted)) * self._weights.report,
            gap=found.gap,
        )

    def change(self) -> float | None:
        """Relative change of the image, see `PrimalDualIteration.change`."""
        return self._iteration.change()


def problem_of(frame: Frame, settings: ReconstructParameters) -> tuple[Problem, Weights]:
    """Normalise the data of a frame into a problem.

    The expected data are ``g T u + b`` with the gain ``g`` of a projection and the background ``b``. The
    problem has the data ``f / g`` with the background ``b / g`` and gives them the weight ``g``: that is
    the Kullback-Leibler divergence of ``f`` itself, and counts keep their statistics. For squares the
    weight is ``g^2``; in the normalisation by counts over the channel's mean gain, as is their noise, unless
    the pixels are weighed by it.

    Raises
    ------
    DataError
        When a channel has negative values that the data term cannot take, or no signal.
    ParameterError
        When a weight names no channel or is missing.
    """
    data = frame.sinograms()
    valid = frame.valid()
    if valid is not None:
        data[~valid] = 0
    noise = _noise_of(frame, settings)
    terms = _terms_of(frame, settings)
    for name, term, f in zip(frame.dataset.names, terms, data, strict=True):
        if term == "kl" and f.min() < 0:
            raise DataError(
                f"tilt series {name!r} has {int((f < 0).sum())} negative values, down to {f.min():g}; "
                "expected none for the Kullback-Leibler data term. Choose the data term l2 or weighted, or "
                "remove the background"
            )
    background = frame.backgrounds()
    if background is not None:
        for name, term, b in zip(frame.dataset.names, terms, background, strict=True):
            if term == "kl" and b.min() < 0:
                raise DataError(
                    f"tilt series {name!r} has a background down to {b.min():g}; expected none below 0 "
                    "for the Kullback-Leibler data term"
                )
    norm = Projector(frame.geometry, 1, 1).norm()
    strength, mu, coupling = settings.strength, settings.mu, settings.coupling
    if strength == "auto" or mu == "auto" or coupling == "auto" or settings.method == "auto":
        undecided = ", ".join(settings.undecided)
        raise ParameterError(f"{undecided}: found auto; expected what was chosen (chemtomo.trust.strength)")
    if settings.normalisation == "paper":
        weights = paper_weights(frame.dataset, mu, norm)
    else:
        weights = counts_weights(frame.all_slices, mu, strength, terms, noise)
    weights = weights.in_resolutions(frame.resolutions, settings.normalisation, terms)
    if frame.geometry != frame.sample_geometry:
        # The strength is that in the field of the sample, however far the volume reaches.
        longer = norm / Projector(frame.sample_geometry, 1, 1).norm()
        weights = dataclasses.replace(
            weights,
            weights=tuple(longer * weight for weight in weights.weights),
            report=weights.report / longer,
        )
    data /= np.array(weights.scales, dtype=np.float32)[:, None, None, None]
    gains = frame.gains
    if background is not None:
        background /= np.array(weights.scales, dtype=np.float32)[:, None, None, None]
    if (gains != 1).any():
        divisor = np.where(gains > 0, gains, 1).astype(np.float32)[:, :, None, None]
        data /= divisor
        if background is not None:
            background /= divisor
    tilt_weights = gains.copy()
    for channel, (name, term) in enumerate(zip(frame.dataset.names, terms, strict=True)):
        if term == "l2":
            own = gains[channel]
            tilt_weights[channel] = own**2
            if settings.normalisation == "counts" and name not in noise:
                tilt_weights[channel] /= own.sum() / (own > 0).sum()
    problem = Problem(
        geometry=frame.geometry,
        data=data,
        weights=np.array(weights.weights),
        alpha0=settings.alpha0,
        alpha1=settings.alpha1,
        dims=settings.dims,
        data_term=terms,
        coupling=coupling,
        second_order=settings.method == "tgv",
        operator_norm=norm,
        tilt_weights=tilt_weights,
        background=background,
        valid=valid,
        factors=frame.resolutions.factors,
        pixel_weights=_pixel_weights(frame, noise),
    )
    return problem, weights


def _terms_of(frame: Frame, settings: ReconstructParameters) -> tuple[DataTermName, ...]:
    """Return the data term of every channel."""
    chosen = settings.data_term
    if chosen == "auto":
        return tuple("kl" if one.kind == "counts" else "l2" for one in frame.dataset)
    return ("kl" if chosen == "kl" else "l2",) * len(frame.dataset)


def _noise_of(frame: Frame, settings: ReconstructParameters) -> dict[str, NoiseModel]:
    """Return the noise of the channels whose pixels are weighed by it.

    Counts have a variance that is their expected value.
    """
    found = {}
    if settings.data_term in ("weighted", "auto"):
        for series in frame.all_slices:
            if series.kind == "counts":
                noise = None if settings.data_term == "auto" else NoiseModel(0.0, 1.0)
            else:
                noise = NoiseModel.of(series)
            if noise is not None:
                found[series.name] = noise
    return found


def _pixel_weights(frame: Frame, noise: Mapping[str, NoiseModel]) -> npt.NDArray[np.float32] | None:
    """Return the weights of the pixels, shape (channel, tilt, y, detector), or None where all are 1."""
    if not noise:
        return None
    _, height, width = frame.dataset.series[0].shape
    weights = np.ones((len(frame.dataset), frame.joint.count, height, width), dtype=np.float32)
    for channel, (series, k) in enumerate(zip(frame.all_slices, frame.resolutions.factors, strict=True)):
        if series.name in noise:
            chosen = select_slices(series, frame.slices[0] // k, frame.slices[1] // k)
            own = noise[series.name].weights(chosen, typical_value(series))
            for place, of_projection in zip(frame.joint.places[channel], own, strict=True):
                weights[channel, place, ::k, ::k] = of_projection
    return weights


def backend_of(problem: Problem, device: DeviceInfo | None, upload: Upload | None = None) -> Backend:
    """Put a problem on a device, all variables zero; NumPy where there is none."""
    if device is None:
        return NumpyBackend(problem)
    from chemtomo.opencl.variational import OpenCLBackend  # pyopencl is loaded when it is used

    return OpenCLBackend(problem, device, upload)
