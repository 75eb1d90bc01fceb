"""A spectrum as a sum of shapes."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from chemtomo.spectra.fit.background import LOWEST_KEV
from chemtomo.spectra.fit.response import Response

__all__ = ["SpectrumModel", "peak_deviations"]

# A peak is what exceeds its own flanks: half width of its core, and where its flanks are, in resolutions.
_CORE, _FLANKS = 0.6, (0.9, 1.5)


@dataclasses.dataclass(frozen=True)
class SpectrumModel:
    """A spectrum as a sum of shapes.

    Attributes
    ----------
    energies_keV : numpy.ndarray, shape (energy,)
        Energies of the channels.
    fitted : slice
        The channels that were fitted.
    names : tuple of str
        ``"Fe_K"``, ``"Fe_L"``... for the lines of a shell together, and ``"background"``.
    shapes : numpy.ndarray, shape (component, energy)
        Expected counts of a component with the amplitude 1. That of a shell has all its photons with the
        sum 1, as far as they are in the range.
    amplitudes : numpy.ndarray, shape (component,)
        Counts of every component, not negative.
    response : Response
        Calibration and resolution that the lines were found with.
    weights : numpy.ndarray, shape (fitted,)
        Weights of the channels, the inverse of their variance: of the counts, and of errors of the tabulated
        lines.
    misfit : float
        Chi squared per channel; about 1 for a good fit.
    deviations : numpy.ndarray, shape (component,)
        Standard deviations of the amplitudes. They hold what is not known as well as it is counted too:
        proportions of lines, tails, background, and what the fit does not explain. NaN for the background.
    """

    energies_keV: npt.NDArray[np.float64]
    fitted: slice
    names: tuple[str, ...]
    shapes: npt.NDArray[np.float64]
    amplitudes: npt.NDArray[np.float64]
    response: Response
    weights: npt.NDArray[np.float64]
    misfit: float
    deviations: npt.NDArray[np.float64]

    @property
    def total(self) -> npt.NDArray[np.float64]:
        """The fitted spectrum, shape (energy,)."""
        found: npt.NDArray[np.float64] = self.amplitudes @ self.shapes
        return found

    def part(self, element: str) -> npt.NDArray[np.float64]:
        """Return what belongs to an element (or to ``"background"``), shape (energy,)."""
        mine = [name == element or name.rpartition("_")[0] == element for name in self.names]
        found: npt.NDArray[np.float64] = self.amplitudes[mine] @ self.shapes[mine]
        return found


def peak_deviations(
    energies_keV: npt.NDArray[np.float64],
    counts: npt.NDArray[np.float64],
    fitted: npt.NDArray[np.float64],
    error: npt.NDArray[np.float64],
    *,
    place_keV: float,
    width_keV: float,
) -> float:
    """Return by how many standard deviations the residual of a peak exceeds that of its flanks.

    Parameters
    ----------
    energies_keV, counts : numpy.ndarray, shape (energy,)
        A spectrum.
    fitted : numpy.ndarray, shape (energy,)
        The fitted spectrum.
    error : numpy.ndarray, shape (energy,)
        Error of the fitted lines, in counts.
    place_keV, width_keV : float
        Where the line is, and the resolution there.
    """
    distance = np.abs(energies_keV - place_keV) / width_keV
    core = distance <= _CORE
    flanks = (distance >= _FLANKS[0]) & (distance <= _FLANKS[1]) & (energies_keV >= LOWEST_KEV)
    if not core.any() or not flanks.any():
        return 0.0
    left = counts - fitted
    # A slope of the residual is no peak: the higher flank counts, as far as it is significant.
    beside = 0.0
    for side in (energies_keV > place_keV, energies_keV < place_keV):
        flank = flanks & side
        if flank.any():
            noise = np.sqrt(counts[flank].sum()) / flank.sum()
            beside = max(beside, float(left[flank].mean() - noise))
    height = float(left[core].sum()) - beside * core.sum()
    return float(height / np.sqrt(max(counts[core].sum(), 1.0) + error[core].sum() ** 2))
