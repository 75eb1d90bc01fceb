"""Operations that change the values of projections but not their positions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from chemtomo.data import TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.preprocess.operation import SeriesOperation
from chemtomo.preprocess.stacks import each_projection, recorded
from chemtomo.preprocess.values.gains import sample_totals, scale_projections

__all__ = [
    "ClipNegative",
    "PublishedScaling",
    "clip_negative",
    "equalise_brightness",
    "scale_percentiles",
    "threshold",
]


def clip_negative(series: TiltSeries) -> TiltSeries:
    """Set negative values to zero.

    Parameters
    ----------
    series : TiltSeries
        Any tilt series. Its data type and kind are kept.
    """
    zero = series.data.dtype.type(0)
    data = each_projection(series.data, _of_finite(series, lambda image: np.maximum(image, zero)))
    return series.replace(data=data, provenance=recorded(series, "clip_negative"))


def equalise_brightness(series: TiltSeries) -> TiltSeries:
    """Scale every projection to the mean of the projection means.

    The mass of the sample is the same at every tilt, and so is the mean of a projection that
    shows all of it. A known background is left out of the mean, and scaled with the data.

    Parameters
    ----------
    series : TiltSeries
        Any tilt series.

    Returns
    -------
    TiltSeries
        In float32, of the kind ``"intensity"``: scaled counts are not Poisson distributed.

    Raises
    ------
    DataError
        When values are not finite, or a projection has a mean that is not positive.
    """
    series.require_finite()
    means = sample_totals(series) / (series.shape[1] * series.shape[2])
    if not (means > 0).all():
        worst = int(means.argmin())
        raise DataError(
            f"tilt series {series.name!r}: projection {worst} (tilt {series.tilts_deg[worst]:g} degrees) "
            f"has the mean {means[worst]:g}; expected a positive mean, to scale it to that of the others"
        )
    return scale_projections(series, means.mean() / means, "equalise_brightness")


def scale_percentiles(series: TiltSeries, low: float, high: float) -> TiltSeries:
    """Shift and scale the values of the whole stack: percentile `low` to 0, percentile `high` to 1.

    Parameters
    ----------
    series : TiltSeries
        Any tilt series.
    low, high : float
        Percentiles, ``0 <= low < high <= 100``. They are interpolated linearly between values.

    Returns
    -------
    TiltSeries
        In float32, of the kind ``"intensity"``. Values below the low percentile are negative, and
        those above the high one exceed 1: nothing is clipped.

    Raises
    ------
    ParameterError
        When the percentiles are out of bounds.
    DataError
        When values are not finite, or both percentiles fall on the same value.
    """
    if not 0 <= low < high <= 100:
        raise ParameterError(f"found the percentiles {low} and {high}; expected 0 <= low < high <= 100")
    series.require_finite()
    zero, one = (float(value) for value in np.percentile(series.values(), [low, high]))
    if one <= zero:
        raise DataError(
            f"tilt series {series.name!r}: the percentiles {low:g} and {high:g} are both {zero:g}; "
            "expected different values. For a sparse map, raise the high percentile"
        )

    def scaled(stack: Any, origin: float) -> Any:
        return each_projection(
            stack,
            lambda projection, tilt: (projection.astype(np.float64) - origin) / (one - zero),
            dtype=np.float32,
        )

    return series.replace(
        data=scaled(series.data, zero),
        kind="intensity",
        background=None if series.background is None else scaled(series.background, 0.0),
        provenance=recorded(
            series, "scale_percentiles", kind="intensity", low=low, high=high, values=[zero, one]
        ),
    )


def threshold(series: TiltSeries, level: float) -> TiltSeries:
    """Set values below `level` to zero and keep the others as they are.

    Parameters
    ----------
    series : TiltSeries
        Any tilt series. Its data type and kind are kept.
    level : float
        The smallest value that is kept, in the units of the data.
    """
    zero = series.data.dtype.type(0)
    kept = each_projection(
        series.data, _of_finite(series, lambda image: np.where(image < level, zero, image))
    )
    return series.replace(data=kept, provenance=recorded(series, "threshold", level=level))


def _of_finite(
    series: TiltSeries, function: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
) -> Callable[[npt.NDArray[Any], int], npt.NDArray[Any]]:
    """Wrap a function for projections so that it raises `DataError` for values that are not finite."""

    def checked(projection: npt.NDArray[Any], tilt: int) -> npt.NDArray[Any]:
        if projection.dtype.kind == "f" and not np.isfinite(projection).all():
            y, x = np.argwhere(~np.isfinite(projection))[0].tolist()
            raise DataError(
                f"tilt series {series.name!r}: some values are not finite, one at (tilt, y, x) = "
                f"({tilt}, {y}, {x}); expected finite values"
            )
        return function(projection)

    return checked


class ClipNegative(SeriesOperation):
    """Set negative values to zero, as the data term for counts requires."""

    title: ClassVar[str] = "Clip negative values"
    operation: ClassVar[str] = "clip_negative"

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        return clip_negative(series)


class PublishedScaling(SeriesOperation):
    """Scale as in the example published with Huber et al. 2019. For data that is aligned.

    On the whole stack of a signal: each projection to the mean of the projection means, percentiles to 0
    and 1, values below the threshold to 0. The result is an intensity, also of counts.

    References
    ----------
    R. Huber, G. Haberfehlner, M. Holler, G. Kothleitner, K. Bredies, Nanoscale 11 (2019) 5617.
    """

    title: ClassVar[str] = "Scale as published"
    whole_stack: ClassVar[bool] = True
    operation: ClassVar[str] = "published_scaling"
    percentile_low: float = Field(
        1.0, ge=0, lt=50, title="Low percentile", description="Percentile that becomes 0."
    )
    percentile_high: float = Field(
        98.0, gt=50, le=100, title="High percentile", description="Percentile that becomes 1."
    )
    threshold: float = Field(
        0.05, ge=0, lt=1, title="Threshold", description="Scaled values below this become 0."
    )

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        scaled = scale_percentiles(equalise_brightness(series), self.percentile_low, self.percentile_high)
        return threshold(scaled, self.threshold)
