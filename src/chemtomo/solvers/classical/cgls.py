"""Conjugate gradients on the normal equations: least squares in the fewest iterations.

Minimises ``|W^(1/2) (T u - (f - b) / g)|^2`` of every channel and slice alone (Hestenes and Stiefel 1952;
Björck 1996, algorithm 7.4.1). The iterates converge to the least-squares solution with all its noise: few
of them are the regularisation. No bounds can be kept on the way; the result is clipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.solvers.classical.iteration import ClassicalIteration
from chemtomo.solvers.classical.problem import Bounds, Needs, per_ray
from chemtomo.solvers.classical.workspace import Workspace

__all__ = ["ConjugateGradients"]


class ConjugateGradients(ClassicalIteration):
    """The iteration, at its start: ``r = W^(1/2) (f - T u)``, direction ``p``, ``gamma = |T^T W^(1/2) r|^2``.

    Parameters
    ----------
    workspace : Workspace
        The projections on a device.
    bounds : Bounds
        Of the result.
    """

    def __init__(self, workspace: Workspace, bounds: Bounds) -> None:
        super().__init__(workspace, bounds)
        problem = workspace.problem
        self._roots = workspace.ray_factors(per_ray(np.sqrt(problem.weights), problem.geometry))
        self._direction = workspace.volume()
        self._slope = workspace.volume()
        self._residual = workspace.sinogram()
        workspace.subtract_from_data(self._residual, self._roots, self._all_tilts)
        self._find_slope()
        nothing = np.zeros((problem.data.shape[0], problem.data.shape[2]))
        self._gamma = workspace.dot(self._slope, self._slope, volume=True)
        workspace.combine(self._slope, self._direction, nothing + 1, nothing, volume=True)

    def _volumes(self) -> dict[str, Any]:
        return {"u": self._image, "p": self._direction}

    def _sinograms(self) -> dict[str, Any]:
        return {"r": self._residual}

    def variables(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Yield all that `restore` needs to continue from here, by names."""
        yield from super().variables()
        yield "gamma", self._gamma

    def restore(self, variables: Mapping[str, npt.NDArray[Any]], iterations: int) -> None:
        """Go on from what `variables` gave after so many iterations."""
        super().restore(variables, iterations)
        self._gamma = variables["gamma"]

    @staticmethod
    def needs(*, partial_sums: bool) -> Needs:
        """Tell what the method keeps on a device."""
        return Needs(volumes=3, sinograms=2, ray_tables=1)

    def advance(self) -> None:
        """Do one iteration."""
        workspace = self._workspace
        one = np.ones_like(self._gamma)
        workspace.project(self._direction, self._projected, self._all_tilts)
        workspace.scale_rays(self._projected, self._projected, self._roots, self._all_tilts)
        alpha = _ratio(self._gamma, workspace.dot(self._projected, self._projected, volume=False))
        workspace.combine(self._direction, self._image, alpha, one, volume=True)
        workspace.combine(self._projected, self._residual, -alpha, one, volume=False)
        self._find_slope()
        gamma = workspace.dot(self._slope, self._slope, volume=True)
        workspace.combine(self._slope, self._direction, one, _ratio(gamma, self._gamma), volume=True)
        self._gamma = gamma
        workspace.finish()
        self._done += 1

    def _find_slope(self) -> None:
        """``slope <- T^T W^(1/2) r``."""
        self._workspace.scale_rays(self._residual, self._projected, self._roots, self._all_tilts)
        self._workspace.back_project(self._projected, self._slope, self._all_tilts)


def _ratio(
    numerator: npt.NDArray[np.float64], denominator: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Divide; 0 where there is nothing to divide by, which is where an empty slice has converged."""
    some = denominator > 0
    return np.where(some, numerator / np.where(some, denominator, 1), 0)
