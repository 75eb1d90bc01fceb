"""What a device has to offer to the classical methods.

A workspace holds volumes (channel, z, y, x) and sinograms (channel, tilt, y, detector) of one problem as
handles that only it can read. A method is written once, in terms of the operations here, and runs on every
device. The NumPy workspace (`chemtomo.solvers.classical.numpy_workspace`) says what each operation means.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from chemtomo.solvers.classical.problem import Bounds, ProjectionData

__all__ = ["Workspace"]

_Floats = npt.NDArray[np.float32]


class Workspace(Protocol):
    """Volumes and sinograms on a device, and what the classical methods do with them.

    `tilts` is what `tilts_at` returned. The projections at other tilts are neither used nor, where a
    sinogram is written, defined. Factors of a sinogram are another sinogram or what `ray_factors` returned,
    those of a volume another volume or what `voxel_factors` returned.
    """

    @property
    def problem(self) -> ProjectionData:
        """The projections."""

    @property
    def allocated_bytes(self) -> int:
        """Device memory in use; 0 in main memory."""

    def release(self) -> None:
        """Give the device memory back."""

    def release_all_but(self, volume: Any) -> None:
        """Give the device memory back, but for one volume."""

    def finish(self) -> None:
        """Wait until everything is done."""

    def volume(self) -> Any:
        """Return a new volume of zeros."""

    def sinogram(self) -> Any:
        """Return a new sinogram of zeros."""

    def tilts_at(self, indices: Sequence[int]) -> Any:
        """Choose tilts."""

    def ray_factors(self, factors: npt.NDArray[np.floating[Any]]) -> Any:
        """Take one factor for every ray of a slice, shape (channel, tilt, detector) or (channel, tilt, 1)."""

    def voxel_factors(self, factors: npt.NDArray[np.floating[Any]]) -> Any:
        """Take one factor for every voxel of a slice, shape (channel, z, x)."""

    def read_volume(self, volume: Any) -> _Floats:
        """Return a volume, shape (channel, z, y, x)."""

    def read_slice(self, volume: Any, y: int) -> _Floats:
        """Return a slice of a volume, shape (channel, z, x)."""

    def read_sinogram(self, sinogram: Any) -> _Floats:
        """Return a sinogram, shape (channel, tilt, y, detector)."""

    def write_volume(self, volume: Any, array: _Floats) -> None:
        """Set a volume."""

    def write_sinogram(self, sinogram: Any, array: _Floats) -> None:
        """Set a sinogram."""

    def project(self, volume: Any, sinogram: Any, tilts: Any) -> None:
        """``sinogram <- T volume``."""

    def back_project(self, sinogram: Any, volume: Any, tilts: Any) -> None:
        """``volume <- T^T sinogram``."""

    def subtract_from_data(self, sinogram: Any, factors: Any, tilts: Any) -> None:
        """``sinogram <- factors (data - sinogram)``, and 0 where a pixel is not valid."""

    def scale_rays(self, sinogram: Any, scaled: Any, factors: Any, tilts: Any) -> None:
        """``scaled <- factors sinogram``, and 0 where a pixel is not valid."""

    def fill_rays(self, sinogram: Any, factors: Any, tilts: Any) -> None:
        """``sinogram <- factors``, and 0 where a pixel is not valid."""

    def data_over(self, sinogram: Any, factors: Any, tilts: Any) -> None:
        """``sinogram <- factors data / (sinogram + background)``, and 0 where nothing is expected."""

    def invert(self, sums: Any, least: npt.NDArray[np.float64], *, volume: bool = True) -> None:
        """Invert a volume or a sinogram; 0 where it is at most the number `least` of its channel."""

    def add(self, volume: Any, change: Any, factors: Any, step: float, bounds: Bounds) -> None:
        """``volume <- volume + step factors change``, clipped."""

    def multiply(self, volume: Any, change: Any, factors: Any, bounds: Bounds) -> None:
        """``volume <- volume factors change``, clipped; unchanged where the factor is 0."""

    def combine(
        self, x: Any, y: Any, a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], *, volume: bool
    ) -> None:
        """``y <- a x + b y`` of two volumes or two sinograms; the numbers are those of (channel, slice)."""

    def dot(self, x: Any, y: Any, *, volume: bool) -> npt.NDArray[np.float64]:
        """Return the inner products of two volumes or two sinograms, shape (channel, slice)."""

    def segment(self, volume: Any, segmented: Any, levels: npt.NDArray[np.float32]) -> None:
        """Set voxels of `segmented` to the nearest level of their channel; levels (channel, level) rise."""

    def choose_free(self, segmented: Any, free: Any, share: float, seed: int, first: int) -> None:
        """``free <- 1`` at voxels with another value next to them, and at a random share; elsewhere 0.

        Next to a voxel are the eight around it in its slice. `first` is the number of the first slice in the
        whole volume: see `chemtomo.solvers.classical.numpy_workspace.chance`.
        """

    def replace(self, volume: Any, other: Any, mask: Any) -> None:
        """``volume <- other`` where the mask is 0."""

    def smooth(self, volume: Any, smoothed: Any, mask: Any, weight: float) -> None:
        """``smoothed <- volume``, and where the mask is not 0 partly the mean of the 8 voxels around it.

        They are those in its slice; beyond the edge the outermost count again. `weight` is theirs.
        """
