"""Offset of the tilt axis by the sharpness of reconstructed slices."""

from __future__ import annotations

import functools
from collections.abc import Generator

import numpy as np
import numpy.typing as npt

from chemtomo.align.images import prepare_images
from chemtomo.align.starting_point import current
from chemtomo.align.tilt_axis.search import PARTS, jackknife_error, with_axis
from chemtomo.data import Alignment, TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.progress import TaskProgress, blocking
from chemtomo.recon.filtered_back_projection import back_project, filter_sinograms

__all__ = ["axis_from_sharpness", "axis_from_sharpness_job"]

_LARGEST_EDGE_PX = 128
_SLICES = 32


def axis_from_sharpness_job(
    series: TiltSeries, alignment: Alignment | None = None, *, max_offset_px: float | None = None
) -> Generator[TaskProgress, None, Alignment]:
    """Find the offset of the tilt axis for which reconstructed slices are sharpest.

    A few slices are reconstructed by filtered back-projection at each offset of a coarse scan, then of a
    finer search around the best. A wrong offset smears matter into bright and dark arcs. The criterion is
    the sum of the fourth powers, which is largest at the right offset and depends on it most strongly. (The
    sum of absolute values is smallest there; the sum of squares hardly changes, because the filter conserves
    it.) The angle is not changed.

    The offset is right to a fraction of a pixel if there are many small features, and may be wrong by a pixel
    if a few large ones overlap.

    Parameters
    ----------
    series : TiltSeries
        It is not modified.
    alignment : Alignment, optional
        The alignment so far, that of the series by default; its offset is where the search begins.
    max_offset_px : float, optional
        How far from there the axis may be; an eighth of the width by default.

    Returns
    -------
    Alignment
        With the residual of the alignment so far. The scan is in the provenance, and the standard error of
        the offset, from offsets without every fourth slice.

    Raises
    ------
    DataError
        When values are not finite, all projections are constant, or the tilts are all equal.
    ParameterError
        When the largest offset is not positive and within half the width.
    """
    from scipy import optimize

    width = series.shape[2]
    reach = width / 8 if max_offset_px is None else max_offset_px
    if not 0 < reach <= width / 2:
        raise ParameterError(
            f"largest offset: found {reach:g} pixels; expected more than 0, at most {width / 2:g}"
        )
    start = current(series, alignment)
    images = prepare_images(series, start, _LARGEST_EDGE_PX)
    tilts = images.tilts_deg[images.usable]
    if np.ptp(tilts) < 1.0:
        raise DataError(
            f"tilt series {series.name!r}: found tilts from {tilts.min():g} to {tilts.max():g} degrees; "
            "sharpness expects different ones"
        )
    stack = images.stack[images.usable]
    rows = np.array_split(np.arange(images.shape[0]), min(_SLICES, images.shape[0]))
    sinograms = np.stack([stack[:, one].mean(axis=1) for one in rows])

    strength = max(float((sinograms.astype(np.float64) ** 4).sum()), 1e-300)

    def misfit(offset: float, some: npt.NDArray[np.floating] = sinograms) -> float:
        slices = back_project(filter_sinograms(some, tilts, offset), tilts)
        return -float((slices.astype(np.float64) ** 4).sum()) / strength

    steps = max(2, round(reach / images.factor))
    offsets = reach / images.factor * np.arange(-steps, steps + 1) / steps
    found = []
    for number, offset in enumerate(offsets):
        found.append(misfit(float(offset)))
        yield TaskProgress(number, offsets.size + 1, "offset of the tilt axis")
    best, step = float(offsets[int(np.argmin(found))]), float(offsets[1] - offsets[0])
    answer = optimize.minimize_scalar(
        misfit, bounds=(best - 1.5 * step, best + 1.5 * step), method="bounded", options={"xatol": 0.01}
    )
    without = [
        functools.partial(misfit, some=np.delete(sinograms, np.s_[first::PARTS], axis=0))
        for first in range(PARTS)
    ]
    error = None
    if len(sinograms) >= PARTS:
        error = jackknife_error(without, float(answer.x), 3 * step)
    # In the aligned frame; the middle row of the recorded one is crossed at an angle.
    across = float(answer.x) * images.factor
    offset_px = start.axis_offset_px + across / np.cos(np.deg2rad(start.axis_angle_deg))
    entry = {
        "step": "axis_from_sharpness",
        "max_offset_px": reach,
        "offset error, px": None if error is None else error * images.factor,
        "offsets_px": (start.axis_offset_px + offsets * images.factor).tolist(),
        "misfit": found,
    }
    return with_axis(start, start.axis_angle_deg, float(offset_px)).replace(
        method=" + ".join(one for one in (start.method, "sharpness") if one),
        provenance=(*start.provenance, entry),
    )


axis_from_sharpness = blocking(axis_from_sharpness_job)
