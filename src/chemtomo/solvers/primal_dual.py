"""Primal-dual iterations for TV and TGV: the published one, and a faster one.

Both are over-relaxed Chambolle-Pock iterations (Chambolle and Pock 2011; Condat 2013) of the
problem in `chemtomo.functionals.Problem`; they differ in their metrics. The updates themselves are
the device's, see `chemtomo.solvers.backend`.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.functionals import Problem
from chemtomo.solvers.backend import Backend, DualStepSizes, PrimalStepSizes
from chemtomo.solvers.loop import Objective
from chemtomo.solvers.metric import FourierMetric

__all__ = ["FastIteration", "PaperIteration", "PrimalDualIteration", "fast_step_sizes"]


_SNAPSHOT_RATIO = 1.4  # between the iterations of successive snapshots


class PrimalDualIteration(abc.ABC):
    """What both iterations share: the backend, and the change of the image for the stopping rule.

    Parameters
    ----------
    backend : Backend
        The problem on a device, all variables zero.
    """

    relaxation = 1.0

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._done = 0
        # iteration, largest value of the image, image over that value
        self._earlier: list[tuple[int, np.float32, npt.NDArray[np.float16]]] = []

    def advance(self) -> None:
        """Do one iteration."""
        self._update(self._backend)
        self._backend.finish()
        self._done += 1

    @abc.abstractmethod
    def _update(self, backend: Backend) -> None:
        """Update all variables once."""

    def variables(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Yield all that `restore` needs to continue from here, by names."""
        yield from self._backend.variables()
        yield "remembered", np.array([iteration for iteration, _, _ in self._earlier], dtype=np.int64)
        for iteration, largest, relative in self._earlier:
            yield f"remembered_{iteration}", relative
            yield f"remembered_{iteration}_unit", np.asarray(largest)

    def restore(self, variables: Mapping[str, npt.NDArray[Any]], iterations: int) -> None:
        """Go on from `variables` after so many iterations."""
        self._backend.restore(variables, self.relaxation)
        self._done = iterations
        self._earlier = [
            (number, np.float32(variables[f"remembered_{number}_unit"]), variables[f"remembered_{number}"])
            for number in variables["remembered"].tolist()
        ]

    def objective(self) -> Objective:
        """Evaluate the objective, in normalised units."""
        return self._backend.objective()

    def change(self) -> float | None:
        """Relative change of the image since a time before half of the iterations, largest over channels.

        Some of the images are remembered when this is asked, in half precision and units of their maximum;
        ``None`` until there is one from before half of the iterations.
        """
        image = self._backend.volume()
        while len(self._earlier) > 1 and 2 * self._earlier[1][0] <= self._done:
            self._earlier.pop(0)
        result = None
        if self._earlier and 2 * self._earlier[0][0] <= self._done:
            _, largest, relative = self._earlier[0]
            before = largest * relative.astype(np.float32)
            size = np.sqrt((image.astype(np.float64) ** 2).sum(axis=(1, 2, 3)))
            moved = np.sqrt(((image - before).astype(np.float64) ** 2).sum(axis=(1, 2, 3)))
            result = float((moved / np.where(size > 0, size, 1)).max())
        if not self._earlier or self._done >= _SNAPSHOT_RATIO * self._earlier[-1][0]:
            largest = max(image.max(initial=0), np.finfo(np.float32).tiny)
            self._earlier.append((self._done, largest, (image / largest).astype(np.float16)))
        return result

    def slice(self, y: int) -> npt.NDArray[np.float32]:
        """Return the slice ``y`` of the iterate in normalised units, shape (channel, z, x)."""
        return self._backend.slice(y)

    def volume(self) -> npt.NDArray[np.float32]:
        """Return the iterate in normalised units, shape (channel, z, y, x)."""
        return self._backend.volume()


class PaperIteration(PrimalDualIteration):
    """The published iteration (Huber et al. 2019, algorithm 1), exactly.

    It runs ``sigma = tau = 1 / sqrt(17)`` on ``K = (grad u - w, sym w, (T / n) u)``, dual step first,
    without relaxation. In the normalised variables ``u' = n u`` and with the objective
    multiplied by ``n^3`` these are dual step sizes ``n sigma`` and primal ones ``tau / n``.
    """

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        size = 1 / math.sqrt(17)
        norm = backend.problem.operator_norm
        channels = backend.problem.channels
        self._dual = DualStepSizes(norm * size, norm * size, (norm * size,) * channels)
        self._primal = PrimalStepSizes((size / norm,) * channels, (size / norm,) * channels)

    def _update(self, backend: Backend) -> None:
        backend.dual_update(self._dual, self.relaxation)
        backend.primal_update(self._primal, self.relaxation)


class FastIteration(PrimalDualIteration):
    """The accelerated iteration: a metric in Fourier space for the primal variables.

    With ``z = (u, w; p, q, r, s)``, all zero at first, ``A = T / n`` and over-relaxation ``rho = 1.8``:

    - ``(du, dw) = M^-1 (grad^T p + A^T r + s, sym^T q - p)``, ``M`` of `chemtomo.solvers.metric`
    - ``U = u - 2 du``, ``W = w - 2 dw``; ``u <- u - rho du``, ``w <- w - rho dw``
    - ``p+ = proj_alpha1(p + first (grad U - W))``, ``q+ = proj_alpha0(q + second sym W)``
    - ``r+ = prox_{data (m D)*}(r + data A U)``, ``s+ = min(0, s + positivity U)``
    - ``z <- z + rho (z+ - z)`` for ``z`` in ``(p, q, r, s)``

    The first two lines are `NumpyBackend.metric_update`, the others `NumpyBackend.dual_update`
    (`chemtomo.solvers.numpy_backend`). `fast_step_sizes` decides ``first, second, data, positivity``.

    Parameters
    ----------
    backend : Backend
        The problem on a device, all variables zero.
    dual_steps : DualStepSizes
        From `fast_step_sizes`: all constants come from rules on the data.
    metric : FourierMetric
        From `chemtomo.solvers.metric_norm.metric_norm`, for the same step sizes.
    """

    relaxation = 1.8

    def __init__(self, backend: Backend, dual_steps: DualStepSizes, metric: FourierMetric) -> None:
        super().__init__(backend)
        self._dual = dual_steps
        self._metric = metric

    def _update(self, backend: Backend) -> None:
        backend.metric_update(self._metric, self.relaxation)
        backend.dual_update(self._dual, self.relaxation)


def fast_step_sizes(problem: Problem) -> DualStepSizes:
    """Dual step sizes of `FastIteration`, by rules on the data.

    With a typical image value of 1 the first-order step is 3 and the second-order step 30, the
    same for all channels; both are inverse to the image's scale. A data step is the channel's weight,
    on average over its projections, over the mean of its positive data (squares: the weight), about the
    curvature of the data term. With a background the data hold it too, and the curvature is less.
    The positivity step is the geometric mean of both, doubled.
    """
    scale = _image_scale(problem)
    first = 3.0 / scale
    data = []
    tilt_weights = problem.discrepancy.tilt_weight
    measured, of_pixels = problem.discrepancy.measured, problem.pixel_weights
    for channel, term in enumerate(problem.terms):
        f, of_tilts = problem.data[channel], tilt_weights[channel]
        positive = f[f > 0]
        mean = float(positive.mean(dtype=np.float64)) if term == "kl" and positive.size else 1.0
        curvature = float(problem.weights[channel]) * float(of_tilts[of_tilts > 0].mean()) / mean
        if of_pixels is not None:
            curvature *= float(of_pixels[channel][measured[channel]].mean(dtype=np.float64))
        data.append(curvature)
    positivity = tuple(2 * math.sqrt(first * step) for step in data)
    return DualStepSizes(first, 10 * first, tuple(data), positivity)


def _image_scale(problem: Problem) -> float:
    """Typical value of the brightest channel: its back-projection over that of ones, in slices of plenty.

    That back-projection is smooth, so that a few slices tell; the largest value is used. It is of the
    data without the background, at the tilts that the channel has.
    """
    slices = np.unique(np.linspace(0, problem.slices - 1, min(problem.slices, 8)).astype(int))
    matrix = problem.projector.matrix
    sums = matrix @ np.ones(matrix.shape[1])
    largest = 0.0
    factors = (1,) * problem.channels if problem.factors is None else problem.factors
    for channel, has in enumerate(problem.recorded):
        if factors[channel] != min(factors):
            continue  # the finest pixels tell
        f = problem.data[channel][:, slices]
        if problem.background is not None:
            f = f - problem.background[channel][:, slices]
        of_ray = np.repeat(has, problem.geometry.detector_pixels)
        seen = (of_ray * sums)[:, np.newaxis]
        if problem.valid is not None:
            valid = problem.valid[channel][:, slices]
            seen = seen * valid.transpose(0, 2, 1).reshape(-1, len(slices))
        ones = matrix.T @ seen
        ones = np.maximum(ones, 1e-3 * ones.max()) / problem.operator_norm
        rays = f.transpose(0, 2, 1).reshape(-1, len(slices)).astype(np.float64) * of_ray[:, None]
        largest = max(largest, float(((matrix.T @ rays) / ones).max()))
    return largest if largest > 0 else 1.0
