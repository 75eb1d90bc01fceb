"""A tilt axis put into an alignment, and the search for its angle."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

import numpy as np

from chemtomo.data import Alignment
from chemtomo.errors import ParameterError
from chemtomo.geometry import affine
from chemtomo.progress import TaskProgress

__all__ = ["PARTS", "best_angle", "jackknife_error", "registered", "with_axis"]

PARTS = 4
"""Parts of the data from whose disagreement an error is estimated."""

_COARSE_STEP_DEG = 1.0


def registered(alignment: Alignment) -> Alignment:
    """Return the alignment without its tilt axis: what the shifts alone make of the projections."""
    assert alignment.shape is not None
    axis = affine.tilt_axis(alignment.axis_angle_deg, alignment.axis_offset_px, alignment.shape)
    return alignment.replace(
        matrices=affine.compose(alignment.matrices, affine.inverse(axis)),
        axis_angle_deg=0.0,
        axis_offset_px=0.0,
    )


def with_axis(alignment: Alignment, angle_deg: float, offset_px: float) -> Alignment:
    """Return the alignment with another tilt axis and the same shifts; it has to know its shape."""
    shifts = registered(alignment)
    assert alignment.shape is not None
    return alignment.replace(
        matrices=affine.compose(shifts.matrices, affine.tilt_axis(angle_deg, offset_px, alignment.shape)),
        axis_angle_deg=angle_deg,
        axis_offset_px=offset_px,
    )


def best_angle(
    coarse: Callable[[float], float],
    fine: Callable[[float], float],
    centre_deg: float,
    reach_deg: float,
    message: str,
) -> Generator[TaskProgress, None, tuple[float, dict[str, list[float]]]]:
    """Minimise a misfit over the angle: a scan of the whole range, then a search around the best.

    Raises
    ------
    ParameterError
        When the range is not between 0 and 45 degrees.
    """
    from scipy import optimize

    if not 0 < reach_deg <= 45:
        raise ParameterError(f"largest angle: found {reach_deg} degrees; expected more than 0, at most 45")
    steps = max(2, round(reach_deg / _COARSE_STEP_DEG))
    angles = centre_deg + reach_deg * np.arange(-steps, steps + 1) / steps
    found = []
    for number, angle in enumerate(angles):
        found.append(coarse(float(angle)))
        yield TaskProgress(number, angles.size + 1, message)
    best = float(angles[int(np.argmin(found))])
    step = reach_deg / steps
    answer = optimize.minimize_scalar(
        fine, bounds=(best - 1.5 * step, best + 1.5 * step), method="bounded", options={"xatol": 2e-3}
    )
    scan = {"angles_deg": angles.tolist(), "misfit": [float(one) for one in found]}
    return float(answer.x), scan


def jackknife_error(misfits: Sequence[Callable[[float], float]], best: float, reach: float) -> float | None:
    """Return the standard error of what minimises a misfit, from minima without parts of the data.

    Parameters
    ----------
    misfits : sequence of callable
        Each of all the data but one of at least four parts, which are about equally large.
    best : float
        The minimum of all data together.
    reach : float
        How far from there a minimum may be.

    Returns
    -------
    float or None
        From a jackknife; ``None`` where there are too few parts.
    """
    from scipy import optimize

    if len(misfits) < PARTS:
        return None
    bounds = (best - reach, best + reach)
    found = [
        optimize.minimize_scalar(one, bounds=bounds, method="bounded", options={"xatol": 2e-3 * reach}).x
        for one in misfits
    ]
    # A variance from a few parts is uncertain itself: Student's distribution has this one.
    known = len(found) - 1
    return float(np.std(found) * np.sqrt(known) * np.sqrt(known / (known - 2)))
