"""A spectrum as a sum of shapes."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from chemtomo.spectra.fit.response import Response

__all__ = ["SpectrumModel"]


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
        Of the channels, the inverse of their variance: counts, and what the tabulated lines may be wrong by.
    misfit : float
        Chi squared a channel. 1 is what these variances explain.
    """

    energies_keV: npt.NDArray[np.float64]
    fitted: slice
    names: tuple[str, ...]
    shapes: npt.NDArray[np.float64]
    amplitudes: npt.NDArray[np.float64]
    response: Response
    weights: npt.NDArray[np.float64]
    misfit: float

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
