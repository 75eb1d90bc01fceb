"""How far an alignment is from the truth."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from chemtomo.data import Alignment
from chemtomo.errors import DataError
from chemtomo.geometry import affine

__all__ = ["AlignmentError", "alignment_error"]


@dataclasses.dataclass(frozen=True)
class AlignmentError:
    """Residual misalignment after an estimated alignment.

    Attributes
    ----------
    rms_px : float
        Root mean square, over particles and tilts, of the distance between where a particle is in the
        aligned projections and where an ideal geometry would have it.
    per_tilt_px : numpy.ndarray, shape (tilt,)
        The same for each tilt.
    angle_deg : float
        Error of the angle of the tilt axis, estimate minus truth, from the matrices.
    """

    rms_px: float
    per_tilt_px: npt.NDArray[np.float64]
    angle_deg: float


def alignment_error(
    truth: Alignment, estimate: Alignment, positions: npt.NDArray[np.float64]
) -> AlignmentError:
    """Compare an alignment with the true one, where particles are.

    The true places of the particles in the recorded projections are taken into the estimate's aligned
    frame. There the sample may be anywhere: the rigid motion in three dimensions that fits best, about
    the tilt axis and otherwise, is no error. The error is what remains: shifts, angle and offset of the axis.

    Parameters
    ----------
    truth, estimate : Alignment
        Of the same projections.
    positions : numpy.ndarray, shape (particle, 3)
        Where the particles are in the true aligned volume, ``(z, y, x)`` from its middle, in pixels.

    Raises
    ------
    DataError
        When the two are not of the same tilts, or the truth has no shape.
    """
    if truth.shape is None or not np.array_equal(truth.tilts_deg, estimate.tilts_deg):
        raise DataError(
            f"alignment error: found {truth.tilts_deg.size} tilts of the truth, of shape {truth.shape}, and "
            f"{estimate.tilts_deg.size} of the estimate; expected the same tilts, and a shape"
        )
    from scipy.optimize import least_squares
    from scipy.spatial.transform import Rotation

    middle = np.array(affine.centre(truth.shape))
    to_estimate = affine.compose(affine.inverse(estimate.matrices), truth.matrices)
    ideal = _project(positions, truth.tilts_deg) + middle
    seen = np.einsum("nij,nkj->nki", to_estimate[:, :, :2], ideal) + to_estimate[:, np.newaxis, :, 2]

    def flat(motion: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return left(motion).ravel()

    def left(motion: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        moved = Rotation.from_rotvec(motion[:3]).apply(positions) + motion[3:]
        difference: npt.NDArray[np.float64] = seen - middle - _project(moved, truth.tilts_deg)
        return difference

    fit = least_squares(
        flat,
        np.zeros(6),
        x_scale=[0.01] * 3 + [1.0] * 3,
        xtol=1e-12,
        ftol=1e-12,
    )
    squares = (left(fit.x) ** 2).sum(axis=2)
    # The best turn of the sample takes away a part of a wrong angle of the axis, but not from the matrices.
    turned = np.median(affine.angles_deg(estimate.matrices) - affine.angles_deg(truth.matrices))
    return AlignmentError(
        rms_px=float(np.sqrt(squares.mean())),
        per_tilt_px=np.sqrt(squares.mean(axis=1)),
        angle_deg=float(turned),
    )


def _project(
    positions: npt.NDArray[np.float64], tilts_deg: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Places ``(y, s)`` of points ``(z, y, x)`` at every tilt, shape (tilt, point, 2)."""
    tilts = np.deg2rad(tilts_deg)[:, np.newaxis]
    z, y, x = positions.T
    return np.stack(np.broadcast_arrays(y, x * np.cos(tilts) + z * np.sin(tilts)), axis=-1)
