"""Alignment in one call."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from chemtomo.align.matching.projection_matching import disagreement, projection_matching_job
from chemtomo.align.registration.center_of_mass import center_of_mass, com_common_line
from chemtomo.align.registration.phase_correlation import phase_correlation
from chemtomo.align.starting_point import current
from chemtomo.align.tilt_axis.com_path import com_path
from chemtomo.data import Alignment, TiltSeries
from chemtomo.errors import ChemTomoError, DataError
from chemtomo.geometry import affine
from chemtomo.progress import TaskProgress, blocking

__all__ = ["auto", "auto_job"]

# Where all of the sample is in the field, the path of the centre of mass is the most accurate method, and it
# does not depend on the starting point. It is used unless projections then predict each other worse than this
# factor.
_ACCEPTED_SCORE_RATIO = 1.25

# Projection matching refines by less than this. If it moves further it has followed matter that enters and
# leaves the field.
_LARGEST_REFINEMENT_PX = 1.0

_SECOND_REGISTRATION = " com_path center_of_mass"

_REGISTRATIONS: dict[str, Callable[[TiltSeries, Alignment], Alignment]] = {
    "center_of_mass": center_of_mass,
    "com_common_line": com_common_line,
    "phase_correlation": phase_correlation,
}


def auto_job(
    series: TiltSeries,
    alignment: Alignment | None = None,
    *,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[TaskProgress, None, Alignment]:
    """Find shifts, angle and offset of the tilt axis without being told anything.

    Several coarse registrations are tried, and the recording as it is. The tilt axis is found from the paths
    of the centres of mass, and the centres of mass are then found again about that axis. If projections
    aligned in this way predict each other worse (`disagreement`) than with another registration, the axis is
    found from that registration instead. The result is refined by projection matching, and whichever has the
    smaller residual, before or after refinement, is returned. An estimator that fails is left out; the
    provenance holds the scores and the reasons.

    Parameters
    ----------
    series : TiltSeries
        Recorded projections. It is not modified.
    alignment : Alignment, optional
        The alignment so far, with which the search begins; that of the series is not looked at. A tilt axis
        that is far from ``y`` is found from one that is near it only.
    should_stop : callable, optional
        Asked after every step; when it returns true, the best so far is the result.

    Yields
    ------
    TaskProgress
        After every estimator, and every round of projection matching.

    Returns
    -------
    Alignment
        As of `projection_matching`, with ``method="auto"``.

    Raises
    ------
    DataError
        When the series cannot be aligned: values that are not finite, too few projections, tilts or
        pixels, or nothing but constant projections.
    """
    recorded = series.replace(alignment=None)
    recorded.require_finite()
    as_it_is = current(recorded, alignment).replace(method="as recorded")
    coarse, best, lowest = (
        as_it_is.method,
        as_it_is,
        disagreement(recorded, as_it_is),
    )  # raises when there is nothing to align
    scores: dict[str, Any] = {as_it_is.method: lowest}
    candidates = {as_it_is.method: as_it_is}
    steps = len(_REGISTRATIONS) + 2
    yield TaskProgress(1, 2 * steps, "as recorded")
    for number, (name, estimate) in enumerate(_REGISTRATIONS.items()):
        if should_stop is not None and should_stop():
            return _named(best, scores, coarse)
        try:
            found = estimate(recorded, as_it_is)
            score = disagreement(recorded, found)
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
        ways += _about_the_axis(recorded, candidates.get(name, as_it_is), name, scores)
        yield TaskProgress(steps - 1, 2 * steps, f"{name}, com_path")
        if any(way.score <= _ACCEPTED_SCORE_RATIO * lowest for way in ways):
            break
    begin = min((*ways, _Way(coarse, best, _ACCEPTED_SCORE_RATIO * lowest)), key=lambda way: way.score)
    lowest = min(lowest, begin.score)
    best, coarse = begin.alignment, begin.name
    yield TaskProgress(steps, 2 * steps, coarse)
    refinement = projection_matching_job(recorded, best, should_stop=should_stop)
    while True:
        try:
            progress = next(refinement)
        except StopIteration as end:
            refined: Alignment = end.value
            break
        yield TaskProgress(progress.total + progress.done, 2 * progress.total, progress.message)
    scores["projection_matching"] = matched = disagreement(recorded, refined)
    finished = [
        way
        for way in ways
        if way.name.endswith(_SECOND_REGISTRATION) and way.score <= _ACCEPTED_SCORE_RATIO * lowest
    ]
    # Without an axis from the mass paths there was nothing but a coarse alignment to begin with.
    near = begin not in ways or _apart(refined, begin.alignment) <= _LARGEST_REFINEMENT_PX
    if near and _is_sound(refined, series) and matched <= _ACCEPTED_SCORE_RATIO * lowest:
        finished.append(_Way("projection_matching", refined, matched))
    if not finished and begin in ways:
        finished.append(begin)
    if not finished:
        raise DataError(
            f"tilt series {series.name!r}: projection matching moved projections out of the field; expected "
            "a sample that stays in it. Align with another method, or crop the series first"
        )
    final = min(finished, key=lambda way: _residual(way.alignment))
    return _named(final.alignment, scores, coarse, final.name)


auto = blocking(auto_job)


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


def _apart(one: Alignment, other: Alignment) -> float:
    """Root mean square distance of two alignments in pixels, wherever they place the sample.

    The sample may be anywhere: in the aligned projections that is one shift along ``y``, and along ``x``
    one that goes with the cosine and the sine of the tilt.
    """
    assert one.shape is not None
    middle = affine.centre(one.shape)
    seen = affine.apply(affine.compose(affine.inverse(other.matrices), one.matrices), [middle])[:, 0] - middle
    angles = np.deg2rad(one.tilts_deg)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    place, *_ = np.linalg.lstsq(circle, seen[:, 1], rcond=None)
    rest = np.stack([seen[:, 0] - seen[:, 0].mean(), seen[:, 1] - circle @ place])
    return float(np.sqrt((rest**2).sum(axis=0).mean()))


def _residual(alignment: Alignment) -> float:
    if alignment.residual_px is None or not np.isfinite(alignment.residual_px).any():
        return float("inf")
    return float(np.nanmedian(alignment.residual_px))


def _is_sound(found: Alignment, series: TiltSeries) -> bool:
    """Whether the middle of every aligned projection was recorded."""
    height, width = series.shape[1:]
    middle = np.array(affine.centre((height, width)))
    seen = affine.apply(found.matrices, middle[np.newaxis])[:, 0]
    return bool(((seen > -middle) & (seen < np.array([height, width]) + middle)).all())


def _named(found: Alignment, scores: dict[str, Any], coarse: str, final: str | None = None) -> Alignment:
    entry = {"step": "auto", "coarse": coarse, "final": final or coarse, "noise over signal": scores}
    return found.replace(method="auto", provenance=(*found.provenance, entry))
