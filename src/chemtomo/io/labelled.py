"""Interpret arrays with named axes, as libraries and HDF5 files provide them.

A file gives the name, unit, scale and offset of every axis. This module decides which axes are tilts, image
rows and columns, and energies, and converts lengths to nanometres.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from chemtomo.data import EnergyAxis, SpectrumSignal
from chemtomo.errors import ReadError
from chemtomo.io.found import Found
from chemtomo.io.interpret.pixel_size import bare_unit, pixel_size
from chemtomo.io.interpret.signal_kind import kind_from_name
from chemtomo.io.tilts.units import AngleUnit

__all__ = ["Axis", "LabelledArray", "lookup", "number", "to_found"]

_Role = Literal["tilt", "energy", "extra", "space", "other"]

_DEGREES = {"deg", "degs", "degree", "degrees", "°", "º"}
_RADIANS = {"rad": 1.0, "radian": 1.0, "radians": 1.0, "mrad": 1e-3}
_KEV = {"ev": 1e-3, "kev": 1.0}
_EDX_STEP_EV, _EDX_LAST_EV = 4.0, 6000.0
# X-ray spectra end below this; energy-loss spectra in eV end above it.
_MAX_X_RAY_KEV = 50.0
_TILT_NAMES = {"tilt", "tilts", "tilt angle", "angle", "angles", "alpha", "theta", "tilt axis", "stage tilt"}
# The tilt of the stage: neither the beam tilt nor scattering angles.
_TILT_WORD = re.compile(r"(?<![a-z])tilts?(?![a-z])", re.IGNORECASE)
_OTHER_TILT = re.compile(r"beam|scatter|azimuth|beta|detector", re.IGNORECASE)
# Default names that libraries give to axes.
_DEFAULT_NAME = re.compile(
    r"(?:|z|n|i|axis|index|dim|stack|image|images|projections?|frames?|series|unnamed)[ _-]*\d*"
)
_EXTRA_NAMES = {"detector", "detectors", "segment", "frame", "frames", "time", "scan", "repeat"}
_ORDER = {"y": 0, "height": 0, "row": 0, "x": 1, "width": 1, "column": 1}
_NOTED_DEG = 0.1
_LARGEST_IMAGE = 1 << 28
_LARGEST_SPECTRUM = 1 << 20
_LARGEST_SERIES = 1 << 16


@dataclasses.dataclass(frozen=True)
class Axis:
    """One axis of an array as a file describes it; with `values` if it is not evenly spaced."""

    name: str
    size: int
    scale: float = 1.0
    offset: float = 0.0
    units: str = ""
    values: npt.NDArray[np.float64] | None = None

    def positions(self) -> npt.NDArray[np.float64]:
        """Return the position of every index, in `units`."""
        if self.values is not None:
            return np.asarray(self.values, dtype=np.float64)
        return self.offset + self.scale * np.arange(self.size, dtype=np.float64)


@dataclasses.dataclass(frozen=True)
class LabelledArray:
    """An array with its axes and other metadata of the file.

    `tilts_deg` are tilts from elsewhere than the axes: one number, or one per index of the tilt axis, which
    then take precedence over the axis: they were recorded, and axes are often only the nominal range.
    `quantity` is the file's term for what the values are.
    `axis_angle_deg` is the direction of the tilt axis in the images, see `chemtomo.data.TiltSeries`.
    """

    name: str
    data: Any
    axes: tuple[Axis, ...]
    named: bool = True
    signal_type: str = ""
    quantity: str = ""
    tilts_deg: float | npt.NDArray[np.float64] | None = None
    elements: tuple[str, ...] = ()
    detectors: tuple[str, ...] = ()
    beam_energy_keV: float | None = None
    notes: tuple[str, ...] = ()
    axis_angle_deg: float | None = None


def to_found(given: LabelledArray) -> Found | None:
    """Interpret an array; None if it is neither an image, nor a stack, nor a spectrum image.

    Raises
    ------
    ReadError
        When axes and data do not match; the message does not name the file.
    """
    if given.data.dtype.kind not in "uif":
        return None
    if tuple(axis.size for axis in given.axes) != tuple(given.data.shape):
        raise ReadError(
            f"{given.name!r} has axes of {[axis.size for axis in given.axes]}; "
            f"expected those of its data, {list(given.data.shape)}"
        )
    given = _without_single_axes(given)
    roles = _roles(given)
    spaces = [index for index, role in enumerate(roles) if role == "space"]
    if "other" in roles or len(spaces) != 2 or roles.count("tilt") > 1 or roles.count("energy") > 1:
        return None
    notes = list(given.notes)
    data, axes = given.data, list(given.axes)
    for index in reversed([index for index, role in enumerate(roles) if role == "extra"]):
        axis = axes.pop(index)
        notes.append(f"summed over the {axis.size} values of the axis {axis.name!r}")
        data = data.sum(axis=index, dtype=np.float64 if data.dtype.kind == "f" else np.int64)
        roles.pop(index)
    order = _order(roles, axes)
    data = data.transpose(order) if order != sorted(order) else data
    axes, roles = [axes[index] for index in order], [roles[index] for index in order]
    y, x = (axis for axis, role in zip(axes, roles, strict=True) if role == "space")
    _require_plausible_size(given.name, axes, roles)
    size, size_notes = pixel_size((y.scale, y.units), (x.scale, x.units))
    tilts, unit, wrong_count, tilt_notes = _tilts(given, axes[0] if roles[0] == "tilt" else None)
    notes += [*size_notes, *tilt_notes]
    common: dict[str, Any] = {
        "name": given.name,
        "data": data,
        "tilts_deg": tilts,
        "tilt_unit": unit,
        "wrong_tilt_count": wrong_count,
        "attributes": {} if given.axis_angle_deg is None else {"axis_angle_deg": given.axis_angle_deg},
        "pixel_size_nm": size,
        "elements": given.elements,
        "detectors": given.detectors,
        "beam_energy_keV": given.beam_energy_keV,
        "named": given.named,
    }
    if roles[-1] == "energy":
        energy, signal, energy_notes = _energy(axes[-1], given.signal_type)
        return Found(
            kind="spectrum image",
            signal="counts",
            energy=energy,
            spectrum_signal=signal,
            notes=(*notes, *energy_notes),
            **common,
        )
    return Found(
        kind="stack" if roles[0] == "tilt" else "image",
        signal=kind_from_name(given.name, data, given.quantity),
        notes=tuple(notes),
        **common,
    )


def _without_single_axes(given: LabelledArray) -> LabelledArray:
    """Drop axes of length 1 that an image has no use for, but not the one row or column of an image."""
    axes, data = list(given.axes), given.data
    of_image = [axis for axis in axes if axis.name.strip().lower() in _ORDER]
    kept = of_image if len(of_image) == 2 and any(axis.size > 1 for axis in of_image) else []
    while len(spaces := [index for index, axis in enumerate(axes) if _role(axis) == "space"]) > 2:
        single = [index for index in spaces if axes[index].size == 1 and axes[index] not in kept]
        if not single or len(axes) == 3:
            break
        data = data.reshape(data.shape[: single[0]] + data.shape[single[0] + 1 :])
        axes.pop(single[0])
    return dataclasses.replace(given, data=data, axes=tuple(axes))


def _role(axis: Axis) -> _Role:
    unit, name = bare_unit(axis.units).lower(), axis.name.strip().lower()
    if _is_tilt(name, unit):
        return "tilt"
    if unit in _DEGREES or unit in _RADIANS:
        return "other"
    if unit in _KEV or "energy" in name:
        return "energy"
    if name in _EXTRA_NAMES:
        return "extra"
    return "space"


def _is_tilt(name: str, unit: str) -> bool:
    """Tell whether an axis is that of the stage tilts: by its name, or if it has none, by its unit."""
    if _OTHER_TILT.search(name):
        return False
    if _TILT_WORD.search(name.replace("_", " ")):
        return True
    if name in _TILT_NAMES:
        # Angles in mrad are scattering angles.
        return unit != "mrad"
    return unit in _DEGREES and _DEFAULT_NAME.fullmatch(name) is not None


def _roles(given: LabelledArray) -> list[_Role]:
    """Return the role of every axis."""
    roles = [_role(axis) for axis in given.axes]
    spectral = given.signal_type.upper().startswith(("EDS", "EELS"))
    if spectral and "energy" not in roles and len(roles) > 2 and roles[-1] == "space":
        roles[-1] = "energy"
    extra = [index for index, role in enumerate(roles) if role == "extra"]
    # A time axis in a stack counts the images; in spectra it is summed over.
    if "tilt" not in roles and "energy" not in roles and len(extra) == 1:
        roles[extra[0]] = "tilt"
    if roles.count("space") == 3 and "tilt" not in roles:
        # Three lengths or unknown axes: the first one counts the images.
        roles[roles.index("space")] = "tilt"
    return roles


def _order(roles: Sequence[_Role], axes: Sequence[Axis]) -> list[int]:
    """Return the order of the axes (tilt, y, x, energy)."""
    spaces = [index for index, role in enumerate(roles) if role == "space"]
    ranks = [_ORDER.get(axes[index].name.strip().lower()) for index in spaces]
    if ranks == [1, 0]:
        spaces.reverse()
    tilt = [index for index, role in enumerate(roles) if role == "tilt"]
    energy = [index for index, role in enumerate(roles) if role == "energy"]
    return [*tilt, *spaces, *energy]


def _require_plausible_size(name: str, axes: Sequence[Axis], roles: Sequence[_Role]) -> None:
    """Raise for sizes that no microscope produces, before memory is allocated for them."""
    image = math.prod(axis.size for axis, role in zip(axes, roles, strict=True) if role == "space")
    bounds = {"tilt": _LARGEST_SERIES, "energy": _LARGEST_SPECTRUM}
    if image > _LARGEST_IMAGE:
        raise ReadError(f"{name!r} has images of {image} pixels; expected at most {_LARGEST_IMAGE}")
    for axis, role in zip(axes, roles, strict=True):
        if axis.size > bounds.get(role, axis.size):
            raise ReadError(f"{name!r} has {axis.size} values along {role}; expected at most {bounds[role]}")


_Tilts = float | npt.NDArray[np.float64] | None


def _tilts(given: LabelledArray, axis: Axis | None) -> tuple[_Tilts, AngleUnit | None, int | None, list[str]]:
    """Return tilts in degrees, their unit in the file, a wrong number of tilts, and what was assumed.

    Tilts from other metadata take precedence over those of the axis.
    """
    said = None if given.tilts_deg is None else np.asarray(given.tilts_deg, dtype=np.float64)
    if axis is None:
        if said is not None and said.size == 1 and np.isfinite(said).all():
            return float(said.reshape(())), None, None, []
        return None, None, None, []
    if said is not None and said.shape == (axis.size,) and np.isfinite(said).all():
        return said, None, None, _differing_axis(said, axis)
    wrong = said.size if said is not None and said.ndim == 1 and said.size != axis.size else None
    if axis.values is not None and axis.values.size != axis.size:
        return None, None, axis.values.size, []
    unit = bare_unit(axis.units).lower()
    name = axis.name.strip().lower()
    notes = [] if wrong is None else [f"{wrong} tilts in the metadata are not used; those of the axis are"]
    if unit in _RADIANS:
        return np.rad2deg(axis.positions() * _RADIANS[unit]), "rad", None, notes
    if unit in _DEGREES:
        return axis.positions(), "deg", None, notes
    if _is_tilt(name, unit) and (axis.values is not None or axis.scale != 1 or axis.offset != 0):
        return (
            axis.positions(),
            None,
            None,
            [*notes, f"the axis {axis.name!r} has no unit; taken for degrees"],
        )
    if wrong is not None:
        return None, None, wrong, []
    what = f" in {axis.units}" if axis.units.strip() else ""
    return (
        None,
        None,
        None,
        [f"the first axis of the stack is {axis.name!r}{what}: the file does not say the tilts"],
    )


def _differing_axis(tilts_deg: npt.NDArray[np.float64], axis: Axis) -> list[str]:
    """Return a note where an axis in degrees or radians says other tilts than those that are taken."""
    unit = bare_unit(axis.units).lower()
    positions = axis.positions()
    if positions.size != axis.size or (unit not in _DEGREES and unit not in _RADIANS):
        return []
    own = positions if unit in _DEGREES else np.rad2deg(positions * _RADIANS[unit])
    most = float(np.abs(own - tilts_deg).max())
    if most < _NOTED_DEG:
        return []
    return [f"the tilts in the metadata are used; those of the axis differ by up to {most:.3g} degrees"]


def _energy(axis: Axis, signal_type: str) -> tuple[EnergyAxis, SpectrumSignal, list[str]]:
    notes = []
    signal: SpectrumSignal
    said = signal_type.upper()
    unit = bare_unit(axis.units).lower()
    if said.startswith("EELS") or "loss" in axis.name.lower():
        signal = "EELS"
    elif said.startswith("EDS"):
        signal = "EDX"
    else:
        signal = "EDX" if unit == "kev" else _guess_spectra(axis, unit)
        notes.append(
            f"the file does not say what the spectra are of; taken for {signal}, from their energies up to "
            f"{axis.positions().max():g} {axis.units}".rstrip()
        )
    positions = axis.positions()
    if positions.size != axis.size:
        raise ReadError(f"found {positions.size} energies; expected {axis.size}, one for each channel")
    if unit not in _KEV:
        unit = "ev" if signal == "EELS" or positions.max() > _MAX_X_RAY_KEV else "kev"
        notes.append(f"the unit of the energies is {axis.units!r}; taken for {unit.replace('ev', 'eV')}")
    step = axis.scale if axis.values is None or positions.size < 2 else float(positions[1] - positions[0])
    if positions.size > 2 and np.abs(np.diff(positions) - step).max() > 1e-3 * abs(step):
        raise ReadError("the energies are not evenly spaced; expected a constant step")
    return EnergyAxis(float(positions[0]) * _KEV[unit], step * _KEV[unit]), signal, notes


def _guess_spectra(axis: Axis, unit: str) -> SpectrumSignal:
    """Tell EDX from EELS by the range and step of the energies, if the file does not say.

    EELS spectra end below 4 keV or have narrow channels. EDX spectra have channels of 5 eV or more, or extend
    to 10 keV or more. Energies without a unit that end below 50 are in keV.
    """
    positions = axis.positions()
    factor = 1.0 if unit == "ev" or positions.max() > _MAX_X_RAY_KEV else 1e3
    step = abs(float(positions[1] - positions[0])) if positions.size > 1 else abs(axis.scale)
    wide, far = step * factor >= _EDX_STEP_EV, float(positions.max()) * factor >= _EDX_LAST_EV
    return "EDX" if wide or far else "EELS"


def lookup(tree: Any, path: str) -> Any:
    """Return the value in a nested mapping at a dotted path of keys; None if there is none."""
    for key in path.split("."):
        if not isinstance(tree, Mapping) or key not in tree:
            return None
        tree = tree[key]
    return tree


def number(value: Any) -> float | None:
    """Convert `value` to a finite number; None if that is impossible."""
    if isinstance(value, str):
        match = re.match(r"\s*[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?", value)
        value = match.group() if match else None
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None
