"""Projection matching: every projection against the reconstruction from all others."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.align.images import shows_anything
from chemtomo.align.matching.aligned_images import (
    bin_images,
    derivatives,
    subtract_background,
    warp_all,
    window,
)
from chemtomo.align.matching.consistency import Consistency
from chemtomo.align.matching.mass_path import mass_path
from chemtomo.align.matching.newton_step import newton_step
from chemtomo.align.matching.own_start import own_start
from chemtomo.align.matching.threads import on_one_thread
from chemtomo.data import Alignment, TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.geometry import affine
from chemtomo.progress import TaskProgress, blocking

__all__ = [
    "FIRST_ZERO_OF_J1",
    "disagreement",
    "projection_matching",
    "projection_matching_job",
    "require_enough",
    "seen_radius",
]

_Real = npt.NDArray[np.float64]

_CYLINDER_OVER_SAMPLE_RADIUS = 1.1
_FEWEST_PROJECTIONS = 5
_SMALLEST_EDGE_PX = 24
_SETTLED_CHANGE_PX = 0.25  # in binned pixels: below it, rows are compared with each other
_DISTRUSTED_MISFIT_RATIO = 4.0  # misfit of a row over the typical one, at which it counts half
FIRST_ZERO_OF_J1 = 3.83


@dataclasses.dataclass(frozen=True)
class _Level:
    """One resolution."""

    binning: int
    highest: float  # cycles per recorded pixel
    rounds: int
    tolerance_px: float


@dataclasses.dataclass
class _State:
    """Where the iteration is."""

    matrices: _Real
    angle_deg: float
    residual_px: _Real
    change_px: float = np.inf
    trust: _Real = dataclasses.field(
        default_factory=lambda: np.ones(1)
    )  # in rows, from the first to the last


def projection_matching_job(
    series: TiltSeries,
    start: Alignment | None = None,
    *,
    rounds: int = 8,
    tolerance_px: float = 0.01,
    refine_angle: bool = True,
    refine_along: bool = True,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[TaskProgress, None, Alignment]:
    """Refine shifts, angle and offset of the tilt axis together, until they stay.

    Every projection is compared with what the reconstruction from the others predicts for it. The sample
    is taken to lie in a cylinder about the tilt axis, for which reconstruction and reprojection are known
    in closed form (`chemtomo.align.matching.consistency`); Newton's method moves all projections at once.
    It goes from coarse pixels to fine ones, as far as projections at neighbouring tilts share information.
    The recorded images are warped afresh in every round; only numbers accumulate.

    Parameters
    ----------
    series : TiltSeries
        Recorded projections, at least five at three different tilts.
    start : Alignment, optional
        Where to begin: within some pixels, and ten degrees of the axis. By default the registration of
        which the projections predict each other best (`own_start`).
    rounds : int
        Rounds at each resolution, at most.
    tolerance_px : float
        A resolution is done when a round moves the projections by less than this, root mean square, in
        pixels of that resolution, or by less than the median standard error.
    refine_angle : bool
        Whether the angle of the tilt axis is to be found; otherwise that of `start` is kept.
    refine_along : bool
        Whether shifts along the tilt axis are to be found; otherwise those of `start` are kept.
    should_stop : callable, optional
        Asked after every round; when it returns true, what has been reached is the result.

    Yields
    ------
    TaskProgress
        After every round.

    Returns
    -------
    Alignment
        The sample's centre of mass is on the tilt axis, and on average the projections stay where they are
        along ``y``. ``residual_px`` is the standard error of each shift, from the curvature of the likelihood
        and from how well the projection agrees with the others. Constant
        projections get what their neighbours have, and the residual NaN.

    Raises
    ------
    DataError
        When values are not finite, or there are too few projections, tilts or pixels.

    ParameterError
        When a parameter is out of bounds.
    """
    if rounds < 1 or not tolerance_px > 0:
        raise ParameterError(
            f"projection matching: found {rounds} rounds to within {tolerance_px} px; "
            "expected at least 1 round, and a positive tolerance"
        )
    images = _images(series)
    usable = np.array([shows_anything(image) for image in images])
    tilts_deg = series.tilts_deg[usable]
    _require_enough(series, tilts_deg)
    start = own_start(series, disagreement) if start is None else start
    start_matrices = _start(series, start)
    state = _State(
        start_matrices[usable],
        float(np.median(affine.angles_deg(start_matrices))),
        np.full(len(tilts_deg), np.nan),
    )
    levels = _levels(tilts_deg, images[usable], state.matrices, rounds, tolerance_px)
    total = sum(level.rounds for level in levels)
    done, stopped = 0, False
    history: list[dict[str, Any]] = []
    for level in levels:
        raw = bin_images(images[usable], max(1, level.binning // 2))
        for number in range(level.rounds):
            noise = _advance(state, raw, tilts_deg, level, refine_angle, refine_along)
            history.append({"binning": level.binning, "change_px": state.change_px, "noise": noise})
            message = f"binning {level.binning}, round {number + 1}: moved {state.change_px:.3f} px"
            yield TaskProgress(done + number + 1, total, message)
            stopped = should_stop is not None and should_stop()
            # Rounds that move less than the noise does only follow the noise.
            enough = max(level.tolerance_px * level.binning, float(np.median(state.residual_px)))
            if stopped or state.change_px < enough:
                break
        done += level.rounds
        if stopped:
            break
    entry = {
        "step": "projection_matching",
        "start": None if start is None else start.method,
        "stopped": stopped,
        "rounds": history,
        "constant projections": np.flatnonzero(~usable).tolist(),
    }
    return _result(series, start, _all_tilts(series, state, usable), entry)


projection_matching = blocking(projection_matching_job)


def disagreement(series: TiltSeries, alignment: Alignment) -> float:
    """Return how badly projections predict each other: noise over signal, at low resolution.

    For comparing alignments of one series; smaller is better.

    Raises
    ------
    DataError
        As `projection_matching` does.
    """
    matrices = _start(series, alignment)
    images = _images(series)
    usable = np.array([shows_anything(image) for image in images])
    _require_enough(series, series.tilts_deg[usable])
    state = _State(matrices[usable], 0.0, np.full(int(usable.sum()), np.nan))
    level = _levels(series.tilts_deg[usable], images[usable], state.matrices, 1, 1.0)[0]
    raw = bin_images(images[usable], max(1, level.binning // 2))
    return _advance(state, raw, series.tilts_deg[usable], level, True)


def require_enough(series: TiltSeries) -> None:
    """Raise `DataError` unless there are enough finite projections, tilts and pixels to be matched."""
    series.require_finite()
    usable = np.array([shows_anything(np.asarray(one)) for one in series.projections()])
    _require_enough(series, series.tilts_deg[usable])


def _start(series: TiltSeries, start: Alignment | None) -> _Real:
    tilts, height, width = series.shape
    if start is None:
        return affine.identity(tilts)
    if len(start.matrices) != tilts:
        raise DataError(
            f"tilt series {series.name!r}: found a start with {len(start.matrices)} transforms for {tilts} "
            "projections; expected one each"
        )
    if start.shape is not None and tuple(start.shape) != (height, width):
        raise DataError(
            f"tilt series {series.name!r}: found a start for projections of {start.shape} pixels; "
            f"expected {(height, width)}"
        )
    return np.array(start.matrices)


def _images(series: TiltSeries) -> npt.NDArray[np.float32]:
    """Projections without their background; constant ones are 0."""
    series.require_finite()
    stack = np.stack([subtract_background(np.asarray(one, dtype=np.float64)) for one in series.projections()])
    stack /= np.float32(max(float(np.abs(stack).max()), 1e-30))
    return stack


def _require_enough(series: TiltSeries, tilts_deg: _Real) -> None:
    different = np.unique(tilts_deg).size
    if tilts_deg.size < _FEWEST_PROJECTIONS or different < 3:
        raise DataError(
            f"tilt series {series.name!r}: found {tilts_deg.size} projections that are not constant, at "
            f"{different} different tilts; expected at least {_FEWEST_PROJECTIONS} at 3 tilts, to match them"
        )
    if min(series.shape[1:]) < _SMALLEST_EDGE_PX:
        raise DataError(
            f"tilt series {series.name!r}: found projections of {series.shape[1:]} pixels; expected at least "
            f"{_SMALLEST_EDGE_PX} x {_SMALLEST_EDGE_PX}, to match them"
        )


def _all_tilts(series: TiltSeries, state: _State, usable: npt.NDArray[np.bool_]) -> _State:
    """Constant projections get what their neighbours have, and no residual."""
    if usable.all():
        return state
    order = np.argsort(series.tilts_deg[usable], kind="stable")
    numbers = state.matrices[order].reshape(len(order), 6)
    known = series.tilts_deg[usable][order]
    filled = np.stack([np.interp(series.tilts_deg, known, column) for column in numbers.T], axis=1)
    matrices = filled.reshape(-1, 2, 3)
    matrices[usable] = state.matrices
    residual = np.full(len(usable), np.nan)
    residual[usable] = state.residual_px
    return dataclasses.replace(state, matrices=matrices, residual_px=residual)


def _levels(
    tilts_deg: _Real, images: npt.NDArray[np.float32], matrices: _Real, rounds: int, tolerance_px: float
) -> list[_Level]:
    """From coarse to fine, up to where neighbouring tilts have nothing in common."""
    shape = images.shape[1:]
    step = np.deg2rad(float(np.median(np.diff(np.unique(tilts_deg)))))
    some = slice(None, None, max(1, len(images) // 12))
    radius = seen_radius(warp_all(images[some], matrices[some], 1))
    common = FIRST_ZERO_OF_J1 / (2 * np.pi * radius * step)
    levels: list[_Level] = []
    for binning in (4, 2, 1):
        if min(shape) < 32 * binning and binning > 1:
            continue
        highest = min(0.5 / binning, common)
        # The lowest frequencies first: shifts by more than half a wave mislead.
        if not levels:
            levels.append(_Level(binning, min(highest, 4 / radius), rounds, 10 * tolerance_px))
        levels.append(_Level(binning, highest, rounds, tolerance_px))
        if highest >= common:
            break
    return levels


def seen_radius(images: npt.NDArray[np.float32]) -> float:
    """How far from the axis the sample is seen above the noise, at most tilts, in pixels.

    What is apart from the sample does not belong to it.
    """
    width = images.shape[2]
    profile = images.sum(axis=1, dtype=np.float64)
    away = np.abs(np.arange(width) - (width - 1) / 2)
    steps = np.diff(profile, axis=1)
    noise = 1.05 * np.median(np.abs(steps - np.median(steps, axis=1, keepdims=True)), axis=1, keepdims=True)
    seen = profile > np.maximum(0.03 * profile.max(axis=1, keepdims=True), 4 * noise)
    gap = max(2, width // 40)
    reach = []
    for one in seen:
        nearest = (
            np.flatnonzero(one)[np.abs(np.flatnonzero(one) - (width - 1) / 2).argmin()] if one.any() else 0
        )
        empty = np.flatnonzero(np.convolve(~one, np.ones(gap), mode="valid") == gap)  # starts of gaps
        first = max((start + gap for start in empty if start + gap <= nearest), default=0)
        last = min((start - 1 for start in empty if start > nearest), default=width - 1)
        reach.append(max(away[first], away[last]))
    return float(np.clip(np.quantile(reach, 0.7) + 0.01 * width, 0.05 * width, 0.5 * width))


@on_one_thread
def _advance(
    state: _State,
    raw: npt.NDArray[np.float32],
    tilts_deg: _Real,
    level: _Level,
    refine_angle: bool,
    refine_along: bool = True,
) -> float:
    """One round: warp, compare, move. Returns noise over signal."""
    warped_binning = max(1, level.binning // 2)
    factor = level.binning // warped_binning
    images = warp_all(raw, affine.rescale(state.matrices, 1.0, warped_binning), factor)
    shape = images.shape[1], images.shape[2]
    matrices = affine.rescale(state.matrices, 1.0, level.binning)
    radius = seen_radius(images)
    rows, columns = window(shape, 1.05 * radius, matrices, shape)
    trust = np.interp(np.linspace(0, 1, shape[0]), np.linspace(0, 1, state.trust.size), state.trust)
    full = rows > 0.99
    rows = rows * trust
    masked = derivatives(images, rows, columns)
    consistency = Consistency(
        tilts_deg, _CYLINDER_OVER_SAMPLE_RADIUS * radius, shape[1], level.highest * level.binning
    )
    tilts = np.deg2rad(tilts_deg)
    mass = mass_path(
        masked.values, images[:, full] * trust[full, np.newaxis].astype(np.float32), tilts, radius
    )
    newton = mass.added_to(consistency.newton(masked))
    step, errors, _ = newton_step(newton, tilts, radius, refine_angle, refine_along)
    limit = 0.15 / (level.highest * level.binning)
    dx, dy = (np.clip(part, -limit, limit) for part in (step[: tilts.size], step[tilts.size : -1]))
    turn = float(np.clip(np.rad2deg(step[-1]), -1.5, 1.5)) if refine_angle else 0.0
    state.change_px = level.binning * float(
        np.sqrt((dx**2 + dy**2).mean() + (np.deg2rad(turn) * 0.5 * radius) ** 2)
    )
    move = affine.compose(
        affine.rotation(turn, affine.centre(shape)), affine.translation(dy, dx + mass.place)
    )
    state.matrices = affine.rescale(affine.compose(matrices, move), level.binning, 1.0)
    state.angle_deg += turn
    state.residual_px = level.binning * errors * np.sqrt(newton.misfit.mean(axis=1))
    if (
        state.change_px < _SETTLED_CHANGE_PX * level.binning
    ):  # before, rows disagree because they are not aligned
        misfit = newton.misfit.mean(axis=0) / np.maximum(rows, 0.05) ** 2
        state.trust = _trust_in_rows(misfit, images, columns, full)
    return newton.noise


def _trust_in_rows(
    misfit: _Real, images: npt.NDArray[np.float32], columns: _Real, full: npt.NDArray[np.bool_]
) -> _Real:
    """Rows where other matter enters at some tilts disagree more than their signal explains."""
    from scipy import ndimage

    if full.sum() < 8:
        return np.ones(misfit.size)
    signal = ((images * columns.astype(np.float32)) ** 2).sum(axis=(0, 2), dtype=np.float64)
    signal += 0.1 * signal[full].max() + 1e-30
    noise = float(np.quantile(misfit[full], 0.1))  # that of rows with next to nothing in them
    relative = np.maximum(misfit - noise, 0) / signal
    strong = full & (signal > 0.3 * signal[full].max())
    usual = np.median(relative[strong]) + noise / np.median(signal[strong])
    trust: _Real = 1 / (1 + (relative / (_DISTRUSTED_MISFIT_RATIO * usual + 1e-30)) ** 4)
    return np.asarray(ndimage.gaussian_filter1d(np.clip(trust, 0.02, 1), 1.5))


def _result(series: TiltSeries, start: Alignment | None, state: _State, entry: dict[str, Any]) -> Alignment:
    shape = series.shape[1:]
    middle = np.array(affine.centre(shape))
    # On average the middle stays where it is along y; the sample may be anywhere along it.
    seen = affine.apply(state.matrices, middle[np.newaxis])[:, 0] - middle
    matrices = affine.compose(state.matrices, affine.translation(-float(np.median(seen[:, 0])), 0.0))
    seen = affine.apply(matrices, middle[np.newaxis])[:, 0] - middle
    tilts = np.deg2rad(series.tilts_deg)
    waves = np.stack([np.cos(tilts), np.sin(tilts), np.ones_like(tilts)], axis=1)
    offset = float(np.linalg.lstsq(waves, seen[:, 1], rcond=None)[0][2])
    return Alignment(
        reference=series.name,
        tilts_deg=series.tilts_deg,
        matrices=matrices,
        axis_angle_deg=state.angle_deg,
        axis_offset_px=offset,
        residual_px=state.residual_px,
        pixel_size_nm=series.pixel_size_nm,
        shape=(shape[0], shape[1]),
        method="projection_matching",
        provenance=(*(() if start is None else start.provenance), entry),
    )
