"""Sweeps over subsets of the tilts: which tilts are in a subset, and in which order subsets come."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from chemtomo.geometry import ParallelBeam
from chemtomo.solvers.classical.problem import inverse_sums, per_ray
from chemtomo.solvers.classical.workspace import Workspace

__all__ = ["ColumnSums", "Order", "Subsets"]

Order = Literal["golden", "sequential", "random"]

_LEAST_SUM = 1e-3  # as `chemtomo.operators.inverse_of_sums`


class Subsets:
    """Subsets of the tilts and the order of a sweep over them. The order of tilts in a file has no influence.

    Parameters
    ----------
    geometry : ParallelBeam
        Its tilts.
    count : int
        Number of subsets, at most one per tilt. Each takes every `count`-th tilt by angle.
    order : {"golden", "sequential", "random"}
        ``sequential``: by angle. ``golden``: each about 0.62 of the range from the one before, so that
        projections that follow each other have little in common (Köhler 2004). ``random``: another order in
        every sweep.
    seed : int
        Of the random order.
    """

    def __init__(
        self, geometry: ParallelBeam, count: int = 1, order: Order = "golden", seed: int = 0
    ) -> None:
        count = min(count, geometry.tilts)
        shifts = np.array(geometry.detector_shifts)
        by_angle = np.lexsort((shifts, np.array(geometry.tilts_deg)))
        self.indices: tuple[npt.NDArray[np.intp], ...] = tuple(
            np.sort(by_angle[first::count]) if count == 1 else by_angle[first::count]
            for first in range(count)
        )
        self._order = order
        self._seed = seed

    def __len__(self) -> int:
        return len(self.indices)

    def sweep(self, number: int) -> npt.NDArray[np.intp]:
        """Return the order of the subsets in a sweep, each once."""
        count = len(self)
        if self._order == "random":
            return np.random.default_rng([self._seed, number]).permutation(count)
        if self._order == "golden":
            places = np.arange(count) * (math.sqrt(5) - 1) / 2 % 1
            return np.argsort(np.argsort(places, kind="stable"), kind="stable")
        return np.arange(count)


class ColumnSums:
    """The inverse weighted sums of the columns of the projector, of one subset of the tilts after the other.

    Those of all tilts are computed once: from one slice where all pixels are valid, so that they take no
    memory. Those of a part are computed anew every time: for all of them there would be no memory.

    Parameters
    ----------
    workspace : Workspace
        The projections on a device.
    subsets : Subsets
        Of their tilts.
    """

    def __init__(self, workspace: Workspace, subsets: Subsets) -> None:
        problem = workspace.problem
        self._workspace = workspace
        self._weights = workspace.ray_factors(per_ray(problem.weights, problem.geometry))
        self._least = [_LEAST_SUM * problem.weights[:, own].sum(axis=1) for own in subsets.indices]
        self._once = len(subsets) == 1
        self._known = self._once and problem.valid is None
        if self._known:
            columns = inverse_sums(problem.geometry, problem.weights)[1]
            self._inverse = workspace.voxel_factors(columns)
        else:
            self._inverse = workspace.volume()

    def inverse(self, number: int, tilts: Any, scratch: Any) -> Any:
        """Return the inverse sums of a subset, valid until the next question; `scratch` is a sinogram."""
        if not self._known:
            self._find(tilts, scratch, self._least[number])
            self._known = self._once
        return self._inverse

    def inverse_of_all(self, tilts: Any, scratch: Any) -> Any:
        """Return the inverse sums of all tilts, valid until the next question."""
        if self._once:
            return self.inverse(0, tilts, scratch)
        self._find(tilts, scratch, np.sum(self._least, axis=0))
        return self._inverse

    def _find(self, tilts: Any, scratch: Any, least: npt.NDArray[np.float64]) -> None:
        self._workspace.fill_rays(scratch, self._weights, tilts)
        self._workspace.back_project(scratch, self._inverse, tilts)
        self._workspace.invert(self._inverse, least)
