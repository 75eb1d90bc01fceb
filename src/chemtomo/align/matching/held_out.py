"""One score for all alignments: how well every projection is predicted from the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from chemtomo.align.images import shows_anything
from chemtomo.align.matching.agreement import Agreement, agreement_of, bands_of
from chemtomo.align.matching.aligned_images import (
    bin_images,
    derivatives,
    subtract_background,
    warp_all,
    window,
)
from chemtomo.align.matching.consistency import Consistency, Newton
from chemtomo.align.matching.mass_path import mass_path
from chemtomo.align.matching.projection_matching import FIRST_ZERO_OF_J1, seen_radius
from chemtomo.align.matching.threads import on_one_thread
from chemtomo.data import Alignment, TiltSeries
from chemtomo.geometry import affine

__all__ = ["cylinder_agreement", "held_out_errors"]

_Real = npt.NDArray[np.float64]

_LARGEST = 256
_WIDER = 1.1
_FINEST = 0.25  # cycles a pixel


class _Windowed:
    """Projections aligned in one or several ways, in one window, and the model in which they are judged."""

    def __init__(self, series: TiltSeries, alignments: Sequence[Alignment]) -> None:
        self.factor = max(1, -(-max(series.shape[1:]) // _LARGEST))
        recorded = [np.asarray(one, dtype=np.float64) for one in series.projections()]
        self.usable = np.array([shows_anything(one) for one in recorded])
        shown = [subtract_background(one) for one, good in zip(recorded, self.usable, strict=True) if good]
        stack = bin_images(np.stack(shown), self.factor)
        stack = stack / np.float32(max(float(np.abs(stack).max()), 1e-30))
        self.tilts_deg = series.tilts_deg[self.usable]
        self.shape = stack.shape[1], stack.shape[2]
        maps = [affine.rescale(one.matrices[self.usable], 1.0, self.factor) for one in alignments]
        self.images = [warp_all(stack, one, 1) for one in maps]
        self.radius = float(np.median([seen_radius(one) for one in self.images]))
        windows = [window(self.shape, 1.05 * self.radius, one, self.shape) for one in maps]
        self.rows: _Real = np.min([one for one, _ in windows], axis=0)
        self.columns = windows[0][1]
        step = np.deg2rad(float(np.median(np.diff(np.unique(self.tilts_deg)))))
        highest = min(_FINEST, FIRST_ZERO_OF_J1 / (2 * np.pi * self.radius * step))
        self.consistency = Consistency(self.tilts_deg, _WIDER * self.radius, self.shape[1], highest)


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
    windowed = _Windowed(series, alignments)
    weights = np.outer(windowed.rows, windowed.columns).astype(np.float32)
    errors = np.full((len(alignments), windowed.usable.size), np.nan)
    for number, images in enumerate(windowed.images):
        errors[number, windowed.usable] = windowed.consistency.held_out(images * weights)
    return errors


@on_one_thread
def cylinder_agreement(series: TiltSeries, alignment: Alignment) -> Agreement:
    """Return how far parts of the projections of an isolated specimen agree about its alignment.

    Parameters
    ----------
    series : TiltSeries
        Recorded projections, in order of their tilts.
    alignment : Alignment
        Of this series, whatever found it.

    Returns
    -------
    Agreement
        Errors are NaN where a projection is constant. All is in pixels of the series.
    """
    windowed = _Windowed(series, [alignment])
    (images,) = windowed.images
    tilts = np.deg2rad(windowed.tilts_deg)
    full = windowed.rows > 0.99

    def newton_of(band: _Real) -> Newton:
        changes = derivatives(images, windowed.rows * band, windowed.columns)
        beside = images[:, full] * band[full, np.newaxis].astype(np.float32)
        mass = mass_path(changes.values, beside, tilts, windowed.radius)
        return mass.added_to(windowed.consistency.newton(changes))

    changes = derivatives(images, windowed.rows, windowed.columns)
    power = (changes.values**2).sum(axis=(0, 2), dtype=np.float64)
    found = agreement_of(windowed.consistency, changes, newton_of, bands_of(power), tilts, windowed.radius)
    errors = np.full(windowed.usable.size, np.nan)
    errors[windowed.usable] = found.errors_px * windowed.factor
    apart = {name: one * windowed.factor for name, one in found.disagreement_px.items()}
    return dataclasses.replace(found, errors_px=errors, disagreement_px=apart)
