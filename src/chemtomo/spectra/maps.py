"""Make element maps: one tilt series per element from spectrum images."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from chemtomo.data import Dataset, SpectrumSeries, TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.progress import TaskProgress, blocking
from chemtomo.spectra.blocks import block_list, read_block, sum_spectrum_job
from chemtomo.spectra.extract import EdgeExtractor, Extractor, WindowExtractor
from chemtomo.spectra.fit import FitExtractor, fit_spectrum
from chemtomo.spectra.windows import EnergyWindow

__all__ = ["MapMethod", "element_maps", "element_maps_job", "extractor_job", "tilt_maps"]

MapMethod = Literal["window", "fit", "eels"]

_LARGEST_COUNT = 2**32 - 1


def element_maps_job(
    series: SpectrumSeries,
    windows: Sequence[EnergyWindow],
    *,
    method: MapMethod = "window",
    others: Sequence[str] = (),
    smoothing_px: float = 2.0,
    at_manganese_eV: float = 130.0,
    beam_energy_keV: float | None = None,
    spectrum: npt.NDArray[np.float64] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[TaskProgress, None, Dataset | None]:
    r"""Make one tilt series of counts for every window.

    The model of a reconstruction with Poisson noise is that the counts :math:`f` in a pixel have the
    expectation :math:`T u + b`, where :math:`T u` comes from the element and :math:`b` from everything else.
    So nothing is subtracted: ``data`` are the counts in the window as they were recorded, whole numbers,
    and ``background`` is the estimate of :math:`b` in the same units:

    - ``"window"``: the straight line between the ranges beside the window,
    - ``"fit"``: the bremsstrahlung and the lines of other elements in the window, fitted to the whole
      spectrum (see `chemtomo.spectra.FitExtractor`),
    - ``"eels"``: the power law fitted before the edge.

    The provenance of a map holds its net counts, counts minus background, per tilt, and their standard
    deviation from the statistics of the counts (not for ``"eels"``).

    Counts of the element outside its window are not in the map: the same fraction in every pixel.

    Parameters
    ----------
    series : SpectrumSeries
        The spectra. Lazy ones are read in blocks.
    windows : sequence of EnergyWindow
        Where to count; see `chemtomo.spectra.line_windows` and `chemtomo.spectra.edge_window`.
    method : {"window", "fit", "eels"}
        How the background is estimated.
    others : sequence of str
        Elements that are not mapped but whose lines are fitted with the others (``"fit"``): grid,
        support, contamination.
    smoothing_px : float
        Standard deviation in pixels of the smoothing within every projection of the counts from which the
        background is estimated. The expected background varies slowly, and a handful of counts is a poor
        estimate of it. 0 for none.
    at_manganese_eV : float
        Resolution of the X-ray detector, see `chemtomo.spectra.resolution_keV` (``"fit"``).
    beam_energy_keV : float, optional
        Energy of the electrons (``"fit"``); that of the series by default, or else 200 keV.
    spectrum : numpy.ndarray, shape (energy,), optional
        The sum spectrum, where it is known (``"fit"``).
    should_stop : callable, optional
        Asked before every block; ``True`` ends without maps.

    Yields
    ------
    TaskProgress
        After every block.

    Returns
    -------
    Dataset or None
        One series per window, with its name, of the kind ``"counts"``; ``"intensity"`` where the spectra hold
        negative values. ``None`` when it was stopped: maps of only some tilts are no tilt series.

    Raises
    ------
    ParameterError
        When windows and spectra do not fit together.
    DataError
        When spectra hold values that are not finite.
    """
    extractor, entry = yield from extractor_job(
        series,
        windows,
        method=method,
        others=others,
        at_manganese_eV=at_manganese_eV,
        beam_energy_keV=beam_energy_keV,
        spectrum=spectrum,
        should_stop=should_stop,
    )
    entry["background_smoothing_px"] = smoothing_px
    shape = (len(windows), *series.shape[:3])
    counts = np.zeros(shape, _counts_type(series.data.dtype))
    background = np.zeros(shape, np.float32)
    blocks = block_list(series)
    variance = np.zeros((len(windows), series.shape[0]))
    measures: npt.NDArray[np.float32] | None = None
    for done, block in enumerate(blocks):
        if should_stop is not None and should_stop():
            return None
        if measures is None:
            tilts = block.tilts.stop - block.tilts.start
            measures = np.zeros((len(windows), extractor.measures, tilts, *shape[2:]), np.float32)
        spectra = read_block(series, block, extractor.channels)
        measured = extractor.measure(spectra)
        _require_room(series, measured.counts, counts.dtype)
        counts[(slice(None), *block.place)] = measured.counts
        measures[:, :, :, block.rows, block.columns] = measured.measures
        if measured.variance is None:
            variance[:, block.tilts] = np.nan
        else:
            variance[:, block.tilts] += measured.variance.sum(axis=(-2, -1), dtype=np.float64)
        if done + 1 == len(blocks) or blocks[done + 1].tilts != block.tilts:
            background[:, block.tilts] = extractor.background(_smoothed(measures, smoothing_px))
            measures = None
        yield TaskProgress(done + 1, len(blocks), "Mapping the elements")
    return _dataset(series, extractor, counts, background, variance, entry)


element_maps = blocking(element_maps_job)


def extractor_job(
    series: SpectrumSeries,
    windows: Sequence[EnergyWindow],
    *,
    method: MapMethod = "window",
    others: Sequence[str] = (),
    at_manganese_eV: float = 130.0,
    beam_energy_keV: float | None = None,
    spectrum: npt.NDArray[np.float64] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[TaskProgress, None, tuple[Extractor, dict[str, Any]]]:
    """Prepare a method for some spectra, and return it with its entry for the provenance.

    Only ``"fit"`` has to look at the data: it needs their sum. See `element_maps` for the parameters.
    """
    energies = series.energies_keV
    if method == "window":
        return WindowExtractor(energies, windows), {"step": "element_maps", "method": method}
    if method == "eels":
        return EdgeExtractor(energies, windows), {"step": "element_maps", "method": method}
    if method != "fit":
        raise ParameterError(f"method: found {method!r}; expected 'window', 'fit' or 'eels'")
    if spectrum is None:
        spectrum = yield from sum_spectrum_job(series, should_stop=should_stop)
    beam = beam_energy_keV or series.beam_energy_keV or 200.0
    elements = [*(window.line.split("_")[0] for window in windows), *others]
    model = fit_spectrum(spectrum, energies, elements, at_manganese_eV=at_manganese_eV, beam_energy_keV=beam)
    entry = {
        "step": "element_maps",
        "method": method,
        "fitted": dict(zip(model.names, np.round(model.amplitudes, 1).tolist(), strict=True)),
        "fitted_deviation": dict(
            zip(model.names[:-1], np.round(model.deviations[:-1], 1).tolist(), strict=True)
        ),
        "at_manganese_eV": round(model.response.at_manganese_eV, 1),
        "energy_offset_keV": round(model.response.offset_keV, 5),
        "energy_gain": round(model.response.gain, 6),
        "misfit": round(model.misfit, 2),
        "beam_energy_keV": beam,
    }
    return FitExtractor(model, windows), entry


def tilt_maps(
    spectra: npt.NDArray[Any], extractor: Extractor, smoothing_px: float = 2.0
) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]]:
    """Return counts and background ``(window, y, x)`` of one spectrum image ``(y, x, energy)``."""
    measured = extractor.measure(spectra[..., extractor.channels])
    smooth = _smoothed(measured.measures[:, :, np.newaxis], smoothing_px)
    return measured.counts, extractor.background(smooth)[:, 0]


def _smoothed(measures: npt.NDArray[np.float32], sigma: float) -> npt.NDArray[np.float32]:
    """Smooth each projection; the sum over its pixels stays."""
    from scipy.ndimage import gaussian_filter

    if sigma <= 0:
        return measures
    smooth: npt.NDArray[np.float32] = gaussian_filter(measures, sigma, mode="reflect", axes=(-2, -1))
    return smooth


def _counts_type(dtype: np.dtype[Any]) -> type[np.generic]:
    return {"u": np.uint32, "i": np.int32}.get(dtype.kind, np.float32)


def _require_room(series: SpectrumSeries, found: npt.NDArray[Any], dtype: np.dtype[Any]) -> None:
    where = f"spectrum series {series.name!r}"
    if found.dtype.kind == "f":
        if not np.isfinite(found).all():
            raise DataError(f"{where}: found values that are not finite; expected counts")
    elif found.size and found.max() > np.iinfo(dtype).max:
        raise DataError(f"{where}: found {found.max()} counts in a window; expected {_LARGEST_COUNT} at most")


def _dataset(
    series: SpectrumSeries,
    extractor: Extractor,
    counts: npt.NDArray[Any],
    background: npt.NDArray[np.float32],
    variance: npt.NDArray[np.float64],
    entry: dict[str, Any],
) -> Dataset:
    made = []
    for window, data, behind, spread in zip(extractor.windows, counts, background, variance, strict=True):
        notes = (*series.notes, *getattr(extractor, "notes", ()))
        negative = bool(data.min() < 0)
        if negative:
            notes += ("there are negative values in the window: these are not counts with Poisson noise",)
        elif (data.dtype.kind == "f" and np.array_equal(data, np.rint(data))) or data.dtype.kind == "i":
            data = data.astype(np.uint32)
        if not data.any():
            notes += (
                f"{window.name}: no counts in its window from {window.low_keV:g} to {window.high_keV:g} keV",
            )
        told = {**entry, **window.to_json()}
        if np.isfinite(spread).all():
            net = data.sum(axis=(1, 2), dtype=np.float64) - behind.sum(axis=(1, 2), dtype=np.float64)
            told["net_counts"] = np.round(net, 1).tolist()
            told["net_counts_deviation"] = np.round(np.sqrt(np.maximum(spread, 0)), 1).tolist()
        made.append(
            TiltSeries(
                window.name,
                data,
                series.tilts_deg,
                series.pixel_size_nm,
                "intensity" if negative else "counts",
                background=behind if window.background or entry["method"] == "fit" else None,
                source=series.source,
                notes=notes,
                provenance=(*series.provenance, told),
            )
        )
    return Dataset(tuple(made))
