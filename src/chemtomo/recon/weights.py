"""Scales and weights of the channels, and the units in which a result is reported.

Every data term sees data of about 1, ``f / scale``, with a weight ``m`` against a regulariser of
weight 1 on the normalised image, see `chemtomo.functionals.Problem`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.functionals import DataTermName
from chemtomo.preprocess import bin_pixels
from chemtomo.recon.noise import NoiseModel
from chemtomo.recon.resolution import Resolutions

__all__ = ["Weights", "by_full_name", "counts_weights", "equivalent_counts", "paper_weights", "typical_value"]

# The relative error of intensities is taken as at least 4.5 % per pixel: below that, errors of alignment,
# detector and diffraction contrast exceed the noise.
_MOST_EQUIVALENT_COUNTS = 500.0
# A strength of 1 is the best compromise over all signals of simulated samples of known truth (docs/model.md);
# what Huber et al. 2019 chose for the element maps of their phantom would be 0.5, on average.
_AT_UNIT_STRENGTH = 2.5
# Below so many counts a weight falls with the root of their number, as noise does (docs/model.md).
_FEW_COUNTS = 2.0
# Pixels along an edge that are joined to find a signal of few counts.
_BINS = (1, 2, 4, 8)


@dataclasses.dataclass(frozen=True)
class Weights:
    """Scales and weights of the channels, and the units of reported values.

    Attributes
    ----------
    scales : tuple of float
        The data is divided by these, one per channel; the image is multiplied by them.
    weights : tuple of float
        The weights ``m`` of the data terms.
    report : float
        Factor from the problem's objective to the reported one.
    data_report : tuple of float
        Factor from a channel's data term to the reported one.
    """

    scales: tuple[float, ...]
    weights: tuple[float, ...]
    report: float
    data_report: tuple[float, ...]

    def in_resolutions(
        self, resolutions: Resolutions, normalisation: str, terms: Sequence[DataTermName]
    ) -> Weights:
        """Return the weights for data on the pixels of the finest signals, multiplied by the lifts.

        ``D(f / s)`` of a pixel as recorded is ``(t / (lift s))^power D(lift f / t)`` with any scale ``t``. In
        the normalisation by counts ``t = lift s / k``: the image has the same scale in all resolutions.
        """
        scales, weights, reports = [], [], []
        for scale, weight, report, k, lift, term in zip(
            self.scales,
            self.weights,
            self.data_report,
            resolutions.factors,
            resolutions.lifts,
            terms,
            strict=True,
        ):
            own = scale if normalisation == "paper" else lift * scale / k
            ratio = (own / (lift * scale)) ** _power(term)
            scales.append(own)
            weights.append(weight * ratio)
            reports.append(report * ratio)
        return dataclasses.replace(
            self, scales=tuple(scales), weights=tuple(weights), data_report=tuple(reports)
        )


def paper_weights(dataset: Dataset, mu: Mapping[str, float], norm: float) -> Weights:
    """Weights of the published program: ``E = sum_c mu_c D(T u_c, f_c) + TGV(u) / n``.

    In normalised variables ``n^2 E`` has the weights ``m_c = n^2 mu_c``.

    Raises
    ------
    ParameterError
        When a channel has no ``mu``.
    """
    given = by_full_name(dataset, mu)
    missing = [name for name in dataset.names if name not in given]
    if missing:
        raise ParameterError(
            f"the paper's normalisation has no default weights; expected mu for {', '.join(missing)}"
        )
    channels = len(dataset)
    return Weights(
        (1.0,) * channels,
        tuple(norm**2 * given[name] for name in dataset.names),
        1 / norm**2,
        (1.0,) * channels,
    )


def counts_weights(
    dataset: Dataset,
    mu: Mapping[str, float],
    strength: float,
    data_term: DataTermName | Sequence[DataTermName],
    noise: Mapping[str, NoiseModel] | None = None,
) -> Weights:
    """Weights from the statistics of each channel, divided by the strength of the regularisation.

    With ``s`` the typical value of a channel and ``g`` its variance over its mean (1 for counts), the
    negative logarithm of the likelihood is ``sum D(T u, f) / g``: ``s / g`` times the
    Kullback-Leibler divergence of the scaled data, and about as much for squares. So ``m`` is
    proportional to ``factor s / (g strength)``: to the number of counts ``n`` at a typical pixel, whatever
    the unit of the data. Below 2 counts it is proportional to ``sqrt(2 n)``: the regularisation has to exceed
    what noise adds to the gradient of the data term, ``n`` times the relative noise ``1 / sqrt(n)``, and
    would remove everything else with it.

    Parameters
    ----------
    dataset : Dataset
        The measured data.
    mu : mapping of str to float
        Factors on the statistical weights, 1 by default.
    strength : float
        Strength of the regularisation.
    data_term : {"kl", "l2"} or sequence of them
        Of all channels, or of each. Its unit is that of the data, or the square of it.
    noise : mapping of str to NoiseModel, optional
        The noise of channels whose pixels are weighed by it: the number of counts that would be as noisy is
        then ``s^2`` over the variance at ``s``.
    """
    given = by_full_name(dataset, mu)
    scales = tuple(typical_value(series) for series in dataset)
    known = {} if noise is None else noise
    counts = tuple(
        min(scale**2 / float(known[series.name].variance(scale)), _MOST_EQUIVALENT_COUNTS)
        if series.name in known
        else equivalent_counts(series, scale)
        for series, scale in zip(dataset, scales, strict=True)
    )
    weights = tuple(
        given.get(name, 1.0) * _worth(number) * _AT_UNIT_STRENGTH / strength
        for name, number in zip(dataset.names, counts, strict=True)
    )
    terms = [data_term] * len(scales) if isinstance(data_term, str) else data_term
    units = tuple(scale ** _power(term) for scale, term in zip(scales, terms, strict=True))
    return Weights(scales, weights, strength / _AT_UNIT_STRENGTH, units)


def _power(term: DataTermName) -> int:
    """Return the power of the data in the unit of a data term."""
    return 1 if term == "kl" else 2


def _worth(counts: float) -> float:
    return counts if counts >= _FEW_COUNTS else math.sqrt(_FEW_COUNTS * counts)


def typical_value(series: TiltSeries) -> float:
    """Mean of the signal weighted by its own square: typical of bright areas, even for few counts.

    It uses the factorial moments of the counts, whose expectations are the moments of the signal without
    noise. The signal is that of the sample: without background, and divided by the gains. With a background
    its moments are combined from those of the counts, so that noise does not count as signal. A moment below
    three times its error is not used, and the next lower one is taken. Where even the second says nothing,
    pixels are joined until it does: the mean over all pixels would be that of the empty ones. Pixels that are
    not valid are left out.

    Raises
    ------
    DataError
        When there is no positive signal.
    """
    found = _moments(series)
    if not found.total > 0:
        above = "" if series.background is None else " above its background"
        raise DataError(
            f"tilt series {series.name!r} sums to {found.total:g}{above}; expected a positive signal"
        )
    for factor in _BINS:
        if factor > 1:
            if factor > series.shape[2]:
                break
            found = _moments(bin_pixels(series, factor))
        typical = found.typical()
        if typical is not None:
            joined = factor * min(factor, series.shape[1]) if series.kind == "counts" else 1
            return typical / joined
    found = _moments(series)
    return found.total / found.pixels


@dataclasses.dataclass(frozen=True)
class _Moments:
    """Sums of the powers of the signal over all valid pixels, and what noise adds to them."""

    pixels: int
    total: float
    squares: float
    cubes: float
    error_of_squares: float
    error_of_cubes: float

    def typical(self) -> float | None:
        """Return the mean weighted by the signal or its square, or None when no two counts fall together."""
        if not (self.total > 0 and self.squares > 3 * self.error_of_squares):
            return None
        three = self.cubes > 3 * self.error_of_cubes
        return self.cubes / self.squares if three else self.squares / self.total


def _moments(series: TiltSeries) -> _Moments:
    less = 1.0 if series.kind == "counts" else 0.0
    gains = np.ones(series.shape[0]) if series.gains is None else series.gains
    total = squares = cubes = 0.0
    noise_of_squares = noise_of_cubes = 0.0  # variances
    backgrounds = series.backgrounds()
    pixels = 0
    for projection, valid, gain in zip(series.projections(), series.valid_pixels(), gains, strict=True):
        data = projection[valid].astype(np.float64)  # one at a time, to save memory
        pixels += data.size
        first = data
        second = data * (data - less)
        third = data * (data - less) * (data - 2 * less)
        if series.background is not None:
            b = next(backgrounds)[valid].astype(np.float64)
            third = third - 3 * b * second + 3 * b**2 * first - b**3
            second = second - 2 * b * first + b**2
            first = first - b
            rate = np.maximum(b, 0)
            noise_of_squares += less * 2 * float((rate**2).sum()) / gain**4
            noise_of_cubes += less * 6 * float((rate**3).sum()) / gain**6
        total += float(first.sum()) / gain
        squares += float(second.sum()) / gain**2
        cubes += float(third.sum()) / gain**3
    errors = math.sqrt(noise_of_squares), math.sqrt(noise_of_cubes)
    return _Moments(pixels, total, squares, cubes, *errors)


def equivalent_counts(series: TiltSeries, scale: float) -> float:
    """Return the number of counts with the same relative noise as the signal at its typical value.

    For counts it is `scale` itself. The variance of an intensity is estimated from second differences in both
    directions of every projection (Immerkaer 1996), which cancel smooth structure, and divided by
    the mean. A direction of less than three pixels has no second differences, and is left out.

    The mean is that of the data as recorded, with background and gain, because the data term assumes a
    variance proportional to that. The result is that of a projection of gain 1.
    """
    if series.kind == "counts":
        return scale
    axes = [axis for axis in (0, 1) if series.shape[1 + axis] >= 3]
    if not axes:
        return _MOST_EQUIVALENT_COUNTS
    total = squares = 0.0
    for projection, valid in zip(series.projections(), series.valid_pixels(), strict=True):
        difference = np.where(valid, projection, 0).astype(np.float64)
        known = valid
        if not valid.any():
            continue
        mean = float(difference[valid].mean())
        for axis in axes:
            difference = np.diff(difference, 2, axis=axis)
            known = np.moveaxis(known, axis, 0)
            known = np.moveaxis(known[:-2] & known[1:-1] & known[2:], 0, axis)
        if not known.any():
            continue
        total += mean
        squares += float((difference[known] ** 2).mean())
    if total == 0:
        return _MOST_EQUIVALENT_COUNTS
    # the squares of the weights 1, -2, 1 add up to 6
    variance_over_mean = squares / 6 ** len(axes) / total
    if not variance_over_mean > 0:
        return _MOST_EQUIVALENT_COUNTS
    return float(min(scale / variance_over_mean, _MOST_EQUIVALENT_COUNTS))


def by_full_name(dataset: Dataset, mu: Mapping[str, float]) -> dict[str, float]:
    """Return weights by the full names of the channels, from names or prefixes.

    Raises
    ------
    ParameterError
        When a name fits no channel or several, or a channel has two weights.
    """
    given: dict[str, float] = {}
    for name, value in mu.items():
        full = dataset.resolve(name)
        if full in given:
            raise ParameterError(f"mu: found two weights for channel {full!r}; expected one")
        given[full] = value
    return given
