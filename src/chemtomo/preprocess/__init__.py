"""Pure functions that prepare projections. No input is modified; every step is recorded.

Each function takes a `chemtomo.data.TiltSeries` (or, where it says so, a `chemtomo.data.Dataset`)
and returns a new one, with an entry ``{"step": name, parameters...}`` appended to its
``provenance``. To treat all signals of a dataset alike, use ``dataset.map``. Series whose values are
dask arrays stay lazy wherever a projection can be prepared without the others.
"""

from chemtomo.preprocess.quality import ProjectionScores, score_projections, score_projections_job
from chemtomo.preprocess.scan_drift import ScanDrift, correct_scan_drift, estimate_scan_drift
from chemtomo.preprocess.selection.binning import bin_pixels
from chemtomo.preprocess.selection.crop import crop, crop_detector, detector_support, pad, select_slices
from chemtomo.preprocess.selection.tilts import drop_tilts, select_tilts, sort_by_tilt
from chemtomo.preprocess.values.background import (
    constant_background,
    edge_background,
    mask_background,
    offset_background,
)
from chemtomo.preprocess.values.filters import band_pass, gaussian_filter, median_filter, sobel_filter
from chemtomo.preprocess.values.gains import estimate_gains, sample_totals, with_dose, with_estimated_gains
from chemtomo.preprocess.values.hot_pixels import find_outlying_pixels, remove_hot_pixels
from chemtomo.preprocess.values.intensity import (
    clip_negative,
    equalise_brightness,
    scale_percentiles,
    threshold,
)
from chemtomo.preprocess.values.masked import mask_pixels
from chemtomo.preprocess.values.vacuum import Vacuum, find_vacuum, from_vacuum, without_saturated

__all__ = [
    "ProjectionScores",
    "ScanDrift",
    "Vacuum",
    "band_pass",
    "bin_pixels",
    "clip_negative",
    "constant_background",
    "correct_scan_drift",
    "crop",
    "crop_detector",
    "detector_support",
    "drop_tilts",
    "edge_background",
    "equalise_brightness",
    "estimate_gains",
    "estimate_scan_drift",
    "find_outlying_pixels",
    "find_vacuum",
    "from_vacuum",
    "gaussian_filter",
    "mask_background",
    "mask_pixels",
    "median_filter",
    "offset_background",
    "pad",
    "remove_hot_pixels",
    "sample_totals",
    "scale_percentiles",
    "score_projections",
    "score_projections_job",
    "select_slices",
    "select_tilts",
    "sobel_filter",
    "sort_by_tilt",
    "threshold",
    "with_dose",
    "with_estimated_gains",
    "without_saturated",
]
