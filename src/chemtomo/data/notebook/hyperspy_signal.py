"""Make HyperSpy signals. HyperSpy is imported when one is asked for.

Axes and metadata are those that HyperSpy and eXSpy use. Everything else is stored under the key `KEY` of
the metadata, where `chemtomo.from_hyperspy` finds it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.errors import DataError

__all__ = [
    "ARRAYS",
    "DETAILS",
    "KEY",
    "image_signal",
    "length_axis",
    "spectrum_signal",
    "tilt_axis",
    "volume_signals",
]

KEY = "chemtomo"
DETAILS = "details"
"""The entry of the metadata with everything that fits into JSON."""
ARRAYS = ("detector_shifts_px", "gains", "background", "valid")
"""The attributes of a tilt series that are kept as arrays."""


def image_signal(
    name: str,
    data: Any,
    tilts_deg: npt.NDArray[np.float64],
    pixel_size_nm: float,
    *,
    quantity: str,
    details: Mapping[str, Any],
    arrays: Mapping[str, Any],
) -> Any:
    """Return a ``Signal2D`` of projections (tilt, y, x), lazy where the data are.

    Parameters
    ----------
    name, data, tilts_deg, pixel_size_nm
        As in `chemtomo.TiltSeries`.
    quantity : str
        What the values are: ``"Counts"`` or ``"Intensity"``.
    details : mapping
        Further attributes, as JSON values.
    arrays : mapping
        Further attributes by the names in `ARRAYS`; None for those that are not known.

    Raises
    ------
    DataError
        When HyperSpy is not installed.
    """
    own = {key: value for key, value in arrays.items() if value is not None}
    axes = _spatial_axes(data.shape, tilts_deg, pixel_size_nm)
    metadata = _metadata(name, tilts_deg, {**details, "shape": list(data.shape)}, own)
    metadata["Signal"] = {"quantity": quantity}
    return _as_lazy_as(data, _signals().Signal2D(_array(data), axes=axes, metadata=metadata))


def spectrum_signal(
    name: str,
    data: Any,
    tilts_deg: npt.NDArray[np.float64],
    pixel_size_nm: float,
    energy_axis_keV: tuple[float, float],
    *,
    signal: str,
    elements: Sequence[str],
    beam_energy_keV: float | None,
    details: Mapping[str, Any],
) -> Any:
    """Return a ``Signal1D`` of spectra (tilt, y, x, energy); with eXSpy, its class for EDX or EELS.

    Parameters
    ----------
    name, data, tilts_deg, pixel_size_nm, signal, elements, beam_energy_keV
        As in `chemtomo.SpectrumSeries`.
    energy_axis_keV : (float, float)
        Energy of the first channel, and the step, in keV. The axis of EELS is in eV, as eXSpy expects it.
    details : mapping
        Further attributes, as JSON values.

    Raises
    ------
    DataError
        When HyperSpy is not installed.
    """
    unit, factor = ("eV", 1e3) if signal == "EELS" else ("keV", 1.0)
    offset, step = energy_axis_keV
    energy = {
        "name": "Energy loss" if signal == "EELS" else "Energy",
        "units": unit,
        "size": int(data.shape[3]),
        "offset": float(offset) * factor,
        "scale": float(step) * factor,
        "navigate": False,
    }
    axes = [{**axis, "navigate": True} for axis in _spatial_axes(data.shape, tilts_deg, pixel_size_nm)]
    metadata = _metadata(name, tilts_deg, {**details, "shape": list(data.shape)}, {})
    if elements:
        metadata["Sample"] = {"elements": list(elements)}
    if beam_energy_keV is not None:
        metadata["Acquisition_instrument"]["TEM"]["beam_energy"] = float(beam_energy_keV)
    made = _signals().Signal1D(_array(data), axes=[*axes, energy], metadata=metadata)
    made.set_signal_type("EELS" if signal == "EELS" else "EDS_TEM")
    return _as_lazy_as(data, made)


def volume_signals(
    data: npt.NDArray[Any],
    names: Sequence[str],
    voxel_size_nm: float,
    origin_px: Sequence[float],
    recipe: Mapping[str, Any],
) -> list[Any]:
    """Return a ``Signal2D`` (z, y, x) for each channel of a volume, navigated along ``z``.

    Parameters
    ----------
    data, names, voxel_size_nm, origin_px, recipe
        As in `chemtomo.Volume`, whose ``provenance`` is the recipe.

    Raises
    ------
    DataError
        When HyperSpy is not installed.
    """
    axes = [
        length_axis(name, count, voxel_size_nm, start * voxel_size_nm, navigate=name == "z")
        for name, count, start in zip("zyx", data.shape[1:], origin_px, strict=True)
    ]
    common = {"version": 1, "kind": "volume", "channel": 0, "voxel_size_nm": float(voxel_size_nm)}
    common |= {"origin_px": [float(start) for start in origin_px], "recipe": dict(recipe)}
    made = []
    for name, channel in zip(names, data, strict=True):
        # As in the files that this program writes: it reads what HyperSpy saves of it.
        description = json.dumps({**common, "names": [name]})
        metadata = {"General": {"title": name}, KEY: {"description": [description]}}
        made.append(_signals().Signal2D(channel, axes=[dict(axis) for axis in axes], metadata=metadata))
    return made


def length_axis(
    name: str, count: int, size_nm: float, start_nm: float, *, navigate: bool = False
) -> dict[str, Any]:
    """Describe an axis of `count` pixels in nanometres."""
    return {
        "_type": "UniformDataAxis",
        "name": name,
        "units": "nm",
        "size": int(count),
        "scale": float(size_nm),
        "offset": float(start_nm),
        "navigate": navigate,
        "is_binned": False,
    }


def tilt_axis(tilts_deg: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Describe the axis of the tilts; where these neither rise nor fall, it numbers the projections."""
    steps = np.diff(tilts_deg)
    common = {"name": "tilt", "units": "deg", "navigate": True, "is_binned": False}
    if steps.size and steps[0] != 0 and np.allclose(steps, steps.mean(), rtol=0, atol=1e-6):
        return common | {
            "_type": "UniformDataAxis",
            "size": int(tilts_deg.size),
            "scale": float(steps.mean()),
            "offset": float(tilts_deg[0]),
        }
    if steps.size and ((steps > 0).all() or (steps < 0).all()):
        return common | {"_type": "DataAxis", "axis": tilts_deg.copy()}
    return common | {
        "_type": "UniformDataAxis",
        "name": "projection",
        "units": "",
        "size": int(tilts_deg.size),
        "scale": 1.0,
        "offset": 0.0,
    }


def _spatial_axes(
    shape: Sequence[int], tilts_deg: npt.NDArray[np.float64], size_nm: float
) -> list[dict[str, Any]]:
    return [
        tilt_axis(tilts_deg),
        length_axis("y", shape[1], size_nm, 0.0),
        length_axis("x", shape[2], size_nm, 0.0),
    ]


def _metadata(
    name: str, tilts_deg: npt.NDArray[np.float64], details: Mapping[str, Any], arrays: Mapping[str, Any]
) -> dict[str, Any]:
    known = {key: value for key, value in details.items() if value is not None}
    return {
        "General": {"title": name},
        "Acquisition_instrument": {"TEM": {"Stage": {"tilt_series_alpha": tilts_deg.copy()}}},
        # In a list, because plain text becomes an attribute in files, which HDF5 limits to 64 KiB.
        KEY: {DETAILS: [json.dumps(known)], **arrays},
    }


def _array(data: Any) -> Any:
    return data if hasattr(data, "dask") else np.asarray(data)


def _as_lazy_as(data: Any, signal: Any) -> Any:
    return signal.as_lazy() if hasattr(data, "dask") else signal


def _signals() -> Any:
    try:
        from hyperspy import signals
    except ImportError as error:
        raise DataError(
            f"found no HyperSpy ({error}); expected it to be installed: pip install hyperspy exspy"
        ) from error
    return signals
