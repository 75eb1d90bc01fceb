"""Alignment in one call."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from chemtomo.align.center_of_mass import center_of_mass, com_common_line
from chemtomo.align.current import current
from chemtomo.align.phase_correlation import phase_correlation
from chemtomo.align.projection_matching import disagreement, projection_matching_steps
from chemtomo.align.tilt_axis import com_path
from chemtomo.data import Alignment, TiltSeries
from chemtomo.errors import ChemTomoError, DataError
from chemtomo.geometry import affine
from chemtomo.progress import TaskProgress, finish

__all__ = ["auto", "auto_steps"]

# Projection matching turns the axis only a little by itself: one that is about as good as none is taken.
_NOT_WORSE = 1.1

_COARSE: dict[str, Callable[[TiltSeries, Alignment], Alignment]] = {
    "center_of_mass": center_of_mass,
    "com_common_line": com_common_line,
    "phase_correlation": phase_correlation,
}


def auto(
    series: TiltSeries,
    alignment: Alignment | None = None,
    *,
    on_progress: Callable[[TaskProgress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Alignment:
    """Align a tilt series; see `auto_steps`."""
    return finish(auto_steps(series, alignment, should_stop=should_stop), on_progress)


def auto_steps(
    series: TiltSeries,
    alignment: Alignment | None = None,
    *,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[TaskProgress, None, Alignment]:
    """Find shifts, angle and offset of the tilt axis without being told anything.

    Several coarse estimators are tried, and the recording as it is. That one whose aligned projections
    predict each other best (`chemtomo.align.projection_matching.disagreement`) gets its tilt axis by the
    mass paths, unless they predict each other worse with it, and is refined by projection matching. An
    estimator that fails is left out; the provenance tells the scores, and why.

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
    steps = len(_COARSE) + 2
    yield TaskProgress(1, 2 * steps, "as recorded")
    for number, (name, estimate) in enumerate(_COARSE.items()):
        if should_stop is not None and should_stop():
            return _named(best, scores, coarse)
        try:
            found = estimate(recorded, as_it_is)
            score = disagreement(recorded, found)
        except (ChemTomoError, ArithmeticError, ValueError) as error:
            scores[name] = f"failed: {error}"
        else:
            scores[name] = score
            if score < lowest:
                coarse, best, lowest = name, found, score
        yield TaskProgress(number + 2, 2 * steps, name)
    if not (should_stop is not None and should_stop()):
        axis, found_score = _with_axis(recorded, best)
        scores["com_path"] = found_score
        if axis is not None and isinstance(found_score, float) and found_score <= _NOT_WORSE * lowest:
            best = axis
        yield TaskProgress(steps, 2 * steps, "com_path")
    refinement = projection_matching_steps(recorded, best, should_stop=should_stop)
    while True:
        try:
            progress = next(refinement)
        except StopIteration as end:
            refined: Alignment = end.value
            break
        yield TaskProgress(progress.total + progress.done, 2 * progress.total, progress.message)
    if not _is_sound(refined, series):
        raise DataError(
            f"tilt series {series.name!r}: projection matching moved projections out of the field; expected "
            "a sample that stays in it. Align with another method, or crop the series first"
        )
    return _named(refined, scores, coarse)


def _with_axis(series: TiltSeries, alignment: Alignment) -> tuple[Alignment | None, float | str]:
    """Return the alignment with its tilt axis by the mass paths, and its score or why there is none."""
    try:
        found = com_path(series, alignment)
        return found, disagreement(series, found)
    except (ChemTomoError, ArithmeticError, ValueError) as error:
        return None, f"failed: {error}"


def _is_sound(found: Alignment, series: TiltSeries) -> bool:
    """Whether the middle of every aligned projection was recorded."""
    import numpy as np

    height, width = series.shape[1:]
    middle = np.array(affine.centre((height, width)))
    seen = affine.apply(found.matrices, middle[np.newaxis])[:, 0]
    return bool(((seen > -middle) & (seen < np.array([height, width]) + middle)).all())


def _named(found: Alignment, scores: dict[str, Any], coarse: str) -> Alignment:
    entry = {"step": "auto", "coarse": coarse, "noise over signal": scores}
    return found.replace(method="auto", provenance=(*found.provenance, entry))
