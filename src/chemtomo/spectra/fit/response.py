"""The response of a silicon detector to an X-ray line: position, width, escape peaks and tails."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from chemtomo.spectra.lines import shell_members
from chemtomo.spectra.windows import MANGANESE_KEV

__all__ = ["Response", "escape_share", "line_shape", "lines_shape", "tail_shapes"]

_FWHM = float(np.sqrt(8 * np.log(2)))
# Energy to make a pair of charges in silicon times its Fano factor, times 8 ln 2, in keV.
_SPREAD_KEV = 0.0025
_LEAST_FWHM_KEV = 0.030
# Charges close to the surface are lost: lines below about this energy appear too low.
_SURFACE_KEV = 0.5
# Lines are cut off at this many standard deviations.
_REACH = 6.0
_SILICON_K_EDGE_KEV = 1.839
_SILICON_KA_KEV = 1.740
_SILICON_YIELD = 0.05
_SILICON_K_SHARE = 0.92
# Lengths of the exponential tails that incomplete collection of charges leaves below a line.
_TAIL_LENGTHS_KEV = (0.1, 0.3)


@dataclasses.dataclass(frozen=True)
class Response:
    """Calibration and resolution of a silicon detector.

    A line at the energy E is found at ``offset + gain E + surface exp(-E / 0.5 keV)``, with the squared full
    width at half maximum ``width(Mn Ka)^2 + spread (E - E(Mn Ka))``.

    Attributes
    ----------
    offset_keV, gain : float
        Error of the energy axis of the file.
    surface_keV : float
        Shift at small energies.
    at_manganese_eV : float
        Full width at half maximum at 5.895 keV, in eV.
    spread_keV : float
        How the squared width grows with the energy.
    """

    offset_keV: float = 0.0
    gain: float = 1.0
    surface_keV: float = 0.0
    at_manganese_eV: float = 130.0  # noqa: N815
    spread_keV: float = _SPREAD_KEV

    def position_keV(self, energy_keV: float) -> float:
        """Return where on the energy axis a line is found."""
        shift = self.surface_keV * np.exp(-energy_keV / _SURFACE_KEV)
        return float(self.offset_keV + self.gain * energy_keV + shift)

    def sigma_keV(self, energy_keV: float) -> float:
        """Return the standard deviation of a line."""
        squared = (self.at_manganese_eV / 1000) ** 2 + self.spread_keV * (energy_keV - MANGANESE_KEV)
        return float(np.sqrt(max(squared, _LEAST_FWHM_KEV**2)) / _FWHM)

    def fwhm_keV(self, energy_keV: float) -> float:
        """Return the full width at half maximum of a line."""
        return _FWHM * self.sigma_keV(energy_keV)

    def derivatives(
        self, lines: npt.NDArray[np.float64], energies_keV: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Return the derivatives of a spectrum of lines by the five parameters, shape (5, energy).

        The parameter for the width at Mn Ka is its square, in keV^2.
        """
        slope = np.gradient(lines, energies_keV)
        widening = np.gradient(slope, energies_keV) / (2 * _FWHM**2)
        surface = np.exp(-np.maximum(energies_keV, 0) / _SURFACE_KEV)
        return np.array(
            [
                -slope,
                -energies_keV * slope,
                -surface * slope,
                widening,
                (energies_keV - MANGANESE_KEV) * widening,
            ]
        )

    def values(self) -> npt.NDArray[np.float64]:
        """Return the five parameters of `derivatives`, in their order."""
        return np.array(
            [
                self.offset_keV,
                self.gain,
                self.surface_keV,
                (self.at_manganese_eV / 1000) ** 2,
                self.spread_keV,
            ]
        )

    @classmethod
    def of(cls, values: npt.NDArray[np.float64]) -> Response:
        """Return the response with the five parameters of `values`."""
        offset, gain, surface, squared, spread = (float(one) for one in values)
        return cls(offset, gain, surface, 1000 * float(np.sqrt(max(squared, 1e-4))), spread)


@functools.cache
def escape_share(energy_keV: float) -> float:
    """Return the fraction of photons in the escape peak, at an energy lower by that of Si Ka.

    S. J. B. Reed and N. G. Ware, Journal of Physics E 5 (1972) 582, at normal incidence.
    """
    import xraydb

    if energy_keV <= _SILICON_K_EDGE_KEV:
        return 0.0
    absorbed = float(xraydb.mu_elam("Si", 1000 * energy_keV))
    leaving = float(xraydb.mu_elam("Si", 1000 * _SILICON_KA_KEV)) / absorbed
    return 0.5 * _SILICON_YIELD * _SILICON_K_SHARE * (1 - leaving * float(np.log(1 + 1 / leaving)))


def lines_shape(
    lines: Iterable[tuple[float, float]], energies_keV: npt.NDArray[np.float64], response: Response
) -> npt.NDArray[np.float64]:
    """Return the shape of lines: a Gaussian each, and its escape peak, integrated over every channel.

    Parameters
    ----------
    lines : iterable of (float, float)
        Energy in keV, and photons.
    energies_keV : numpy.ndarray, shape (energy,)
        Energies of evenly spaced channels.
    response : Response
        Calibration and resolution.
    """
    from scipy.special import ndtr

    step = energies_keV[1] - energies_keV[0]
    borders = np.append(energies_keV, energies_keV[-1] + step) - step / 2
    shape = np.zeros(len(energies_keV))
    for energy, photons in lines:
        escaped = escape_share(energy)
        for at, share in ((energy, 1 - escaped), (energy - _SILICON_KA_KEV, escaped)):
            if share <= 0:
                continue
            place, sigma = response.position_keV(at), response.sigma_keV(at)
            first, last = np.searchsorted(borders, [place - _REACH * sigma, place + _REACH * sigma])
            near = slice(max(0, int(first) - 1), int(last) + 1)
            parts = photons * share * np.diff(ndtr((borders[near] - place) / sigma))
            shape[near.start : near.start + len(parts)] += parts
    return shape


def line_shape(
    element: str, shell: str, energies_keV: npt.NDArray[np.float64], at_manganese_eV: float = 130.0
) -> npt.NDArray[np.float64]:
    """Return the shape of the lines of a shell for a calibrated detector.

    Parameters
    ----------
    element : str
        Chemical symbol.
    shell : {"K", "L", "M"}
        All lines with a vacancy in this shell, with their tabulated shares, and their escape peaks.
    energies_keV : numpy.ndarray, shape (energy,)
        Energies of evenly spaced channels.
    at_manganese_eV : float
        See `chemtomo.spectra.resolution_keV`.

    Returns
    -------
    numpy.ndarray, shape (energy,)
        Expected counts for one photon; the sum is the share of the photons in the range.
    """
    lines = [(energy, share) for _, energy, share in shell_members(element, shell)]
    return lines_shape(lines, energies_keV, Response(at_manganese_eV=at_manganese_eV))


def tail_shapes(
    lines: npt.NDArray[np.float64], energies_keV: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return lines smeared to lower energies, with tails of two lengths, shape (4, ..., energy).

    Charges that are not collected completely leave exponential tails below every line. How their share falls
    with the energy of the line differs between detectors: there are tails of each length with an equal share
    for all lines, and with a share inversely proportional to the energy.

    Parameters
    ----------
    lines : numpy.ndarray, shape (..., energy)
        Spectra of lines.
    energies_keV : numpy.ndarray, shape (energy,)
        Energies of evenly spaced channels.
    """
    from scipy.signal import lfilter

    step = energies_keV[1] - energies_keV[0]
    shares = np.stack([np.ones_like(energies_keV), 1 / np.maximum(energies_keV, 0.2)])
    made = []
    for length in _TAIL_LENGTHS_KEV:
        kept = np.exp(-step / length)
        made += [lfilter([1 - kept], [1, -kept], (lines * share)[..., ::-1])[..., ::-1] for share in shares]
    return np.array(made)
