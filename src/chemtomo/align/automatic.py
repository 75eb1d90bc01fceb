"""Alignment in one call."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Generator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from chemtomo.align.isolated import isolated_job
from chemtomo.align.matching.projection_matching import require_enough
from chemtomo.align.matching.slab_matching import Layer, slab_held_out, slab_matching_job
from chemtomo.align.specimen_kind import KINDS, axis_direction, kind_of, starting_along
from chemtomo.align.starting_point import current
from chemtomo.align.tracks.estimator import patch_tracks_job
from chemtomo.align.verdict import is_better, weighted_mean
from chemtomo.data import Alignment, TiltSeries
from chemtomo.errors import ChemTomoError, ParameterError
from chemtomo.progress import TaskProgress, blocking

__all__ = ["auto", "auto_job"]

_LIMIT_DEG = 14.0  # from where a search began: it may have ended at its limit
_LAMELLA = 0.12  # of the field, that a layer is thicker than a film

_Notes = dict[str, Any]
_Job = Generator[TaskProgress, None, Alignment]
_Stop = Callable[[], bool] | None


def auto_job(
    series: TiltSeries,
    alignment: Alignment | None = None,
    *,
    specimen: str = "auto",
    distortion: Literal["off", "auto"] = "off",
    should_stop: Callable[[], bool] | None = None,
) -> Generator[TaskProgress, None, Alignment]:
    """Find shifts, angle and offset of the tilt axis without being told anything.

    The tilt axis is looked for near ``y`` or ``x``, whichever the common line says, unless `alignment` or the
    series say where it is. The kind of the specimen decides on the estimators:

    - film or lamella, wider than the field: patches are followed through the tilts (`patch_tracks`), and
      projections matched as of a layer (`chemtomo.align.matching.slab_matching`);
    - isolated, needle, or what stands on a uniform film: the best of the ways by centres of mass and
      projection matching (`chemtomo.align.isolated`), by one score for all of them, on held-out projections.

    An estimator that fails is left out; where all for one kind of specimen fail, those for the other are
    tried. The provenance holds the kind, scores, failures, and what the projections do not determine.

    Parameters
    ----------
    series : TiltSeries
        Recorded projections, in any order. It is not modified.
    alignment : Alignment, optional
        The alignment so far, with which the search begins; that of the series is not looked at. Its tilt axis
        has to be right within some 15 degrees.
    specimen : {"auto", "isolated", "needle", "film", "lamella"}
        What the specimen is, if that is known.
    distortion : {"off", "auto"}
        Whether magnification and rotation of every projection are looked for (`patch_tracks`).
    should_stop : callable, optional
        Asked after every step; when it returns true, the best so far is the result.

    Yields
    ------
    TaskProgress
        After every estimator, every tilt through which patches are followed, and every round of projection
        matching.

    Returns
    -------
    Alignment
        With ``method="auto"``. ``residual_px`` are standard errors.

    Raises
    ------
    DataError
        When the series cannot be aligned: values that are not finite, too few projections, tilts or
        pixels, or nothing but constant projections.
    ParameterError
        When there is no such kind of specimen.
    """
    if specimen not in ("auto", *KINDS):
        raise ParameterError(f"auto: found the specimen {specimen!r}; expected auto, {', '.join(KINDS)}")
    recorded = series.replace(alignment=None)
    require_enough(recorded)
    order = np.argsort(recorded.tilts_deg, kind="stable")
    if not np.array_equal(order, np.arange(order.size)):
        given = None if alignment is None else _in_order(alignment, order)
        found = yield from auto_job(
            _series_in_order(recorded, order),
            given,
            specimen=specimen,
            distortion=distortion,
            should_stop=should_stop,
        )
        return _in_order(found, np.argsort(order, kind="stable"))
    notes: _Notes = {}
    if alignment is not None:
        start = current(recorded, alignment)
    elif recorded.axis_angle_deg is not None:
        start = starting_along(recorded, recorded.axis_angle_deg)
    else:
        direction = axis_direction(recorded)
        notes["axis direction"] = dataclasses.asdict(direction)
        start = starting_along(recorded, direction.angle_deg)
    start = start.replace(method="as recorded")
    kind, textured = kind_of(recorded, start) if specimen == "auto" else (specimen, True)
    notes |= {"specimen": kind, "specimen from": "projections" if specimen == "auto" else "parameter"}
    film_job = functools.partial(_film_job, distortion=distortion)
    estimators: dict[str, Callable[[TiltSeries, Alignment, _Notes, _Stop], _Job]] = {
        "patch_tracks": film_job,
        "isolated": _isolated_job,
    }
    names = list(estimators) if kind in ("film", "lamella") and textured else list(estimators)[::-1]
    failures: list[Exception] = []
    for name in names:
        try:
            found = yield from estimators[name](recorded, start, notes, should_stop)
        except (ChemTomoError, ArithmeticError, ValueError) as error:
            failures.append(error)
            notes[name] = f"failed: {error}"
        else:
            # A run that was cancelled at once has done nothing.
            last = str(found.provenance[-1]["step"]) if found.provenance else "as recorded"
            own = name == "patch_tracks" or not found.provenance
            entry = {"step": "auto", "coarse": name, "final": last if own else name} | notes
            return found.replace(method="auto", provenance=(*found.provenance, entry))
    raise failures[0]


auto = blocking(auto_job)


def _film_job(
    series: TiltSeries,
    start: Alignment,
    notes: _Notes,
    should_stop: _Stop,
    *,
    distortion: Literal["off", "auto"],
) -> _Job:
    """Follow patches, once more from there where the axis is far from where the search began, and refine."""
    tracks = yield from patch_tracks_job(series, start, distortion=distortion, should_stop=should_stop)
    if _at_limit(tracks, start):
        tracks = yield from patch_tracks_job(series, tracks, distortion=distortion, should_stop=should_stop)
    found = tracks
    if should_stop is None or not should_stop():
        found = yield from _refined_layer(series, tracks, notes, should_stop)
    thickness = float(found.provenance[-1]["thickness_px"])
    if notes["specimen from"] == "projections":
        followed = float(tracks.provenance[-1]["thickness_px"])
        notes["specimen"] = "lamella" if followed > _LAMELLA * min(series.shape[1:]) else "film"
    notes["thickness_px"] = thickness
    return found


def _refined_layer(series: TiltSeries, tracks: Alignment, notes: _Notes, should_stop: _Stop) -> _Job:
    """Refine tracks by slab matching, if held-out projections are predicted better for it.

    What tracks know of slow changes with the tilt is not in the other, which follows neighbouring tilts: the
    result is the mean of both.
    """
    said = tracks.provenance[-1]
    tilted, rising = said["layer tilted by, deg"]
    layer = Layer(said["thickness_px"])
    inclined = dataclasses.replace(layer, tilted_deg=tilted, slope=float(np.tan(np.deg2rad(rising))))
    try:
        flat, slanting = (slab_held_out(series, [tracks], one)[0] for one in (layer, inclined))
        layer = inclined if is_better(slanting, flat) else layer
        refined = yield from slab_matching_job(series, tracks, layer, should_stop=should_stop)
        layer = dataclasses.replace(layer, thickness_px=refined.provenance[-1]["thickness_px"])
        errors = slab_held_out(series, [tracks, refined], layer)
    except (ChemTomoError, ArithmeticError, ValueError) as error:
        notes["slab_matching"] = f"failed: {error}"
        return tracks
    names = ("patch_tracks", "slab_matching")
    notes["held-out error"] = {name: float(np.nanmean(one)) for name, one in zip(names, errors, strict=True)}
    if not is_better(errors[1], errors[0]):
        return tracks
    angle_errors = refined.provenance[-1]["angle error, deg"], said["angle error, deg"]
    return weighted_mean(refined, tracks, angle_errors)


def _isolated_job(series: TiltSeries, start: Alignment, notes: _Notes, should_stop: _Stop) -> _Job:
    """Follow the mass; an angle at the limit of its search is no result, but where to look next."""
    found = yield from isolated_job(series, start, notes, should_stop=should_stop)
    if _at_limit(found, start):
        again = starting_along(series, found.axis_angle_deg).replace(method="as recorded")
        found = yield from isolated_job(series, again, notes, should_stop=should_stop)
        if _at_limit(found, again):
            notes.setdefault("not determined", []).append("the angle of the tilt axis")
    return found


def _at_limit(found: Alignment, start: Alignment) -> bool:
    return abs(found.axis_angle_deg - start.axis_angle_deg) > _LIMIT_DEG


def _series_in_order(series: TiltSeries, order: npt.NDArray[np.intp]) -> TiltSeries:
    """Return the series in another order: whatever has one value, or one image, a tilt."""
    values = {field.name: getattr(series, field.name) for field in dataclasses.fields(series)}
    one_each = {
        name: value[order]
        for name, value in values.items()
        if getattr(value, "ndim", 0) > 0 and value.shape[0] == order.size
    }
    return series.replace(**one_each)


def _in_order(found: Alignment, order: npt.NDArray[np.intp]) -> Alignment:
    residual = None if found.residual_px is None else found.residual_px[order]
    return found.replace(
        tilts_deg=found.tilts_deg[order], matrices=found.matrices[order], residual_px=residual
    )
