"""Fit whole X-ray spectra: lines as a detector records them, on a smooth background."""

from chemtomo.spectra.fit.background import LOWEST_KEV, background_shapes, kramers_shapes
from chemtomo.spectra.fit.extractor import FitExtractor
from chemtomo.spectra.fit.model import SpectrumModel, peak_deviations
from chemtomo.spectra.fit.response import Response, line_shape, lines_shape
from chemtomo.spectra.fit.spectrum import fit_spectrum, has_photons, non_negative, poisson_weights

__all__ = [
    "LOWEST_KEV",
    "FitExtractor",
    "Response",
    "SpectrumModel",
    "background_shapes",
    "fit_spectrum",
    "has_photons",
    "kramers_shapes",
    "line_shape",
    "lines_shape",
    "non_negative",
    "peak_deviations",
    "poisson_weights",
]
