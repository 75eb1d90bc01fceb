"""Fits of one problem with one weight after another, each from the solution before it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.functionals import Problem
from chemtomo.opencl import DeviceInfo
from chemtomo.recon.frame import Frame
from chemtomo.recon.parameters import ReconstructParameters
from chemtomo.recon.variational import VariationalIteration, backend_of, problem_of
from chemtomo.recon.weights import Weights
from chemtomo.solvers.backend import DualStepSizes
from chemtomo.solvers.metric import FourierMetric
from chemtomo.solvers.metric_norm import MetricNorms, metric_norm
from chemtomo.solvers.primal_dual import FastIteration, fast_step_sizes

__all__ = ["Fits"]

_FIRST_ITERATIONS = 60
_ITERATIONS = 40
_KEPT_BYTES = 2**30


class Fits:
    """TV or TGV of some slices with one strength after another.

    The metric of the iteration is bounded once, for the smallest strength: its bound rises with the weight of
    the data, so that it holds for all others.

    Parameters
    ----------
    frame : Frame
        Some slices; the step sizes and weights are those of their undivided data.
    settings : ReconstructParameters
        Method and weights, without ``auto``. Its strength is 1.
    least : float
        The smallest strength that will be asked for, of any channel.
    device : DeviceInfo, optional
        NumPy if not given.
    should_stop : callable, optional
        Asked before every iteration.
    """

    def __init__(
        self,
        frame: Frame,
        settings: ReconstructParameters,
        least: float,
        device: DeviceInfo | None,
        should_stop: Callable[[], bool] | None = None,
    ) -> None:
        self._settings = settings
        self._device = device
        self._should_stop = should_stop
        problem, _ = problem_of(frame, settings)
        self._steps = fast_step_sizes(problem)
        weakest = np.full(problem.channels, 1 / least)
        self._metric = metric_norm(
            dataclasses.replace(problem, weights=problem.weights * weakest),
            _stronger(self._steps, weakest),
            lambda small: backend_of(small, device),
            should_stop,
            norms=MetricNorms(),
            device=device,
        )
        self._solutions: list[tuple[int, npt.NDArray[np.float64], dict[str, npt.NDArray[Any]]]] = []
        self._problems: dict[int, tuple[Problem, Weights]] = {}

    def fit(
        self, key: int, frame: Frame, strengths: npt.NDArray[np.float64], *, first: bool
    ) -> npt.NDArray[np.float32]:
        """Fit the data of a frame, from the solution that is nearest.

        Parameters
        ----------
        key : int
            Equal for equal data.
        frame : Frame
            The same place as that of this object, with some of its data.
        strengths : numpy.ndarray, shape (channel,)
            Strength of the regularisation for every channel.
        first : bool
            Whether it begins a path: the nearest solution may be one of other data or a strength far away.

        Returns
        -------
        numpy.ndarray, shape (channel, z, y, x)
            In the units of the data; as wide as the geometry of the frame.
        """
        if key not in self._problems:
            self._problems[key] = problem_of(frame, self._settings)
        problem, weights = self._problems[key]
        factors = 1 / strengths
        steps = _stronger(self._steps, factors)
        problem = dataclasses.replace(problem, weights=problem.weights * factors)
        metric = FourierMetric.of_problem(
            problem, steps.first, steps.second, steps.data, steps.positivity or ()
        ).with_norm(self._metric.norm)
        backend = backend_of(problem, self._device)
        try:
            backend.reserve(metric)
            iteration = VariationalIteration(FastIteration(backend, steps, metric), backend, weights)
            if self._solutions:
                iteration.restore(self._nearest(key, strengths), 0)
            for _ in range(_FIRST_ITERATIONS if first else _ITERATIONS):
                if self._should_stop is not None and self._should_stop():
                    break
                iteration.advance()
            self._solutions.append((key, np.log(strengths), _to_go_on(dict(iteration.variables()))))
            self._forget()
            return iteration.volume()
        finally:
            backend.release()

    def _nearest(self, key: int, strengths: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[Any]]:
        """Return the solution of the most similar strengths; among equal ones the latest of the same data."""

        def distance(place: int) -> tuple[float, bool, int]:
            other, logarithms, _ = self._solutions[place]
            return round(float(np.abs(np.log(strengths) - logarithms).mean()), 3), other != key, -place

        return self._solutions[min(range(len(self._solutions)), key=distance)][2]

    def _forget(self) -> None:
        """Keep as many of the last solutions as there is room for."""
        each = sum(one.nbytes for one in self._solutions[-1][2].values())
        del self._solutions[: -max(1, _KEPT_BYTES // max(each, 1))]


def _stronger(steps: DualStepSizes, factors: npt.NDArray[np.float64]) -> DualStepSizes:
    """Return the step sizes for weights of the data that are so much larger: see `fast_step_sizes`."""
    data = tuple(float(one) for one in np.array(steps.data) * factors)
    return dataclasses.replace(
        steps, data=data, positivity=tuple(2 * math.sqrt(steps.first * one) for one in data)
    )


def _to_go_on(variables: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Return variables that remember no earlier iterate."""
    kept = {name: value for name, value in variables.items() if not name.startswith("remembered")}
    return kept | {"remembered": np.zeros(0, dtype=np.int64)}
