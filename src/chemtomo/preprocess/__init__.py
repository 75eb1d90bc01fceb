"""Pure functions that prepare projections. No input is modified; every step is recorded.

Each function takes a `chemtomo.data.TiltSeries` (or, where it says so, a `chemtomo.data.Dataset`)
and returns a new one, with an entry ``{"step": name, parameters...}`` appended to its
``provenance``. To treat all signals of a dataset alike, use ``dataset.map``.
"""

from chemtomo.preprocess.binning import bin_pixels
from chemtomo.preprocess.crop import crop_detector, detector_support, select_slices
from chemtomo.preprocess.intensity import (
    clip_negative,
    equalise_brightness,
    paper,
    scale_percentiles,
    threshold,
)

__all__ = [
    "bin_pixels",
    "clip_negative",
    "crop_detector",
    "detector_support",
    "equalise_brightness",
    "paper",
    "scale_percentiles",
    "select_slices",
    "threshold",
]
