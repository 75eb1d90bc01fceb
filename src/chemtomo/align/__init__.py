"""Estimators of alignments, and the ways to combine, link and apply them."""

import warnings
from collections.abc import Callable

from chemtomo.align.automatic import auto
from chemtomo.align.matching.projection_matching import projection_matching
from chemtomo.align.parameters import AlignParameters, AxisParameters, LinkParameters
from chemtomo.align.registration.center_of_mass import center_of_mass, com_common_line
from chemtomo.align.registration.phase_correlation import phase_correlation
from chemtomo.align.registration.stackreg import stackreg
from chemtomo.align.starting_point import current, require_fitting
from chemtomo.align.tilt_axis.com_path import com_path
from chemtomo.align.tilt_axis.max_image import max_image
from chemtomo.align.tilt_axis.sharpness import axis_from_sharpness
from chemtomo.align.tracks.estimator import patch_tracks
from chemtomo.align.transforms.applying import aligned_view, apply, covered_rows, recorded_pixels
from chemtomo.align.transforms.composition import compose
from chemtomo.align.transforms.linking import link, link_with_shift, sum_of_channels
from chemtomo.align.transforms.manual import axis_preview, nudge, set_axis
from chemtomo.align.verdict import warnings_of
from chemtomo.data import Alignment

__all__ = [
    "AlignParameters",
    "AxisParameters",
    "LinkParameters",
    "aligned_view",
    "apply",
    "auto",
    "axis_from_sharpness",
    "axis_preview",
    "center_of_mass",
    "com_common_line",
    "com_path",
    "compose",
    "covered_rows",
    "current",
    "link",
    "link_with_shift",
    "max_image",
    "nudge",
    "patch_tracks",
    "phase_correlation",
    "projection_matching",
    "recorded_pixels",
    "require_fitting",
    "set_axis",
    "stackreg",
    "sum_of_channels",
    "warnings_of",
]


def __getattr__(name: str) -> Callable[..., Alignment]:
    if name == "sum_minimum":
        warnings.warn("chemtomo.align.sum_minimum is now axis_from_sharpness", FutureWarning, stacklevel=2)
        return axis_from_sharpness
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
