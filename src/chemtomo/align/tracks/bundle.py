"""Bundle adjustment: shifts, angle of the tilt axis and points that explain all tracks together."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from chemtomo.align.tracks.patches import Observations

__all__ = ["Bundle", "adjust"]

_Real = npt.NDArray[np.float64]

_ROUNDS = 40


@dataclasses.dataclass(frozen=True, eq=False)
class Bundle:
    """What explains the tracks.

    Attributes
    ----------
    shifts : numpy.ndarray, shape (tilt, 2)
        Where the middle of the sample is, ``(y, x)`` from the middle of the field.
    angle_deg : float
        Angle of the tilt axis with ``y`` towards ``x``.
    points : numpy.ndarray, shape (track, 3)
        Places of the patches in the sample, ``(z, y, x)`` in its own frame.
    trust : numpy.ndarray, shape (track,)
        Mean weight of a track, 0 to 1.
    residuals_px : numpy.ndarray, shape (observation,)
        How far every observation is from what is explained.
    errors_px : numpy.ndarray, shape (tilt,)
        Standard errors of the shifts, with the noise as it is found.
    angle_error_deg : float
        Standard error of the angle.
    seen : numpy.ndarray of int, shape (tilt,)
        How many tracks were trusted at every tilt.
    scale : float
        By how much residuals are larger than the covariances of the observations say.
    """

    shifts: _Real
    angle_deg: float
    points: _Real
    trust: _Real
    residuals_px: _Real
    errors_px: _Real
    angle_error_deg: float
    seen: npt.NDArray[np.intp]
    scale: float


def adjust(
    found: Observations,
    tilts_deg: _Real,
    middle: _Real,
    *,
    start: Bundle | None = None,
    rounds: int = _ROUNDS,
) -> Bundle:
    """Fit shifts, axis angle and points to tracks, robustly.

    A point ``(z, y, x)`` of the sample is seen at ``shift + y a + (x cos t + z sin t) c``, with ``a`` the
    direction of the tilt axis and ``c`` across it. Given the angle, that is linear in shifts and points;
    Gauss-Newton steps, in which the points are eliminated, adjust the angle. Residuals count as of a
    Student distribution, so that patches that were lost or follow two things at once do not draw.

    Parameters
    ----------
    found : Observations
        The tracks.
    tilts_deg : numpy.ndarray, shape (tilt,)
        In degrees.
    middle : numpy.ndarray, shape (2,)
        Middle ``(y, x)`` of the field, on which the axis turns.
    start : Bundle, optional
        Where to begin: what other tracks of the same projections gave.
    rounds : int
        Gauss-Newton steps, at most.
    """
    tilts = np.deg2rad(tilts_deg)
    count, tracks = len(tilts), found.tracks
    cosine, sine = np.cos(tilts)[found.tilt], np.sin(tilts)[found.tilt]
    seen = found.places - middle
    angle = 0.0 if start is None else float(np.deg2rad(start.angle_deg))
    values = np.zeros((count, 2)) if start is None else start.shifts
    points = np.zeros((tracks, 3))
    weights = np.ones(found.track.size)
    residual = np.zeros_like(seen)
    scale = 1.0
    covariance = np.eye(2 * count + 1)
    for round_ in range(rounds):
        along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        to_points = np.stack(
            [
                sine[:, np.newaxis] * across,
                np.broadcast_to(along, seen.shape),
                cosine[:, np.newaxis] * across,
            ],
            axis=2,
        )
        explained = values[found.tilt] + np.einsum("oij,oj->oi", to_points, points[found.track])
        residual = seen - explained
        off = np.sqrt((np.einsum("oij,oj->oi", found.roots, residual) ** 2).sum(axis=1))
        if round_:
            scale = max(float(np.median(off)) / 1.18, 1e-3)
            weights = 1 / (1 + (off / (2.5 * scale)) ** 2)
        root = found.roots * np.sqrt(weights)[:, np.newaxis, np.newaxis]
        # The angle turns a and c: y and x cos t + z sin t of the points come with it.
        place = points[found.track]
        turned = (
            place[:, 1, np.newaxis] * across
            - (place[:, 2] * cosine + place[:, 0] * sine)[:, np.newaxis] * along
        )
        reach = max(float(np.abs(place).max()), 1.0)
        step, new_points, covariance = _step(
            root, to_points, turned / reach, residual, found, count, tracks, round_ > 0
        )
        values = values + step[:-1].reshape(count, 2)
        points = points + new_points
        turn = float(np.clip(step[-1] / reach, -0.1, 0.1))
        angle += turn
        covariance[-1] /= reach
        covariance[:, -1] /= reach
        moved = float(np.abs(step).max())
        if round_ > 4 and moved < 1e-4:
            break
    turned_gauge = np.linalg.qr(_gauge(tilts, angle))[0]
    values = values.ravel() - turned_gauge @ (turned_gauge.T @ values.ravel())
    variances = np.maximum(np.diag(covariance), 0) * scale**2
    trusted = weights > 0.3
    trust = np.bincount(found.track, weights, tracks) / np.maximum(
        np.bincount(found.track, minlength=tracks), 1
    )
    return Bundle(
        shifts=values.reshape(count, 2),
        angle_deg=float(np.rad2deg(angle)),
        points=points,
        trust=trust,
        residuals_px=np.linalg.norm(residual, axis=1),
        errors_px=np.sqrt(variances[:-1].reshape(count, 2).sum(axis=1)),
        angle_error_deg=float(np.rad2deg(np.sqrt(variances[-1]))),
        seen=np.bincount(found.tilt[trusted], minlength=count),
        scale=scale,
    )


def _gauge(tilts: _Real, angle: float) -> _Real:
    """Shifts that only move the sample: along the axis, and with cosine and sine across it."""
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    one = np.ones_like(tilts)
    modes = [
        np.outer(a, b).ravel() for a, b in ((one, along), (np.cos(tilts), across), (np.sin(tilts), across))
    ]
    return np.stack(modes, axis=1)


def _step(
    root: _Real,
    to_points: _Real,
    turned: _Real,
    residual: _Real,
    found: Observations,
    count: int,
    tracks: int,
    fit_angle: bool,
) -> tuple[_Real, _Real, _Real]:
    """One weighted least-squares step of shifts and angle, the points eliminated track by track."""
    size = 2 * count + 1
    r = np.einsum("oij,oj->oi", root, residual)
    c = np.einsum("oij,ojk->oik", root, to_points)
    g = np.einsum("oij,oj->oi", root, turned) if fit_angle else np.zeros_like(residual)
    normal = np.zeros((size, size))
    right = np.zeros(size)
    squares = np.einsum("oij,oik->ojk", root, root)
    for a in range(2):
        np.add.at(right, 2 * found.tilt + a, np.einsum("oi,oi->o", root[:, :, a], r))
        mixed = np.bincount(found.tilt, np.einsum("oi,oi->o", root[:, :, a], g), count)
        normal[a:-1:2, -1] += mixed
        normal[-1, a:-1:2] += mixed
        for b in range(2):
            at = np.arange(count)
            normal[2 * at + a, 2 * at + b] += np.bincount(found.tilt, squares[:, a, b], count)
    right[-1] = (g * r).sum()
    normal[-1, -1] = (g * g).sum()
    blocks = np.zeros((tracks, 3, 3))
    np.add.at(blocks, found.track, np.einsum("oij,oik->ojk", c, c))
    blocks += 1e-9 * np.trace(blocks, axis1=1, axis2=2)[:, np.newaxis, np.newaxis] * np.eye(
        3
    ) + 1e-12 * np.eye(3)
    inverse = np.linalg.inv(blocks)
    coupling = np.zeros((tracks, 3, size))
    crossed = np.einsum("oij,oik->ojk", c, root)
    np.add.at(
        coupling,
        (found.track[:, None, None], np.arange(3)[:, None], (2 * found.tilt)[:, None, None] + np.arange(2)),
        crossed,
    )
    np.add.at(coupling[:, :, -1], found.track, np.einsum("oij,oi->oj", c, g))
    own = np.zeros((tracks, 3))
    np.add.at(own, found.track, np.einsum("oij,oi->oj", c, r))
    reduced = np.einsum("pij,pjk->pik", inverse, coupling)
    normal -= np.einsum("pji,pjk->ik", coupling, reduced)
    right -= np.einsum("pji,pj->i", reduced, own)
    if not fit_angle:
        normal[-1, -1] += 1.0
    scale = float(np.trace(normal)) / size
    # What only moves the sample, and tilts at which nothing was followed, stay where they are.
    values, vectors = np.linalg.eigh(normal)
    good = values > 1e-7 * scale
    pseudo = (vectors[:, good] / values[good]) @ vectors[:, good].T
    step = pseudo @ right
    points = np.einsum("pij,pj->pi", inverse, own) - np.einsum("pij,j->pi", reduced, step)
    return step, points, pseudo
