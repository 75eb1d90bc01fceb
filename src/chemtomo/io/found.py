"""What a reader finds in a file, before it is combined with other files.

Microscopes write a tilt series as one file or as one file per tilt. A reader therefore returns what is in its
file as it is, an image with one tilt or a stack with many, and `chemtomo.io.assembly` combines them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from chemtomo.data import EnergyAxis, SignalKind, SpectrumSignal, TiltSeries
from chemtomo.errors import DataError
from chemtomo.io.tilts.sources import RecordedTilts
from chemtomo.io.tilts.units import AngleUnit

__all__ = ["Found", "FoundKind"]

FoundKind = Literal["image", "stack", "spectrum image"]

_AXES = {
    "image": "(y, x)",
    "stack": "(tilt, y, x)",
    "spectrum image": "(y, x, energy) or (tilt, y, x, energy)",
}
_DIMENSIONS = {"image": (2,), "stack": (3,), "spectrum image": (3, 4)}


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """One signal in a file.

    Attributes
    ----------
    name : str
        Name of the signal in the file: a detector (``"HAADF"``), or an element with or without its line
        (``"Fe"``, ``"Fe Ka"``). If the file has no name, its stem; see `named`.
    data : numpy.ndarray or dask array
        An image ``(y, x)``, a stack ``(tilt, y, x)``, or spectra ``(y, x, energy)`` or
        ``(tilt, y, x, energy)``.
    kind : {"image", "stack", "spectrum image"}
        Which of these it is.
    tilts_deg : float or numpy.ndarray, shape (tilt,), or None
        The tilt of an image, or the tilts of a stack, in degrees. None if the file does not give them.
    tilt_unit : {"deg", "rad"} or None
        The unit of the tilts in the file, which are in degrees here. None if the file does not state it.
    wrong_tilt_count : int, optional
        The number of tilts in the file, if that is not the number of its projections.
    pixel_size_nm : float or None
        Pixel size in nanometres; None if the file does not give it.
    signal : {"counts", "intensity"} or None
        What the values are; None if that has to be guessed from the values.
    energy : EnergyAxis or None
        The energies of the channels of spectra.
    spectrum_signal : {"EDX", "EELS"} or None
        The kind of spectra.
    detectors, elements : tuple of str
        Detectors and chemical elements that the file lists for this signal.
    beam_energy_keV : float or None
        Beam energy.
    named : bool
        Whether the name comes from the file. If not, it is the stem of the file, which in a set of files
        differs from tilt to tilt.
    notes : tuple of str
        What was assumed.
    attributes : mapping
        Further attributes of the tilt series in the file, by their names in
        `chemtomo.data.TiltSeries`: ``axis_position_px``, ``axis_angle_deg``, ``gains``, ``provenance``...

    Raises
    ------
    DataError
        When the number of axes or tilts does not match the kind.
    """

    name: str
    data: Any
    kind: FoundKind
    tilts_deg: float | npt.NDArray[np.float64] | None = None
    pixel_size_nm: float | None = None
    signal: SignalKind | None = None
    energy: EnergyAxis | None = None
    spectrum_signal: SpectrumSignal | None = None
    detectors: tuple[str, ...] = ()
    elements: tuple[str, ...] = ()
    beam_energy_keV: float | None = None
    named: bool = True
    notes: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    tilt_unit: AngleUnit | None = None
    wrong_tilt_count: int | None = None

    def __post_init__(self) -> None:
        where = f"{self.kind} {self.name!r}"
        if self.data.ndim not in _DIMENSIONS[self.kind]:
            raise DataError(f"{where}: the data has shape {self.data.shape}; expected {_AXES[self.kind]}")
        if 0 in self.data.shape:
            raise DataError(f"{where}: the data has shape {self.data.shape}; expected no empty axis")
        if (self.kind == "spectrum image") != (self.energy is not None):
            raise DataError(f"{where}: expected an energy axis for spectra and for nothing else")
        if self.tilts_deg is None:
            return
        tilts = np.asarray(self.tilts_deg, dtype=np.float64)
        expected = (self.data.shape[0],) if self.has_tilt_axis else ()
        if tilts.shape != expected:
            raise DataError(
                f"{where}: found tilts of shape {tilts.shape}; expected {expected}, "
                f"one for each image of {self.data.shape}"
            )
        if not np.isfinite(tilts).all():
            raise DataError(f"{where}: found tilts that are not finite; expected degrees")
        object.__setattr__(self, "tilts_deg", tilts if tilts.ndim else float(tilts))

    @classmethod
    def of_series(cls, series: TiltSeries) -> Found:
        """Return a whole tilt series as something found in a file, as files of this program describe it."""
        kept = (
            "axis_position_px",
            "axis_angle_deg",
            "detector_shifts_px",
            "gains",
            "background",
            "valid",
            "alignment",
        )
        given = {name: getattr(series, name) for name in (*kept, "provenance", "source")}
        return cls(
            name=series.name,
            data=series.data,
            kind="stack",
            tilts_deg=series.tilts_deg,
            tilt_unit="deg",
            pixel_size_nm=series.pixel_size_nm,
            signal=series.kind,
            notes=series.notes,
            attributes={name: value for name, value in given.items() if value is not None},
        )

    @property
    def has_tilt_axis(self) -> bool:
        """Whether the first axis of the data is the tilt axis."""
        return self.kind == "stack" or (self.kind == "spectrum image" and self.data.ndim == 4)

    @property
    def tilts(self) -> RecordedTilts:
        """The tilts in the file, one per projection."""
        known = None if self.tilts_deg is None else np.atleast_1d(np.asarray(self.tilts_deg, np.float64))
        return RecordedTilts(known, self.tilt_unit, self.wrong_tilt_count)

    def replace(self, **changes: Any) -> Found:
        """Return a copy with some attributes changed and everything checked anew."""
        return dataclasses.replace(self, **changes)
