"""Energy windows: where the counts of an element and of its background are taken from."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import SpectrumSeries
from chemtomo.errors import ParameterError
from chemtomo.spectra.lines import XrayLine, choose_line, edge_energies_keV, lines_of

__all__ = [
    "MANGANESE_KEV",
    "EnergyWindow",
    "channel_range",
    "edge_window",
    "line_window",
    "line_windows",
    "resolution_keV",
    "unique_names",
]

MANGANESE_KEV = 5.895
"""Energy of Mn Ka, at which manufacturers state the resolution of their detectors."""

# Energy to make a pair of charges in silicon times its Fano factor, times 8 ln 2, in eV.
_SPREAD_EV = 2.5
# Edges whose onset shows in a spectrum, the sharpest and most used first.
_EDGES = ("K", "L3", "M5", "M4", "L2", "L1", "N5", "M3")
_LARGEST_USEFUL_LOSS_KEV = 3.0
# Distance of a range of background from its window and from other lines, in resolutions.
_GAP_FWHM = 0.75
_REACHES_FWHM = (1.3, 0.8)


@dataclasses.dataclass(frozen=True)
class EnergyWindow:
    """A range of energies whose counts make a map, and its ranges of background.

    Attributes
    ----------
    name : str
        Name of the map, usually the element.
    line : str
        The line or edge, for example ``"Fe_Ka"`` or ``"Fe_L3"``.
    low_keV, high_keV : float
        A channel belongs to the window when its energy is in ``[low, high)``.
    background : tuple of (float, float)
        Ranges that hold only background: one on each side, on one side only, or none.

    Raises
    ------
    ParameterError
        When a range is empty, or there are more than two ranges for the background.
    """

    name: str
    line: str
    low_keV: float
    high_keV: float
    background: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        ranges = tuple((float(low), float(high)) for low, high in self.background)
        object.__setattr__(self, "background", ranges)
        for low, high in ((self.low_keV, self.high_keV), *ranges):
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise ParameterError(
                    f"window {self.line!r}: found a range from {low:g} to {high:g} keV; expected it to rise"
                )
        if len(ranges) > 2:
            raise ParameterError(
                f"window {self.line!r}: found {len(ranges)} ranges of background; expected two at most"
            )

    def replace(self, **changes: Any) -> EnergyWindow:
        """Return a copy with some attributes changed."""
        return dataclasses.replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Return the window as JSON values."""
        return {
            "name": self.name,
            "line": self.line,
            "window_keV": [self.low_keV, self.high_keV],
            "background_keV": [list(one) for one in self.background],
        }


def resolution_keV(energy_keV: float, at_manganese_eV: float = 130.0) -> float:
    """Return the full width at half maximum of a line in a silicon detector, in keV.

    ``width^2 = width(Mn Ka)^2 + 2.5 eV (E - E(Mn Ka))``, from the statistics of the charges that a photon
    creates (Fiori and Newbury, Scanning Electron Microscopy 1 (1978) 401).

    Parameters
    ----------
    energy_keV : float
        Energy of the line.
    at_manganese_eV : float
        The width at 5.895 keV in eV, as the manufacturer states it.
    """
    squared = at_manganese_eV**2 + _SPREAD_EV * 1000 * (energy_keV - MANGANESE_KEV)
    # A detector that is better than this formula allows at low energy still has electronic noise.
    return math.sqrt(max(squared, 30.0**2)) / 1000


def channel_range(energies_keV: npt.NDArray[np.float64], low_keV: float, high_keV: float) -> tuple[int, int]:
    """Return the first channel of ``[low, high)`` and the one after the last."""
    start, stop = np.searchsorted(energies_keV, [low_keV, high_keV])
    return int(start), int(stop)


def line_window(
    line: XrayLine,
    *,
    width_fwhm: float = 1.5,
    at_manganese_eV: float = 130.0,
    others: Iterable[XrayLine] = (),
    limits_keV: tuple[float, float] = (-math.inf, math.inf),
) -> EnergyWindow:
    """Return the window of a line, with a range of background on each side.

    The ranges are as wide as the window together, and three quarters of a resolution away from it, beyond
    the line. They are moved outwards to avoid other lines, by at most three widths; where this is not
    enough, or the spectrum ends, a side has none.

    Parameters
    ----------
    line : XrayLine
        The line.
    width_fwhm : float
        Width of the window in units of the resolution; 1.5 holds 92 % of the counts.
    at_manganese_eV : float
        See `resolution_keV`.
    others : iterable of XrayLine
        Lines in the spectrum that the ranges of background avoid.
    limits_keV : (float, float)
        Range of the spectrum.
    """
    resolution = resolution_keV(line.energy_keV, at_manganese_eV)
    half = width_fwhm * resolution / 2
    beside = []
    for side in (-1, 1):
        # Far from other lines if there is room, else nearer to them.
        for reach in _REACHES_FWHM:
            taken = [(line.energy_keV - half, line.energy_keV + half)]
            for other in others:
                if other.name != line.name:
                    away = reach * resolution_keV(other.energy_keV, at_manganese_eV)
                    taken.append((other.energy_keV - away, other.energy_keV + away))
            found = _free_range(line.energy_keV, half, resolution, side, taken, limits_keV)
            if found is not None:
                beside.append(found)
                break
    return EnergyWindow(
        line.element, line.name, line.energy_keV - half, line.energy_keV + half, tuple(beside)
    )


def _free_range(
    centre: float,
    half: float,
    resolution: float,
    side: int,
    taken: Sequence[tuple[float, float]],
    limits_keV: tuple[float, float],
) -> tuple[float, float] | None:
    """Return the nearest range beside a window that is recorded and not taken."""
    for moved in np.arange(0, 3.01, 0.25):
        near = centre + side * (half + (_GAP_FWHM + moved) * resolution)
        low, high = sorted((near, near + side * half))
        inside = limits_keV[0] <= low and high <= limits_keV[1]
        if inside and not any(low < end and start < high for start, end in taken):
            return float(low), float(high)
    return None


def line_windows(
    series: SpectrumSeries,
    names: Sequence[str],
    *,
    width_fwhm: float = 1.5,
    at_manganese_eV: float = 130.0,
    others: Sequence[XrayLine] = (),
) -> tuple[EnergyWindow, ...]:
    """Return the windows of some lines of X-ray spectra.

    Their ranges of background avoid all main lines of all these elements.

    Parameters
    ----------
    series : SpectrumSeries
        The spectra.
    names : sequence of str
        Elements (``"Fe"``) or lines (``"Fe_Ka"``); see `chemtomo.spectra.choose_line`.
    width_fwhm, at_manganese_eV
        See `line_window`.
    others : sequence of XrayLine
        Further lines in the spectra that the ranges of background avoid.

    Returns
    -------
    tuple of EnergyWindow
        In the order of the names. A map is named by the element, or by the line when an element has
        several.

    Raises
    ------
    ParameterError
        When a line is unknown or not recorded, or named twice.
    """
    energies = series.energies_keV
    limits = (float(energies[0]), float(energies[-1]))
    lines = [choose_line(name, *limits) for name in names]
    elements = dict.fromkeys(line.element for line in lines)
    own = [one for element in elements for one in lines_of(element) if limits[0] < one.energy_keV < limits[1]]
    avoided = [*own, *others]
    return unique_names(
        [
            line_window(
                line,
                width_fwhm=width_fwhm,
                at_manganese_eV=at_manganese_eV,
                others=avoided,
                limits_keV=limits,
            )
            for line in lines
        ]
    )


def edge_window(
    series: SpectrumSeries, name: str, *, width_eV: float = 50.0, gap_eV: float = 5.0
) -> EnergyWindow:
    """Return the window above an absorption edge, and the range before it where the background is fitted.

    Parameters
    ----------
    series : SpectrumSeries
        Energy-loss spectra.
    name : str
        Element (``"Fe"``: the innermost edge that is recorded below 3 keV) or edge (``"Fe_L3"``).
    width_eV : float
        Width of the window from the onset on. The range before the edge is as wide, within what is recorded.
    gap_eV : float
        Distance of the range before the edge from its onset, for chemical shifts and the resolution.

    Raises
    ------
    ParameterError
        When there is no such edge, or too little of the spectrum before or above it is recorded.
    """
    element, _, wanted = name.strip().replace(" ", "_").partition("_")
    edges = edge_energies_keV(element)
    energies = series.energies_keV
    low, high = float(energies[0]), float(energies[-1])
    margin, least = gap_eV / 1000, 4 * series.energy_step_keV
    inside = {
        edge: energy
        for edge, energy in edges.items()
        if low + margin + least < energy < high - least and energy < _LARGEST_USEFUL_LOSS_KEV
    }
    chosen = wanted or next((edge for edge in _EDGES if edge in inside), "")
    if chosen not in inside:
        listed = ", ".join(f"{element}_{edge} at {1000 * energy:.0f}" for edge, energy in edges.items())
        raise ParameterError(
            f"edge {name!r}: found no such edge with spectrum on both sides between {1000 * low:.0f} and "
            f"{1000 * high:.0f} eV; {element} has {listed}"
        )
    onset = inside[chosen]
    width = width_eV / 1000
    before = (max(low, onset - margin - width), onset - margin)
    # The tabulated onsets differ from those of compounds by a few electronvolts.
    return EnergyWindow(
        element,
        f"{element}_{chosen}",
        onset - margin / 2,
        min(onset + width, high),
        (before,),
    )


def unique_names(windows: Sequence[EnergyWindow]) -> tuple[EnergyWindow, ...]:
    """Name maps by their lines where several have the same name.

    Raises
    ------
    ParameterError
        When a line is there twice.
    """
    lines = [window.line for window in windows]
    twice = {line for line in lines if lines.count(line) > 1}
    if twice:
        raise ParameterError(f"found {', '.join(sorted(twice))} twice; expected every line once")
    names = [window.name for window in windows]
    return tuple(
        window.replace(name=window.line) if names.count(window.name) > 1 else window for window in windows
    )
