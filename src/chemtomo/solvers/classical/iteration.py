"""What all classical methods share: their iterate, their memory, and where they begin and end."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.solvers.classical.problem import Bounds, Needs
from chemtomo.solvers.classical.workspace import Workspace
from chemtomo.solvers.loop import Objective

__all__ = ["ClassicalIteration"]


class ClassicalIteration(abc.ABC):
    """An iterate ``u``, with a sinogram for computations: a `chemtomo.solvers.Iteration`.

    A method adds `advance`, and its other variables to `_arrays`.

    Parameters
    ----------
    workspace : Workspace
        The projections on a device.
    bounds : Bounds
        Of the result.
    """

    def __init__(self, workspace: Workspace, bounds: Bounds) -> None:
        self._workspace = workspace
        self._measured = workspace.problem
        self._bounds = bounds
        self._image = workspace.volume()
        self._projected = workspace.sinogram()
        self._all_tilts = workspace.tilts_at(range(workspace.problem.geometry.tilts))
        self._done = 0

    @staticmethod
    @abc.abstractmethod
    def needs(*, partial_sums: bool) -> Needs:
        """Tell what the method keeps on a device, `partial_sums` where sums of columns differ between slices.

        They do where pixels are not valid; and they change all the time where tilts are in several subsets.
        """

    @abc.abstractmethod
    def advance(self) -> None:
        """Do one iteration."""

    @property
    def allocated_bytes(self) -> int:
        """Device memory in use."""
        return self._workspace.allocated_bytes

    def release(self) -> None:
        """Give the device memory back."""
        self._workspace.release()

    def release_all_but_image(self) -> None:
        """Give the device memory back, but for the image: only `slice` and `volume` work from now on."""
        self._workspace.release_all_but(self._image)

    def _volumes(self) -> dict[str, Any]:
        """Return the volumes from which the method continues, by their names."""
        return {"u": self._image}

    def _sinograms(self) -> dict[str, Any]:
        """Return the sinograms from which the method continues, by their names."""
        return {}

    def variables(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Yield all that `restore` needs to continue from here, by names."""
        for name, volume in self._volumes().items():
            yield name, self._workspace.read_volume(volume)
        for name, sinogram in self._sinograms().items():
            yield name, self._workspace.read_sinogram(sinogram)

    def restore(self, variables: Mapping[str, npt.NDArray[Any]], iterations: int) -> None:
        """Go on from what `variables` gave after so many iterations."""
        for name, volume in self._volumes().items():
            self._workspace.write_volume(volume, variables[name])
        for name, sinogram in self._sinograms().items():
            self._workspace.write_sinogram(sinogram, variables[name])
        self._done = iterations

    def change(self) -> float | None:
        """Return nothing: these methods have no stopping rule, their iterations are their regularisation."""
        return None

    def objective(self) -> Objective:
        """Half the weighted sum of the squared residuals, in the units of the data."""
        return self._misfit(self._image)

    def _misfit(self, image: Any) -> Objective:
        measured = self._measured
        self._workspace.project(image, self._projected, self._all_tilts)
        projected = self._workspace.read_sinogram(self._projected)
        parts = []
        for channel, (found, weights) in enumerate(zip(projected, measured.weights, strict=True)):
            found -= measured.data[channel]
            if measured.valid is not None:
                found[~measured.valid[channel]] = 0
            squares = np.einsum("tyd,tyd->t", found, found, dtype=np.float64)
            parts.append(0.5 * float(weights @ squares))
        return Objective(sum(parts), tuple(parts), 0.0)

    def slice(self, y: int) -> npt.NDArray[np.float32]:
        """Return the slice `y` of the iterate, shape (channel, z, x)."""
        return self._bounds.clip(self._workspace.read_slice(self._image, y))

    def volume(self) -> npt.NDArray[np.float32]:
        """Return the iterate, shape (channel, z, y, x)."""
        return self._bounds.clip(self._workspace.read_volume(self._image))
