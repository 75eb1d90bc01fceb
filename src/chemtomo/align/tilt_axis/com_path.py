"""Angle and offset of the tilt axis by the paths of mass centres."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator

import numpy as np
import numpy.typing as npt

from chemtomo.align.images import Images, prepare_images
from chemtomo.align.moments import SliceMoments, slice_moments
from chemtomo.align.registration.center_of_mass import require_tilts
from chemtomo.align.sample_mask import sample_only
from chemtomo.align.starting_point import current
from chemtomo.align.tilt_axis.search import PARTS, best_angle, jackknife_error, registered, with_axis
from chemtomo.data import Alignment, TiltSeries
from chemtomo.geometry import affine
from chemtomo.progress import TaskProgress, blocking

__all__ = ["com_path", "com_path_job"]

_COARSE_EDGE_PX = 128
_FINE_EDGE_PX = 256
_ALTERNATIONS = 6
_HUBER_THRESHOLD = 1.5
_SMALLEST_RELATIVE_MASS = 0.05
_SMALLEST_COSINE = 0.2
_SMOOTH_PX = 1.5
_PART_REACH_DEG = 3.0
_FEWEST_IN_A_PART = 2

_Floats = npt.NDArray[np.float64]


def _with_axis_across(alignment: Alignment, angle_deg: float, across_px: float) -> Alignment:
    """Set the axis at a distance from the middle that is measured across it, not along the middle row."""
    cosine = float(np.cos(np.deg2rad(angle_deg)))
    if abs(cosine) > _SMALLEST_COSINE:
        return with_axis(alignment, angle_deg, across_px / cosine)
    # An axis nearly along x crosses the middle row far away or not at all: the offset goes into the shifts.
    turned = with_axis(alignment, angle_deg, 0.0)
    return turned.replace(matrices=affine.compose(turned.matrices, affine.translation(0.0, across_px)))


def com_path_job(
    series: TiltSeries, alignment: Alignment | None = None, *, max_angle_deg: float = 15.0
) -> Generator[TaskProgress, None, Alignment]:
    """Find angle and offset of the tilt axis by the mass, and the mass centres, of all slices.

    Slices perpendicular to the true axis have the same mass at every tilt, and a centre of mass that moves as
    ``a cos t + b sin t``. The angle is the one that fits all slices together best; a remaining shift of every
    projection is allowed for, and slices that other matter enters have little weight. The offset is the
    constant term in the path of the centre of mass of the whole sample. Nothing is divided by a slope, which
    may vanish at 0 degrees.

    Parameters
    ----------
    series : TiltSeries
        It is not modified.
    alignment : Alignment, optional
        The registration so far, that of the series by default. Its shifts are kept; its axis is where the
        search begins.
    max_angle_deg : float
        How far from there the angle may be.

    Returns
    -------
    Alignment
        Its residual is the distance of the centre of mass of a projection from the path. The scan of the
        angle is in the provenance, and its standard error, from angles without every fourth tilt.

    Raises
    ------
    DataError
        When values are not finite, all projections are constant, or there are fewer than 3 different
        tilts of projections that are not.
    ParameterError
        When the largest angle is not between 0 and 45 degrees.
    """
    start = current(series, alignment)
    shifts = registered(start)
    images = prepare_images(series, shifts, _FINE_EDGE_PX)
    require_tilts(images, series.name, "com-path")
    fine = _Slices.of(images, start.axis_angle_deg)
    coarse = _Slices.of(prepare_images(series, shifts, _COARSE_EDGE_PX), start.axis_angle_deg)
    angle, entry = yield from best_angle(
        coarse.misfit, fine.misfit, start.axis_angle_deg, max_angle_deg, "tilt axis by paths of mass"
    )
    error = jackknife_error([one.misfit for one in coarse.without_parts()], angle, _PART_REACH_DEG)
    offset, residual = fine.offset(angle)
    factor = images.factor
    return _with_axis_across(start, angle, offset * factor).replace(
        residual_px=residual * factor,
        method=" + ".join(one for one in (start.method, "com-path") if one),
        provenance=(
            *start.provenance,
            {"step": "com_path", "max_angle_deg": max_angle_deg, "angle error, deg": error} | entry,
        ),
    )


com_path = blocking(com_path_job)


@dataclasses.dataclass
class _Slices:
    """Projections of the sample alone, and how well they fit any tilt axis."""

    stack: npt.NDArray[np.float32]
    tilts_deg: _Floats
    usable: npt.NDArray[np.bool_]
    trust: tuple[_Floats, _Floats] | None = None

    @classmethod
    def of(cls, images: Images, angle_deg: float) -> _Slices:
        """Take the sample; which slices it fills is judged at this angle, and kept for all."""
        stack = sample_only(images)
        usable = images.usable & (stack.sum(axis=(1, 2), dtype=np.float64) > 0)
        slices = cls(stack[usable], images.tilts_deg[usable], usable)
        moments, _ = slices._smooth_moments(angle_deg)
        off, typical = _off_typical(moments.mass)
        shown = typical > _SMALLEST_RELATIVE_MASS * typical.max()
        relative = np.abs(off[:, shown] / typical[shown])
        scale = max(1.4826 * float(np.median(relative)), 0.02)
        trust = np.zeros_like(off)
        trust[:, shown] = np.clip(1 - (relative / (6 * scale)) ** 2, 0, 1) ** 2
        trust[~slices._of_one_mass()] = 0
        slices.trust = moments.along_px, trust
        return slices

    def without_parts(self) -> list[_Slices]:
        """Return all projections but every fourth, four times; nothing where these are too few."""
        if len(self.stack) < PARTS * _FEWEST_IN_A_PART or self.trust is None:
            return []
        along, trust = self.trust
        order = np.argsort(self.tilts_deg, kind="stable")
        chosen = [np.sort(np.delete(order, np.s_[first::PARTS])) for first in range(PARTS)]
        return [
            dataclasses.replace(
                self, stack=self.stack[one], tilts_deg=self.tilts_deg[one], trust=(along, trust[one])
            )
            for one in chosen
            if trust[one].any()
        ]

    def _smooth_moments(self, angle_deg: float) -> tuple[SliceMoments, npt.NDArray[np.bool_]]:
        """Moments of slices some pixels wide, which do not see the grid; and which lie in the image."""
        from scipy import ndimage

        moments = slice_moments(self.stack, angle_deg)
        smooth = {
            name: ndimage.gaussian_filter1d(getattr(moments, name), _SMOOTH_PX, axis=1)
            for name in ("mass", "moment")
        }
        return dataclasses.replace(moments, **smooth), moments.pixels > 0.5 * moments.pixels.max()

    def misfit(self, angle_deg: float) -> float:
        """Misfit of slices perpendicular to an axis of this angle to those of a sample that only tilts."""
        assert self.trust is not None
        moments, full = self._smooth_moments(angle_deg)
        weights = np.stack(
            [np.interp(moments.along_px[full], self.trust[0], one, left=0, right=0) for one in self.trust[1]]
        )
        # Projections that other matter entered are left out of the paths.
        trusted = weights.any(axis=1)
        weights = weights[trusted]
        mass, moment = moments.mass[trusted][:, full], moments.moment[trusted][:, full]
        # Small errors of registration are no matter of the axis: a shift along it, one across it, and
        # the strength of every projection are free.
        off_mass, _ = _off_typical(mass)
        path = self._path()[trusted]
        across = np.zeros(len(mass))
        off_moment = moment
        for _ in range(_ALTERNATIONS):
            rest = moment - across[:, np.newaxis] * mass
            fitted = path @ np.linalg.lstsq(path, rest, rcond=None)[0]
            free = (weights * mass * (moment - fitted)).sum(axis=1)
            across = free / np.maximum((weights * mass**2).sum(axis=1), 1e-30)
            off_moment = moment - fitted - across[:, np.newaxis] * mass
        # White noise makes both parts as large as their number of values.
        parts = off_mass**2 / moments.pixels[full] + off_moment**2 / moments.spread[full]
        return float((weights * parts).sum() / max(float(weights.sum()), 1e-30))

    def offset(self, angle_deg: float) -> tuple[float, _Floats]:
        """Return the constant term in the path of the centre of mass, and the distances from that path."""
        moments = slice_moments(self.stack, angle_deg)
        centre = moments.moment.sum(axis=1) / moments.mass.sum(axis=1)
        design = np.concatenate([np.ones((centre.size, 1)), self._path()], axis=1)
        same = self._of_one_mass().astype(np.float64)
        weights = same
        solution = np.zeros(3)
        off = np.zeros(centre.size)
        for _ in range(3 * _ALTERNATIONS):
            root = np.sqrt(weights)
            solution = np.linalg.lstsq(root[:, np.newaxis] * design, root * centre, rcond=1e-3)[0]
            off = centre - design @ solution
            weights = same * _huber(off)
        residual = np.full(self.usable.size, np.nan)
        residual[self.usable] = np.abs(off)
        return float(solution[0]), residual

    def _of_one_mass(self) -> npt.NDArray[np.bool_]:
        """Projections with the mass that most of them have: other matter entered the field in the rest."""
        total = self.stack.sum(axis=(1, 2), dtype=np.float64)
        heavier = np.abs(total / np.median(total) - 1)
        same = heavier < 5 * max(1.4826 * float(np.median(heavier)), 0.003)
        # The mass of a slab changes at every tilt: it is no criterion then.
        return same if same.sum() > 0.6 * same.size else np.ones_like(same)

    def _path(self) -> _Floats:
        radians = np.deg2rad(self.tilts_deg)
        return np.stack([np.cos(radians), np.sin(radians)], axis=1)


def _off_typical(mass: _Floats) -> tuple[_Floats, _Floats]:
    """Return what is left of masses (tilt, slice) but for their median, shifted and scaled; and that."""
    typical = np.median(mass, axis=0)
    columns = np.stack([np.gradient(typical), typical], axis=1)
    off = mass - typical
    return off - (columns @ np.linalg.lstsq(columns, off.T, rcond=None)[0]).T, typical


def _huber(off: _Floats) -> _Floats:
    """Weights that fall with the distance beyond what is usual."""
    scale = max(1.4826 * float(np.median(np.abs(off))), 1e-12)
    weights: _Floats = 1 / np.maximum(1.0, np.abs(off) / (_HUBER_THRESHOLD * scale))
    return weights
