"""Estimators of alignments, and the ways to combine, link and apply them."""

from chemtomo.align.apply import aligned_view, apply, covered_rows
from chemtomo.align.auto import auto
from chemtomo.align.center_of_mass import center_of_mass, com_common_line
from chemtomo.align.compose import compose
from chemtomo.align.current import current, require_fitting
from chemtomo.align.link import link, sum_of_channels
from chemtomo.align.manual import axis_preview, nudge, set_axis
from chemtomo.align.max_image import max_image
from chemtomo.align.phase_correlation import phase_correlation
from chemtomo.align.projection_matching import projection_matching
from chemtomo.align.stackreg import stackreg
from chemtomo.align.sum_minimum import sum_minimum
from chemtomo.align.tilt_axis import com_path

__all__ = [
    "aligned_view",
    "apply",
    "auto",
    "axis_preview",
    "center_of_mass",
    "com_common_line",
    "com_path",
    "compose",
    "covered_rows",
    "current",
    "link",
    "max_image",
    "nudge",
    "phase_correlation",
    "projection_matching",
    "require_fitting",
    "set_axis",
    "stackreg",
    "sum_minimum",
    "sum_of_channels",
]
