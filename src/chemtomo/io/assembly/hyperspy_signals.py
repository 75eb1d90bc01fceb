"""Take signals of HyperSpy that are in memory, by what they have: data, axes and metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import Dataset, SpectrumSeries, TiltSeries
from chemtomo.data.notebook.hyperspy_signal import ARRAYS, KEY
from chemtomo.errors import DataError, ReadError
from chemtomo.io.formats.hyperspy.noted import interpreted, noted_details
from chemtomo.io.formats.hyperspy.read import labelled_signal
from chemtomo.io.found import Found
from chemtomo.io.interpret.signal_kind import guess_kind, summarise_values
from chemtomo.io.labelled import Axis, LabelledArray, lookup
from chemtomo.io.tilts.sources import TiltsArgument, given_tilts
from chemtomo.io.tilts.units import AngleUnit, reread_in_unit

__all__ = ["from_hyperspy"]

_PARTS = ("data", "axes_manager", "metadata")


def from_hyperspy(
    signal: Any, *, tilts: TiltsArgument = None, tilts_unit: AngleUnit | None = None
) -> TiltSeries | SpectrumSeries | Dataset:
    """Take a signal of HyperSpy, or several, without copying the values.

    Parameters
    ----------
    signal : HyperSpy signal, or sequence of them
        Images with an axis of tilts, or spectra in every pixel; lazy ones stay lazy. HyperSpy itself is not
        imported: any object with its ``data``, ``axes_manager`` and ``metadata`` will do.
    tilts : path, str or sequence of float, optional
        Tilts that replace those of the signal, see `chemtomo.read`. By default they are those of the stage
        in the metadata (``tilt_series_alpha``) if there is one per image, or else of the axis of tilts.
    tilts_unit : {"deg", "rad"}, optional
        Unit of the tilts. By default the unit of the axis, else degrees.

    Returns
    -------
    TiltSeries, SpectrumSeries or Dataset
        Images become a tilt series and spectra a spectrum series; a sequence of images becomes a dataset.
        The notes say what was assumed.

    Raises
    ------
    DataError
        When it is no such signal, has no tilts, or the number of tilts is another.
    """
    if not isinstance(signal, (list, tuple)):
        return _series(signal, tilts, tilts_unit)
    made = [_series(one, tilts, tilts_unit) for one in signal]
    images = tuple(one for one in made if isinstance(one, TiltSeries))
    if len(images) != len(made):
        raise DataError(
            f"found {len(made) - len(images)} signals of spectra among {len(made)}; expected images only. "
            "Give every signal of spectra by itself"
        )
    return Dataset(images)


def _series(signal: Any, tilts: TiltsArgument, unit: AngleUnit | None) -> TiltSeries | SpectrumSeries:
    missing = [name for name in _PARTS if not hasattr(signal, name)]
    if missing:
        raise DataError(
            f"found {type(signal).__name__} without {', '.join(missing)}; expected a signal of HyperSpy"
        )
    metadata: Mapping[str, Any] = signal.metadata.as_dictionary()
    data = signal.data if hasattr(signal.data, "dask") else np.asarray(signal.data)
    labelled = labelled_signal(metadata, data, _axes(signal), "signal")
    where = f"signal {labelled.name!r}"
    try:
        arrays = {name: lookup(metadata, f"{KEY}.{name}") for name in ARRAYS}
        found = interpreted(labelled, noted_details(metadata, where), arrays)
        if found is None:
            raise DataError(f"{where}: found {_said(labelled)}; expected images with tilts, or spectra")
        values, found_tilts, notes = _with_tilts(found, tilts, unit, where)
        own = dict(found.attributes)
        if found.pixel_size_nm is None:
            notes = (*notes, "no pixel size in the signal; 1 nm is assumed")
        else:
            own["pixel_size_nm"] = found.pixel_size_nm
        if found.energy is not None:
            return SpectrumSeries(
                found.name,
                values,
                found_tilts,
                energy_offset_keV=found.energy.offset_keV,
                energy_step_keV=found.energy.step_keV,
                signal=found.spectrum_signal or "EDX",
                detectors=found.detectors,
                elements=found.elements,
                beam_energy_keV=found.beam_energy_keV,
                notes=notes,
                **own,
            )
        kind = found.signal
        if kind is None:
            kind, note = guess_kind(found.name, summarise_values(values, where))
            notes = (*notes, note)
        return TiltSeries(found.name, values, found_tilts, kind=kind, notes=notes, **own)
    except ReadError as error:
        raise DataError(str(error) if str(error).startswith(where) else f"{where}: {error}") from error


def _axes(signal: Any) -> tuple[Axis, ...]:
    """Return the axes in the order of the array; HyperSpy lists the last navigation axis first."""
    manager = signal.axes_manager
    listed = sorted((*manager.navigation_axes, *manager.signal_axes), key=lambda axis: axis.index_in_array)
    return tuple(_axis(one) for one in listed)


def _axis(axis: Any) -> Axis:
    name, units = (
        "" if text is None or "undefined" in str(text) else str(text) for text in (axis.name, axis.units)
    )
    if getattr(axis, "is_uniform", True):
        return Axis(name, int(axis.size), float(axis.scale), float(axis.offset), units)
    return Axis(name, int(axis.size), units=units, values=np.asarray(axis.axis, np.float64))


def _with_tilts(
    found: Found, tilts: TiltsArgument, unit: AngleUnit | None, where: str
) -> tuple[Any, npt.NDArray[np.float64], tuple[str, ...]]:
    """Return the values with a tilt axis, the tilts in degrees, and the notes."""
    data = found.data if found.has_tilt_axis else found.data[np.newaxis]
    given, recorded = given_tilts(tilts, unit), found.tilts
    if given is not None and given.are_given:
        return data, given.for_projections(data.shape[0], where), found.notes
    if recorded.tilts_deg is not None:
        return data, reread_in_unit(recorded.tilts_deg, recorded.unit, unit), found.notes
    if found.kind == "spectrum image" and data.shape[0] == 1:
        return data, np.zeros(1), (*found.notes, "no tilt in the signal; 0 degrees are assumed")
    wrong = "" if recorded.wrong_count is None else f" but {recorded.wrong_count}"
    raise DataError(
        f"{where}: found no tilts{wrong} for {data.shape[0]} images; expected an axis of tilts in degrees, "
        "or tilt_series_alpha in the metadata. The argument tilts gives them by hand"
    )


def _said(labelled: LabelledArray) -> str:
    axes = ", ".join(f"{axis.name or 'unnamed'} {axis.size}" for axis in labelled.axes)
    return f"{labelled.data.dtype} values along ({axes})"
