"""Differences in brightness between the projections of a series."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from chemtomo.data import TiltSeries
from chemtomo.parameters import only_for
from chemtomo.preprocess.operation import SeriesOperation
from chemtomo.preprocess.values.gains import with_estimated_gains
from chemtomo.preprocess.values.intensity import equalise_brightness

__all__ = ["Brightness"]


class Brightness(SeriesOperation):
    """Equalise the brightness of the projections: the mass of the sample is the same at every tilt."""

    title: ClassVar[str] = "Brightness"
    whole_stack: ClassVar[bool] = True
    operation: ClassVar[str] = "brightness"
    main: ClassVar[str | None] = "method"
    method: Literal["auto", "gain", "scale"] = Field(
        "auto",
        title="Brightness",
        description="scale: multiply every projection to the common mean; counts become intensities. gain: "
        "keep the values, and give the reconstruction a gain for each tilt. auto: gain for counts, else "
        "scale.",
    )
    smooth_deg: Annotated[float, only_for(method=("auto", "gain"))] = Field(
        0.0,
        ge=0,
        le=360,
        title="Smooth (°)",
        description="Gains: width of the window for smoothing over the tilts. 0: not smoothed.",
    )

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        if self.method == "gain" or (self.method == "auto" and series.kind == "counts"):
            return with_estimated_gains(series, smooth_deg=self.smooth_deg)
        return equalise_brightness(series)
