"""The background of the lines: bremsstrahlung, and pile-up of pulses."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["LOWEST_KEV", "background_shapes", "kramers_shapes", "sum_peaks"]

LOWEST_KEV = 0.17
"""Below this energy are the noise peak and the threshold of the detector."""

_KNOTS = 14


def kramers_shapes(
    energies_keV: npt.NDArray[np.float64], beam_energy_keV: float = 200.0
) -> npt.NDArray[np.float64]:
    r"""Return a few shapes of bremsstrahlung, with the sum 1 each.

    Kramers' law for the bremsstrahlung, :math:`(E_0 - E) / E`, times :math:`1` or :math:`E` and times the
    transmission :math:`\exp(-(E_a / E)^3)` of windows and sample for three absorption energies. A sum of
    them that is not negative is smooth, and never negative.

    References
    ----------
    H. A. Kramers, Philosophical Magazine 46 (1923) 836, as in R. Huber et al., Nanoscale 11 (2019) 5617.
    """
    energies = np.maximum(energies_keV, 0.15)
    law = np.maximum(beam_energy_keV - energies, 0.0) / energies
    shapes = [
        law * power * np.exp(-((absorbed / energies) ** 3))
        for absorbed in (0.1, 0.5, 1.2)
        for power in (np.ones_like(energies), energies)
    ]
    return np.array([shape / shape.sum() for shape in shapes])


def background_shapes(
    energies_keV: npt.NDArray[np.float64], beam_energy_keV: float = 200.0
) -> npt.NDArray[np.float64]:
    """Return the shapes that a background is made of: Kramers' law times B-splines, with the sum 1 each.

    The splines model the absorption in the sample and in the detector: windows, contacts, ice. Their
    knots are evenly spaced in the logarithm of the energy, some resolutions apart, so that the background
    follows absorption but not a line. A sum that is not negative is never negative.

    Parameters
    ----------
    energies_keV : numpy.ndarray, shape (energy,)
        Energies of the channels.
    beam_energy_keV : float
        Energy of the electrons.

    Returns
    -------
    numpy.ndarray, shape (shape, energy)
        Cubic splines, up to 16.
    """
    from scipy.interpolate import BSpline

    energies = np.maximum(energies_keV, 0.12)
    law = np.maximum(beam_energy_keV - energies, 1e-3) / energies
    place = np.log(energies)
    knots = np.linspace(np.log(0.15), max(place[-1], np.log(0.15) + 1.0), _KNOTS)
    padded = np.concatenate([[knots[0]] * 3, knots, [knots[-1]] * 3])
    splines = BSpline.design_matrix(np.clip(place, knots[0], knots[-1]), padded, 3).toarray().T
    shapes = splines * law * (energies_keV >= LOWEST_KEV / 2)
    sums = shapes[:, energies_keV >= LOWEST_KEV].sum(axis=1)
    made: npt.NDArray[np.float64] = shapes[sums > 0] / shapes[sums > 0].sum(axis=1, keepdims=True)
    return made


def sum_peaks(
    spectrum: npt.NDArray[np.float64], energies_keV: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the spectrum of pairs of photons that are counted as one, for one such pair per photon."""
    usable = np.where(energies_keV > LOWEST_KEV, np.maximum(spectrum, 0.0), 0.0)
    total = usable.sum()
    if total <= 0:
        return np.zeros_like(usable)
    from scipy.signal import fftconvolve

    # Energies add: the channel of a pair is the sum of both, less the offset that was counted twice.
    shift = -energies_keV[0] / (energies_keV[1] - energies_keV[0])
    both = np.maximum(fftconvolve(usable, usable), 0.0) / total
    places = np.arange(len(usable)) + shift
    found: npt.NDArray[np.float64] = np.interp(places, np.arange(len(both)), both, left=0.0, right=0.0)
    return found
