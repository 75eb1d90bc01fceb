"""Back-projection of projections that were filtered before: one step, nothing to iterate."""

from __future__ import annotations

import numpy as np

from chemtomo.solvers.classical.iteration import ClassicalIteration
from chemtomo.solvers.classical.problem import Bounds, Needs, ProjectionData
from chemtomo.solvers.classical.workspace import Workspace

__all__ = ["FilteredBackProjection"]


class FilteredBackProjection(ClassicalIteration):
    """The step, not yet done.

    Parameters
    ----------
    workspace : Workspace
        The filtered projections on a device.
    bounds : Bounds
        Of the result.
    measured : ProjectionData
        The projections before the filter, of which the residual is computed.
    """

    def __init__(self, workspace: Workspace, bounds: Bounds, measured: ProjectionData) -> None:
        super().__init__(workspace, bounds)
        self._measured = measured
        self._ones = workspace.ray_factors(np.ones((len(measured.data), *measured.geometry.sinogram_shape)))

    @staticmethod
    def needs(*, partial_sums: bool) -> Needs:
        """Tell what the method keeps on a device."""
        return Needs(volumes=1, sinograms=1, ray_tables=1)

    def advance(self) -> None:
        """Back-project."""
        workspace = self._workspace
        filtered = self._projected  # zeros until now
        workspace.subtract_from_data(filtered, self._ones, self._all_tilts)
        workspace.back_project(filtered, self._image, self._all_tilts)
        workspace.finish()
        self._done += 1
