"""Registration by the centre of mass, whose path under tilting is known."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from chemtomo.align.images import Images, prepare_images, start_afresh, with_neighbours_filled
from chemtomo.align.moments import SliceMoments, slice_moments
from chemtomo.align.registration.profiles import profile_shifts
from chemtomo.align.sample_mask import sample_only
from chemtomo.data import Alignment, TiltSeries
from chemtomo.errors import DataError
from chemtomo.geometry import affine
from chemtomo.progress import TaskProgress, blocking

__all__ = ["center_of_mass", "center_of_mass_job", "com_common_line", "com_common_line_job"]

_ALTERNATIONS = 20
_EMPTY_EDGE_FRACTION = 0.02
_FEWEST_TILTS = 3

_Floats = npt.NDArray[np.float64]


def center_of_mass_job(
    series: TiltSeries, alignment: Alignment | None = None
) -> Generator[TaskProgress, None, Alignment]:
    """Find shifts by the paths of the mass centres of all slices (after Sanders et al. 2015).

    Across the axis, the centre of mass of a slice is at ``a cos t + b sin t`` plus the shift of the
    projection, which all slices share. The shifts are fitted to all slices together, weighted by their mass.
    A slice whose mass differs from that at other tilts, because matter entered the field, has little weight.
    Along the axis, the mass of every slice is the same at all tilts. Where the sample ends within the field,
    the shift is that of its centre of mass, otherwise that of the profile of the masses.

    The whole sample must be in the field across the axis. The axis is put through its centre of mass.

    Parameters
    ----------
    series : TiltSeries
        It is not modified.
    alignment : Alignment, optional
        The alignment so far, to which the shifts are added. The slices are perpendicular to its tilt axis.
        By default none.

    Returns
    -------
    Alignment
        Its residual is the standard error of the shift, from the disagreement of the slices. The shift of a
        constant projection is interpolated between its neighbours, and its residual is NaN.

    Raises
    ------
    DataError
        When values are not finite, all projections are constant, or there are fewer than 3 different
        tilts of projections that are not.
    """
    return (yield from _steps(series, alignment, "center-of-mass"))


center_of_mass = blocking(center_of_mass_job)


def com_common_line_job(
    series: TiltSeries, alignment: Alignment | None = None
) -> Generator[TaskProgress, None, Alignment]:
    """Find shifts by the centre of mass across the axis, and the common line along it (Scott et al. 2012).

    Across the axis, the centre of mass of the whole projection is put on the axis. Along it, the sums
    across the axis, which do not depend on the tilt, are correlated with their mean over the others.

    Parameters and errors are those of `center_of_mass`. The residual is the remaining shift between the
    profile of a projection and the mean profile.
    """
    return (yield from _steps(series, alignment, "com-common-line"))


com_common_line = blocking(com_common_line_job)


def _steps(
    series: TiltSeries, alignment: Alignment | None, method: Literal["center-of-mass", "com-common-line"]
) -> Generator[TaskProgress, None, Alignment]:
    yield TaskProgress(0, 3, method.replace("-", " "))
    images = prepare_images(series, start_afresh(series, alignment))
    require_tilts(images, series.name, method)
    yield TaskProgress(1, 3, "masking the sample")
    stack = sample_only(images)
    yield TaskProgress(2, 3, "following the mass")
    usable = images.usable & (stack.sum(axis=(1, 2), dtype=np.float64) > 0)
    moments = slice_moments(stack)
    tilts = images.tilts_deg
    # Rows first, so that the same slice is compared at all tilts.
    down, residual = _along_axis(moments, usable, by_profile=method == "com-common-line")
    if method == "com-common-line":
        right = np.where(usable, _centre(moments.moment, moments.mass), np.nan)
    else:
        mass, moment = (_moved(one, down) for one in (moments.mass, moments.moment))
        right, residual = _across_axis(mass, moment, tilts, usable)
    matrices = affine.translation(np.nan_to_num(down), np.nan_to_num(right))
    complete = with_neighbours_filled(images.in_recorded_pixels(matrices), tilts, usable)
    residual[~usable] = np.nan
    return images.start.replace(
        matrices=complete,
        residual_px=residual * images.factor,
        method=method,
        provenance=(*images.start.provenance, {"step": method.replace("-", "_")}),
    )


def require_tilts(images: Images, name: str, method: str) -> None:
    """Raise `DataError` unless there are enough different tilts to follow a path."""
    different = np.unique(np.round(images.tilts_deg[images.usable], 3)).size
    if different < _FEWEST_TILTS:
        raise DataError(
            f"tilt series {name!r}: found {different} different tilts of projections that show something; "
            f"{method} follows paths and expects at least {_FEWEST_TILTS}"
        )


def _centre(moment: _Floats, mass: _Floats) -> _Floats:
    total = mass.sum(axis=1)
    centre: _Floats = moment.sum(axis=1) / np.where(total > 0, total, 1.0)
    return centre


def _along_axis(
    moments: SliceMoments, usable: npt.NDArray[np.bool_], *, by_profile: bool
) -> tuple[_Floats, _Floats]:
    """Return the shift of every projection along the axis, and its error."""
    inside = moments.pixels > 0.99 * moments.pixels.max()
    mass, along = np.maximum(moments.mass[:, inside], 0), moments.along_px[inside]
    edges = mass[usable][:, [0, 1, -2, -1]].max()
    if edges >= _EMPTY_EDGE_FRACTION * np.median(mass[usable].max(axis=1)):
        return profile_shifts(mass, usable, np.zeros(len(mass)))
    total = mass.sum(axis=1)
    centre = np.where(usable, (mass * along).sum(axis=1) / np.where(total > 0, total, 1.0), 0.0)
    shifts, residual = profile_shifts(mass, usable, centre)
    if by_profile:
        return shifts, residual
    # A wrong angle of the axis changes the profile but not the centre of mass; matter that is in the field at
    # some tilts only changes the centre of mass.
    heavier = total / np.median(total[usable]) - 1
    spread = max(1.4826 * float(np.median(np.abs(heavier[usable]))), 0.003)
    same = np.abs(heavier) < 5 * spread
    if (same & usable).any():
        shifts = np.where(same, centre, shifts + np.median((centre - shifts)[same & usable]))
    return shifts, residual


def _moved(profiles: _Floats, shifts: _Floats) -> _Floats:
    """Shift every profile back, linearly."""
    at = np.arange(profiles.shape[1])
    return np.stack(
        [np.interp(at + shift, at, one, left=0, right=0) for one, shift in zip(profiles, shifts, strict=True)]
    )


def _across_axis(
    mass: _Floats, moment: _Floats, tilts_deg: _Floats, usable: npt.NDArray[np.bool_]
) -> tuple[_Floats, _Floats]:
    """Fit one shift per projection and one path per slice to the mass centres, robustly."""
    typical = np.median(mass[usable], axis=0)
    shown = typical > 0.05 * typical.max()
    if not shown.any():
        shown = typical >= typical.max()
    mass, moment, typical = mass[:, shown], moment[:, shown], typical[shown]
    # The whole signal may vary with the tilt; matter that enters the field makes only some slices heavier.
    gain = np.median(mass / typical, axis=1, keepdims=True)
    gain = np.where(gain > 0, gain, 1.0)
    off = mass / (gain * typical) - 1
    scale = max(1.4826 * float(np.median(np.abs(off[usable]))), 0.01)
    trust = np.clip(1 - (off / (4 * scale)) ** 2, 0, 1) ** 2
    trust[~usable] = 0
    trust[trust.sum(axis=1) < 0.1 * shown.sum()] += 0.01  # all slices of a projection may be off
    centre = moment / np.where(mass > 0, mass, 1.0)
    weights = trust * typical
    weights[mass <= 0] = 0
    radians = np.deg2rad(tilts_deg)
    path = np.stack([np.cos(radians), np.sin(radians)], axis=1)
    shift, motion = np.zeros(len(mass)), np.zeros_like(mass)
    heaviness = typical / typical.sum()
    for _ in range(_ALTERNATIONS):
        total = weights.sum(axis=1)
        shift = ((centre - motion) * weights).sum(axis=1) / np.where(total > 0, total, 1.0)
        coefficients = _paths(path, centre - shift[:, np.newaxis], weights)
        # The axis goes through the centre of mass of the whole: that fixes what is left free.
        coefficients -= (coefficients * heaviness).sum(axis=1, keepdims=True)
        motion = path @ coefficients
    left = centre - shift[:, np.newaxis] - motion
    total = np.where(weights.sum(axis=1) > 0, weights.sum(axis=1), 1.0)
    variance = (weights * left**2).sum(axis=1) / total
    effective = total**2 / np.where(weights.any(axis=1), (weights**2).sum(axis=1), 1.0)
    return shift, np.sqrt(variance / np.maximum(effective, 1.0))


def _paths(path: _Floats, centres: _Floats, weights: _Floats) -> Any:
    """Weighted least squares of every slice by itself, shape (2, slice)."""
    normal = np.einsum("ti,tj,ty->yij", path, path, weights)
    right = np.einsum("ti,ty->yi", path, centres * weights)
    ridge = 1e-3 * np.trace(normal, axis1=1, axis2=2)[:, np.newaxis, np.newaxis] * np.eye(2) + 1e-30 * np.eye(
        2
    )
    return np.linalg.solve(normal + ridge, right[:, :, np.newaxis])[:, :, 0].T
