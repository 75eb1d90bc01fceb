"""From spectrum images to element maps."""

from chemtomo.spectra.blocks import sum_spectrum, sum_spectrum_job
from chemtomo.spectra.decomposition import Decomposition, DecompositionMethod, decompose, decompose_job
from chemtomo.spectra.edge_suggestions import suggest_edges
from chemtomo.spectra.extract import EdgeExtractor, Extractor, WindowExtractor
from chemtomo.spectra.fit import FitExtractor, SpectrumModel, fit_spectrum, kramers_shapes, line_shape
from chemtomo.spectra.lines import XrayLine, choose_line, edge_energies_keV, lines_of, shell_members
from chemtomo.spectra.maps import MapMethod, element_maps, element_maps_job, extractor_job, tilt_maps
from chemtomo.spectra.suggest import find_peaks, suggest, suggest_lines
from chemtomo.spectra.suggestion import Suggestion
from chemtomo.spectra.windows import (
    EnergyWindow,
    edge_window,
    line_window,
    line_windows,
    resolution_keV,
    unique_names,
)

__all__ = [
    "Decomposition",
    "DecompositionMethod",
    "EdgeExtractor",
    "EnergyWindow",
    "Extractor",
    "FitExtractor",
    "MapMethod",
    "SpectrumModel",
    "Suggestion",
    "WindowExtractor",
    "XrayLine",
    "choose_line",
    "decompose",
    "decompose_job",
    "edge_energies_keV",
    "edge_window",
    "element_maps",
    "element_maps_job",
    "extractor_job",
    "find_peaks",
    "fit_spectrum",
    "kramers_shapes",
    "line_shape",
    "line_window",
    "line_windows",
    "lines_of",
    "resolution_keV",
    "shell_members",
    "suggest",
    "suggest_edges",
    "suggest_lines",
    "sum_spectrum",
    "sum_spectrum_job",
    "tilt_maps",
    "unique_names",
]
