"""Alignment of what ends inside of the field, across the tilt axis: by mass and by projection matching."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from chemtomo.align.matching.held_out import cylinder_agreement, held_out_errors
from chemtomo.align.matching.projection_matching import (
    disagreement,
    projection_matching,
    projection_matching_job,
)
from chemtomo.align.registration.center_of_mass import center_of_mass, com_common_line
from chemtomo.align.registration.phase_correlation import phase_correlation
from chemtomo.align.tilt_axis.com_path import com_path
from chemtomo.align.tilt_axis.search import with_axis
from chemtomo.align.verdict import (
    CLEARLY,
    angle_by_held_out,
    best_of,
    determines_shifts_along,
    with_differences,
    without_shifts_along,
)
from chemtomo.data import Alignment, TiltSeries
from chemtomo.errors import ChemTomoError
from chemtomo.geometry import affine
from chemtomo.progress import TaskProgress

__all__ = ["isolated_job"]

# Where all of the sample is in the field, the path of the centre of mass is the most accurate method, and it
# does not depend on the starting point. Others are looked at if projections then predict each other worse
# than this factor.
_ACCEPTED_SCORE_RATIO = 1.25

_NO_CHANCE = 3.0  # standard errors of the angle: what turns further is something else
_LEVER = (
    0.3  # of half the field: what a wrong angle does to a typical place, after the best turn of the sample
)

_SECOND_REGISTRATION = " com_path center_of_mass"

_MATCHING = "projection_matching"

_REGISTRATIONS: dict[str, Callable[[TiltSeries, Alignment], Alignment]] = {
    "center_of_mass": center_of_mass,
    "com_common_line": com_common_line,
    "phase_correlation": phase_correlation,
}


def isolated_job(
    series: TiltSeries,
    start: Alignment,
    notes: dict[str, Any],
    *,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[TaskProgress, None, Alignment]:
    """Find shifts, angle and offset of the tilt axis of a specimen that the field holds across the axis.

    Several coarse registrations are tried, and the recording as it is. The tilt axis is found from the paths
    of the centres of mass, and the centres of mass are then found again about that axis. If projections
    aligned in this way predict each other worse (`disagreement`) than with another registration, the axis is
    found from that registration instead. The result is refined by projection matching. Of all that, the
    alignment is taken with which held-out projections are predicted best (`chemtomo.align.verdict`); how far
    the others are apart from it is in the standard errors. An estimator that fails is left out.

    Parameters
    ----------
    series : TiltSeries
        Recorded projections.
    start : Alignment
        Where to begin, the tilt axis within some 15 degrees; its method is its name in the scores.
    notes : dict
        What is not determined, and held-out errors, are written here. Shifts along the axis with which
        projections are predicted no better than without are not determined, and stay zero.
    should_stop : callable, optional
        Asked after every step; when it returns true, the best so far is the result.
    """
    # Raises when there is nothing to align.
    coarse, best, lowest = start.method, start, disagreement(series, start)
    scores: dict[str, Any] = {start.method: lowest}
    candidates = {start.method: start}
    steps = len(_REGISTRATIONS) + 2
    yield TaskProgress(1, 2 * steps, "as recorded")
    for number, (name, estimate) in enumerate(_REGISTRATIONS.items()):
        if should_stop is not None and should_stop():
            return _told(best, notes, scores, coarse)
        try:
            found = estimate(series, start)
            score = disagreement(series, found)
        except (ChemTomoError, ArithmeticError, ValueError) as error:
            scores[name] = f"failed: {error}"
        else:
            scores[name] = score
            candidates[name] = found
            if score < lowest:
                coarse, best, lowest = name, found, score
        yield TaskProgress(number + 2, 2 * steps, name)
    ways: list[_Way] = []
    for name in dict.fromkeys(("center_of_mass", coarse)):
        if should_stop is not None and should_stop():
            break
        ways += _about_the_axis(series, candidates.get(name, start), name, scores)
        yield TaskProgress(steps - 1, 2 * steps, f"{name}, com_path")
        if any(way.score <= _ACCEPTED_SCORE_RATIO * lowest for way in ways):
            break
    begin = min((*ways, _Way(coarse, best, _ACCEPTED_SCORE_RATIO * lowest)), key=lambda way: way.score)
    yield TaskProgress(steps, 2 * steps, begin.name)
    finished = [way for way in ways if way.name.endswith(_SECOND_REGISTRATION)]
    try:
        refined = yield from _refined(series, begin.alignment, should_stop)
        scores[_MATCHING] = disagreement(series, refined)
    except (ChemTomoError, ArithmeticError, ValueError) as error:
        scores[_MATCHING] = f"failed: {error}"
    else:
        if _is_sound(refined, series):
            finished.append(_Way(_MATCHING, refined, scores[_MATCHING]))
    finished += [way for way in (*ways, begin) if way not in finished]
    lowest = min(way.score for way in finished)
    finished = [way for way in finished if way.score <= _ACCEPTED_SCORE_RATIO * lowest]
    at, errors = best_of(series, [way.alignment for way in finished])
    notes["held-out error"] = {way.name: error for way, error in zip(finished, errors, strict=True)}
    # Ways by mass err alike; what they share is seen from projection matching, and the reverse.
    matched = finished[at].name == _MATCHING
    others = [way.alignment for way in finished if (way.name == _MATCHING) is not matched]
    final = with_differences(finished[at].alignment, others)
    if determines_shifts_along(series, final):
        final = _with_agreement(series, final, notes)
    else:
        notes["not determined"] = ["shifts along the tilt axis"]
        final = _across_only(series, start, final, notes)
    return _told(final, notes, scores, begin.name, finished[at].name)


def _with_agreement(series: TiltSeries, found: Alignment, notes: dict[str, Any]) -> Alignment:
    """Add standard errors from parts of the projections: those of the shifts count where they are larger."""
    try:
        agreement = cylinder_agreement(series, found)
        turn, angle_error = angle_by_held_out(
            lambda some: held_out_errors(series, some), found, agreement.angle_error_deg
        )
    except (ChemTomoError, ArithmeticError, ValueError):
        return found
    # The turn itself is not taken: with noise it is not better, and other matter that enters the field turns.
    angle_error = float(np.hypot(turn, angle_error)) if abs(turn) < _NO_CHANCE * angle_error else 0.0
    angle_error = max(angle_error, agreement.angle_error_deg)
    notes["angle error, deg"] = angle_error
    notes["disagreement, px"] = agreement.disagreement_px
    lever = _LEVER * 0.5 * min(series.shape[1:])
    errors = np.hypot(agreement.errors_px, np.deg2rad(angle_error) * lever)
    return found.replace(
        residual_px=errors if found.residual_px is None else np.fmax(found.residual_px, errors)
    )


def _across_only(series: TiltSeries, start: Alignment, found: Alignment, notes: dict[str, Any]) -> Alignment:
    """Refine shifts across the axis alone, and its angle only if projections are predicted better for it."""
    idle = without_shifts_along(found)
    try:
        straight = projection_matching(
            series,
            with_axis(idle, start.axis_angle_deg, idle.axis_offset_px),
            refine_angle=False,
            refine_along=False,
        )
        turned = projection_matching(series, idle, refine_along=False)
    except ChemTomoError:
        return idle
    at, _ = best_of(series, [straight, turned], CLEARLY)
    if at == 0:
        notes["not determined"].append("the angle of the tilt axis")
    return with_differences((straight, turned)[at], [(turned, straight)[at]])


def _refined(
    series: TiltSeries, start: Alignment, should_stop: Callable[[], bool] | None
) -> Generator[TaskProgress, None, Alignment]:
    """Do projection matching as the second half of the progress."""
    refinement = projection_matching_job(series, start, should_stop=should_stop)
    while True:
        try:
            progress = next(refinement)
        except StopIteration as end:
            refined: Alignment = end.value
            return refined
        yield TaskProgress(progress.total + progress.done, 2 * progress.total, progress.message)


@dataclasses.dataclass(frozen=True, eq=False)
class _Way:
    """A way to an alignment, and how badly projections predict each other at its end."""

    name: str
    alignment: Alignment
    score: float


def _about_the_axis(
    series: TiltSeries, registered: Alignment, name: str, scores: dict[str, Any]
) -> list[_Way]:
    """Find the tilt axis of a registration, and then the mass centres about that axis."""
    ways: list[_Way] = []
    found = registered
    for title, estimate in (
        (f"{name} com_path", com_path),
        (f"{name}{_SECOND_REGISTRATION}", center_of_mass),
    ):
        try:
            found = estimate(series, found)
            ways.append(_Way(title, found, disagreement(series, found)))
        except (ChemTomoError, ArithmeticError, ValueError) as error:
            scores[title] = f"failed: {error}"
            break
        scores[title] = ways[-1].score
    return ways


def _is_sound(found: Alignment, series: TiltSeries) -> bool:
    """Whether the middle of every aligned projection was recorded."""
    height, width = series.shape[1:]
    middle = np.array(affine.centre((height, width)))
    seen = affine.apply(found.matrices, middle[np.newaxis])[:, 0]
    return bool(((seen > -middle) & (seen < np.array([height, width]) + middle)).all())


def _told(
    found: Alignment, notes: dict[str, Any], scores: dict[str, Any], coarse: str, final: str | None = None
) -> Alignment:
    """Write how it was found into the notes."""
    notes |= {"coarse": coarse, "final": final or coarse, "noise over signal": scores}
    return found
