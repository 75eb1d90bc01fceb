"""Maximum likelihood of counts by expectation maximisation, and its ordered subsets.

Counts ``f`` are Poisson numbers with the expectation ``g T u + b``. A sweep over subsets ``S`` of the tilts
is

``u <- u / (T_S^T g) * T_S^T (g f / (g T_S u + b))``

(Shepp and Vardi 1982; with several subsets OSEM, Hudson and Larkin 1994). With one subset the likelihood
rises with every iteration, values stay at or above zero, and without a background the image has exactly the
counts that were measured.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.solvers.classical.problem import Bounds, per_ray
from chemtomo.solvers.classical.subsets import Subsets
from chemtomo.solvers.classical.sweep import SweepIteration
from chemtomo.solvers.classical.workspace import Workspace
from chemtomo.solvers.loop import Objective

__all__ = ["ExpectationMaximisation"]


class ExpectationMaximisation(SweepIteration):
    """The iteration, from the same value in all voxels that some pixel sees.

    Parameters
    ----------
    workspace : Workspace
        The projections on a device.
    bounds : Bounds
        Of the iterates.
    subsets : Subsets
        Of the tilts, with their order.
    start : numpy.ndarray, shape (channel,)
        The value, above zero.
    """

    def __init__(
        self, workspace: Workspace, bounds: Bounds, subsets: Subsets, start: npt.NDArray[np.float64]
    ) -> None:
        super().__init__(workspace, bounds, subsets)
        problem = workspace.problem
        self._weights = workspace.ray_factors(per_ray(problem.weights, problem.geometry))
        inverse = self._columns.inverse_of_all(self._all_tilts, self._projected)
        values = workspace.ray_factors(per_ray(start[:, np.newaxis] * problem.weights, problem.geometry))
        workspace.fill_rays(self._projected, values, self._all_tilts)
        workspace.back_project(self._projected, self._correction, self._all_tilts)
        workspace.add(self._image, self._correction, inverse, 1.0, Bounds())

    def _compare(self, tilts: Any) -> None:
        self._workspace.data_over(self._projected, self._weights, tilts)

    def _correct(self, columns: Any) -> None:
        self._workspace.multiply(self._image, self._correction, columns, self._bounds)

    def objective(self) -> Objective:
        """Kullback-Leibler divergence of the expected counts from those measured."""
        problem = self._workspace.problem
        self._workspace.project(self._image, self._projected, self._all_tilts)
        projected: Any = self._workspace.read_sinogram(self._projected)
        parts = []
        for channel, expected in enumerate(projected):
            if problem.background is not None:
                expected += problem.background[channel]
            measured = problem.data[channel].astype(np.float64)
            there = measured > 0
            if problem.valid is not None:
                there &= problem.valid[channel]
                expected = np.where(problem.valid[channel], expected, 0)
                measured = np.where(problem.valid[channel], measured, 0)
            ratio = np.where(there, measured, 1) / np.where(there, np.maximum(expected, 1e-30), 1)
            divergence = expected - measured + np.where(there, measured * np.log(ratio), 0)
            parts.append(float(problem.weights[channel] @ divergence.sum(axis=(1, 2), dtype=np.float64)))
        return Objective(sum(parts), tuple(parts), 0.0)
