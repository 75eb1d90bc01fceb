"""What a tilt series shows: where its tilt axis may be, and whether the specimen ends inside of the field."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from chemtomo.align.images import Images, pedestal, prepare_images
from chemtomo.align.starting_point import current
from chemtomo.align.transforms.manual import set_axis
from chemtomo.data import Alignment, TiltSeries
from chemtomo.geometry.resample import warp

__all__ = ["KINDS", "AxisDirection", "SpecimenKind", "axis_direction", "kind_of", "starting_along"]

SpecimenKind = Literal["isolated", "needle", "film", "lamella"]
KINDS: tuple[str, ...] = get_args(SpecimenKind)

_LARGEST = 256
_SMOOTH_PX = 2.0
_SWEEPS = 6
_LOW_DEG = 40.0
_AT_EDGE = 0.3  # of the mean inside: matter crosses the edge
_ALONG_EDGE = 0.1
_RISE = 1.15  # of the level between particles with the path through a film
_OF_MEAN = 0.3


@dataclasses.dataclass(frozen=True)
class AxisDirection:
    """Along which edge of the images the tilt axis runs.

    Attributes
    ----------
    angle_deg : float
        0, along ``y``, or 90, along ``x``.
    disagreement : dict
        How far the sums across the axis are from their median over the tilts, relative to it, for either.
    margin : float
        By how many times the other one disagrees more.
    """

    angle_deg: float
    disagreement: dict[str, float]
    margin: float


def axis_direction(series: TiltSeries) -> AxisDirection:
    """Find out whether the tilt axis is nearer to ``y`` or to ``x``, from the common line.

    The sums across the tilt axis are the same at every tilt, as far as the field holds the specimen; across
    any other line the specimen becomes narrower and wider. Shifts and the strength of every projection are
    free.

    Parameters
    ----------
    series : TiltSeries
        Recorded projections; an alignment of them is not looked at.
    """
    from scipy import ndimage

    images = prepare_images(series, current(series.replace(alignment=None)), _LARGEST)
    stack = np.maximum(images.stack[images.usable], 0)
    found = {}
    for name, axis in (("y", 2), ("x", 1)):
        profiles = ndimage.gaussian_filter1d(stack.sum(axis=axis, dtype=np.float64), _SMOOTH_PX, axis=1)
        found[name] = _disagreement(profiles)
    angle = 0.0 if found["y"] <= found["x"] else 90.0
    smaller, larger = sorted(found.values())
    return AxisDirection(angle, found, larger / max(smaller, 1e-12))


def _disagreement(profiles: npt.NDArray[np.float64]) -> float:
    """Root mean square distance of profiles (tilt, place) from their median over its mean."""
    places = np.arange(profiles.shape[1])
    shifts = np.zeros(len(profiles))
    moved, typical = profiles, profiles[0]
    for _ in range(_SWEEPS):
        moved = np.stack(
            [np.interp(places + shift, places, one) for shift, one in zip(shifts, profiles, strict=True)]
        )
        moved = moved / np.maximum(moved.sum(axis=1, keepdims=True), 1e-30)
        typical = np.median(moved, axis=0)
        slope = np.gradient(typical)
        shifts = shifts - (moved - typical) @ slope / max(float(slope @ slope), 1e-30)
        shifts = np.clip(shifts, -places.size / 6, places.size / 6)
    return float(np.sqrt(((moved - typical) ** 2).mean()) / max(float(typical.mean()), 1e-30))


def _is_uniform_film(series: TiltSeries, start: Alignment, images: Images) -> bool:
    """Whether the level between what stands out rises with the path of the beam through a film."""
    tilts = np.abs(images.tilts_deg)
    levels = np.array(
        [
            pedestal(warp(np.asarray(one, dtype=np.float32), matrix, fill="nearest"))[0]
            for one, matrix in zip(series.projections(), start.matrices, strict=True)
        ]
    )
    means = images.stack.mean(axis=(1, 2), dtype=np.float64)
    steep = images.usable & (tilts >= np.quantile(tilts, 0.8))
    flat = images.usable & (tilts <= np.quantile(tilts, 0.3))
    if not (steep.any() and flat.any()):
        return False
    low, high = float(np.median(levels[flat])), float(np.median(levels[steep]))
    return low > _OF_MEAN * (low + float(np.median(means[flat]))) and high > _RISE * low


def kind_of(series: TiltSeries, start: Alignment) -> tuple[SpecimenKind, bool]:
    """Return what the specimen looks like, and whether it has texture at the edges of the field.

    Whether a film is a lamella, patches will tell. What stands on a uniform film is isolated once the level
    of the film is subtracted.
    """
    images = prepare_images(series, start, _LARGEST)
    across, along = _at_edges(images)
    if across > _AT_EDGE:
        return "film", True
    if _is_uniform_film(series, start, images):
        return "film", False
    return ("needle" if along > _ALONG_EDGE else "isolated"), False


def _at_edges(images: Images) -> tuple[float, float]:
    """Mean at the edges across and along the axis, over the mean in the middle, at low tilts."""
    order = np.argsort(np.where(images.usable, np.abs(images.tilts_deg), np.inf), kind="stable")
    low = [one for one in order if images.usable[one] and abs(images.tilts_deg[one]) <= _LOW_DEG] or [
        order[0]
    ]
    stack = np.maximum(images.stack[low], 0).mean(axis=0, dtype=np.float64)
    height, width = stack.shape
    strip = max(1, width // 32), max(1, height // 32)
    middle = float(stack[height // 4 : -(height // 4), width // 4 : -(width // 4)].mean())
    across = float(stack[:, np.r_[: strip[0], -strip[0] : 0]].mean())
    along = float(stack[np.r_[: strip[1], -strip[1] : 0]].mean())
    return across / max(middle, 1e-30), along / max(middle, 1e-30)


def starting_along(series: TiltSeries, angle_deg: float) -> Alignment:
    """Return the start of a search for a tilt axis in this direction."""
    recorded = current(series.replace(alignment=None))
    return recorded if angle_deg == 0 else set_axis(recorded, angle_deg, 0.0)
