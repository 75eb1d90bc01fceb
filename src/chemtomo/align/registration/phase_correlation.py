"""Registration by phase correlation of neighbouring projections."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import numpy.typing as npt

from chemtomo.align.images import (
    Images,
    nearest_to,
    prepare_images,
    start_afresh,
    taper,
    with_neighbours_filled,
)
from chemtomo.align.registration.correlation import band_pass, correlation_shift, shifts_from_pairs, spectrum
from chemtomo.data import Alignment, TiltSeries
from chemtomo.geometry import affine
from chemtomo.geometry.resample import warp
from chemtomo.progress import TaskProgress, blocking

__all__ = ["phase_correlation", "phase_correlation_job"]

_STEEPEST_STRETCH = 2.0


def phase_correlation_job(
    series: TiltSeries,
    alignment: Alignment | None = None,
    *,
    reference: int | None = None,
    neighbours: int = 2,
    stretch: bool = False,
    whitening: float = 0.5,
    longest_px: float | None = None,
    shortest_px: float = 8.0,
    edge_taper: float = 0.1,
    max_shift_px: float | None = None,
) -> Generator[TaskProgress, None, Alignment]:
    """Find shifts of the projections by correlating each with several of its neighbours.

    Shifts between neighbours are not added up. The shifts between each projection and its next `neighbours`
    on both sides are measured, and one shift per projection is fitted to all of them robustly, so that a
    wrong pair has little influence. A drift that is common to all pairs is not seen: the motion of features
    of the sample with the tilt is ignored.

    Parameters
    ----------
    series : TiltSeries
        It is not modified.
    alignment : Alignment, optional
        The alignment so far. Shifts are measured between the projections that it aligns, and added to it. By
        default none: then only the tilt axis of the series is kept.
    reference : int, optional
        The projection that stays where it is, by default that at the tilt nearest to 0.
    neighbours : int
        Number of projections on each side with which a projection is compared.
    stretch : bool
        Stretch the steeper projection of a pair across the tilt axis by the ratio of the cosines of the
        tilts. For thin slabs, not for round or thick samples.
    whitening : float
        1: all wavelengths have the same weight, as in phase correlation; 0: weights by amplitude, as in
        cross-correlation, which follows large shapes. Values in between mix the two.
    longest_px, shortest_px : float, optional
        Range of wavelengths that are compared, in pixels. By default there is no upper limit, and the lower
        one is 8.
    edge_taper : float
        Fraction of the width over which the images fade out at each edge.
    max_shift_px : float, optional
        Largest shift between neighbours, half the image by default.

    Returns
    -------
    Alignment
        Its residual is the disagreement between the pairs of a projection. The shift of a constant
        projection is interpolated between its neighbours, and its residual is NaN.

    Raises
    ------
    DataError
        When values are not finite, or all projections are constant.
    ParameterError
        When the reference is no projection, or shows nothing.
    """
    images = prepare_images(series, start_afresh(series, alignment))
    kept = nearest_to(images.tilts_deg, images.usable, reference)
    longest = np.inf if longest_px is None else longest_px / images.factor
    weights = band_pass(images.shape, longest, shortest_px / images.factor if shortest_px else 0.0)
    window = taper(images.shape, edge_taper)
    count = len(images.stack)
    order = [int(one) for one in np.argsort(images.tilts_deg, kind="stable") if images.usable[one]]
    pairs = [
        (first, second) for at, first in enumerate(order) for second in order[at + 1 : at + 1 + neighbours]
    ]
    trust = np.array([1 / (order.index(second) - order.index(first)) for first, second in pairs])
    limit = None if max_shift_px is None else max_shift_px / images.factor
    shifts, residual = np.zeros((count, 2)), np.full(count, np.nan)
    # A projection is stretched about the tilt axis, which is in the middle once it is shifted.
    passes = 2 if stretch else 1
    for number in range(passes):
        between = np.zeros((len(pairs), 2))
        spectra: dict[int, npt.NDArray[np.complex64]] = {}
        moved = affine.translation(*np.nan_to_num(shifts).T)
        for at, (first, second) in enumerate(pairs):
            if number == 0:
                for one in (first, second):
                    if one not in spectra:
                        spectra[one] = spectrum(images.stack[one] * window)
                compared = spectra[first], spectra[second]
            else:
                compared = _stretched(images, moved, first, second, window)
            found = correlation_shift(
                *compared, images.shape, weights, whitening=whitening, max_shift_px=limit
            )
            between[at] = shifts[second] - shifts[first] + found
            if at % neighbours == 0:
                yield TaskProgress(number * len(pairs) + at, passes * len(pairs), "phase correlation")
        shifts, residual = shifts_from_pairs(pairs, between, trust, count, kept)
    matrices = affine.translation(*np.nan_to_num(shifts).T)
    complete = with_neighbours_filled(images.in_recorded_pixels(matrices), images.tilts_deg, images.usable)
    entry = {
        "step": "phase_correlation",
        "reference_tilt": kept,
        "neighbours": neighbours,
        "stretch": stretch,
        "whitening": whitening,
        "longest_px": longest_px,
        "shortest_px": shortest_px,
        "edge_taper": edge_taper,
        "max_shift_px": max_shift_px,
    }
    return images.start.replace(
        matrices=complete,
        residual_px=residual * images.factor,
        method="phase-correlation",
        provenance=(*images.start.provenance, entry),
    )


phase_correlation = blocking(phase_correlation_job)


def _stretched(
    images: Images, moved: npt.NDArray[np.float64], first: int, second: int, window: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.complex64], npt.NDArray[np.complex64]]:
    """Return the spectra of two shifted images, the steeper one stretched across the tilt axis."""
    cosines = np.abs(np.cos(np.deg2rad(images.tilts_deg[[first, second]])))
    ratio = float(min(cosines.max() / max(cosines.min(), 1e-9), _STEEPEST_STRETCH))
    middle = affine.centre(images.shape)
    narrower = affine.identity()
    narrower[:, 1, 1] = 1 / ratio
    about = affine.compose(
        affine.compose(affine.translation(*middle), narrower), affine.translation(-middle[0], -middle[1])
    )
    compared = []
    for one, steeper in ((first, cosines[0] < cosines[1]), (second, cosines[1] <= cosines[0])):
        matrix = moved[one : one + 1]
        matrix = affine.compose(matrix, about) if steeper else matrix
        compared.append(spectrum(warp(images.stack[one], matrix[0], fill="nearest") * window))
    return compared[0], compared[1]
