"""SIRT, SART and what lies between them, each channel and slice alone.

An iteration is one sweep over subsets ``S`` of the tilts, each of which corrects the image by

``u <- u + relaxation C_S T_S^T W R ((f - b) / g - T_S u)``

with ``R`` the inverse sums of the rows of ``T`` and ``C_S`` those of the columns of ``W T_S``, kept within
bounds: least squares of the projections without their background ``b`` and divided by their gains ``g``. One
subset of all tilts is SIRT (Gregor and Benson 2008), one of each tilt SART (Andersen and Kak 1984). The
weights ``W`` are the gains, and 0 for tilts that a channel does not have and for pixels that are not valid.
"""

from __future__ import annotations

from chemtomo.solvers.classical.iteration import ClassicalIteration
from chemtomo.solvers.classical.problem import Bounds, Needs, inverse_sums
from chemtomo.solvers.classical.subsets import ColumnSums, Subsets
from chemtomo.solvers.classical.workspace import Workspace

__all__ = ["OrderedSubsets"]


class OrderedSubsets(ClassicalIteration):
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
        super().__init__(workspace, bounds)
        problem = workspace.problem
        self._correction = workspace.volume()
        self._rows = workspace.ray_factors(inverse_sums(problem.geometry, problem.weights)[0])
        self._columns = ColumnSums(workspace, subsets)
        self._subsets = subsets
        self._tilts = [workspace.tilts_at(own.tolist()) for own in subsets.indices]
        self._relaxation = relaxation

    @staticmethod
    def needs(*, partial_sums: bool) -> Needs:
        """Tell what the method keeps on a device."""
        return Needs(
            volumes=3 if partial_sums else 2, sinograms=1, ray_tables=2, voxel_tables=0 if partial_sums else 1
        )

    def advance(self) -> None:
        """Do one sweep over the subsets."""
        workspace = self._workspace
        for number in self._subsets.sweep(self._done):
            tilts = self._tilts[number]
            columns = self._columns.inverse(number, tilts, self._projected)
            workspace.project(self._image, self._projected, tilts)
            workspace.subtract_from_data(self._projected, self._rows, tilts)
            workspace.back_project(self._projected, self._correction, tilts)
            workspace.add(self._image, self._correction, columns, self._relaxation, self._bounds)
        workspace.finish()
        self._done += 1
