"""Larger pixels: fewer of them, each with more counts."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from chemtomo.data import Alignment, TiltSeries
from chemtomo.errors import ParameterError
from chemtomo.geometry.frames import in_other_pixels
from chemtomo.preprocess.operation import SeriesOperation
from chemtomo.preprocess.stacks import each_projection, recorded

__all__ = ["Bin", "bin_pixels"]


def bin_pixels(series: TiltSeries, factor: int) -> TiltSeries:
    """Join ``factor x factor`` pixels of every projection: the sum of counts, the mean of an intensity.

    Rows and columns at the end that do not fill a bin are left out; a single row is kept. The
    tilt axis stays where it is in the sample; background, detector shifts and alignment are binned too. A bin
    is valid when all of its pixels are, because a sum of counts with one missing would be too small.

    Parameters
    ----------
    series : TiltSeries
        It is not modified; a lazy one stays lazy.
    factor : int
        Edge of a bin in pixels.

    Raises
    ------
    ParameterError
        When the factor is below 1, or larger than a projection.
    """
    _, height, width = series.shape
    if not 1 <= factor <= width:
        raise ParameterError(
            f"tilt series {series.name!r}: found a bin of {factor} pixels; expected 1 to {width}"
        )
    rows = min(factor, height)
    counts = series.kind == "counts"
    shifts = series.detector_shifts_px
    return series.replace(
        data=_binned(series.data, rows, factor, counts),
        pixel_size_nm=series.pixel_size_nm * factor,
        axis_position_px=(series.axis_position - (factor - 1) / 2) / factor,
        detector_shifts_px=None if shifts is None else shifts / factor,
        background=None if series.background is None else _binned(series.background, rows, factor, counts),
        valid=None if series.valid is None else _binned_valid(series.valid, rows, factor),
        alignment=_binned_alignment(series, rows, factor),
        first_pixel_nm=series.pixel_moved((rows - 1) / 2, (factor - 1) / 2),
        provenance=recorded(series, "bin_pixels", factor=factor),
    )


def _binned(stack: Any, rows: int, columns: int, counts: bool) -> Any:
    _, height, width = stack.shape
    high, wide = height // rows, width // columns
    dtype: npt.DTypeLike = np.float32
    if counts:
        # Whole numbers are summed in 64 bits, so that they cannot overflow.
        exact = stack.dtype.kind == "f"
        dtype = stack.dtype if exact else np.zeros(1, stack.dtype).sum().dtype

    def join(projection: npt.NDArray[Any], tilt: int) -> npt.NDArray[Any]:
        bins = projection[: high * rows, : wide * columns].reshape(high, rows, wide, columns)
        joined: npt.NDArray[Any] = bins.sum(axis=(1, 3)) if counts else bins.mean(axis=(1, 3))
        return joined

    return each_projection(stack, join, dtype=dtype, shape=(high, wide))


def _binned_valid(stack: Any, rows: int, columns: int) -> Any:
    _, height, width = stack.shape
    high, wide = height // rows, width // columns

    def join(valid: npt.NDArray[Any], tilt: int) -> npt.NDArray[Any]:
        bins = valid[: high * rows, : wide * columns].reshape(high, rows, wide, columns)
        return np.asarray(bins.all(axis=(1, 3)))

    return each_projection(stack, join, shape=(high, wide))


def _binned_alignment(series: TiltSeries, rows: int, columns: int) -> Alignment | None:
    if series.alignment is None:
        return None
    _, height, width = series.shape
    shape = (height // rows, width // columns)
    return in_other_pixels(series.alignment, shape, factor=(rows, columns), before=(height, width))


class Bin(SeriesOperation):
    """Join pixels: the sum of counts, the mean of an intensity."""

    title: ClassVar[str] = "Bin"
    operation: ClassVar[str] = "bin"
    main: ClassVar[str | None] = "factor"
    factor: int = Field(2, ge=1, le=64, title="Bin", description="Join N x N pixels to one.")

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        return bin_pixels(series, self.factor)
