"""The operations that prepare projections: one model each, with its parameters and what it does.

A recipe, the options of the command line and the forms of the dock *Prepare* are made from these models.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from chemtomo import preprocess
from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import ParameterError
from chemtomo.pipeline.parameters import Range
from chemtomo.pipeline.prepare_step import PrepareStep, SeriesStep, numbers_of, require_rising

__all__ = [
    "OPERATIONS",
    "AnyStep",
    "Background",
    "BandPass",
    "Bin",
    "Brightness",
    "ClipNegative",
    "Crop",
    "Dose",
    "DropTilts",
    "Gaussian",
    "HotPixels",
    "Median",
    "Pad",
    "ScanDriftStep",
    "Sobel",
    "SortTilts",
]


def _parse_range(value: Any) -> Any:
    """Accept ``"START:STOP"`` for a range."""
    if isinstance(value, str) and ":" in value:
        start, _, stop = value.partition(":")
        return int(start), int(stop)
    return value


class Crop(SeriesStep):
    """Keep a part of every projection. The tilt axis stays where it is in the sample."""

    title = "Crop"
    operation: Literal["crop"] = "crop"
    x: Range | None = Field(
        None, title="Columns x", description="Detector columns to keep, START:STOP. All if not given."
    )
    y: Range | None = Field(None, title="Rows y", description="Rows to keep, START:STOP. All if not given.")

    _ranges = field_validator("x", "y", mode="before")(_parse_range)

    @model_validator(mode="after")
    def _ranges_rise(self) -> Crop:
        require_rising(self, "x", "y")
        return self

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        return preprocess.crop(series, self.x, self.y)


class Pad(SeriesStep):
    """Add empty columns and rows around every projection."""

    title = "Pad"
    operation: Literal["pad"] = "pad"
    x: int = Field(0, ge=0, title="Columns", description="Columns to add at the left and at the right.")
    y: int = Field(0, ge=0, title="Rows", description="Rows to add at the top and at the bottom.")
    edges: bool = Field(
        False,
        title="Repeat edges",
        description="Repeat the values at the edges instead of zeros; not for counts.",
    )

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        return preprocess.pad(series, self.x, self.y, edges=self.edges)


class Bin(SeriesStep):
    """Join pixels: the sum of counts, the mean of an intensity."""

    title = "Bin"
    operation: Literal["bin"] = "bin"
    factor: int = Field(2, ge=1, le=64, title="Bin", description="Join N x N pixels to one.")

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        return preprocess.bin_pixels(series, self.factor)


class DropTilts(SeriesStep):
    """Leave projections out."""

    title = "Drop tilts"
    operation: Literal["drop_tilts"] = "drop_tilts"
    projections: str = Field(
        "",
        title="Projections",
        description="Numbers of projections to leave out, from 0: 3,7,40:45 (a range is without its end).",
    )
    largest_deg: float | None = Field(
        None,
        ge=0,
        le=180,
        title="Largest tilt (°)",
        description="Leave out projections that are tilted further than this, to either side.",
    )

    @field_validator("projections")
    @classmethod
    def _is_a_list(cls, value: str) -> str:
        numbers_of(value)
        return value

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        return preprocess.drop_tilts(series, numbers_of(self.projections), largest_deg=self.largest_deg)


class SortTilts(SeriesStep):
    """Put the projections into the order of their tilts."""

    title = "Sort by tilt"
    operation: Literal["sort_tilts"] = "sort_tilts"

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        return preprocess.sort_by_tilt(series)


class HotPixels(SeriesStep):
    """Replace single pixels that their neighbours cannot explain."""

    title = "Hot and dead pixels"
    operation: Literal["hot_pixels"] = "hot_pixels"
    which: Literal["both", "hot", "dead"] = Field(
        "both", title="Which", description="Pixels that are too bright, too dark, or both."
    )
    threshold: float = Field(
        8.0,
        gt=0,
        le=1000,
        title="Threshold",
        description="Intensities: by how many standard deviations of the noise a pixel has to exceed its "
        "neighbours.",
    )
    false_alarms: float = Field(
        0.001,
        gt=0,
        le=1000,
        title="False alarms",
        description="Counts: pixels of a whole series that may be changed by mistake, on average.",
    )

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        return preprocess.remove_hot_pixels(
            series, which=self.which, threshold=self.threshold, false_alarms=self.false_alarms
        )


class Background(SeriesStep):
    """Find the background: it is subtracted from intensities, and kept apart from counts."""

    title = "Background"
    operation: Literal["background"] = "background"
    method: Literal["edges", "otsu", "threshold", "offset", "constant"] = Field(
        "edges",
        title="Background",
        description="Where it is found: edges (strips left and right), otsu or threshold (outside of a "
        "mask), offset (a low percentile of every projection), constant (the level).",
    )
    width: int = Field(10, ge=1, title="Width (px)", description="Columns of a strip (edges).")
    slope: bool = Field(
        False, title="Slope", description="Let it go linearly from the left strip to the right one (edges)."
    )
    level: float | None = Field(
        None,
        title="Level",
        description="The level (constant), or what is below it is background (threshold).",
    )
    percentile: float = Field(
        5.0, ge=0, le=50, title="Percentile", description="Percentile that is the background (offset)."
    )
    clear: bool = Field(
        False,
        title="Clear outside",
        description="Set intensities outside of the mask to zero (otsu, threshold).",
    )

    @model_validator(mode="after")
    def _has_a_level(self) -> Background:
        if self.method in ("threshold", "constant") and self.level is None:
            raise ValueError(f"level: found none; expected a number for the background {self.method!r}")
        return self

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        if self.method == "edges":
            return preprocess.edge_background(series, self.width, slope=self.slope)
        if self.method == "offset":
            return preprocess.offset_background(series, self.percentile)
        if self.method == "constant":
            return preprocess.constant_background(series, self.level or 0.0)
        level = self.level if self.method == "threshold" else None
        return preprocess.mask_background(
            series, level=level, clear=self.clear and series.kind == "intensity"
        )


class Brightness(SeriesStep):
    """Account for projections that differ in brightness, as the mass of the sample is the same."""

    title = "Brightness"
    whole_stack = True
    operation: Literal["brightness"] = "brightness"
    method: Literal["auto", "gain", "scale"] = Field(
        "auto",
        title="Brightness",
        description="scale: multiply every projection to the common mean; counts become intensities. gain: "
        "keep the values, and give the reconstruction a gain for each tilt. auto: gain for counts, else "
        "scale.",
    )
    smooth_deg: float = Field(
        0.0,
        ge=0,
        le=360,
        title="Smooth (°)",
        description="Gains: width of the window in which the gain is a smooth curve over the tilt. 0: none.",
    )

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        if self.method == "gain" or (self.method == "auto" and series.kind == "counts"):
            return preprocess.with_estimated_gains(series, smooth_deg=self.smooth_deg)
        return preprocess.equalise_brightness(series)


class Dose(SeriesStep):
    """Account for doses or exposures that are known: gains for counts, a division of intensities."""

    title = "Dose"
    operation: Literal["dose"] = "dose"
    doses: str = Field(
        "",
        title="Doses",
        description="One number for each projection in any unit, separated by commas or spaces.",
    )

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        try:
            doses = [float(word) for word in self.doses.replace(",", " ").split()]
        except ValueError as error:
            raise ParameterError(
                f"doses: {error}; expected numbers, separated by commas or spaces"
            ) from error
        return preprocess.with_dose(series, doses)


class ClipNegative(SeriesStep):
    """Set negative values to zero, as the data term for counts needs it."""

    title = "Clip negative values"
    operation: Literal["clip_negative"] = "clip_negative"

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        return preprocess.clip_negative(series)


class Median(SeriesStep):
    """Median filter. For registration only: reconstruct from the measured projections."""

    title = "Median filter"
    operation: Literal["median"] = "median"
    size: Literal[3, 5, 7, 9] = Field(3, title="Size (px)", description="Edge of the window, in pixels.")

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        return preprocess.median_filter(series, self.size)


class Gaussian(SeriesStep):
    """Gaussian filter. For registration only: reconstruct from the measured projections."""

    title = "Gaussian filter"
    operation: Literal["gaussian"] = "gaussian"
    width_px: float = Field(
        2.0, gt=0, le=500, title="Width (px)", description="Full width at half maximum, in pixels."
    )

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        return preprocess.gaussian_filter(series, self.width_px)


class BandPass(SeriesStep):
    """Keep details of some sizes. For registration only: reconstruct from the measured projections."""

    title = "Band-pass filter"
    operation: Literal["band_pass"] = "band_pass"
    smallest_px: float = Field(
        2.0, gt=0, le=500, title="Smallest (px)", description="What is finer is blurred, in pixels."
    )
    largest_px: float = Field(
        50.0, gt=0, le=5000, title="Largest (px)", description="What is coarser is removed, in pixels."
    )

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        return preprocess.band_pass(series, self.smallest_px, self.largest_px)


class Sobel(SeriesStep):
    """Show edges. For registration only: reconstruct from the measured projections."""

    title = "Edges (Sobel)"
    operation: Literal["sobel"] = "sobel"

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        return preprocess.sobel_filter(series)


class ScanDriftStep(PrepareStep):
    """Undo the drift of the sample during slow scans, by a fast image of the same place."""

    title = "Drift within scans"
    whole_stack = True
    operation: Literal["scan_drift"] = "scan_drift"
    fast: str = Field(
        "", title="Fast image", description="Name of the signal with the fast images. It stays as it is."
    )
    slow: str | None = Field(
        None,
        title="Slow image",
        description="Name of the signal of the slow scan in which the drift is found. The sum of all counts "
        "if not given.",
    )
    blocks: int = Field(
        8, ge=3, le=64, title="Blocks", description="Blocks of rows that are looked for in the fast image."
    )
    largest_shift_px: float = Field(
        20.0, gt=0, le=1000, title="Largest shift (px)", description="Largest shift of a block, in pixels."
    )
    keep_offset: bool = Field(
        False, title="Keep offset", description="Undo shear and stretch only, and leave a constant shift."
    )

    def apply(self, dataset: Dataset) -> Dataset:
        """Undo the drift in the chosen signals, but for the fast one. See `PrepareStep.apply`."""
        if not self.fast.strip():
            raise ParameterError("scan_drift: found no fast image; expected the name of its signal")
        fast = dataset.resolve(self.fast.strip())
        drift = preprocess.estimate_scan_drift(
            self._slow(dataset, fast),
            dataset[fast],
            blocks=self.blocks,
            largest_shift_px=self.largest_shift_px,
        )
        chosen = set(self._chosen(dataset)) - {fast}
        return dataset.map(
            lambda one: (
                self._recorded(one, preprocess.correct_scan_drift(one, drift, keep_offset=self.keep_offset))
                if one.name in chosen
                else one
            )
        )

    def _slow(self, dataset: Dataset, fast: str) -> TiltSeries:
        if self.slow is not None:
            return dataset[self.slow.strip()]
        counts = [one for one in dataset if one.kind == "counts" and one.name != fast]
        if not counts:
            raise ParameterError("scan_drift: found no counts to sum; expected the name of the slow image")
        total = sum(one.data.astype("float32") for one in counts)
        return dataclasses.replace(counts[0], name="sum of the counts", data=total, background=None)


AnyStep = Annotated[
    Crop
    | Pad
    | Bin
    | DropTilts
    | SortTilts
    | HotPixels
    | Background
    | Brightness
    | Dose
    | ClipNegative
    | ScanDriftStep
    | Median
    | Gaussian
    | BandPass
    | Sobel,
    Field(discriminator="operation"),
]

_KINDS: Sequence[type[PrepareStep]] = AnyStep.__origin__.__args__  # type: ignore[attr-defined]

OPERATIONS: dict[str, type[PrepareStep]] = {kind.model_fields["operation"].default: kind for kind in _KINDS}
"""The models by the names of their operations, in the order in which they are offered."""
