"""Suggest the elements in an energy-loss spectrum."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from chemtomo.spectra.extract import EdgeExtractor
from chemtomo.spectra.lines import edge_energies_keV, elements_between
from chemtomo.spectra.suggestion import Suggestion
from chemtomo.spectra.windows import EnergyWindow

__all__ = ["suggest_edges"]

_ELEMENTS = ("Li", "Lu")
_EDGES = ("K", "L3", "M5")
_LARGEST_LOSS_KEV = 3.0
_WIDTH_KEV = 0.02
_GAP_KEV = 0.004
_LEAST_JUMP = 0.05
_SIGNIFICANT = 8.0


def suggest_edges(
    spectrum: npt.NDArray[np.float64], energies_keV: npt.NDArray[np.float64]
) -> list[Suggestion]:
    """Suggest the elements whose edges stand out of an energy-loss spectrum.

    At the onset of every main edge the counts of the next 20 eV are compared with the power law of the
    40 eV before. Of edges closer than 10 eV to each other only the one with the largest jump is named,
    with the others as a caution.

    Parameters
    ----------
    spectrum : numpy.ndarray, shape (energy,)
        Counts, usually of all pixels and tilts together.
    energies_keV : numpy.ndarray, shape (energy,)
        Energy losses of evenly spaced channels.

    Returns
    -------
    list of Suggestion
        The largest jump first.
    """
    step = energies_keV[1] - energies_keV[0]
    found = []
    for element in elements_between(*_ELEMENTS):
        edges = edge_energies_keV(element)
        for edge in _EDGES:
            onset = edges.get(edge, 0.0)
            before = (onset - _GAP_KEV - 2 * _WIDTH_KEV, onset - _GAP_KEV)
            inside = max(energies_keV[0], 0.02) <= before[0] and onset + _WIDTH_KEV <= energies_keV[-1]
            if not inside or onset > _LARGEST_LOSS_KEV or before[1] - before[0] < 8 * step:
                continue
            window = EnergyWindow(element, f"{element}_{edge}", onset, onset + _WIDTH_KEV, (before,))
            extractor = EdgeExtractor(energies_keV, [window])
            measured = extractor.measure(spectrum[extractor.channels][np.newaxis])
            background = float(extractor.background(measured.measures)[0, 0])
            counts = float(measured.counts[0, 0])
            net = counts - background
            # The extrapolation at least doubles the variance. Cameras add noise of their own, which is
            # estimated from the scatter between channels.
            inside_channels = spectrum[extractor.channels]
            scatter = float(np.diff(inside_channels).var()) / 2 * (_WIDTH_KEV / step)
            variance = max(counts + 3 * background, 4 * scatter, 1.0)
            significance = net / np.sqrt(variance)
            jump = net / max(background, 1.0)
            if significance >= _SIGNIFICANT and jump >= _LEAST_JUMP:
                found.append((jump, onset, Suggestion(element, window.line, onset, net, significance, ())))
    found.sort(key=lambda one: -one[0])
    kept: list[tuple[float, float, Suggestion, list[str]]] = []
    for jump, onset, one in found:
        near = next((other for other in kept if abs(other[1] - onset) < 0.010), None)
        if near is not None:
            near[3].append(one.line)
        elif all(one.element != other[2].element for other in kept):
            kept.append((jump, onset, one, []))
    return [
        Suggestion(
            one.element,
            one.line,
            one.energy_keV,
            one.counts,
            one.significance,
            (f"the counts jump by {100 * jump:.0f} % at {1000 * onset:.0f} eV",),
            (f"{', '.join(others)} start within 10 eV",) if others else (),
        )
        for jump, onset, one, others in kept
    ]
