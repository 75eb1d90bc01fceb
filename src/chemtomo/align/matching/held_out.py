"""One score for all alignments: how well every projection is predicted from the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from chemtomo.align.images import shows_anything
from chemtomo.align.matching.aligned_images import bin_images, subtract_background, warp_all, window
from chemtomo.align.matching.consistency import Consistency
from chemtomo.align.matching.projection_matching import FIRST_ZERO_OF_J1, seen_radius
from chemtomo.align.matching.threads import on_one_thread
from chemtomo.data import Alignment, TiltSeries
from chemtomo.geometry import affine

__all__ = ["held_out_errors"]

_Real = npt.NDArray[np.float64]

_LARGEST = 256
_WIDER = 1.1
_FINEST = 0.25  # cycles a pixel


@on_one_thread
def held_out_errors(series: TiltSeries, alignments: Sequence[Alignment]) -> _Real:
    """Return the relative squared error of every projection, predicted from all others.

    All alignments are judged in the same window, to the same frequency, and with a cylinder of the same
    radius about the axis, so that their errors compare tilt by tilt, whatever found them.

    Parameters
    ----------
    series : TiltSeries
        Recorded projections.
    alignments : sequence of Alignment
        Of this series, all with about the same direction of the tilt axis.

    Returns
    -------
    numpy.ndarray, shape (alignment, tilt)
        NaN where a projection is constant.
    """
    factor = max(1, -(-max(series.shape[1:]) // _LARGEST))
    recorded = [np.asarray(one, dtype=np.float64) for one in series.projections()]
    usable = np.array([shows_anything(one) for one in recorded])
    stack = bin_images(
        np.stack([subtract_background(one) for one, good in zip(recorded, usable, strict=True) if good]),
        factor,
    )
    stack = stack / np.float32(max(float(np.abs(stack).max()), 1e-30))
    tilts = series.tilts_deg[usable]
    shape = stack.shape[1], stack.shape[2]
    maps = [affine.rescale(one.matrices[usable], 1.0, factor) for one in alignments]
    warped = [warp_all(stack, one, 1) for one in maps]
    radius = float(np.median([seen_radius(one) for one in warped]))
    windows = [window(shape, 1.05 * radius, one, shape) for one in maps]
    rows = np.min([one for one, _ in windows], axis=0)
    columns = windows[0][1]
    step = np.deg2rad(float(np.median(np.diff(np.unique(tilts)))))
    highest = min(_FINEST, FIRST_ZERO_OF_J1 / (2 * np.pi * radius * step))
    consistency = Consistency(tilts, _WIDER * radius, shape[1], highest)
    weights = (rows[:, np.newaxis] * columns).astype(np.float32)
    errors = np.full((len(alignments), len(usable)), np.nan)
    for number, images in enumerate(warped):
        errors[number, usable] = consistency.held_out(images * weights)
    return errors
