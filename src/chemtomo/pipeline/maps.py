"""The step from spectra to element maps: its parameters, and what they do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError, field_validator

from chemtomo.data import Dataset, SpectrumSeries, TiltSeries
from chemtomo.errors import ParameterError
from chemtomo.pipeline.parameters import Parameters
from chemtomo.progress import TaskProgress, finish
from chemtomo.spectra import (
    Decomposition,
    EnergyWindow,
    MapMethod,
    Suggestion,
    choose_line,
    decompose_job,
    edge_window,
    element_maps_job,
    line_windows,
    lines_of,
    suggest,
    sum_spectrum_job,
    unique_names,
)

__all__ = [
    "MapParameters",
    "ResolvedMethod",
    "components_job",
    "make_maps",
    "make_maps_job",
    "map_elements",
    "map_method",
    "net_series",
    "preview_job",
    "suggest_job",
    "windows_of",
]

ResolvedMethod = Literal["window", "fit", "eels", "nmf", "pca"]


class MapParameters(Parameters):
    """How maps are made from spectra."""

    method: Literal["auto", "window", "fit", "eels", "nmf", "pca"] = Field(
        "auto",
        title="Method",
        description="window: counts of X-rays in a window, with a straight background between its sides. "
        "fit: overlapping lines are told apart by a fit of the whole spectrum. eels: counts behind an edge, "
        "with a power law before it. nmf, pca: components without lines. auto: window for X-rays, eels for "
        "energy losses.",
    )
    elements: str | None = Field(
        None,
        title="Elements",
        description="Elements to map, with commas: Fe,Co,O. What stands out clearly if neither elements "
        "nor lines are given.",
    )
    lines: str | None = Field(
        None, title="Lines", description="Lines or edges to map, with commas: Fe_Ka,Yb_La or Fe_L3,O_K."
    )
    others: str | None = Field(
        None,
        title="Other elements",
        description="Elements that are in the spectra too, with commas, and need no map: the grid's copper. "
        "The fit takes their lines into account, those that stand out clearly if not given, and the "
        "background of a window keeps away from them.",
    )
    width: float = Field(
        1.5,
        gt=0.2,
        le=5,
        title="Window (resolutions)",
        description="Width of the window of a line, in units of the detector's resolution at its energy.",
    )
    resolution: float = Field(
        130.0,
        ge=50,
        le=400,
        title="Resolution (eV)",
        description="Resolution of the X-ray detector at Mn Ka, in eV.",
    )
    smoothing: float = Field(
        2.0,
        ge=0,
        le=50,
        title="Smooth background (px)",
        description="Standard deviation, in pixels, by which the background is smoothed in every projection. "
        "The counts are not smoothed.",
    )
    beam_energy: float | None = Field(
        None,
        gt=1,
        le=3000,
        title="Beam energy (keV)",
        description="Energy of the electrons, for the bremsstrahlung of the fit. That of the file, or else "
        "200 keV.",
    )
    edge_width: float = Field(
        50.0,
        gt=1,
        le=1000,
        title="Edge window (eV)",
        description="Width of the window behind an edge, and of the range before it (eels).",
    )
    components: int = Field(
        4, ge=1, le=64, title="Components", description="Number of components (nmf, pca)."
    )
    low_kev: float | None = Field(
        None, title="From (keV)", description="Lowest energy that takes part (nmf, pca)."
    )
    high_kev: float | None = Field(
        None, title="To (keV)", description="Highest energy that takes part (nmf, pca)."
    )
    seed: int = Field(0, ge=0, title="Seed", description="Of the random choices (nmf, pca).")
    subtract: bool = Field(
        False,
        title="Subtract background",
        description="Give counts minus background. They can be negative and are no counts any more: for "
        "looking at, not for a reconstruction with Poisson noise.",
    )

    @field_validator("elements", "lines", "others")
    @classmethod
    def _names(cls, value: str | None) -> str | None:
        """Leave out blanks and empty names."""
        names = [one.strip() for one in (value or "").split(",")]
        return ",".join(one for one in names if one) or None


def map_method(series: SpectrumSeries, parameters: MapParameters) -> ResolvedMethod:
    """Return the method that the parameters mean for a series."""
    if parameters.method != "auto":
        return parameters.method
    return "eels" if series.signal == "EELS" else "window"


def suggest_job(
    series: SpectrumSeries,
    parameters: MapParameters,
    *,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[TaskProgress, None, tuple[npt.NDArray[np.float64], list[Suggestion]]]:
    """Add up the spectra and suggest what to map; returns the sum spectrum and the suggestions."""
    spectrum = yield from sum_spectrum_job(series, should_stop=should_stop)
    return spectrum, _suggestions(series, spectrum, parameters)


def windows_of(
    series: SpectrumSeries, names: Sequence[str], parameters: MapParameters
) -> tuple[EnergyWindow, ...]:
    """Return the windows of some elements, lines or edges, by the method that the parameters mean.

    Raises
    ------
    ParameterError
        When one is unknown, not recorded, or named twice.
    """
    if map_method(series, parameters) == "eels":
        return unique_names([edge_window(series, name, width_eV=parameters.edge_width) for name in names])
    energies = series.energies_keV
    others = [
        line
        for element in _split(parameters.others)
        for line in lines_of(choose_line(element, 0.0, np.inf).element)
        if energies[0] < line.energy_keV < energies[-1]
    ]
    return line_windows(
        series,
        names,
        width_fwhm=parameters.width,
        at_manganese_eV=parameters.resolution,
        others=others,
    )


def make_maps_job(
    series: SpectrumSeries,
    parameters: MapParameters,
    *,
    windows: Sequence[EnergyWindow] | None = None,
    spectrum: npt.NDArray[np.float64] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[TaskProgress, None, Dataset | None]:
    """Make the maps that the parameters ask for, see `make_maps`; ``None`` when stopped before the end."""
    method = map_method(series, parameters)
    if method in ("nmf", "pca"):
        parts = yield from components_job(series, parameters, should_stop=should_stop)
        return None if parts is None else parts.dataset
    if windows is None:
        names = [*_split(parameters.elements), *_split(parameters.lines)]
        if not names:
            if spectrum is None:
                spectrum = yield from sum_spectrum_job(series, should_stop=should_stop)
            if should_stop is not None and should_stop():
                return None
            certain = [one for one in _suggestions(series, spectrum, parameters) if one.is_certain]
            unwanted = _split(parameters.others)
            names = [one.line for one in certain if one.element not in unwanted]
            if not names:
                raise ParameterError(
                    f"{series.source or series.name}: found no line that stands out of the background of the "
                    "sum spectrum; expected one at least. Name the elements to map"
                )
        windows = windows_of(series, names, parameters)
    others = _split(parameters.others)
    if method == "fit" and parameters.others is None:
        # An element that is not fitted would end up in its neighbours.
        if spectrum is None:
            spectrum = yield from sum_spectrum_job(series, should_stop=should_stop)
        mapped = {window.line.partition("_")[0] for window in windows}
        found = [one for one in _suggestions(series, spectrum, parameters) if one.is_certain]
        others = [one.element for one in found if one.element not in mapped]
    kind: MapMethod = "fit" if method == "fit" else "eels" if method == "eels" else "window"
    dataset = yield from element_maps_job(
        series,
        windows,
        method=kind,
        others=others,
        smoothing_px=parameters.smoothing,
        at_manganese_eV=parameters.resolution,
        beam_energy_keV=parameters.beam_energy,
        spectrum=spectrum,
        should_stop=should_stop,
    )
    if dataset is None or not parameters.subtract:
        return dataset
    return dataset.map(net_series)


def make_maps(
    series: SpectrumSeries,
    parameters: MapParameters,
    *,
    windows: Sequence[EnergyWindow] | None = None,
    spectrum: npt.NDArray[np.float64] | None = None,
    on_progress: Callable[[TaskProgress], None] | None = None,
) -> Dataset:
    """Make the maps that the parameters ask for.

    Parameters
    ----------
    series : SpectrumSeries
        The spectra.
    parameters : MapParameters
        What to do.
    windows : sequence of EnergyWindow, optional
        Where to count; else those of the elements and lines of the parameters, or of what is suggested.
    spectrum : numpy.ndarray, shape (energy,), optional
        The sum spectrum, where it is known already.
    on_progress : callable, optional
        Called with a `TaskProgress` after every block.

    Raises
    ------
    ParameterError
        When an element or line is unknown or not recorded, or nothing was named and nothing stands out.
    """
    made = finish(make_maps_job(series, parameters, windows=windows, spectrum=spectrum), on_progress)
    assert made is not None  # nobody asked to stop
    return made


def map_elements(
    series: SpectrumSeries,
    *,
    on_progress: Callable[[TaskProgress], None] | None = None,
    **parameters: Any,
) -> Dataset:
    """Make maps of elements: what `chemtomo maps` does, in one call.

    Parameters
    ----------
    series : SpectrumSeries
        The spectra, see `chemtomo.read_spectra`. Lazy ones are read in blocks.
    on_progress : callable, optional
        Called with a `TaskProgress` after every block.
    **parameters
        The fields of `MapParameters`, for example ``elements=["Fe", "Co"], method="fit"``; elements,
        lines and others as a list or with commas.

    Returns
    -------
    Dataset
        One series an element, of counts with a background; see `chemtomo.spectra.element_maps`.

    Raises
    ------
    ParameterError
        When a parameter is unknown or out of bounds, and as `make_maps`.
    """
    joined = {
        name: ",".join(value) if isinstance(value, (list, tuple)) else value
        for name, value in parameters.items()
    }
    try:
        chosen = MapParameters(**joined)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise ParameterError(f"{name}: {message}; found {first['input']!r}") from error
    return make_maps(series, chosen, on_progress=on_progress)


def components_job(
    series: SpectrumSeries,
    parameters: MapParameters,
    *,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[TaskProgress, None, Decomposition | None]:
    """Find components with the parameters of nmf or pca; ``None`` when stopped before the end."""
    found = yield from decompose_job(
        series,
        parameters.components,
        method="pca" if map_method(series, parameters) == "pca" else "nmf",
        range_keV=_range(series, parameters),
        seed=parameters.seed,
        should_stop=should_stop,
    )
    return found


def preview_job(
    series: SpectrumSeries,
    parameters: MapParameters,
    window: EnergyWindow,
    tilt: int,
    *,
    others: Sequence[EnergyWindow] = (),
    spectrum: npt.NDArray[np.float64] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[TaskProgress, None, npt.NDArray[np.float32] | None]:
    """Make the net map of one line at one tilt, to look at while its window is chosen.

    Parameters
    ----------
    series : SpectrumSeries
        The spectra.
    parameters : MapParameters
        Their method, and what else the method needs; lines and elements are not used.
    window : EnergyWindow
        The line.
    tilt : int
        Index of the tilt; the spectra of no other tilt are read.
    others : sequence of EnergyWindow
        The further lines that are to be mapped, which a fit takes into account.
    spectrum : numpy.ndarray, shape (energy,), optional
        The sum spectrum, for a fit; that of the tilt if it is not known.
    should_stop : callable, optional
        Asked before the work is done.

    Returns
    -------
    numpy.ndarray, shape (y, x), or None
        Counts minus background; ``None`` when stopped.
    """
    method = map_method(series, parameters)
    one = series.replace(data=series.data[tilt : tilt + 1], tilts_deg=series.tilts_deg[tilt : tilt + 1])
    windows = (window, *(other for other in others if other.line != window.line))
    wanted: MapMethod = "fit" if method == "fit" else "eels" if method == "eels" else "window"
    made = yield from element_maps_job(
        one,
        windows if wanted == "fit" else windows[:1],
        method=wanted,
        others=_split(parameters.others),
        smoothing_px=parameters.smoothing,
        at_manganese_eV=parameters.resolution,
        beam_energy_keV=parameters.beam_energy,
        spectrum=spectrum,
        should_stop=should_stop,
    )
    if made is None:
        return None
    net: npt.NDArray[np.float32] = net_series(made.series[0]).data[0].astype(np.float32)
    return net


def net_series(series: TiltSeries) -> TiltSeries:
    """Return counts minus background, an intensity that can be negative."""
    if series.background is None:
        return series
    net = series.data.astype(np.float32) - series.background
    entry = {"step": "subtract_background"}
    return dataclasses.replace(
        series, data=net, background=None, kind="intensity", provenance=(*series.provenance, entry)
    )


def _suggestions(
    series: SpectrumSeries, spectrum: npt.NDArray[np.float64], parameters: MapParameters
) -> list[Suggestion]:
    return suggest(
        series,
        spectrum,
        at_manganese_eV=parameters.resolution,
        beam_energy_keV=parameters.beam_energy or series.beam_energy_keV or 200.0,
    )


def _range(series: SpectrumSeries, parameters: MapParameters) -> tuple[float, float] | None:
    if parameters.low_kev is None and parameters.high_kev is None:
        return None
    energies = series.energies_keV
    low = energies[0] if parameters.low_kev is None else parameters.low_kev
    high = np.inf if parameters.high_kev is None else parameters.high_kev
    return float(low), float(high)


def _split(names: str | None) -> list[str]:
    return names.split(",") if names else []
