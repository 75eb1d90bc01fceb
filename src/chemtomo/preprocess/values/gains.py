"""The relative brightness of the projections, as gains of the detector.

The sample's mass is the same at every tilt, and so is the expected sum of a projection that shows all of
it. Where the sum differs, the detector was shadowed, or the dose differed. Counts are not divided:
divided counts are not Poisson distributed. The gain goes into the forward model instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from chemtomo.data import TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.preprocess.operation import SeriesOperation
from chemtomo.preprocess.stacks import each_projection, recorded

__all__ = [
    "Dose",
    "estimate_gains",
    "sample_totals",
    "scale_projections",
    "with_dose",
    "with_estimated_gains",
]


def sample_totals(series: TiltSeries) -> npt.NDArray[np.float64]:
    """Return the sum of every projection without its background, shape (tilt,). It may be negative."""
    sums = np.array([projection.sum(dtype=np.float64) for projection in series.projections()])
    if series.background is not None:
        sums -= [np.asarray(series.background[tilt]).sum(dtype=np.float64) for tilt in range(series.shape[0])]
    return sums


def scale_projections(series: TiltSeries, factors: npt.NDArray[np.float64], step: str) -> TiltSeries:
    """Multiply every projection, and its background, by a factor of its own.

    Returns
    -------
    TiltSeries
        In float32, of the kind ``"intensity"``, and without gains, which the factors replace.
    """

    def scaled(stack: Any) -> Any:
        return each_projection(stack, lambda projection, tilt: projection * factors[tilt], dtype=np.float32)

    return series.replace(
        data=scaled(series.data),
        kind="intensity",
        gains=None,
        background=None if series.background is None else scaled(series.background),
        provenance=recorded(series, step, kind="intensity", factors=factors.tolist()),
    )


def estimate_gains(series: TiltSeries, *, smooth_deg: float = 0.0) -> npt.NDArray[np.float64]:
    """Estimate the gain of every projection from its sum, as the mass of the sample is constant.

    Parameters
    ----------
    series : TiltSeries
        All of the sample has to be in view at every tilt, and the background known or absent.
    smooth_deg : float
        For a gain that varies smoothly with the tilt, such as the shadow of a holder: width in degrees of
        the window in which a parabola is fitted, which averages out the noise of rare counts. 0 takes
        every projection by itself.

    Returns
    -------
    numpy.ndarray, shape (tilt,)
        Gains with the mean 1.

    Raises
    ------
    DataError
        When the sum of a projection, smoothed where that is asked for, is not positive.
    ParameterError
        When the width is negative.
    """
    if smooth_deg < 0:
        raise ParameterError(f"found a window of {smooth_deg:g} degrees; expected none (0) or a width")
    series.require_finite()
    totals = sample_totals(series)
    if smooth_deg:
        # The sum of a projection of counts has the variance of all counts in it.
        totals = _smoothed(series.tilts_deg, totals, smooth_deg)
    if not (totals > 0).all():
        worst = int(totals.argmin())
        raise DataError(
            f"tilt series {series.name!r}: projection {worst} (tilt {series.tilts_deg[worst]:g} degrees) "
            f"has the sum {totals[worst]:g} above its background; expected a positive one, for a gain. "
            "Drop the projection, or smooth over the tilts"
        )
    gains: npt.NDArray[np.float64] = totals / totals.mean()
    return gains


def with_estimated_gains(series: TiltSeries, *, smooth_deg: float = 0.0) -> TiltSeries:
    """Return the series with gains from `estimate_gains`, in place of those it had; the data stays.

    See `estimate_gains` for the parameters and errors.
    """
    gains = estimate_gains(series, smooth_deg=smooth_deg)
    entry = recorded(series, "with_estimated_gains", smooth_deg=smooth_deg, gains=gains.tolist())
    return series.replace(gains=gains, provenance=entry)


def with_dose(series: TiltSeries, doses: Sequence[float]) -> TiltSeries:
    """Correct for a dose, exposure or dwell time that varied between the tilts.

    Counts keep their values and get gains: those they had, times the dose over its mean. Intensities
    are divided by the dose over its mean, and so is their background.

    Parameters
    ----------
    series : TiltSeries
        It is not modified; a lazy one stays lazy.
    doses : sequence of float
        One positive number per projection, in any unit.

    Raises
    ------
    ParameterError
        When there is not one positive number for each projection.
    """
    given = np.asarray(doses, dtype=np.float64)
    if given.shape != (series.shape[0],) or not (np.isfinite(given) & (given > 0)).all():
        least = given.min() if given.size else 0.0
        raise ParameterError(
            f"tilt series {series.name!r}: found {given.size} doses, the smallest {least:g}; "
            f"expected {series.shape[0]} positive numbers, one per projection"
        )
    relative = given / given.mean()
    if series.kind == "intensity":
        return scale_projections(series, 1 / relative, "with_dose").replace(gains=series.gains)
    gains = relative if series.gains is None else series.gains * relative
    return series.replace(
        gains=gains, provenance=recorded(series, "with_dose", doses=given.tolist(), gains=gains.tolist())
    )


def _smoothed(
    tilts_deg: npt.NDArray[np.float64], values: npt.NDArray[np.float64], width_deg: float
) -> npt.NDArray[np.float64]:
    """Fit a parabola around every tilt, with weights that fall to zero at half the width (LOESS)."""
    smooth = np.empty_like(values)
    for index, tilt in enumerate(tilts_deg):
        away = (tilts_deg - tilt) / (width_deg / 2)
        weights = np.clip(1 - np.abs(away) ** 3, 0, None) ** 1.5  # the root of the tricube
        near = weights > 0
        # With fewer than three points a line or a constant is fitted.
        terms = min(3, np.unique(away[near]).size)
        matrix = np.vander(away[near], terms, increasing=True) * weights[near, np.newaxis]
        smooth[index] = np.linalg.lstsq(matrix, values[near] * weights[near], rcond=None)[0][0]
    return smooth


class Dose(SeriesOperation):
    """Correct for known doses or exposures: by gains for counts, by division for intensities."""

    title: ClassVar[str] = "Dose"
    operation: ClassVar[str] = "dose"
    main: ClassVar[str | None] = "doses"
    doses: tuple[float, ...] = Field(
        (), title="Doses", description="One number for each projection, in any unit."
    )

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        return with_dose(series, self.doses)
