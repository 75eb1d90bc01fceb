"""The background of projections: the signal without a sample, which is stored or subtracted.

The background of *counts* is not subtracted: a difference of counts has no Poisson statistics. It goes into
`TiltSeries.background`, which reconstructions add to what they expect. From an *intensity* it is subtracted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from chemtomo.data import TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.parameters import only_for
from chemtomo.preprocess.operation import SeriesOperation
from chemtomo.preprocess.stacks import each_projection, recorded

__all__ = ["Background", "constant_background", "edge_background", "mask_background", "offset_background"]

Image = npt.NDArray[Any]

# Blur before thresholding, so that a mask does not follow the noise: standard deviation in pixels.
_MASK_BLUR = 2.0
_LEAST_PIXELS = 16
_GROUP_COUNTS = 50
_LEAST_GROUPS = 9


def constant_background(series: TiltSeries, level: float) -> TiltSeries:
    """Set the background to the same level everywhere.

    Parameters
    ----------
    series : TiltSeries
        It is not modified; a lazy one stays lazy.
    level : float
        In the units of the data. For counts: expected counts per pixel.

    Raises
    ------
    ParameterError
        When the level of counts is negative.
    """
    if series.kind == "counts" and level < 0:
        raise ParameterError(
            f"tilt series {series.name!r}: found a background of {level:g} counts; expected 0 or more"
        )
    return _without(series, lambda image: level, "constant_background", level=level)


def edge_background(series: TiltSeries, width: int = 10, *, slope: bool = False) -> TiltSeries:
    """Find the background of every projection in strips at the left and right edge of the detector.

    Parameters
    ----------
    series : TiltSeries
        Only background may lie in the strips.
    width : int
        Columns of a strip.
    slope : bool
        Interpolate the background linearly from the left strip to the right one. It is constant by default.

    Raises
    ------
    ParameterError
        When the strips do not fit side by side.
    """
    columns = series.shape[2]
    if not 1 <= width <= columns // 2:
        raise ParameterError(
            f"tilt series {series.name!r}: found strips of {width} columns; expected 1 to {columns // 2}"
        )
    middle = _middle(series)
    distance = columns - width  # between the middles of the strips
    along = (np.arange(columns) - (width - 1) / 2) / max(distance, 1)

    def level_of(image: Image) -> Any:
        left, right = image[:, :width], image[:, columns - width :]
        if slope:
            return middle(left) + (middle(right) - middle(left)) * along
        return middle(np.concatenate([left, right], axis=1))

    return _without(series, level_of, "edge_background", width=width, slope=slope)


def mask_background(series: TiltSeries, *, level: float | None = None, clear: bool = False) -> TiltSeries:
    """Find the background of every projection in the pixels outside of a mask.

    A projection is slightly blurred; pixels above the level belong to the sample.

    Parameters
    ----------
    series : TiltSeries
        It is not modified; a lazy one stays lazy.
    level : float, optional
        In the units of the data. By Otsu's method in every projection if not given.
    clear : bool
        Set an intensity to zero outside of the mask. Not for counts, which stay counts.

    Raises
    ------
    ParameterError
        When counts are to be cleared.
    DataError
        When fewer than 16 pixels of a projection are outside (raised when it is read).
    """
    from scipy import ndimage  # slow to import

    if clear and series.kind == "counts":
        raise ParameterError(
            f"tilt series {series.name!r}: counts cannot be set to zero outside of the mask, as they would "
            "no longer be what was counted; expected an intensity, or no clearing"
        )
    middle = _middle(series)

    def outside(image: Image) -> npt.NDArray[np.bool_]:
        blurred = ndimage.gaussian_filter(image.astype(np.float32), _MASK_BLUR, mode="nearest")
        limit = _otsu(blurred) if level is None else level
        mask: npt.NDArray[np.bool_] = blurred < limit
        # Pixels at the edge of the sample are neither sample nor background.
        away: npt.NDArray[np.bool_] = ndimage.binary_erosion(mask, iterations=2, border_value=1)
        if np.count_nonzero(away) >= _LEAST_PIXELS:
            return away
        if np.count_nonzero(mask) >= _LEAST_PIXELS:
            return mask
        raise DataError(
            f"tilt series {series.name!r}: only {np.count_nonzero(mask)} pixels of a projection are below "
            f"{limit:g}; expected at least {_LEAST_PIXELS}, for the background. Choose another level"
        )

    def subtracted(image: Image) -> Image:
        away = outside(image)
        rest = image - np.float32(middle(image[away]))
        if clear:
            rest[away] = 0
        return rest

    step = "otsu_background" if level is None else "threshold_background"
    return _without(
        series, lambda image: middle(image[outside(image)]), step, subtracted, level=level, clear=clear
    )


def offset_background(series: TiltSeries, percentile: float = 5.0) -> TiltSeries:
    """Use a low percentile of every projection as its background: for an offset that drifts.

    Parameters
    ----------
    series : TiltSeries
        An intensity: low percentiles of rare counts are zero.
    percentile : float
        0 to 50. About half of the percentage of pixels without sample is right.

    Raises
    ------
    ParameterError
        When the percentile is out of bounds, or the series has counts.
    """
    if not 0 <= percentile <= 50:
        raise ParameterError(f"found the percentile {percentile:g}; expected 0 to 50")
    if series.kind == "counts":
        raise ParameterError(
            f"tilt series {series.name!r}: found counts, of which a low percentile is no background; "
            "expected an intensity. Take the edges, or a mask"
        )
    return _without(
        series, lambda image: np.percentile(image, percentile), "offset_background", percentile=percentile
    )


def _middle(series: TiltSeries) -> Callable[[Image], float]:
    """Return a robust mean of pixels, a few of which may belong to the sample.

    For an intensity it is the median. The median of rare counts would be a whole number far from their
    expectation: for counts it is the median of the means of groups with about 50 counts each.
    """
    if series.kind == "intensity":
        return lambda values: float(np.median(values))

    def middle(values: Image) -> float:
        mean = float(values.mean(dtype=np.float64))
        size = int(np.ceil(_GROUP_COUNTS / mean)) if mean > 0 else values.size
        groups = values.size // size
        if groups < _LEAST_GROUPS:
            return mean
        flat = values.reshape(-1)[: groups * size]
        return float(np.median(flat.reshape(groups, size).mean(axis=1, dtype=np.float64)))

    return middle


def _without(
    series: TiltSeries,
    level_of: Callable[[Image], Any],
    step: str,
    subtracted: Callable[[Image], Image] | None = None,
    **parameters: Any,
) -> TiltSeries:
    """Store the background of counts, and subtract that of an intensity.

    `level_of` returns it for a projection (y, x), as a number or an array that broadcasts to it.
    """
    entry = recorded(series, step, **parameters)
    if series.kind == "counts":
        shape = series.shape[1:]

        def spread(projection: Image, tilt: int) -> Image:
            return np.broadcast_to(np.asarray(level_of(projection), dtype=np.float32), shape)

        # The new estimate includes any background known before, which it replaces.
        return series.replace(
            background=each_projection(series.data, spread, dtype=np.float32), provenance=entry
        )
    take_away = subtracted or (lambda image: image - np.asarray(level_of(image), dtype=np.float32))
    known = series.background

    def difference(projection: Image, tilt: int) -> Image:
        image = projection.astype(np.float32)
        if known is not None:
            image -= np.asarray(known[tilt], dtype=np.float32)
        return take_away(image)

    return series.replace(
        data=each_projection(series.data, difference, dtype=np.float32), background=None, provenance=entry
    )


def _otsu(image: Image) -> float:
    from skimage import filters

    otsu: Any = filters.threshold_otsu
    return float(otsu(image)) if image.min() < image.max() else float("inf")


class Background(SeriesOperation):
    """Estimate the background: it is subtracted from intensities, and stored beside counts."""

    title: ClassVar[str] = "Background"
    operation: ClassVar[str] = "background"
    main: ClassVar[str | None] = "method"
    method: Literal["edges", "otsu", "threshold", "offset", "constant"] = Field(
        "edges",
        title="Background",
        description="Where it is estimated: edges (strips at left and right), otsu or threshold (outside a "
        "mask), offset (a low percentile of every projection), constant (the level).",
    )
    width: Annotated[int, only_for(method="edges")] = Field(
        10, ge=1, title="Width (px)", description="Columns of a strip (edges)."
    )
    slope: Annotated[bool, only_for(method="edges")] = Field(
        False, title="Slope", description="Interpolate linearly from the left strip to the right one (edges)."
    )
    level: Annotated[float | None, only_for(method=("threshold", "constant"))] = Field(
        None,
        title="Level",
        description="The level (constant), or the value below which pixels are background (threshold).",
    )
    percentile: Annotated[float, only_for(method="offset")] = Field(
        5.0, ge=0, le=50, title="Percentile", description="Percentile that is the background (offset)."
    )
    clear: Annotated[bool, only_for(method=("otsu", "threshold"))] = Field(
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
            return edge_background(series, self.width, slope=self.slope)
        if self.method == "offset":
            return offset_background(series, self.percentile)
        if self.method == "constant":
            return constant_background(series, self.level or 0.0)
        level = self.level if self.method == "threshold" else None
        return mask_background(series, level=level, clear=self.clear and series.kind == "intensity")
