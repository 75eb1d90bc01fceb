"""Joint reconstruction with TV or TGV."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from chemtomo.data import Volume
from chemtomo.errors import DataError
from chemtomo.functionals import Problem
from chemtomo.opencl import DeviceInfo
from chemtomo.operators import Projector
from chemtomo.recon.frame import Frame
from chemtomo.recon.numpy_backend import NumpyBackend
from chemtomo.recon.settings import Settings
from chemtomo.recon.weights import Weights, counts_weights, paper_weights
from chemtomo.solvers.backend import Backend
from chemtomo.solvers.loop import Objective
from chemtomo.solvers.primal_dual import FastSteps, PaperSteps, PrimalDualSteps

__all__ = ["VariationalReconstruction"]

_SIZING_SLICES = 4  # the norm of the metric hardly depends on their number


class VariationalReconstruction:
    """TV or TGV of all channels on one device: a `chemtomo.recon.Reconstruction`.

    Parameters
    ----------
    frame : Frame
        The data.
    settings : Settings
        Method and weights.
    device : DeviceInfo, optional
        OpenCL device; NumPy without one.
    """

    def __init__(self, frame: Frame, settings: Settings, device: DeviceInfo | None) -> None:
        self._frame = frame
        self._device = device
        self._problem, self._weights = problem_of(frame, settings)
        backend = _backend(self._problem, device)
        self._steps: PrimalDualSteps
        if settings.steps == "paper":
            self._steps = PaperSteps(backend, track_change=settings.tolerance is not None)
        else:
            sizing = _backend(_fewer_slices(self._problem), device)
            self._steps = FastSteps(backend, sizing, track_change=settings.tolerance is not None)
        self._to_density = np.array(self._weights.scales, dtype=np.float32) / np.float32(
            self._problem.operator_norm
        )

    @property
    def device(self) -> str:
        """Name of the device."""
        return "numpy" if self._device is None else self._device.name

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the channels."""
        return self._frame.dataset.names

    def advance(self) -> None:
        """Do one iteration."""
        self._steps.advance()

    def objective(self) -> Objective:
        """Evaluate the objective in the units of the normalisation, see `Weights`."""
        found = self._steps.objective()
        weighted = sum(m * value for m, value in zip(self._problem.weights, found.data, strict=True))
        return Objective(
            total=found.total * self._weights.report,
            data=tuple(v * unit for v, unit in zip(found.data, self._weights.data_report, strict=True)),
            regulariser=(found.total - float(weighted)) * self._weights.report,
            gap=found.gap,
        )

    def change(self) -> float | None:
        """Relative change of the image, see `PrimalDualSteps.change`."""
        return self._steps.change()

    def slice(self, y: int) -> npt.NDArray[np.float32]:
        """Return the slice `y` of the iterate in the frame of the result, shape (channel, z, x)."""
        return self._frame.to_slice(self._steps.slice(y) * self._to_density[:, None, None])

    def volume(self) -> npt.NDArray[np.float32]:
        """Return the iterate in the frame of the result, shape (channel, z, y, x)."""
        return self._frame.to_volume(self._steps.volume() * self._to_density[:, None, None, None])

    def result(self) -> Volume:
        """Return the iterate as a volume."""
        pixel = self._frame.dataset.series[0].pixel_size_nm
        return Volume(self.volume(), self.names, pixel, self._frame.origin_px)


def problem_of(frame: Frame, settings: Settings) -> tuple[Problem, Weights]:
    """Normalise the data of a frame into a problem.

    Raises
    ------
    DataError
        When a channel has negative values that the data term cannot take, or no signal.
    ParameterError
        When a weight names no channel or is missing.
    """
    data = frame.sinograms()
    if settings.data_term == "kl":
        for name, f in zip(frame.dataset.names, data, strict=True):
            if f.min() < 0:
                raise DataError(
                    f"tilt series {name!r} has {int((f < 0).sum())} negative values, down to {f.min():g}; "
                    "expected none for the Kullback-Leibler data term. Choose the data term l2, or remove "
                    "the background"
                )
    norm = Projector(frame.geometry, 1, 1).norm()
    if settings.normalisation == "paper":
        weights = paper_weights(frame.dataset, settings.mu, norm)
    else:
        weights = counts_weights(frame.dataset, settings.mu, settings.strength, settings.data_term)
    data /= np.array(weights.scales, dtype=np.float32)[:, None, None, None]
    problem = Problem(
        geometry=frame.geometry,
        data=data,
        weights=np.array(weights.weights),
        alpha0=settings.alpha0,
        alpha1=settings.alpha1,
        dims=settings.dims,
        data_term=settings.data_term,
        coupled=settings.coupling == "frobenius",
        second_order=settings.method == "tgv",
        operator_norm=norm,
    )
    return problem, weights


def _backend(problem: Problem, device: DeviceInfo | None) -> Backend:
    if device is None:
        return NumpyBackend(problem)
    from chemtomo.opencl.variational import OpenCLBackend  # pyopencl is loaded when it is used

    return OpenCLBackend(problem, device)


def _fewer_slices(problem: Problem) -> Problem:
    slices = min(problem.slices, _SIZING_SLICES if problem.dims == 3 else 1)
    return dataclasses.replace(problem, data=problem.data[:, :, :slices])
