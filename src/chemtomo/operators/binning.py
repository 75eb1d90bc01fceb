"""Projections in larger pixels than those of the volume: binning as a part of the projector."""

from __future__ import annotations

from collections.abc import Sequence

from chemtomo.errors import DataError
from chemtomo.geometry import ParallelBeam
from chemtomo.operators.base import FloatArray
from chemtomo.operators.projector import Projector

__all__ = ["BinnedProjector"]


class BinnedProjector(Projector):
    """Projection of a volume to tilt series, some of which have larger pixels.

    A pixel of a channel with the factor ``k`` covers a cell of ``k x k`` pixels of the projections in the
    resolution of the volume, and is ``1 / k`` times their sum: so the rows of the binning are orthonormal,
    and the norm of the projector does not grow. In the projections (channel, tilt, y, detector) it stands at
    the first pixel of its cell; all others of the cell are 0.

    Parameters
    ----------
    geometry : ParallelBeam
        The geometry of one slice, in the resolution of the volume.
    channels, slices : int
        Number of channels and of slices ``y``.
    factors : sequence of int
        ``k`` of every channel.

    Raises
    ------
    DataError
        When a factor is below 1, or slices or detector pixels do not fill the cells.
    """

    def __init__(self, geometry: ParallelBeam, channels: int, slices: int, factors: Sequence[int]) -> None:
        super().__init__(geometry, channels, slices)
        if len(factors) != channels:
            raise DataError(
                f"binned projector: found {len(factors)} factors for {channels} channels; expected one each"
            )
        for factor in factors:
            if factor < 1 or slices % factor or geometry.detector_pixels % factor:
                raise DataError(
                    f"binned projector: found cells of {factor} pixels for {slices} slices and "
                    f"{geometry.detector_pixels} detector pixels; expected a divisor of both"
                )
        self.factors = tuple(factors)

    def _forward(self, x: FloatArray, out: FloatArray) -> None:
        super()._forward(x, out)
        for projections, k in zip(out, self.factors, strict=True):
            if k > 1:
                tilts, slices, pixels = projections.shape
                cells = projections.reshape(tilts, slices // k, k, pixels // k, k).sum(axis=(2, 4))
                projections[...] = 0
                projections[:, ::k, ::k] = cells / k

    def _adjoint(self, y: FloatArray, out: FloatArray) -> None:
        spread = y.copy()
        for projections, k in zip(spread, self.factors, strict=True):
            if k > 1:
                cells = projections[:, ::k, ::k] / k
                projections[...] = cells.repeat(k, axis=1).repeat(k, axis=2)
        super()._adjoint(spread, out)
