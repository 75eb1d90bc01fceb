"""An iteration that is one sweep over subsets of the tilts, each of which corrects the image."""

from __future__ import annotations

import abc
from typing import Any

from chemtomo.solvers.classical.iteration import ClassicalIteration
from chemtomo.solvers.classical.problem import Bounds, Needs
from chemtomo.solvers.classical.subsets import ColumnSums, Subsets
from chemtomo.solvers.classical.workspace import Workspace

__all__ = ["SweepIteration"]


class SweepIteration(ClassicalIteration, abc.ABC):
    """What SIRT, SART and expectation maximisation have in common.

    Parameters
    ----------
    workspace : Workspace
        The projections on a device.
    bounds : Bounds
        Of the iterates.
    subsets : Subsets
        Of the tilts, with their order.
    """

    def __init__(self, workspace: Workspace, bounds: Bounds, subsets: Subsets) -> None:
        super().__init__(workspace, bounds)
        self._correction = workspace.volume()
        self._columns = ColumnSums(workspace, subsets)
        self._subsets = subsets
        self._tilts = [workspace.tilts_at(own.tolist()) for own in subsets.indices]

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
            self._compare(tilts)
            workspace.back_project(self._projected, self._correction, tilts)
            self._correct(columns)
        workspace.finish()
        self._done += 1

    @abc.abstractmethod
    def _compare(self, tilts: Any) -> None:
        """Put what is back-projected in the place of the projections of the image."""

    @abc.abstractmethod
    def _correct(self, columns: Any) -> None:
        """Correct the image by the back-projection, with the inverse sums of the columns."""
