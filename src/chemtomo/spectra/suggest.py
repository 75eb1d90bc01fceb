"""Which elements a spectrum shows, and why."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from chemtomo.data import SpectrumSeries
from chemtomo.spectra.edge_suggestions import suggest_edges
from chemtomo.spectra.fit import SpectrumModel, fit_spectrum, kramers_shapes, line_shape
from chemtomo.spectra.lines import XrayLine, elements_between, lines_of
from chemtomo.spectra.suggestion import Suggestion
from chemtomo.spectra.windows import line_window, resolution_keV

__all__ = ["find_peaks", "suggest", "suggest_lines"]

_ELEMENTS = ("B", "U")

_CAUTIONS = {
    "C": "also from the support film and contamination",
    "O": "also from oxidised surfaces and the support",
    "Cu": "also from the grid and the holder",
    "Ni": "also from a nickel grid",
    "Mo": "also from a molybdenum grid",
    "Au": "also from a gold grid",
    "Ga": "also implanted by an ion beam",
    "Pt": "also from the protective layer of an ion-beam preparation",
    "Fe": "also from the pole pieces",
    "Co": "also from the pole pieces",
    "Si": "also from the detector and a nitride support",
    "Ar": "also implanted by ion milling",
}

_LOWEST_KEV = 0.15
_SIGNIFICANT = 5.0
# The inner shell of an element gives at least this share of the photons of the next one, if its lines have
# less energy than this. It is a few times more in thin samples.
_INNER_SHARE = 0.03
_INNER_KEV = 18.0
_MOST_ELEMENTS = 20
# Another element explains a peak as well when it gains this share of what the best one gains.
_AS_WELL = 0.8
_LOST = 0.3
_OVERLAPPED = 0.2


def suggest(series: SpectrumSeries, spectrum: npt.NDArray[np.float64], **settings: float) -> list[Suggestion]:
    """Suggest what to map, from the sum spectrum of a series.

    Parameters
    ----------
    series : SpectrumSeries
        The spectra; only their signal and energies are looked at.
    spectrum : numpy.ndarray, shape (energy,)
        Their sum, see `chemtomo.spectra.sum_spectrum`.
    **settings
        See `suggest_lines` and `chemtomo.spectra.suggest_edges`.

    Returns
    -------
    list of Suggestion
        The most certain first.
    """
    if series.signal == "EELS":
        return suggest_edges(spectrum, series.energies_keV)
    return suggest_lines(spectrum, series.energies_keV, **settings)


def suggest_lines(
    spectrum: npt.NDArray[np.float64],
    energies_keV: npt.NDArray[np.float64],
    *,
    at_manganese_eV: float = 130.0,
    beam_energy_keV: float = 200.0,
) -> list[Suggestion]:
    """Suggest the elements whose X-ray lines explain a spectrum.

    Elements with a main line on an excess over the background are candidates. Of those the one whose
    lines, all together and in their tabulated proportions, improve the fit of the spectrum most is
    accepted, then the next beside it, until none improves it significantly. So a peak that the lines of
    accepted elements explain needs no further element, and one that does not fit in its shape stays open
    to another. An element whose outer lines would explain a peak, but whose inner lines are missing, is not
    accepted.

    Parameters
    ----------
    spectrum : numpy.ndarray, shape (energy,)
        Counts, usually of all pixels and tilts together.
    energies_keV : numpy.ndarray, shape (energy,)
        Energies of evenly spaced channels.
    at_manganese_eV : float
        See `chemtomo.spectra.resolution_keV`.
    beam_energy_keV : float
        Energy of the electrons.

    Returns
    -------
    list of Suggestion
        The most significant first.
    """
    counts = np.asarray(spectrum, np.float64)
    usable = energies_keV >= _LOWEST_KEV
    if counts[usable].sum() <= 0 or usable.sum() < 20:
        return []
    search = _Search(counts, energies_keV, at_manganese_eV, beam_energy_keV)
    accepted: dict[str, list[str]] = {}
    gains = search.gains([])
    while gains and len(accepted) < _MOST_ELEMENTS:
        best = max(gains, key=lambda element: gains[element])
        if gains[best] < _SIGNIFICANT**2:
            break
        before, gains = gains, search.gains([*accepted, best])
        # What another element would have gained and does not gain any more, it explains just as well.
        accepted[best] = sorted(
            (
                one
                for one in before
                if one != best
                and before[one] > _AS_WELL * before[best]
                and gains.get(one, 0.0) < _LOST * before[one]
            ),
            key=lambda one: -before[one],
        )
    if not accepted:
        return []
    # What is left out as too faint in the presence of all others is no neighbour of what stays.
    for _ in range(2):
        described = [search.describe(element, list(accepted), others) for element, others in accepted.items()]
        found = [one for one in described if one.significance >= _SIGNIFICANT]
        accepted = {one.element: accepted[one.element] for one in found}
    return sorted(found, key=lambda one: -one.significance)


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
    significance[energies_keV < _LOWEST_KEV] = 0
    peaks, _ = local_maxima(significance, height=_SIGNIFICANT, distance=max(1, int(width / 2)))
    return peaks, significance


class _Search:
    """All candidates with their shapes, and the fits of some of them to a spectrum."""

    def __init__(
        self,
        counts: npt.NDArray[np.float64],
        energies_keV: npt.NDArray[np.float64],
        at_manganese_eV: float,
        beam_energy_keV: float,
    ) -> None:
        self.energies, self.counts = energies_keV, counts
        self.at_manganese_eV, self.beam = at_manganese_eV, beam_energy_keV
        self.used = slice(int(np.searchsorted(energies_keV, _LOWEST_KEV)), None)
        _, self.excess = find_peaks(counts, energies_keV, at_manganese_eV=at_manganese_eV)
        self.shapes = {"background": kramers_shapes(energies_keV, beam_energy_keV)}
        self.shells: dict[str, list[str]] = {}
        for element in elements_between(*_ELEMENTS):
            lines = [line for line in lines_of(element) if self._is_recorded(line)]
            if any(self._excess_at(line) >= _SIGNIFICANT for line in lines):
                shells = [line.shell for line in lines]
                self.shells[element] = list(dict.fromkeys(shells))
                self.shapes[element] = np.array(
                    [line_shape(element, s, energies_keV, at_manganese_eV) for s in self.shells[element]]
                )
        names = list(self.shapes)
        # Weights of Poisson statistics, from the spectrum smoothed over a few channels.
        smooth = np.convolve(counts, np.ones(7) / 7, "same")[self.used]
        self.weights = 1 / np.maximum(smooth, max(1.0, 1e-4 * smooth.max()))
        stacked = np.vstack([self.shapes[name][:, self.used] for name in names])
        ends = np.cumsum([len(self.shapes[name]) for name in names])
        self.rows = {
            name: np.arange(end - len(self.shapes[name]), end) for name, end in zip(names, ends, strict=True)
        }
        self.normal = (stacked * self.weights) @ stacked.T
        self.right = (stacked * self.weights) @ counts[self.used]
        self.power = float(self.weights @ counts[self.used] ** 2)

    def gains(self, accepted: Sequence[str]) -> dict[str, float]:
        """Return by how much every further element lowers chi squared, if it is a reasonable one.

        It is divided by chi squared per channel, so that shapes that are not quite right do not call for
        elements.
        """
        before, _ = self._fit(accepted)
        scale = max(1.0, before / max(1, len(self.weights) - 8 * len(accepted)))
        found = {}
        for element in self.shells:
            if element in accepted:
                continue
            after, amplitudes = self._fit([*accepted, element])
            mine = amplitudes[-len(self.shells[element]) :]
            if mine.sum() > 0 and self._has_inner_lines(element, mine):
                found[element] = (before - after) / scale
        return found

    def describe(self, element: str, accepted: Sequence[str], as_well: Sequence[str]) -> Suggestion:
        """Say what speaks for an element that was accepted, and what for caution."""
        model = fit_spectrum(
            self.counts,
            self.energies,
            accepted,
            at_manganese_eV=self.at_manganese_eV,
            beam_energy_keV=self.beam,
        )
        own = model.part(element)
        rest = model.total - own
        best: tuple[float, XrayLine, float, float] | None = None
        seen = []
        for line in lines_of(element):
            if not self._is_recorded(line):
                continue
            window = line_window(line, at_manganese_eV=self.at_manganese_eV)
            start, stop = np.searchsorted(self.energies, [window.low_keV, window.high_keV])
            mine, others = own[start:stop].sum(), rest[start:stop].sum()
            significance = float(mine / np.sqrt(max(mine + others, 1.0)))
            if significance < 3:
                continue
            seen.append(f"{line.label} {line.energy_keV:.3f} keV")
            # The inner shell is preferred even with fewer counts: its lines are further from others.
            inner = best is not None and best[1].shell != line.shell and best[0] >= 2 * _SIGNIFICANT
            if line.label.endswith("a") and not inner and (best is None or significance > best[0]):
                best = (significance, line, float(mine), float(others))
        if best is None:
            line = next(one for one in lines_of(element) if self._is_recorded(one))
            return Suggestion(element, line.name, line.energy_keV, 0.0, 0.0, ())
        significance, line, mine_counts, other_counts = best
        cautions = [_CAUTIONS[element]] if element in _CAUTIONS else []
        if as_well:
            cautions.append(f"{', '.join(as_well[:3])} would explain the same peaks as well")
        crowd = self._neighbours(line, [one for one in accepted if one != element], model)
        if crowd:
            cautions.append(f"overlaps with {', '.join(crowd)}: use the fit")
        elif other_counts > 3 * mine_counts:
            cautions.append("little over a high background")
        return Suggestion(
            element,
            line.name,
            line.energy_keV,
            mine_counts,
            significance,
            ("explains " + ", ".join(seen),),
            tuple(cautions),
        )

    def _neighbours(self, line: XrayLine, others: Sequence[str], model: SpectrumModel) -> list[str]:
        """Return the elements that have more than a fifth of the counts in the window of a line."""
        window = line_window(line, at_manganese_eV=self.at_manganese_eV)
        start, stop = np.searchsorted(self.energies, [window.low_keV, window.high_keV])
        mine = model.part(line.element)[start:stop].sum()
        return [one for one in others if model.part(one)[start:stop].sum() > _OVERLAPPED * mine]

    def _is_recorded(self, line: XrayLine) -> bool:
        margin = resolution_keV(line.energy_keV, self.at_manganese_eV) / 2
        return bool(
            max(_LOWEST_KEV, self.energies[0]) + margin < line.energy_keV < self.energies[-1] - margin
        )

    def _excess_at(self, line: XrayLine) -> float:
        step = self.energies[1] - self.energies[0]
        channel = round((line.energy_keV - self.energies[0]) / step)
        # A calibration may be off by a channel or two.
        return float(self.excess[max(0, channel - 1) : channel + 2].max())

    def _has_inner_lines(self, element: str, amplitudes: npt.NDArray[np.float64]) -> bool:
        shells = self.shells[element]
        alphas = {line.shell: line for line in lines_of(element) if line.label.endswith("a")}
        for inner, outer in zip(range(len(shells) - 1), range(1, len(shells)), strict=True):
            line = alphas.get(shells[inner])
            if line is None or line.energy_keV > _INNER_KEV:
                continue
            start, stop = np.searchsorted(
                self.energies, line.energy_keV + np.array([-0.5, 0.5]) * resolution_keV(line.energy_keV)
            )
            noise = np.sqrt(max(self.counts[start:stop].sum(), 1.0))
            if amplitudes[inner] + 4 * noise < _INNER_SHARE * amplitudes[outer]:
                return False
        return True

    def _fit(self, elements: Sequence[str]) -> tuple[float, npt.NDArray[np.float64]]:
        """Fit the background and some elements; return chi squared and the amplitudes."""
        from scipy.optimize import nnls

        rows = np.concatenate([self.rows[name] for name in ("background", *elements)])
        normal, right = self.normal[np.ix_(rows, rows)], self.right[rows]
        scale = np.sqrt(np.diag(normal))
        scale[scale == 0] = 1.0
        values, vectors = np.linalg.eigh(normal / np.outer(scale, scale))
        root = np.sqrt(np.maximum(values, 1e-12 * values.max()))
        amplitudes, _ = nnls((vectors * root).T, (vectors.T @ (right / scale)) / root, maxiter=2000)
        amplitudes = amplitudes / scale
        chi_squared = self.power - 2 * amplitudes @ right + amplitudes @ normal @ amplitudes
        return float(chi_squared), amplitudes
