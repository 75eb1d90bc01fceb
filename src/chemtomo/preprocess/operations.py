"""All operations that prepare projections, in the order in which the command line does them."""

from __future__ import annotations

from chemtomo.preprocess.background import Background
from chemtomo.preprocess.binning import Bin
from chemtomo.preprocess.brightness import Brightness
from chemtomo.preprocess.crop import Crop, Pad
from chemtomo.preprocess.filters import BandPass, Gaussian, Median, Sobel
from chemtomo.preprocess.gains import Dose
from chemtomo.preprocess.hot_pixels import HotPixels
from chemtomo.preprocess.intensity import ClipNegative, PublishedScaling
from chemtomo.preprocess.operation import Operation
from chemtomo.preprocess.scan_drift import ScanDriftStep
from chemtomo.preprocess.select import Select
from chemtomo.preprocess.tilts import DropTilts, SortTilts

__all__ = ["OPERATIONS"]

_KINDS: tuple[type[Operation], ...] = (
    Select,
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
