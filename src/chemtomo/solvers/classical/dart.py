"""Discrete tomography: a specimen of few materials, each with its grey level (Batenburg and Sijbers 2011).

The first iteration is some iterations of SIRT. Every other one

1. sets every voxel to the nearest grey level,
2. frees those at edges, with another level among the eight voxels around them, and a random share of the
   rest,
3. fixes the rest at their levels, and fits the free ones alone, by SIRT, to what the fixed ones leave of the
   projections: ``u <- u + C T_F^T W R_F ((f - b) / g - T u)`` at the free voxels ``F``, with the sums of the
   rows over these alone,
4. smooths the free ones a little. The next iteration begins with the image as it is then.

The result is the image at its nearest grey levels.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from chemtomo.solvers.classical.iteration import ClassicalIteration
from chemtomo.solvers.classical.numpy_workspace import nearest_level
from chemtomo.solvers.classical.problem import Bounds, Needs, inverse_sums, per_ray
from chemtomo.solvers.classical.subsets import ColumnSums, Subsets
from chemtomo.solvers.classical.workspace import Workspace
from chemtomo.solvers.loop import Objective

__all__ = ["DiscreteTomography", "DiscreteTomographySettings"]


@dataclasses.dataclass(frozen=True)
class DiscreteTomographySettings:
    """What the method has to be told.

    Attributes
    ----------
    start_iterations : int
        Iterations of SIRT at the start.
    inner_iterations : int
        Iterations of SIRT on the free voxels, in every iteration.
    free_share : float
        Share of the voxels away from edges that are free.
    smoothing : float
        Weight of the neighbours in the smoothing.
    seed : int
        Of the random choice.
    """

    start_iterations: int = 50
    inner_iterations: int = 10
    free_share: float = 0.15
    smoothing: float = 0.2
    seed: int = 0


class DiscreteTomography(ClassicalIteration):
    """The iteration, at its start.

    Parameters
    ----------
    workspace : Workspace
        The projections on a device.
    bounds : Bounds
        Of the iterates.
    levels : numpy.ndarray, shape (channel, level)
        Grey levels of every channel, rising.
    settings : DiscreteTomographySettings
        Iterations and shares.
    first_slice : int
        Number of the first slice in the whole volume, so that slabs make no difference.
    """

    def __init__(
        self,
        workspace: Workspace,
        bounds: Bounds,
        levels: npt.NDArray[np.floating],
        settings: DiscreteTomographySettings,
        first_slice: int = 0,
    ) -> None:
        super().__init__(workspace, bounds)
        problem = workspace.problem
        self._correction = workspace.volume()
        self._free = workspace.volume()
        self._rays = workspace.sinogram()
        inverse = inverse_sums(problem.geometry, np.ones((1, problem.geometry.tilts)))[0]
        # As in `inverse_sums`, a ray is left out that meets less than a thousandth of the longest one.
        longest = 1 / inverse[inverse > 0].min(initial=np.inf)
        self._least = np.full(len(problem.data), 1e-3 * longest)
        weights = per_ray(problem.weights, problem.geometry)
        self._weights = workspace.ray_factors(weights)
        self._rows = workspace.ray_factors(weights * inverse)
        self._columns = ColumnSums(workspace, Subsets(problem.geometry))
        self.levels = np.asarray(levels, np.float32)
        self._settings = settings
        self._first_slice = first_slice

    @staticmethod
    def needs(*, partial_sums: bool) -> Needs:
        """Tell what the method keeps on a device."""
        return Needs(
            volumes=4 if partial_sums else 3, sinograms=2, ray_tables=2, voxel_tables=0 if partial_sums else 1
        )

    def advance(self) -> None:
        """Do one iteration; the first is SIRT."""
        workspace, settings = self._workspace, self._settings
        columns = self._columns.inverse_of_all(self._all_tilts, self._projected)
        if self._done == 0:
            self._fit(settings.start_iterations, self._rows, columns)
        else:
            segmented = self._correction
            workspace.segment(self._image, segmented, self.levels)
            seed = (settings.seed * 0x9E3779B1 + self._done) % 2**32
            workspace.choose_free(segmented, self._free, settings.free_share, seed, self._first_slice)
            workspace.replace(self._image, segmented, self._free)
            workspace.project(self._free, self._rays, self._all_tilts)
            workspace.invert(self._rays, self._least, volume=False)
            workspace.scale_rays(self._rays, self._rays, self._weights, self._all_tilts)
            workspace.multiply(self._free, self._free, columns, Bounds())
            self._fit(settings.inner_iterations, self._rays, self._free)
            workspace.smooth(self._image, self._correction, self._free, settings.smoothing)
            self._image, self._correction = self._correction, self._image
        workspace.finish()
        self._done += 1

    def _fit(self, iterations: int, rows: object, columns: object) -> None:
        """Do iterations of SIRT at the voxels where `columns` is not 0."""
        workspace = self._workspace
        for _ in range(iterations):
            workspace.project(self._image, self._projected, self._all_tilts)
            workspace.subtract_from_data(self._projected, rows, self._all_tilts)
            workspace.back_project(self._projected, self._correction, self._all_tilts)
            workspace.add(self._image, self._correction, columns, 1.0, self._bounds)

    def objective(self) -> Objective:
        """Half the weighted sum of the squared residuals of the image at its grey levels."""
        self._workspace.segment(self._image, self._correction, self.levels)
        return self._misfit(self._correction)

    def slice(self, y: int) -> npt.NDArray[np.float32]:
        """Return the slice `y` at its grey levels, shape (channel, z, x)."""
        return nearest_level(super().slice(y), self.levels)

    def volume(self) -> npt.NDArray[np.float32]:
        """Return the image at its grey levels, shape (channel, z, y, x)."""
        return nearest_level(super().volume(), self.levels)
