"""Filtered projections, for registration only: reconstruct from the measured ones.

A filter makes shifts easier to find. It also correlates the noise of neighbouring pixels, and filtered counts
are no longer Poisson distributed: the result is an intensity, with a note that says so. Find the alignment on
the filtered series and apply it to the measured one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from chemtomo.data import TiltSeries
from chemtomo.errors import ParameterError
from chemtomo.preprocess.operation import SeriesOperation
from chemtomo.preprocess.stacks import each_projection, recorded

__all__ = [
    "BandPass",
    "Gaussian",
    "Median",
    "Sobel",
    "band_pass",
    "gaussian_filter",
    "median_filter",
    "sobel_filter",
]

FILTERED_NOTE = "filtered for registration only; reconstruct from the measured projections"
_FWHM = 2 * np.sqrt(2 * np.log(2))

Image = npt.NDArray[np.float32]


def median_filter(series: TiltSeries, size: int = 3) -> TiltSeries:
    """Replace every pixel by the median of ``size x size`` pixels around it: noise goes, edges stay.

    Raises
    ------
    ParameterError
        When the size is not odd and positive.
    """
    from scipy import ndimage  # slow to import

    if size < 1 or size % 2 == 0:
        raise ParameterError(f"found a median over {size} pixels; expected an odd number, at least 1")
    return _filtered(
        series, "median_filter", lambda image: ndimage.median_filter(image, size, mode="nearest"), size=size
    )


def gaussian_filter(series: TiltSeries, width_px: float = 2.0) -> TiltSeries:
    """Blur with a Gaussian of this full width at half maximum, in pixels.

    Raises
    ------
    ParameterError
        When the width is not positive.
    """
    from scipy import ndimage  # slow to import

    _require_positive("width", width_px)
    return _filtered(
        series,
        "gaussian_filter",
        lambda image: ndimage.gaussian_filter(image, width_px / _FWHM, mode="nearest"),
        width_px=width_px,
    )


def band_pass(series: TiltSeries, smallest_px: float = 2.0, largest_px: float = 50.0) -> TiltSeries:
    """Keep details between two sizes: a difference of two Gaussian blurs.

    Parameters
    ----------
    series : TiltSeries
        It is not modified; a lazy one stays lazy.
    smallest_px, largest_px : float
        Widths at half maximum of the two blurs, in pixels. Details larger than the second,
        such as a slope of the background, are removed; noise finer than the first is blurred.

    Raises
    ------
    ParameterError
        When the sizes are not positive, or not in this order.
    """
    from scipy import ndimage  # slow to import

    _require_positive("smallest detail", smallest_px)
    if not largest_px > smallest_px:
        raise ParameterError(
            f"found details from {smallest_px:g} to {largest_px:g} pixels; expected a largest size above "
            "the smallest"
        )

    def difference(image: Image) -> Image:
        fine = ndimage.gaussian_filter(image, smallest_px / _FWHM, mode="nearest")
        fine -= ndimage.gaussian_filter(image, largest_px / _FWHM, mode="nearest")
        return fine

    return _filtered(series, "band_pass", difference, smallest_px=smallest_px, largest_px=largest_px)


def sobel_filter(series: TiltSeries) -> TiltSeries:
    """Show the edges: the length of the gradient by Sobel's operator."""
    from skimage.filters import sobel

    return _filtered(series, "sobel_filter", sobel)


def _filtered(
    series: TiltSeries, step: str, function: Callable[[Image], Image], **parameters: float
) -> TiltSeries:
    background = series.background

    def apply(projection: npt.NDArray[np.generic], tilt: int) -> Image:
        image = projection.astype(np.float32)
        if background is not None:
            image -= np.asarray(background[tilt], dtype=np.float32)
        return function(image)

    notes = series.notes if FILTERED_NOTE in series.notes else (*series.notes, FILTERED_NOTE)
    return series.replace(
        data=each_projection(series.data, apply, dtype=np.float32),
        kind="intensity",
        background=None,
        notes=notes,
        provenance=recorded(series, step, **parameters),
    )


def _require_positive(what: str, value: float) -> None:
    if not value > 0:
        raise ParameterError(f"found a {what} of {value:g} pixels; expected a positive number")


class Median(SeriesOperation):
    """Median filter. For registration only: reconstruct from the measured projections."""

    title: ClassVar[str] = "Median filter"
    operation: ClassVar[str] = "median"
    main: ClassVar[str | None] = "size"
    size: Literal[3, 5, 7, 9] = Field(3, title="Size (px)", description="Edge of the window, in pixels.")

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        return median_filter(series, self.size)


class Gaussian(SeriesOperation):
    """Gaussian filter. For registration only: reconstruct from the measured projections."""

    title: ClassVar[str] = "Gaussian filter"
    operation: ClassVar[str] = "gaussian"
    main: ClassVar[str | None] = "width_px"
    width_px: float = Field(
        2.0, gt=0, le=500, title="Width (px)", description="Full width at half maximum, in pixels."
    )

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        return gaussian_filter(series, self.width_px)


class BandPass(SeriesOperation):
    """Keep details of some sizes. For registration only: reconstruct from the measured projections."""

    title: ClassVar[str] = "Band-pass filter"
    operation: ClassVar[str] = "band_pass"
    smallest_px: float = Field(
        2.0, gt=0, le=500, title="Smallest (px)", description="Finer details are blurred."
    )
    largest_px: float = Field(
        50.0, gt=0, le=5000, title="Largest (px)", description="Coarser details are removed."
    )

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        return band_pass(series, self.smallest_px, self.largest_px)


class Sobel(SeriesOperation):
    """Show edges. For registration only: reconstruct from the measured projections."""

    title: ClassVar[str] = "Edges (Sobel)"
    operation: ClassVar[str] = "sobel"

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        return sobel_filter(series)
