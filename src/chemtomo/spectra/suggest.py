"""Suggest the elements in a spectrum, with evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import SpectrumSeries
from chemtomo.spectra.edge_suggestions import suggest_edges
from chemtomo.spectra.fit import LOWEST_KEV
from chemtomo.spectra.line_search import LineSearch
from chemtomo.spectra.suggestion import Suggestion
from chemtomo.spectra.windows import resolution_keV

__all__ = ["find_peaks", "suggest", "suggest_lines"]

_SIGNIFICANT = 5.0
_SEEN = 3.0
_MOST_ELEMENTS = 30


def suggest(series: SpectrumSeries, spectrum: npt.NDArray[np.float64], **settings: Any) -> list[Suggestion]:
    """Suggest what to map, from the sum spectrum of a series.

    Parameters
    ----------
    series : SpectrumSeries
        The spectra; only their signal, energies and listed elements are used.
    spectrum : numpy.ndarray, shape (energy,)
        Their sum, see `chemtomo.spectra.sum_spectrum`.
    **settings
        See `suggest_lines` and `chemtomo.spectra.suggest_edges`.

    Returns
    -------
    list of Suggestion
        Those that the file lists first, and the most certain first.
    """
    if series.signal == "EELS":
        return suggest_edges(spectrum, series.energies_keV)
    return suggest_lines(spectrum, series.energies_keV, listed=series.elements, **settings)


def suggest_lines(
    spectrum: npt.NDArray[np.float64],
    energies_keV: npt.NDArray[np.float64],
    *,
    listed: Sequence[str] = (),
    at_manganese_eV: float = 130.0,
    beam_energy_keV: float = 200.0,
) -> list[Suggestion]:
    """Suggest the elements whose X-ray lines explain a spectrum.

    The elements that the file lists are fitted first, with all lines of every shell, escape and sum peaks,
    tails and a calibration of the detector. A further element needs a peak of its own in the residual of
    this fit, a maximum and not a shoulder. Of the elements with such a peak the one whose lines improve the
    fit most is accepted, then the next, until none improves it significantly. Finally each element is left
    out of the fit in turn, and removed if the fit is as good without it. The significance takes into account
    that line intensities are known to no better than 2 %, and how well the whole spectrum is fitted. An
    element whose outer lines would explain a peak but whose inner lines are missing is not accepted.

    Parameters
    ----------
    spectrum : numpy.ndarray, shape (energy,)
        Counts, usually of all pixels and tilts together.
    energies_keV : numpy.ndarray, shape (energy,)
        Energies of evenly spaced channels.
    listed : sequence of str
        Elements that are expected: those that the file lists.
    at_manganese_eV : float
        See `chemtomo.spectra.resolution_keV`.
    beam_energy_keV : float
        Energy of the electrons.

    Returns
    -------
    list of Suggestion
        The listed ones first, and the most significant first.
    """
    counts = np.asarray(spectrum, np.float64)
    usable = energies_keV >= LOWEST_KEV
    if counts[usable].sum() <= 0 or usable.sum() < 20:
        return []
    search = LineSearch(counts, energies_keV, listed, at_manganese_eV, beam_energy_keV)
    for _ in range(2):
        while len(search.accepted) < _MOST_ELEMENTS and search.accept_next():
            pass
        search.calibrate()
    search.remove_needless()
    found = [search.describe(element) for element in search.accepted]
    kept = [one for one in found if one.significance >= (_SEEN if one.listed else _SIGNIFICANT)]
    return sorted(kept, key=lambda one: (not one.listed, -one.significance))


def find_peaks(
    spectrum: npt.NDArray[np.float64],
    energies_keV: npt.NDArray[np.float64],
    *,
    at_manganese_eV: float = 130.0,
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Return where a spectrum exceeds its background, and how significantly.

    The background is the spectrum with everything clipped that is narrower than a few resolutions
    (statistics-sensitive nonlinear iterative peak clipping: C. G. Ryan et al., Nuclear Instruments and
    Methods B 34 (1988) 396).

    Returns
    -------
    peaks : numpy.ndarray
        Channels of the maxima with at least five standard deviations.
    significance : numpy.ndarray, shape (energy,)
        Excess within one resolution, in standard deviations.
    """
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks as local_maxima

    step = float(energies_keV[1] - energies_keV[0])
    middle = float(np.clip(energies_keV[len(energies_keV) // 2], 0.5, None))
    width = max(resolution_keV(middle, at_manganese_eV) / step, 1.0)
    smooth = gaussian_filter1d(np.maximum(spectrum, 0).astype(float), max(width / 4, 0.5))
    background = np.log(np.log(np.sqrt(smooth + 1) + 1) + 1)
    for reach in range(int(2 * width), 0, -1):
        around = (background[2 * reach :] + background[: -2 * reach]) / 2
        background[reach:-reach] = np.minimum(background[reach:-reach], around)
    background = (np.exp(np.exp(background) - 1) - 1) ** 2 - 1
    significance = np.zeros(len(spectrum))
    totals = np.append(0.0, np.cumsum(spectrum, dtype=float))
    below = np.append(0.0, np.cumsum(np.maximum(background, 0)))
    for channel, energy in enumerate(energies_keV):
        half = max(resolution_keV(float(max(energy, 0.1)), at_manganese_eV) / 2 / step, 1.0)
        start, stop = max(0, round(channel - half)), min(len(spectrum), round(channel + half) + 1)
        total, under = totals[stop] - totals[start], below[stop] - below[start]
        significance[channel] = (total - under) / np.sqrt(max(total, under, 1.0))
    significance[energies_keV < LOWEST_KEV] = 0
    peaks, _ = local_maxima(significance, height=_SIGNIFICANT, distance=max(1, int(width / 2)))
    return peaks, significance
