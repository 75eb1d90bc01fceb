"""The step from spectra to element maps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from chemtomo.data import Dataset, SpectrumSeries, TiltSeries
from chemtomo.data.records import recorded
from chemtomo.errors import DataError, ParameterError
from chemtomo.progress import TaskProgress, blocking
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
    resolution_keV,
    suggest,
    sum_spectrum_job,
    unique_names,
)
from chemtomo.spectra.parameters import MapParameters, WindowParameters

__all__ = [
    "ResolvedMethod",
    "components_job",
    "make_maps",
    "make_maps_job",
    "map_method",
    "net_series",
    "preview_job",
    "suggest_job",
    "windows_of",
    "with_windows",
]

ResolvedMethod = Literal["window", "fit", "eels", "nmf", "pca"]


# With fewer counts above this energy (the noise of the detector) lines and background cannot be fitted.
_COUNTS_TO_FIT, _NOISE_KEV = 100, 0.17


def map_method(
    series: SpectrumSeries,
    parameters: MapParameters,
    windows: Sequence[EnergyWindow] = (),
    found: Sequence[Suggestion] = (),
    spectrum: npt.NDArray[np.float64] | None = None,
) -> ResolvedMethod:
    """Return the method that the parameters mean for a series.

    Parameters
    ----------
    series : SpectrumSeries
        The spectra.
    parameters : MapParameters
        Their method is returned unless it is ``"auto"``.
    windows : sequence of EnergyWindow
        The lines that are mapped: ``"fit"`` where one has no background on both sides, or lines of other
        elements in it, else ``"window"``.
    found : sequence of Suggestion
        Suggestions from the sum spectrum; certain elements, and those that the file lists, count as present.
    spectrum : numpy.ndarray, shape (energy,), optional
        The sum spectrum; one of a handful of counts is not fitted.
    """
    if parameters.method != "auto":
        return parameters.method
    if series.signal == "EELS":
        return "eels"
    if spectrum is not None and spectrum[series.energies_keV > _NOISE_KEV].sum() < _COUNTS_TO_FIT:
        return "window"
    return "fit" if _needs_fit(series, windows, parameters, found) else "window"


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
        for element in parameters.others or ()
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


def with_windows(parameters: MapParameters, windows: Sequence[EnergyWindow]) -> MapParameters:
    """Return the parameters with windows that were set by hand, so that a recipe repeats them."""
    kept = tuple(WindowParameters(**dataclasses.asdict(one)) for one in windows)
    return parameters.model_copy(update={"windows": kept, "elements": (), "lines": ()})


def make_maps_job(
    series: SpectrumSeries,
    parameters: MapParameters,
    *,
    windows: Sequence[EnergyWindow] | None = None,
    spectrum: npt.NDArray[np.float64] | None = None,
    suggestions: Sequence[Suggestion] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[TaskProgress, None, Dataset | None]:
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
    suggestions : sequence of Suggestion, optional
        What it shows, where that is known already.
    should_stop : callable, optional
        Asked after every block.

    Returns
    -------
    Dataset or None
        ``None`` when it was stopped before the end.

    Raises
    ------
    ParameterError
        When an element or line is unknown or not recorded, or nothing was named and nothing stands out.
    """
    method = map_method(series, parameters)
    if method in ("nmf", "pca"):
        parts = yield from components_job(series, parameters, should_stop=should_stop)
        return None if parts is None else parts.dataset
    if windows is not None:
        parameters = with_windows(parameters, windows)
    if windows is None and parameters.windows:
        windows = [EnergyWindow(**one.model_dump()) for one in parameters.windows]
    names = [*parameters.elements, *parameters.lines]
    searched = windows is None and not names
    if (method in ("window", "fit") and _asks_the_spectrum(parameters)) or searched:
        if spectrum is None:
            spectrum = yield from sum_spectrum_job(series, should_stop=should_stop)
        if should_stop is not None and should_stop():
            return None
        if suggestions is None:
            suggestions = _suggestions(series, spectrum, parameters)
    found = suggestions or ()
    if windows is None:
        if searched:
            unwanted = parameters.others or ()
            names = [one.line for one in found if one.is_wanted and one.element not in unwanted]
            if not names:
                raise ParameterError(
                    f"{series.source or series.name}: found no line above the background of the "
                    "sum spectrum; expected at least one. Name the elements to map"
                )
        windows = windows_of(series, names, parameters)
    method = map_method(series, parameters, windows, found, spectrum)
    dataset = yield from _mapped_job(series, windows, parameters, method, found, spectrum, should_stop)
    if dataset is None:
        return None
    dataset = _believable(series, dataset)
    return _recorded(series, parameters, dataset.map(net_series) if parameters.subtract else dataset)


make_maps = blocking(make_maps_job)


def _asks_the_spectrum(parameters: MapParameters) -> bool:
    """Tell whether the method, or the fitted elements, depend on suggestions from the sum spectrum."""
    return parameters.method == "auto" or (parameters.method == "fit" and parameters.others is None)


def _is_present(suggestion: Suggestion) -> bool:
    return suggestion.is_certain or bool(suggestion.listed)


def _needs_fit(
    series: SpectrumSeries,
    windows: Sequence[EnergyWindow],
    parameters: MapParameters,
    found: Sequence[Suggestion],
) -> bool:
    """Tell whether a window lacks background on a side, or contains lines of other elements."""
    if any(len(window.background) < 2 for window in windows):
        return True
    mapped = [window.line.partition("_")[0] for window in windows]
    present = [one.element for one in found if _is_present(one)]
    known = dict.fromkeys((*mapped, *(parameters.others or ()), *series.elements, *present))
    for window in windows:
        for element in known:
            if element == window.line.partition("_")[0] or element in ("H", "He"):
                continue
            for line in lines_of(element):
                reach = resolution_keV(line.energy_keV, parameters.resolution) / 2
                if window.low_keV - reach < line.energy_keV < window.high_keV + reach:
                    return True
    return False


def _believable(series: SpectrumSeries, dataset: Dataset) -> Dataset:
    """Leave out maps with more background than counts, and say so in the notes of the others.

    Raises
    ------
    DataError
        When no map is left.
    """
    kept, refused = [], []
    for one in dataset:
        counts = float(one.data.sum(dtype=np.float64))
        behind = 0.0 if one.background is None else float(one.background.sum(dtype=np.float64))
        if behind > counts and one.kind == "counts":
            refused.append(f"{one.name}: found {counts:.0f} counts and a background of {behind:.0f}")
        else:
            kept.append(one)
    if not refused:
        return dataset
    words = "; ".join(refused) + "; expected more counts than background"
    if not kept:
        raise DataError(f"{series.source or series.name}: {words}")
    return Dataset(tuple(one.replace(notes=(*one.notes, f"left out: {words}")) for one in kept))


def _recorded(series: SpectrumSeries, parameters: MapParameters, dataset: Dataset) -> Dataset:
    """Return maps with the record of this step, and the origin of the spectra."""
    more = {"made": list(dataset.names)}
    return dataset.map(
        lambda one: recorded(
            None,
            one.replace(origin=series.origin),
            "maps",
            parameters.differing(),
            did=list(one.provenance),
            **more,
        )
    )


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
    return (
        None
        if found is None
        else dataclasses.replace(found, dataset=_recorded(series, parameters, found.dataset))
    )


def preview_job(
    series: SpectrumSeries,
    parameters: MapParameters,
    window: EnergyWindow,
    tilt: int,
    *,
    others: Sequence[EnergyWindow] = (),
    spectrum: npt.NDArray[np.float64] | None = None,
    suggestions: Sequence[Suggestion] = (),
    should_stop: Callable[[], bool] | None = None,
) -> Generator[TaskProgress, None, npt.NDArray[np.float32] | None]:
    """Make the net map of one line at one tilt, for viewing while its window is chosen.

    Parameters
    ----------
    series : SpectrumSeries
        The spectra.
    parameters : MapParameters
        The method and its settings; lines and elements are not used.
    window : EnergyWindow
        The line.
    tilt : int
        Index of the tilt; the spectra of no other tilt are read.
    others : sequence of EnergyWindow
        The further lines that are to be mapped, which a fit takes into account.
    spectrum : numpy.ndarray, shape (energy,), optional
        The sum spectrum, for a fit; that of the tilt if it is not known.
    suggestions : sequence of Suggestion
        Suggestions from the sum spectrum, for the choice of ``"auto"`` and the elements that are fitted.
    should_stop : callable, optional
        Asked before the work is done.

    Returns
    -------
    numpy.ndarray, shape (y, x), or None
        Counts minus background; ``None`` when stopped.
    """
    windows = (window, *(other for other in others if other.line != window.line))
    method = map_method(series, parameters, windows, suggestions, spectrum)
    one = series.replace(data=series.data[tilt : tilt + 1], tilts_deg=series.tilts_deg[tilt : tilt + 1])
    if method != "fit":
        windows = windows[:1]
    made = yield from _mapped_job(one, windows, parameters, method, suggestions, spectrum, should_stop)
    if made is None:
        return None
    net: npt.NDArray[np.float32] = net_series(made.series[0]).data[0].astype(np.float32)
    return net


def _mapped_job(
    series: SpectrumSeries,
    windows: Sequence[EnergyWindow],
    parameters: MapParameters,
    method: ResolvedMethod,
    found: Sequence[Suggestion],
    spectrum: npt.NDArray[np.float64] | None,
    should_stop: Callable[[], bool] | None,
) -> Generator[TaskProgress, None, Dataset | None]:
    """Map windows by a method, with the settings of the parameters."""
    others = parameters.others
    if others is None:
        # The counts of an element that is not fitted would be given to overlapping lines.
        mapped = {window.line.partition("_")[0] for window in windows}
        others = tuple(one.element for one in found if _is_present(one) and one.element not in mapped)
    kind: MapMethod = "fit" if method == "fit" else "eels" if method == "eels" else "window"
    return (
        yield from element_maps_job(
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
    )


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
