"""Which of several alignments is best, how far it can be trusted, and what is not determined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.align.matching.held_out import held_out_errors
from chemtomo.data import Alignment, TiltSeries
from chemtomo.geometry import affine

__all__ = [
    "CLEARLY",
    "angle_by_held_out",
    "best_of",
    "determines_shifts_along",
    "is_better",
    "warnings_of",
    "weighted_mean",
    "with_differences",
    "without_shifts_along",
]

_Real = npt.NDArray[np.float64]

_BETTER = 1.0  # standard errors by which held-out projections are predicted better
CLEARLY = 2.0  # the same, for what is otherwise left alone
_UNCLEAR = 1.2  # margin between two directions of the tilt axis
_LARGE_PX = 1.0
_TURNS = 5
_SMALLEST_TURN_DEG = 0.05
_LARGEST_TURN_DEG = 6.0
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
    return best if is_better(errors[best], errors[0], margin) else 0, [float(one) for one in means]


def is_better(one: _Real, other: _Real, margin: float = _BETTER) -> bool:
    """Return whether the errors of the same projections are smaller by more than chance."""
    difference = (other - one)[np.isfinite(one) & np.isfinite(other)]
    return bool(difference.mean() > margin * difference.std() / np.sqrt(difference.size))


def angle_by_held_out(
    errors_of: Callable[[Sequence[Alignment]], _Real], found: Alignment, scale_deg: float
) -> tuple[float, float]:
    """Return by how much to turn an alignment so that held-out projections are predicted best, and the error.

    With noise the likelihood has many small minima. A parabola through the errors of alignments that are
    turned by more than those are wide is their envelope; how much its slope differs from tilt to tilt is the
    standard error of its minimum.

    Parameters
    ----------
    errors_of : callable
        Returns the held-out errors of alignments, shape (alignment, tilt).
    found : Alignment
        What is turned, about the middle of the field.
    scale_deg : float
        About the standard error; the turns are as large as the error turns out to be.

    Returns
    -------
    turn_deg, error_deg : float
        The turn is 0 where there is no minimum within the turns.
    """
    assert found.shape is not None
    middle = affine.centre(found.shape)
    reach = min(max(4 * scale_deg, _SMALLEST_TURN_DEG), _LARGEST_TURN_DEG)
    while True:
        turns = reach * np.linspace(-1, 1, _TURNS)
        maps = [affine.compose(found.matrices, affine.rotation(turn, middle)) for turn in turns]
        errors = errors_of([found.replace(matrices=one) for one in maps])
        errors = errors[:, np.isfinite(errors).all(axis=0)]
        curves = np.polyfit(turns / reach, errors, 2)
        bend, slope = curves[0].mean(), curves[1].mean()
        best = -slope / (2 * bend) if bend > 0 else 0.0
        slopes = curves[1] + 2 * curves[0] * np.clip(best, -1, 1)
        error = float(slopes.std() / np.sqrt(slopes.size) / (2 * bend)) if bend > 0 else np.inf
        if (error < 0.5 and abs(best) < 1) or reach >= _LARGEST_TURN_DEG:
            return (float(best) * reach if abs(best) < 1 else 0.0), min(error, 1.0) * reach
        reach = min(3 * reach, _LARGEST_TURN_DEG)


def with_differences(found: Alignment, others: Sequence[Alignment]) -> Alignment:
    """Add to the standard errors how far the nearest of other estimators, which err otherwise, is away."""
    if not others or found.residual_px is None:
        return found
    apart = np.min([_apart(found, other) for other in others], axis=0)
    return found.replace(residual_px=np.hypot(found.residual_px, apart))


def _apart(one: Alignment, other: Alignment) -> _Real:
    """How far two alignments put each projection apart in pixels, smoothly over the tilts."""
    from scipy import ndimage

    assert one.shape is not None
    middle = np.array(affine.centre(one.shape))
    around = np.array([[-0.25, 0.0], [0.25, 0.0], [0.0, -0.25], [0.0, 0.25]])
    places = middle + around * one.shape
    seen = affine.apply(affine.compose(affine.inverse(other.matrices), one.matrices), places) - places
    squares = np.zeros(one.tilts_deg.size)
    for moved in seen.transpose(1, 0, 2):
        squares += (_without_motion(moved, one.tilts_deg) ** 2).sum(axis=1)
    smooth = ndimage.uniform_filter1d(squares / len(places), min(_NEIGHBOURS, squares.size), mode="nearest")
    root: _Real = np.sqrt(smooth)
    return root


def weighted_mean(one: Alignment, other: Alignment, angle_errors: tuple[float, float]) -> Alignment:
    """Return the mean of two alignments that err independently, weighted by their standard errors.

    Where they disagree by more than their errors, those of the mean are larger by that factor (Birge ratio).

    Parameters
    ----------
    one, other : Alignment
        With standard errors; provenance, reference and method are those of `one`.
    angle_errors : (float, float)
        Standard errors of the angles of the tilt axis, in degrees.
    """
    assert one.residual_px is not None
    assert other.residual_px is not None
    assert one.shape is not None
    middle = affine.centre(one.shape)
    variances = [np.nanmean(of.residual_px**2) for of in (one, other) if of.residual_px is not None]
    share = float(variances[0] / (variances[0] + variances[1]))
    turn_share = angle_errors[0] ** 2 / (angle_errors[0] ** 2 + angle_errors[1] ** 2)
    turn = float(np.median(affine.angles_deg(other.matrices) - affine.angles_deg(one.matrices)))
    apart = affine.compose(affine.inverse(one.matrices), other.matrices)
    moved = _without_motion(affine.apply(apart, np.array([middle]))[:, 0] - middle, one.tilts_deg)
    move = affine.compose(affine.translation(*(share * moved).T), affine.rotation(turn_share * turn, middle))
    birge = float(np.sqrt((moved**2).sum(axis=1).mean() / (variances[0] + variances[1])))
    scale = np.sqrt(1 - share) * max(1.0, birge)
    return one.replace(
        matrices=affine.compose(one.matrices, move),
        axis_angle_deg=one.axis_angle_deg + turn_share * turn,
        residual_px=one.residual_px * scale,
    )


def _without_motion(moved: _Real, tilts_deg: _Real) -> _Real:
    """Return shifts ``(y, x)``, shape (tilt, 2), in the aligned frame without what only moves the sample.

    That is one shift along ``y``, and along ``x`` one that goes with the cosine and the sine of the tilt.
    """
    angles = np.deg2rad(tilts_deg)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    place = np.linalg.lstsq(circle, moved[:, 1], rcond=None)[0]
    return np.stack([moved[:, 0] - moved[:, 0].mean(), moved[:, 1] - circle @ place], axis=1)


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
    return is_better(with_shifts, without, CLEARLY)


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
    for one in alignment.provenance:
        told += _of_distortion(one.get("distortion"))
    residual = alignment.residual_px
    if residual is not None and np.isfinite(residual).any() and np.nanmedian(residual) > _LARGE_PX:
        told.append(
            f"The standard error of the shifts is {np.nanmedian(residual):.1f} pixels: look at the aligned "
            "projections before they are used."
        )
    return told


def _of_distortion(found: dict[str, Any] | None) -> list[str]:
    """Say what differs from tilt to tilt, from the entry of the patch tracks."""
    if not found:
        return []
    told = []
    for kind, unit, factor in (("magnification", " %", 100.0), ("rotation", " degrees", 1.0)):
        one = found[kind]
        if one["determined"]:
            most = factor * float(np.abs(one["values"]).max())
            told.append(
                f"The {kind} differs from tilt to tilt by up to {most:.2g} +- "
                f"{factor * one['standard error']:.1g}{unit}: the alignment corrects it."
            )
    if found["tilt"]["determined"]:
        values, error = np.abs(found["tilt"]["values"]), found["tilt"]["standard error"]
        told.append(
            f"The tilts seem to be wrong by up to {values.max():.2g} +- {error:.1g} "
            f"degrees (most at {found['tilts_deg'][int(values.argmax())]:g}): they are left as they are."
        )
    return told
