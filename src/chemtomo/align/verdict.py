"""Which of several alignments is best, how far it can be trusted, and what is not determined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.align.matching.held_out import held_out_errors
from chemtomo.data import Alignment, TiltSeries
from chemtomo.geometry import affine

__all__ = [
    "CLEARLY",
    "best_of",
    "determines_shifts_along",
    "warnings_of",
    "with_differences",
    "without_shifts_along",
]

_Real = npt.NDArray[np.float64]

_BETTER = 1.0  # standard errors by which held-out projections are predicted better
CLEARLY = 2.0  # the same, for what is otherwise left alone
_UNCLEAR = 1.2  # margin between two directions of the tilt axis
_LARGE_PX = 1.0
_NEIGHBOURS = 9  # tilts over which differences are averaged


def best_of(
    series: TiltSeries, alignments: Sequence[Alignment], margin: float = _BETTER
) -> tuple[int, list[float]]:
    """Return which alignment predicts held-out projections best, and the mean errors.

    It is the first one unless another is better, tilt by tilt, by so many standard errors.
    """
    if len(alignments) == 1:
        return 0, [float("nan")]
    errors = held_out_errors(series, alignments)
    means = np.nanmean(errors, axis=1)
    best = int(means.argmin())
    return best if _better(errors[best], errors[0], margin) else 0, [float(one) for one in means]


def _better(one: _Real, other: _Real, margin: float) -> bool:
    """Whether the errors of the same projections are smaller by more than chance."""
    difference = (other - one)[np.isfinite(one) & np.isfinite(other)]
    return bool(difference.mean() > margin * difference.std() / np.sqrt(difference.size))


def with_differences(found: Alignment, others: Sequence[Alignment]) -> Alignment:
    """Add to the standard errors how far the nearest of other estimators, which err otherwise, is away."""
    if not others or found.residual_px is None:
        return found
    apart = np.min([_apart(found, other) for other in others], axis=0)
    return found.replace(residual_px=np.hypot(found.residual_px, apart))


def _apart(one: Alignment, other: Alignment) -> _Real:
    """How far two alignments put each projection apart in pixels, smoothly over the tilts.

    The sample may be anywhere: in the aligned projections that is one shift along ``y``, and along ``x``
    one that goes with the cosine and the sine of the tilt.
    """
    from scipy import ndimage

    assert one.shape is not None
    middle = np.array(affine.centre(one.shape))
    around = np.array([[-0.25, 0.0], [0.25, 0.0], [0.0, -0.25], [0.0, 0.25]])
    places = middle + around * one.shape
    seen = affine.apply(affine.compose(affine.inverse(other.matrices), one.matrices), places) - places
    angles = np.deg2rad(one.tilts_deg)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    squares = np.zeros(angles.size)
    for along_y, along_x in seen.transpose(1, 2, 0):
        place, *_ = np.linalg.lstsq(circle, along_x, rcond=None)
        squares += (along_y - along_y.mean()) ** 2 + (along_x - circle @ place) ** 2
    smooth = ndimage.uniform_filter1d(squares / len(places), min(_NEIGHBOURS, squares.size), mode="nearest")
    root: _Real = np.sqrt(smooth)
    return root


def without_shifts_along(found: Alignment) -> Alignment:
    """Return the alignment without its shifts along the tilt axis."""
    assert found.shape is not None
    middle = np.array(affine.centre(found.shape))
    angle = np.deg2rad(found.axis_angle_deg)
    seen = affine.apply(found.matrices, middle[np.newaxis])[:, 0] - middle
    shifts = seen @ np.array([np.cos(angle), np.sin(angle)])
    return found.replace(matrices=affine.compose(found.matrices, affine.translation(-shifts, 0.0)))


def determines_shifts_along(series: TiltSeries, found: Alignment) -> bool:
    """Tell whether held-out projections are predicted better with the shifts along the axis than without.

    Where nothing varies along the axis, these shifts may be anything.
    """
    idle = without_shifts_along(found)
    if float(np.abs(idle.matrices - found.matrices).max()) < 1e-9:
        return True
    with_shifts, without = held_out_errors(series, [found, idle])
    return _better(with_shifts, without, CLEARLY)


def warnings_of(alignment: Alignment) -> list[str]:
    """Return in words what the projections do not determine, and what is not to be trusted."""
    entries = [one for one in alignment.provenance if one.get("step") == "auto"]
    entry: dict[str, Any] = entries[-1] if entries else {}
    told = []
    if missing := entry.get("not determined"):
        told.append(f"Not determined by the projections, and left as recorded: {', '.join(missing)}.")
    direction = entry.get("axis direction")
    if direction and direction["margin"] < _UNCLEAR:
        told.append(
            f"The direction of the tilt axis is not clear (margin {direction['margin']:.2f}): it was looked "
            f"for near {direction['angle_deg']:g} degrees from y. Give 'axis near' if it is elsewhere."
        )
    residual = alignment.residual_px
    if residual is not None and np.isfinite(residual).any() and np.nanmedian(residual) > _LARGE_PX:
        told.append(
            f"The standard error of the shifts is {np.nanmedian(residual):.1f} pixels: look at the aligned "
            "projections before they are used."
        )
    return told
