"""Projection matching of films and lamellae: every projection against what all others say of the layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.align.images import shows_anything
from chemtomo.align.matching.agreement import Agreement, agreement_of, bands_of
from chemtomo.align.matching.aligned_images import bin_images, derivatives, warp_all
from chemtomo.align.matching.consistency import Derivatives, Newton
from chemtomo.align.matching.newton_step import newton_step
from chemtomo.align.matching.slab_consistency import SlabConsistency
from chemtomo.align.matching.threads import on_one_thread
from chemtomo.data import Alignment, TiltSeries
from chemtomo.errors import DataError
from chemtomo.geometry import affine
from chemtomo.progress import TaskProgress, blocking

__all__ = ["Layer", "slab_held_out", "slab_matching", "slab_matching_job"]

_Real = npt.NDArray[np.float64]
_Images = npt.NDArray[np.float32]

_LARGEST = 256
_STEEPEST_DEG = 80.0  # against the normal of the layer
_FEWEST = 5
_TAPER = 0.2  # of the field, at each edge
_COARSE_PX = 12.0  # changes of the projections that are much slower are taken out
# Highest frequency and most rounds of each level.
_LEVELS = ((0.06, 4), (0.15, 4))
_SETTLED_PX = 0.02
# Of the thickness in which patches were followed: what overlaps is followed in the middle of the layer.
_THICKER = (0.7, 1.0, 1.4, 2.0, 2.8)
_FINER = (0.85, 1.0, 1.18)
_THINNEST_PX = 4.0


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer in the aligned frame.

    Attributes
    ----------
    thickness_px : float
        In pixels of the projections.
    tilted_deg : float
        Turn of the layer about the tilt axis: it is seen from the front at this tilt.
    slope : float
        By how much it rises along the tilt axis, ``dz / dy``.
    """

    thickness_px: float
    tilted_deg: float = 0.0
    slope: float = 0.0


class _Views:
    """Stretched projections of a layer, and their likelihood."""

    def __init__(self, series: TiltSeries, layer: Layer) -> None:
        series.require_finite()
        usable = np.array([shows_anything(np.asarray(one)) for one in series.projections()])
        steep = np.abs(series.tilts_deg - layer.tilted_deg) > _STEEPEST_DEG
        self.usable = usable & ~steep
        self.tilts_deg = series.tilts_deg[self.usable]
        if np.unique(self.tilts_deg).size < _FEWEST:
            raise DataError(
                f"tilt series {series.name!r}: found {np.unique(self.tilts_deg).size} tilts at which the "
                f"layer is seen; expected at least {_FEWEST}"
            )
        self.factor = max(1, -(-max(series.shape[1:]) // _LARGEST))
        chosen = (one for one, good in zip(series.projections(), self.usable, strict=True) if good)
        self.raw = bin_images(np.stack([np.asarray(one, dtype=np.float32) for one in chosen]), self.factor)
        self.shape = self.raw.shape[1], self.raw.shape[2]
        self.layer = layer
        self.tilts = np.deg2rad(self.tilts_deg - layer.tilted_deg)
        self.cosines = np.cos(self.tilts)
        self.rows, self.columns = (_falling(edge) for edge in self.shape)

    def binned(self, matrices: _Real) -> _Real:
        return affine.rescale(matrices, 1.0, self.factor)

    def seen(self, matrices: _Real) -> _Images:
        """Projections as the layer has them, free of slow changes: a place of its plane stays where it is."""
        from scipy import ndimage

        middle = affine.centre(self.shape)
        to_field = affine.identity(self.tilts.size)
        to_field[:, 1, 1] = self.cosines
        to_field[:, 1, 0] = self.layer.slope * np.sin(self.tilts)
        to_field[:, 1, 2] = middle[1] * (1 - self.cosines) - middle[0] * to_field[:, 1, 0]
        images = warp_all(self.raw, affine.compose(matrices, to_field), 1)
        images = images * self.cosines[:, np.newaxis, np.newaxis].astype(np.float32)
        images = images - ndimage.gaussian_filter(images, (0, _COARSE_PX, _COARSE_PX), mode="nearest")
        weights = np.outer(self.rows, self.columns)
        means = np.einsum("tyx,yx->t", images, weights) / weights.sum()
        level: _Images = (images - means[:, np.newaxis, np.newaxis]).astype(np.float32)
        return level

    def consistency(self, thickness_px: float, highest: float) -> SlabConsistency:
        degrees = np.rad2deg(self.tilts)
        return SlabConsistency(degrees, thickness_px, self.columns, highest)

    def derivatives(self, images: _Images, rows: _Real | None = None) -> Derivatives:
        return derivatives(images, self.rows if rows is None else rows, self.columns, self.cosines)

    def windowed(self, images: _Images) -> _Images:
        return images * np.outer(self.rows, self.columns).astype(np.float32)


def slab_matching_job(
    series: TiltSeries,
    start: Alignment,
    layer: Layer,
    *,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[TaskProgress, None, Alignment]:
    """Refine shifts and the angle of the tilt axis of a layer that fills the field.

    As `chemtomo.align.matching.projection_matching`, with a layer in place of a cylinder
    (`chemtomo.align.matching.slab_consistency`). The thickness is that with the highest likelihood.

    Parameters
    ----------
    series : TiltSeries
        It is not modified.
    start : Alignment
        Where to begin, to within one or two pixels: from `chemtomo.align.patch_tracks`.
    layer : Layer
        Where the layer lies, and about how thick it is.
    should_stop : callable, optional
        Asked after every round; when it returns true, what has been reached is the result.

    Yields
    ------
    TaskProgress
        After every round.

    Returns
    -------
    Alignment
        ``residual_px`` are standard errors, from how far bands of rows disagree. Constant projections, and
        those along the layer, keep what they had, with the residual of the start.

    Raises
    ------
    DataError
        When values are not finite, or there are too few tilts.
    """
    views = _Views(series, layer)
    matrices = views.binned(start.matrices[views.usable])
    radius = 0.5 * views.shape[1]
    turned, done = 0.0, 0
    total = sum(rounds for _, rounds in _LEVELS) + 1
    thickness = max(layer.thickness_px / views.factor, _THINNEST_PX)
    factors: Sequence[float] = _THICKER
    history: list[dict[str, float]] = []
    stopped = False
    for highest, rounds in _LEVELS:
        for number in range(rounds):
            images = views.seen(matrices)
            if number < 2:
                thickness = _thickest(views, images, highest, [one * thickness for one in factors])
                factors = _FINER
            move, turn, change = _advance(views, images, thickness, highest, radius)
            matrices = affine.compose(matrices, move)
            turned += turn
            history.append({"highest frequency": highest, "thickness_px": thickness, "change_px": change})
            yield TaskProgress(done + number + 1, total, f"layer, round {number + 1}: moved {change:.3f} px")
            stopped = should_stop is not None and should_stop()
            if stopped or change < _SETTLED_PX:
                break
        done += rounds
        if stopped:
            break
    agreement = _agreement(views, matrices, thickness, radius)
    entry = {
        "step": "slab_matching",
        "start": start.method,
        "stopped": stopped,
        "rounds": history,
        "thickness_px": thickness * views.factor,
        "angle error, deg": agreement.angle_error_deg,
        "disagreement, px": {name: apart * views.factor for name, apart in agreement.disagreement_px.items()},
    }
    return _result(series, start, views, matrices, turned, agreement.errors_px, entry)


slab_matching = blocking(slab_matching_job)


@on_one_thread
def slab_held_out(series: TiltSeries, alignments: Sequence[Alignment], layer: Layer) -> _Real:
    """Return the relative squared error of every projection, predicted from all others, as of a layer.

    Parameters
    ----------
    series : TiltSeries
        Recorded projections.
    alignments : sequence of Alignment
        Of this series.
    layer : Layer
        With the thickness that all are judged with.

    Returns
    -------
    numpy.ndarray, shape (alignment, tilt)
        NaN at tilts at which the layer is not seen.
    """
    views = _Views(series, layer)
    consistency = views.consistency(layer.thickness_px / views.factor, _LEVELS[1][0])
    errors = np.full((len(alignments), series.shape[0]), np.nan)
    for number, one in enumerate(alignments):
        images = views.windowed(views.seen(views.binned(one.matrices[views.usable])))
        errors[number, views.usable] = consistency.held_out(images)
    return errors


@on_one_thread
def _thickest(views: _Views, images: _Images, highest: float, thicknesses: Sequence[float]) -> float:
    """Return the thickness with the highest likelihood."""
    windowed = views.windowed(images)
    likelihoods = [views.consistency(one, highest).log_likelihood(windowed) for one in thicknesses]
    return float(thicknesses[int(np.argmax(likelihoods))])


@on_one_thread
def _advance(
    views: _Views, images: _Images, thickness: float, highest: float, radius: float
) -> tuple[_Real, float, float]:
    """One round: how to move the projections, by what angle they turn, and how far that is in pixels."""
    newton = views.consistency(thickness, highest).newton(views.derivatives(images))
    step, *_ = newton_step(newton, views.tilts, radius)
    count, limit = views.tilts.size, 0.15 / highest
    along_x, along_y = np.clip(step[:count], -limit, limit), np.clip(step[count:-1], -limit, limit)
    turn = float(np.clip(np.rad2deg(step[-1]), -1.5, 1.5))
    change = np.sqrt((along_x**2 + along_y**2).mean() + (np.deg2rad(turn) * 0.5 * radius) ** 2)
    move = affine.compose(
        affine.rotation(turn, affine.centre(views.shape)), affine.translation(along_y, along_x)
    )
    return move, turn, float(change)


@on_one_thread
def _agreement(views: _Views, matrices: _Real, thickness: float, radius: float) -> Agreement:
    images = views.seen(matrices)
    consistency = views.consistency(thickness, _LEVELS[-1][0])
    changes = views.derivatives(images)
    power = (changes.values**2).sum(axis=(0, 2), dtype=np.float64)

    def newton_of(band: _Real) -> Newton:
        return consistency.newton(views.derivatives(images, views.rows * band))

    return agreement_of(consistency, changes, newton_of, bands_of(power), views.tilts, radius)


def _falling(edge: int) -> _Real:
    """Weights of rows or columns: 1 in the middle, and falling to 0 at both ends."""
    from_edge = (np.minimum(np.arange(edge), np.arange(edge)[::-1]) + 0.5) / edge
    weights: _Real = 0.5 - 0.5 * np.cos(np.pi * np.clip(from_edge / _TAPER, 0, 1))
    return weights


def _result(
    series: TiltSeries,
    start: Alignment,
    views: _Views,
    matrices: _Real,
    turned: float,
    errors: _Real,
    entry: dict[str, Any],
) -> Alignment:
    every = affine.compose(start.matrices, affine.rotation(turned, affine.centre(series.shape[1:])))
    every[views.usable] = affine.rescale(matrices, views.factor, 1.0)
    middle = np.array(affine.centre(series.shape[1:]))
    tilts = np.deg2rad(series.tilts_deg)
    waves = np.stack([np.cos(tilts), np.sin(tilts), np.ones_like(tilts)], axis=1)
    places = affine.apply(every, middle[np.newaxis])[:, 0] - middle
    residual = np.full(tilts.size, np.nan) if start.residual_px is None else np.array(start.residual_px)
    residual[views.usable] = errors * views.factor
    return start.replace(
        matrices=every,
        axis_angle_deg=start.axis_angle_deg + turned,
        axis_offset_px=float(np.linalg.lstsq(waves, places[:, 1], rcond=None)[0][2]),
        residual_px=residual,
        method="slab-matching",
        provenance=(*start.provenance, entry),
    )
