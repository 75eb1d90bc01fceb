"""Counts in energy windows, and the background in them estimated from neighbouring ranges."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from chemtomo.errors import ParameterError
from chemtomo.spectra.windows import EnergyWindow, channel_range

__all__ = ["EdgeExtractor", "Extractor", "Measured", "WindowExtractor", "count", "window_channels"]

# Exponents of energy-loss backgrounds are 2 to 6; noise may lead further.
_EXPONENTS = np.linspace(-6.0, 14.0, 801)


@dataclasses.dataclass(frozen=True)
class Measured:
    """What `Extractor.measure` takes from spectra.

    Attributes
    ----------
    counts : numpy.ndarray, shape (window, ...)
        Counts in the windows.
    measures : numpy.ndarray, shape (window, measure, ...)
        The numbers from which the background is computed.
    variance : numpy.ndarray, shape (window, ...), optional
        Estimated variance of counts minus background where the background is not smoothed, for counts with
        Poisson noise.
    """

    counts: npt.NDArray[Any]
    measures: npt.NDArray[np.float32]
    variance: npt.NDArray[np.float32] | None = None


class Extractor(Protocol):
    """A method that makes maps from spectra: it sums channels, then computes the background from the sums."""

    windows: tuple[EnergyWindow, ...]
    channels: slice
    """The channels that are used; the others need not be read."""
    measures: int
    """Number of values for the background that are taken from a spectrum per window."""

    def measure(self, spectra: npt.NDArray[Any]) -> Measured:
        """Count in the windows, and measure what the background is computed from.

        Parameters
        ----------
        spectra : numpy.ndarray, shape (..., energy)
            Only the `channels`.
        """

    def background(self, measures: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the expected background counts ``(window, ...)`` for measures, which may be smoothed.

        The last two axes of the measures are those of a projection.
        """


def window_channels(energies_keV: npt.NDArray[np.float64], window: EnergyWindow) -> list[tuple[int, int]]:
    """Return the channels of a window and of its ranges of background, each as (first, last + 1).

    Raises
    ------
    ParameterError
        When a range has no channel in the spectrum.
    """
    found = []
    for low, high in ((window.low_keV, window.high_keV), *window.background):
        start, stop = channel_range(energies_keV, low, high)
        if start >= stop:
            raise ParameterError(
                f"window {window.line!r}: found no channel between {low:.4g} and {high:.4g} keV; "
                f"the spectra go from {energies_keV[0]:.4g} to {energies_keV[-1]:.4g} keV in steps of "
                f"{energies_keV[1] - energies_keV[0] if len(energies_keV) > 1 else 0:.3g} keV"
            )
        found.append((start, stop))
    return found


def count(spectra: npt.NDArray[Any], start: int, stop: int) -> npt.NDArray[Any]:
    """Add up channels: whole numbers exactly, others in float64."""
    dtype = np.float64 if spectra.dtype.kind == "f" else np.int64
    counts: npt.NDArray[Any] = spectra[..., start:stop].sum(axis=-1, dtype=dtype)
    return counts


class _Windows:
    """The channels of windows and of their ranges of background."""

    def __init__(self, energies_keV: npt.NDArray[np.float64], windows: Sequence[EnergyWindow]) -> None:
        if not windows:
            raise ParameterError("found no line to map; expected at least one")
        self.windows = tuple(windows)
        ranges = [window_channels(energies_keV, window) for window in windows]
        first = min(start for each in ranges for start, _ in each)
        last = max(stop for each in ranges for _, stop in each)
        self.channels = slice(first, last)
        self.energies_keV = energies_keV[self.channels]
        self.ranges = [[(start - first, stop - first) for start, stop in each] for each in ranges]


class WindowExtractor(_Windows):
    """Window counts, with a straight background between the ranges on both sides.

    With a range on one side only the background is constant, and without any it is zero. It is a
    weighted sum of counts with weights that are not negative, so it is never negative itself.

    Parameters
    ----------
    energies_keV : numpy.ndarray, shape (energy,)
        Energies of the channels.
    windows : sequence of EnergyWindow
        At least one.

    Raises
    ------
    ParameterError
        When there is no window, or a range has no channel, or the ranges are not on the two sides of the
        window.
    """

    measures = 1

    def __init__(self, energies_keV: npt.NDArray[np.float64], windows: Sequence[EnergyWindow]) -> None:
        super().__init__(energies_keV, windows)
        self.weights = [
            _line_weights(window, ranges) for window, ranges in zip(self.windows, self.ranges, strict=True)
        ]

    def measure(self, spectra: npt.NDArray[Any]) -> Measured:
        """See `Extractor.measure`."""
        counts = np.stack([count(spectra, *ranges[0]) for ranges in self.ranges])
        measures = np.zeros((len(self.windows), 1, *spectra.shape[:-1]), np.float32)
        variance = counts.astype(np.float32)
        for target, spread, ranges, weights in zip(
            measures, variance, self.ranges, self.weights, strict=True
        ):
            for one, weight in zip(ranges[1:], weights, strict=True):
                beside = count(spectra, *one)
                target[0] += weight * beside
                spread += weight**2 * beside
        return Measured(counts, measures, variance)

    def background(self, measures: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """See `Extractor.background`."""
        return measures[:, 0]


class EdgeExtractor(_Windows):
    r"""Counts above absorption edges, with a power law :math:`A E^{-r}` fitted before each edge.

    The range before the edge is halved. The ratio of the counts in its halves gives :math:`r`, their
    sum :math:`A` (the two-window method: R. F. Egerton, Electron Energy-Loss Spectroscopy in the
    Electron Microscope, 3rd ed., section 4.4.3; here the sums over channels are inverted exactly, by a
    table).

    Parameters
    ----------
    energies_keV : numpy.ndarray, shape (energy,)
        Energy losses of the channels.
    windows : sequence of EnergyWindow
        Each with one range of background of at least two channels.

    Raises
    ------
    ParameterError
        When a window has not exactly one range of background, or it is too narrow.
    """

    measures = 2

    def __init__(self, energies_keV: npt.NDArray[np.float64], windows: Sequence[EnergyWindow]) -> None:
        super().__init__(energies_keV, windows)
        for window, ranges in zip(self.windows, self.ranges, strict=True):
            if len(ranges) != 2:
                raise ParameterError(
                    f"window {window.line!r}: found {len(ranges) - 1} ranges of background; "
                    "expected one, before the edge"
                )
            if ranges[1][1] - ranges[1][0] < 2:
                raise ParameterError(
                    f"window {window.line!r}: the range before the edge has one channel; "
                    "expected two at least"
                )
            if self.energies_keV[ranges[1][0]] <= 0:
                raise ParameterError(
                    f"window {window.line!r}: the range before the edge starts at "
                    f"{self.energies_keV[ranges[1][0]]:.4g} keV; expected energy losses above zero"
                )

    def measure(self, spectra: npt.NDArray[Any]) -> Measured:
        """See `Extractor.measure`."""
        counts = np.stack([count(spectra, *ranges[0]) for ranges in self.ranges])
        measures = np.stack(
            [
                np.stack([count(spectra, start, middle), count(spectra, middle, stop)])
                for start, middle, stop in map(_halves, self.ranges)
            ]
        )
        return Measured(counts, measures.astype(np.float32))

    def background(self, measures: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """See `Extractor.background`."""
        found = np.empty((len(self.windows), *measures.shape[2:]), np.float32)
        for target, (first, second), ranges in zip(found, measures, self.ranges, strict=True):
            start, middle, stop = _halves(ranges)
            # Energies relative to the first, so that no power overflows.
            energies = self.energies_keV / self.energies_keV[start]
            powers = [
                np.array([(energies[slice(*one)] ** -exponent).sum() for exponent in _EXPONENTS])
                for one in ((start, middle), (middle, stop), ranges[0])
            ]
            ratios = np.log(powers[0] / powers[1])
            carried = np.log(powers[2] / (powers[0] + powers[1]))
            total = first.astype(np.float64) + second
            # Where a half has no counts the exponent of the mean spectrum is used.
            usable = (first > 0) & (second > 0)
            mean = first[usable].sum(dtype=np.float64), second[usable].sum(dtype=np.float64)
            typical = np.log(mean[0] / mean[1]) if usable.any() else ratios[0]
            logarithm = np.full(first.shape, typical)
            np.log(first, out=logarithm, where=usable, dtype=np.float64)
            logarithm[usable] -= np.log(second[usable], dtype=np.float64)
            exponents = np.interp(logarithm, ratios, _EXPONENTS)
            target[...] = np.maximum(total, 0) * np.exp(np.interp(exponents, _EXPONENTS, carried))
        return found


def _halves(ranges: list[tuple[int, int]]) -> tuple[int, int, int]:
    start, stop = ranges[1]
    return start, (start + stop) // 2, stop


def _line_weights(window: EnergyWindow, ranges: list[tuple[int, int]]) -> list[float]:
    """Return how much a count in each range of background adds to the background in the window."""
    centres = [(start + stop - 1) / 2 for start, stop in ranges]
    widths = [stop - start for start, stop in ranges]
    if len(ranges) == 1:
        return []
    if len(ranges) == 2:
        return [widths[0] / widths[1]]
    first, second = centres[1:]
    share = (centres[0] - first) / (second - first) if first != second else -1.0
    if not 0 <= share <= 1:
        raise ParameterError(
            f"window {window.line!r}: found both ranges of background on one side; expected one on each side"
        )
    return [(1 - share) * widths[0] / widths[1], share * widths[0] / widths[2]]
