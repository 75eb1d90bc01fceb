"""All operations that prepare projections, in the order in which the command line does them."""

from __future__ import annotations

from chemtomo.preprocess.operation import Operation
from chemtomo.preprocess.scan_drift import ScanDriftStep
from chemtomo.preprocess.selection.binning import Bin
from chemtomo.preprocess.selection.crop import Crop, Pad
from chemtomo.preprocess.selection.select import Select
from chemtomo.preprocess.selection.tilts import DropTilts, SortTilts
from chemtomo.preprocess.values.background import Background
from chemtomo.preprocess.values.brightness import Brightness
from chemtomo.preprocess.values.filters import BandPass, Gaussian, Median, Sobel
from chemtomo.preprocess.values.gains import Dose
from chemtomo.preprocess.values.hot_pixels import HotPixels
from chemtomo.preprocess.values.intensity import ClipNegative, PublishedScaling
from chemtomo.preprocess.values.masked import MaskPixels

__all__ = ["OPERATIONS"]

_KINDS: tuple[type[Operation], ...] = (
    Select,
    MaskPixels,
    HotPixels,
    DropTilts,
    SortTilts,
    ScanDriftStep,
    Crop,
    Pad,
    Background,
    Bin,
    Brightness,
    Dose,
    ClipNegative,
    PublishedScaling,
    Median,
    Gaussian,
    BandPass,
    Sobel,
)

OPERATIONS: dict[str, type[Operation]] = {kind.operation: kind for kind in _KINDS}
"""The models by the names of their operations."""
