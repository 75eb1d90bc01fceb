"""Magnification and rotation of every projection, and errors of the tilts, from tracks."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.align.tracks.bundle import Bundle, adjust
from chemtomo.align.tracks.patches import Observations
from chemtomo.geometry import affine

__all__ = ["KINDS", "Distortion", "adjust_with_distortion", "distorted", "told_of"]

_Real = npt.NDArray[np.float64]

KINDS = ("magnification", "rotation", "tilt")
"""What may differ from tilt to tilt: a factor less 1, and two angles in degrees."""

_SWEEPS = 6
_ROUNDS = 6
_CLEARLY = 3.0  # standard errors by which two halves have to agree
_FEWEST = 8  # tracks at a tilt


@dataclasses.dataclass(frozen=True, eq=False)
class Distortion:
    """What one kind of distortion is at every tilt.

    Attributes
    ----------
    values : numpy.ndarray, shape (tilt,)
        On average 0; 0 where it is not determined.
    error : float
        Standard error of a value.
    determined : bool
        Whether two halves of the tracks agree about it.
    """

    values: _Real
    error: float
    determined: bool


def adjust_with_distortion(
    found: Observations, tilts_deg: _Real, middle: _Real, bundle: Bundle
) -> tuple[Bundle, dict[str, Distortion]]:
    """Fit a magnification, a rotation and a correction of the tilt for every projection.

    Two halves of the tracks, from opposite quadrants of the field, are fitted by themselves. What they have
    in common is the distortion, and how they differ is its error: with the variances of both, every value is
    reduced to what is to be expected of it (empirical Bayes). A kind about which the halves do not agree
    clearly is left out. An offset common to all tilts only turns the sample, and is not determined.

    Parameters
    ----------
    found : Observations
        The tracks.
    tilts_deg : numpy.ndarray, shape (tilt,)
        In degrees.
    middle : numpy.ndarray, shape (2,)
        Middle ``(y, x)`` of the field.
    bundle : Bundle
        The fit without distortion.

    Returns
    -------
    bundle : Bundle
        The fit with magnification and rotation as far as they are determined. Tilts are left as they are.
    distortions : dict
        Of each of `KINDS`.
    """
    place = bundle.points[:, 1:] - np.median(bundle.points[:, 1:], axis=0)
    opposite = (place[:, 0] > 0) == (place[:, 1] > 0)
    halves = [found.part(chosen[found.track]) for chosen in (opposite, ~opposite)]
    one, two = (_fitted(half, tilts_deg, middle, bundle) for half in halves)
    distortions = {kind: _common(one[:, at], two[:, at]) for at, kind in enumerate(KINDS)}
    applied = np.stack([distortions[kind].values for kind in KINDS], axis=1) * [1, 1, 0]
    if not applied.any():
        return bundle, distortions
    straight = _without(found, applied, middle, bundle)
    return adjust(straight, tilts_deg, middle, start=bundle), distortions


def distorted(
    angle_deg: float,
    distortions: dict[str, Distortion],
    order: npt.NDArray[np.intp],
    middle: _Real,
    count: int,
) -> affine.Matrices:
    """Return maps that turn by the angle of the axis and by what is determined of the distortions.

    Parameters
    ----------
    angle_deg : float
        Of the tilt axis.
    distortions : dict
        From `adjust_with_distortion`, of the projections `order`.
    order : numpy.ndarray of int
        Their numbers.
    middle : numpy.ndarray, shape (2,)
        About which they turn and grow.
    count : int
        Of all projections.
    """
    factors, angles = np.ones(count), np.full(count, angle_deg)
    if distortions:
        factors[order] += distortions["magnification"].values
        angles[order] += distortions["rotation"].values
    about = (float(middle[0]), float(middle[1]))
    grown = affine.identity(count)
    grown[:, :, :2] *= factors[:, np.newaxis, np.newaxis]
    grown[:, :, 2] = middle * (1 - factors[:, np.newaxis])
    return affine.compose(grown, affine.rotation(angles, about))


def told_of(distortions: dict[str, Distortion], tilts_deg: _Real) -> dict[str, Any]:
    """Return what the provenance says of distortions."""
    if not distortions:
        return {}
    told: dict[str, Any] = {
        kind: {"determined": one.determined, "standard error": one.error, "values": one.values.tolist()}
        for kind, one in distortions.items()
    }
    return {"distortion": told | {"tilts_deg": tilts_deg.tolist()}}


def _common(one: _Real, two: _Real) -> Distortion:
    known = np.isfinite(one) & np.isfinite(two)
    a, b = one[known] - one[known].mean(), two[known] - two[known].mean()
    values = np.zeros(one.size)
    if a.size < 3:
        return Distortion(values, np.inf, False)
    shared = float((a * b).mean())
    noise = float(((a - b) ** 2).mean()) / 4  # of the mean of both
    chance = float((a * b).std()) / np.sqrt(a.size)
    determined = shared > _CLEARLY * chance
    reduction = shared / (shared + noise) if determined else 0.0
    values[known] = reduction * (a + b) / 2
    return Distortion(values, float(np.sqrt(noise * (reduction if determined else 1.0))), determined)


def _fitted(found: Observations, tilts_deg: _Real, middle: _Real, bundle: Bundle) -> _Real:
    """Return distortions of all `KINDS`, shape (tilt, kind); NaN at tilts with few tracks."""
    values = np.zeros((tilts_deg.size, len(KINDS)))
    for _ in range(_SWEEPS):
        straight = _without(found, values, middle, bundle)
        bundle = adjust(straight, tilts_deg + values[:, 2], middle, start=bundle, rounds=_ROUNDS)
        values = values + _further(straight, tilts_deg + values[:, 2], middle, bundle)
        values -= np.nanmean(values, axis=0)
        values = np.nan_to_num(values)
    counts = np.bincount(found.tilt, minlength=tilts_deg.size)
    values[counts < _FEWEST] = np.nan
    return values


def _further(found: Observations, tilts_deg: _Real, middle: _Real, bundle: Bundle) -> _Real:
    """One step: what the residuals of every tilt have of each kind, beside a shift."""
    angle, tilts = np.deg2rad(bundle.angle_deg), np.deg2rad(tilts_deg)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    z, y, x = bundle.points[found.track].T
    cosine, sine = np.cos(tilts)[found.tilt], np.sin(tilts)[found.tilt]
    place = np.outer(y, along) + np.outer(x * cosine + z * sine, across)
    residual = found.places - middle - bundle.shifts[found.tilt] - place
    turned = np.deg2rad(np.stack([-place[:, 1], place[:, 0]], axis=1))
    tilted = np.deg2rad(np.outer(z * cosine - x * sine, across))
    constant = [np.broadcast_to(one, residual.shape) for one in np.eye(2)]
    design = np.stack([*constant, place, turned, tilted], axis=2)
    off = np.linalg.norm(np.einsum("oij,oj->oi", found.roots, residual), axis=1)
    trust = 1 / (1 + (off / (2.5 * max(bundle.scale, 1e-3))) ** 2)
    root = found.roots * np.sqrt(trust)[:, np.newaxis, np.newaxis]
    whitened = np.einsum("oij,ojk->oik", root, design)
    aim = np.einsum("oij,oj->oi", root, residual)
    steps = np.full((tilts.size, len(KINDS)), np.nan)
    for at in range(tilts.size):
        here = found.tilt == at
        if here.sum() >= _FEWEST:
            solution = np.linalg.lstsq(whitened[here].reshape(-1, 5), aim[here].ravel(), rcond=1e-6)[0]
            steps[at] = solution[2:]
    return steps


def _without(found: Observations, values: _Real, middle: _Real, bundle: Bundle) -> Observations:
    """Return the tracks as they would be without magnification and rotation."""
    about = middle + bundle.shifts[found.tilt]
    factor, turn = 1 + values[found.tilt, 0], np.deg2rad(values[found.tilt, 1])
    y, x = (found.places - about).T / factor
    back = np.stack([np.cos(turn) * y + np.sin(turn) * x, np.cos(turn) * x - np.sin(turn) * y], axis=1)
    return dataclasses.replace(found, places=about + back)
