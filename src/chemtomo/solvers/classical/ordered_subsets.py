"""SIRT, SART and what lies between them, each channel and slice alone.

An iteration is one sweep over subsets ``S`` of the tilts, each of which corrects the image by

``u <- u + relaxation C_S T_S^T W R ((f - b) / g - T_S u)``

with ``R`` the inverse sums of the rows of ``T`` and ``C_S`` those of the columns of ``W T_S``, kept within
bounds: least squares of the projections without their background ``b`` and divided by their gains ``g``. One
subset of all tilts is SIRT (Gregor and Benson 2008), one of each tilt SART (Andersen and Kak 1984). The
weights ``W`` are the gains, and 0 for tilts that a channel does not have and for pixels that are not valid.
"""

from __future__ import annotations

from typing import Any

from chemtomo.solvers.classical.problem import Bounds, inverse_sums
from chemtomo.solvers.classical.subsets import Subsets
from chemtomo.solvers.classical.sweep import SweepIteration
from chemtomo.solvers.classical.workspace import Workspace

__all__ = ["OrderedSubsets"]


class OrderedSubsets(SweepIteration):
    """The iteration, at its start.

    Parameters
    ----------
    workspace : Workspace
        The projections on a device.
    bounds : Bounds
        Of the iterates.
    subsets : Subsets
        Of the tilts, with their order.
    relaxation : float
        Factor on every correction, between 0 and 2.
    """

    def __init__(
        self, workspace: Workspace, bounds: Bounds, subsets: Subsets, relaxation: float = 1.0
    ) -> None:
        super().__init__(workspace, bounds, subsets)
        problem = workspace.problem
        self._rows = workspace.ray_factors(inverse_sums(problem.geometry, problem.weights)[0])
        self._relaxation = relaxation

    def _compare(self, tilts: Any) -> None:
        self._workspace.subtract_from_data(self._projected, self._rows, tilts)

    def _correct(self, columns: Any) -> None:
        self._workspace.add(self._image, self._correction, columns, self._relaxation, self._bounds)
