"""A part of the data that is held out, and how far a reconstruction of the rest is from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from chemtomo.data import Dataset, TiltSeries
from chemtomo.operators import Projector
from chemtomo.preprocess import crop_detector, select_slices
from chemtomo.recon.frame import Frame
from chemtomo.recon.weights import equivalent_counts, typical_value
from chemtomo.trust.thinning import can_be_split, split_counts, without_tilts

__all__ = ["Division", "Held", "divide", "misfit"]

Held = Literal["counts", "tilts", "noise"]
"""How a signal is divided."""

_SHARE = 0.1
_LEAST_TILTS = 5
# Of the mean held-out counts of a pixel: an expected value of 0 would refute a single stray count.
_LEAST_EXPECTED = 0.01


@dataclasses.dataclass(frozen=True, eq=False)
class Division:
    """Data of one frame in two parts, each as large in pixels as the whole.

    Attributes
    ----------
    fitted, held_out : Frame
        The parts; they predict each other by ``g T u + b`` with the gains and background of each.
    kinds : tuple of {"counts", "tilts", "noise"}
        How each signal is divided: by binomial thinning, by leaving tilts out, or by noise that is added to
        the one part and taken from the other.
    units : tuple of float
        Variance of a pixel of each held-out signal, in the square of its unit; 0 for counts, whose deviance
        has none.
    """

    fitted: Frame
    held_out: Frame
    kinds: tuple[Held, ...]
    units: tuple[float, ...]


def divide(
    frame: Frame,
    number: int,
    seed: int,
    recorded: Mapping[str, TiltSeries] | None = None,
    prepare: Callable[[Dataset], Dataset] | None = None,
) -> Division:
    """Divide the data of a frame for the time `number`: nine tenths are fitted, and one is held out.

    - Counts are thinned, which makes independent parts.
    - Of an intensity every tenth tilt is held out, at even numbers: errors of alignment and detector differ
      from tilt to tilt, and count as noise. At odd ones, and where there are few tilts, noise is added to the
      fitted part and taken from the other, of the size that the data term takes it to have. If the noise had
      that size, the parts are independent.
    - Counts that are no whole numbers any more are thinned as they were recorded; where that is not possible
      they are treated as intensities.

    Parameters
    ----------
    frame : Frame
        Some slices of the data.
    number : int
        Equal numbers and seeds give equal parts.
    seed : int
        Of what is left to chance.
    recorded : mapping of str to TiltSeries, optional
        The signals before they were aligned.
    prepare : callable, optional
        Makes of them what the frame was made of.
    """
    fitted, held_out, kinds, units = [], [], [], []
    for series in frame.dataset:
        whole = frame.all_slices[series.name]
        before = (recorded or {}).get(series.name)
        kind: Held = "counts"
        unit = 0.0
        if can_be_split(series):
            parts = _thinned(series, number, seed)
        elif before is not None and prepare is not None and can_be_split(before):
            first, second = _thinned(before, number, seed)
            parts = _cropped(first, prepare, frame), _cropped(second, prepare, frame)
        else:
            typical = typical_value(whole)
            noise = 1.0 if series.kind == "counts" else typical / equivalent_counts(whole, typical)
            kind = "tilts" if number % 2 == 0 and series.shape[0] >= _LEAST_TILTS else "noise"
            parts = _tilts(series, number, seed) if kind == "tilts" else _noise(series, noise, number, seed)
            unit = noise * typical / (_SHARE if kind == "noise" else 1)
        fitted.append(parts[0])
        held_out.append(parts[1])
        kinds.append(kind)
        units.append(unit)
    return Division(
        dataclasses.replace(frame, dataset=Dataset(tuple(fitted))),
        dataclasses.replace(frame, dataset=Dataset(tuple(held_out))),
        tuple(kinds),
        tuple(units),
    )


def misfit(
    division: Division, image: npt.NDArray[np.float32], projector: Projector
) -> npt.NDArray[np.float64]:
    """Return how far the held-out data are from their prediction, per channel and tilt.

    Of counts it is the Poisson deviance, ``2 sum(v - h + h log(h / v))``; of an intensity the sum of squares
    over the variance of a typical pixel.

    Parameters
    ----------
    division : Division
        Its held-out part.
    image : numpy.ndarray, shape (channel, z, y, x)
        What the fitted part gave, in the units of the data, as wide as the geometry of the frame.
    projector : Projector
        Of the geometry of the frame, one channel.

    Returns
    -------
    numpy.ndarray, shape (channel, tilt)
        0 where nothing is held out.
    """
    frame = division.held_out
    data, background, valid = frame.sinograms(), frame.backgrounds(), frame.valid()
    result = np.zeros(data.shape[:2])
    for channel, unit in enumerate(division.units):
        expected = projector.forward(image[channel : channel + 1])[0].astype(np.float64)
        expected *= frame.gains[channel][:, np.newaxis, np.newaxis]
        if background is not None:
            expected += background[channel]
        held = data[channel].astype(np.float64)
        known = np.broadcast_to((frame.gains[channel] > 0)[:, np.newaxis, np.newaxis], held.shape)
        if valid is not None:
            known = known & valid[channel]
        if unit:
            values = (held - expected) ** 2 / unit
        else:
            least = _LEAST_EXPECTED * float(held[known].mean()) if known.any() else 0.0
            expected = np.maximum(expected, max(least, 1e-12))
            ratio = np.where(held > 0, held, expected) / expected
            values = 2 * (expected - held + held * np.log(ratio))
        result[channel] = np.where(known, values, 0).sum(axis=(1, 2))
    return result


def _thinned(series: TiltSeries, number: int, seed: int) -> tuple[TiltSeries, TiltSeries]:
    fitted, held_out = split_counts(series, (1 - _SHARE, _SHARE), 1000 * seed + number)
    return fitted, held_out


def _cropped(series: TiltSeries, prepare: Callable[[Dataset], Dataset], frame: Frame) -> TiltSeries:
    prepared = prepare(Dataset((series,))).series[0]
    return select_slices(crop_detector(prepared, *frame.columns), *frame.slices)


def _tilts(series: TiltSeries, number: int, seed: int) -> tuple[TiltSeries, TiltSeries]:
    order = np.argsort(series.tilts_deg, kind="stable")
    step = min(round(1 / _SHARE), order.size)
    start = int(np.random.default_rng(seed).permutation(step)[number // 2 % step])
    out = np.zeros(order.size, dtype=bool)
    out[order[start::step]] = True
    left_out, kept = (np.flatnonzero(one).tolist() for one in (out, ~out))
    return without_tilts(series, left_out), without_tilts(series, kept)


def _noise(series: TiltSeries, noise: float, number: int, seed: int) -> tuple[TiltSeries, TiltSeries]:
    """Add noise of the variance ``noise f`` to the one part, and take it from the other.

    With the factors ``c`` and ``1 / c`` the parts are independent, and ``c^2 = share / (1 - share)`` makes
    the first as noisy as counts that are thinned to the rest of the share.
    """
    rng = np.random.default_rng([seed, number])
    data = series.values().astype(np.float64)
    added = rng.standard_normal(data.shape) * np.sqrt(noise * np.maximum(data, 0))
    factor = np.sqrt(_SHARE / (1 - _SHARE))
    # What the Kullback-Leibler divergence takes is not negative.
    fitted = np.maximum(data + factor * added, np.minimum(data, 0))
    held_out = data - added / factor
    return series.replace(data=fitted.astype(np.float32)), series.replace(data=held_out.astype(np.float32))
