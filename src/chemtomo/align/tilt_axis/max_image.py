"""Angle of the tilt axis by the tracks that particles leave in the maximum image."""

from __future__ import annotations

import functools
from collections.abc import Generator

import numpy as np
import numpy.typing as npt

from chemtomo.align.images import prepare_images
from chemtomo.align.moments import slice_moments
from chemtomo.align.starting_point import current
from chemtomo.align.tilt_axis.search import PARTS, best_angle, jackknife_error, registered, with_axis
from chemtomo.data import Alignment, TiltSeries
from chemtomo.errors import DataError
from chemtomo.progress import TaskProgress, blocking

__all__ = ["max_image", "max_image_job"]

_LARGEST_EDGE_PX = 512
_PART_REACH_DEG = 5.0
_RELATIVE_BACKGROUND_SIGMA = 1 / 25


def max_image_job(
    series: TiltSeries, alignment: Alignment | None = None, *, max_angle_deg: float = 15.0
) -> Generator[TaskProgress, None, Alignment]:
    """Find the angle of the tilt axis by lines in the maximum of all registered projections.

    Bright particles leave tracks perpendicular to the axis. The angle is the one at which sums along lines
    perpendicular to the axis vary most (a Hough transform of grey values). For samples with particles whose
    projections are registered well. The offset is not changed.

    Parameters
    ----------
    series : TiltSeries
        It is not modified.
    alignment : Alignment, optional
        The registration so far, that of the series by default. Its axis is where the search begins.
    max_angle_deg : float
        How far from there the angle may be.

    Returns
    -------
    Alignment
        With the residual of the registration. The scan of the angle is in the provenance, and its standard
        error, from angles without a quarter of the rows.

    Raises
    ------
    DataError
        When values are not finite, all projections are constant, or all tilts are equal: then nothing
        leaves a track.
    ParameterError
        When the largest angle is not between 0 and 45 degrees.
    """
    from scipy import ndimage

    start = current(series, alignment)
    images = prepare_images(series, registered(start), _LARGEST_EDGE_PX)
    tilts = images.tilts_deg[images.usable]
    if np.ptp(tilts) < 1.0:
        raise DataError(
            f"tilt series {series.name!r}: found tilts from {tilts.min():g} to {tilts.max():g} degrees; "
            "max-image expects a range in which particles leave tracks"
        )
    brightest = images.stack[images.usable].max(axis=0)
    size = min(images.shape)
    tracks = brightest - ndimage.gaussian_filter(brightest, max(2.0, _RELATIVE_BACKGROUND_SIGMA * size))
    # In a round window no direction has longer lines than another.
    y, x = np.ogrid[: images.shape[0], : images.shape[1]]
    radius = np.hypot(y - (images.shape[0] - 1) / 2, x - (images.shape[1] - 1) / 2)
    tracks = tracks * np.clip((0.48 * size - radius) / (0.1 * size), 0, 1)

    def misfit(angle_deg: float, some: npt.NDArray[np.floating] = tracks) -> float:
        sums = ndimage.gaussian_filter1d(slice_moments(some[np.newaxis], angle_deg).mass[0], 1.0)
        return -float(sums @ sums)

    without = []
    for rows in np.array_split(np.arange(len(tracks)), PARTS):
        without.append(tracks.copy())
        without[-1][rows] = 0
    angle, entry = yield from best_angle(
        misfit, misfit, start.axis_angle_deg, max_angle_deg, "tilt axis by the maximum image"
    )
    error = jackknife_error([functools.partial(misfit, some=one) for one in without], angle, _PART_REACH_DEG)
    return with_axis(start, angle, start.axis_offset_px).replace(
        method=" + ".join(one for one in (start.method, "max-image") if one),
        provenance=(
            *start.provenance,
            {"step": "max_image", "max_angle_deg": max_angle_deg, "angle error, deg": error} | entry,
        ),
    )


max_image = blocking(max_image_job)
