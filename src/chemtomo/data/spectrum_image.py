"""Spectra recorded in every pixel, at one tilt or at several."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from chemtomo.data.checks import as_stack, check_pixel_size, check_stack, checked_tilts
from chemtomo.data.notebook.html import card, curves_picture, image_picture, range_text
from chemtomo.data.notebook.hyperspy_signal import spectrum_signal
from chemtomo.data.origin import Origin
from chemtomo.errors import DataError

__all__ = ["EnergyAxis", "SpectrumSeries", "SpectrumSignal"]

SpectrumSignal = Literal["EDX", "EELS"]


@dataclasses.dataclass(frozen=True)
class EnergyAxis:
    """Energies of the channels of a spectrum.

    Attributes
    ----------
    offset_keV : float
        Energy of the first channel in keV; energy loss for EELS.
    step_keV : float
        From each channel to the next, positive.

    Raises
    ------
    DataError
        When a number is not finite, or the step is not positive.
    """

    offset_keV: float
    step_keV: float

    def __post_init__(self) -> None:
        if not np.isfinite(self.offset_keV):
            raise DataError(f"the first channel is at {self.offset_keV} keV; expected a finite energy")
        if not (np.isfinite(self.step_keV) and self.step_keV > 0):
            raise DataError(f"the channels are {self.step_keV} keV apart; expected a positive number")

    def energies_keV(self, channels: int) -> npt.NDArray[np.float64]:
        """Return the energies of that many channels in keV, shape (channels,)."""
        return self.offset_keV + self.step_keV * np.arange(channels, dtype=np.float64)


@dataclasses.dataclass(frozen=True, eq=False)
class SpectrumSeries:
    """Spectrum images of a sample at several tilts; a single spectrum image has one tilt.

    Attributes
    ----------
    name : str
        Name of the signal, for example ``"EDX"``.
    data : numpy.ndarray or dask array, shape (tilt, y, x, energy)
        A spectrum for every pixel. A dask array is read when its values are needed: take
        `spectrum_images` rather than the whole, which may not fit into memory.
    tilts_deg : numpy.ndarray, shape (tilt,)
        Tilt of every spectrum image in degrees, float64.
    energy_offset_keV, energy_step_keV : float
        Energy of the first channel, and from each to the next, in keV. Energy loss for EELS.
    pixel_size_nm : float
        Edge of a pixel in nanometres.
    signal : {"EDX", "EELS"}
        X-ray counts, or electrons that lost energy.
    detectors : tuple of str
        The detectors whose counts these are the sum of, where the file names them.
    elements : tuple of str
        Chemical symbols that the file names; a hint, not a measurement.
    beam_energy_keV : float, optional
        Energy of the electrons.
    source : str, optional
        Where the data came from, usually a file.
    notes : tuple of str
        What had to be assumed because the source did not say it.
    provenance : tuple of dict
        The steps that made this series, oldest first. A record, which nothing depends on.
    origin : Origin, optional
        The files it was read from, or what was simulated.

    Raises
    ------
    DataError
        When shape, tilts, energies, pixel size or name do not fit together.
    """

    name: str
    data: Any
    tilts_deg: npt.NDArray[np.float64]
    energy_offset_keV: float
    energy_step_keV: float
    pixel_size_nm: float = 1.0
    signal: SpectrumSignal = "EDX"
    detectors: tuple[str, ...] = ()
    elements: tuple[str, ...] = ()
    beam_energy_keV: float | None = None
    source: str | None = None
    notes: tuple[str, ...] = ()
    provenance: tuple[dict[str, Any], ...] = ()
    origin: Origin | None = None

    def __post_init__(self) -> None:
        if not self.name or not self.name.strip():
            raise DataError("a spectrum series needs a name; found an empty one")
        where = f"spectrum series {self.name!r}"
        data = as_stack(self.data)
        check_stack(data, ("tilt", "y", "x", "energy"), where)
        tilts = checked_tilts(self.tilts_deg, data.shape[0], "spectrum images", where)
        try:
            EnergyAxis(self.energy_offset_keV, self.energy_step_keV)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        check_pixel_size(self.pixel_size_nm, where)
        if self.signal not in ("EDX", "EELS"):
            raise DataError(f"{where}: the signal is {self.signal!r}; expected 'EDX' or 'EELS'")
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "tilts_deg", tilts)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Number of spectrum images, rows, columns and energy channels: ``(tilt, y, x, energy)``."""
        tilts, y, x, energies = self.data.shape
        return tilts, y, x, energies

    @property
    def is_lazy(self) -> bool:
        """Whether the values are still to be read or computed."""
        return not isinstance(self.data, np.ndarray) or isinstance(self.data, np.memmap)

    @property
    def energy_axis(self) -> EnergyAxis:
        """Energies of the channels."""
        return EnergyAxis(self.energy_offset_keV, self.energy_step_keV)

    @property
    def energies_keV(self) -> npt.NDArray[np.float64]:
        """Energy of every channel in keV, shape (energy,)."""
        return self.energy_axis.energies_keV(self.data.shape[3])

    def spectrum_images(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the spectrum images (y, x, energy) one after the other, each read when its turn comes."""
        for tilt in range(self.data.shape[0]):
            yield np.asarray(self.data[tilt])

    def sum_images(self) -> Any:
        """Return the counts of all channels in every pixel, shape (tilt, y, x).

        Lazy where the data are lazy: one tilt can be looked at without reading the others. Whole
        numbers are summed as such, so that they cannot overflow.
        """
        dtype = np.float64 if self.data.dtype.kind == "f" else np.int64
        return self.data.sum(axis=-1, dtype=dtype)

    def _repr_html_(self) -> str:
        nearest = int(np.abs(self.tilts_deg).argmin())
        energies = self.energies_keV
        rows = [
            ("shape (tilt, y, x, energy)", " × ".join(map(str, self.shape))),
            ("tilts", range_text(self.tilts_deg, "°")),
            ("energies", range_text(energies, "keV")),
            ("pixel", f"{self.pixel_size_nm:g} nm"),
            ("values", f"{self.signal}, {self.data.dtype}{', not read yet' if self.is_lazy else ''}"),
            ("elements", ", ".join(self.elements) or "none named"),
            *(("note", note) for note in self.notes),
        ]

        @functools.cache
        def spectra() -> npt.NDArray[Any]:
            return np.asarray(self.data[nearest])

        at = f"at {self.tilts_deg[nearest]:g}°"
        pictures = [
            (f"all energies {at}", lambda: image_picture(spectra().sum(axis=2, dtype=np.float64))),
            (
                f"mean spectrum {at}",
                lambda: curves_picture(
                    energies,
                    [(self.name, spectra().mean(axis=(0, 1), dtype=np.float64))],
                    "energy (keV)",
                    "counts",
                ),
            ),
        ]
        return card(f"Spectra {self.name}", rows, pictures)

    def to_hyperspy(self) -> Any:
        """Return a HyperSpy ``Signal1D``; with eXSpy installed, its class for EDX or EELS. Lazy if this is.

        The values are not copied. `chemtomo.from_hyperspy` restores everything but the origin.

        Raises
        ------
        DataError
            When HyperSpy is not installed.
        """
        return spectrum_signal(
            self.name,
            self.data,
            self.tilts_deg,
            self.pixel_size_nm,
            (self.energy_offset_keV, self.energy_step_keV),
            signal=self.signal,
            elements=self.elements,
            beam_energy_keV=self.beam_energy_keV,
            details={
                "detectors": self.detectors,
                "elements": self.elements,
                "source": self.source,
                "notes": self.notes,
                "provenance": self.provenance,
            },
        )

    def replace(self, **changes: Any) -> SpectrumSeries:
        """Return a copy with some attributes changed and everything checked anew."""
        return dataclasses.replace(self, **changes)
