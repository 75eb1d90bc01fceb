"""Drop, choose and sort projections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from chemtomo.data import TiltSeries
from chemtomo.errors import ParameterError
from chemtomo.preprocess.operation import SeriesOperation
from chemtomo.preprocess.stacks import recorded, take

__all__ = ["DropTilts", "SortTilts", "drop_tilts", "select_tilts", "sort_by_tilt"]


def select_tilts(series: TiltSeries, kept: Sequence[int], step: str = "select_tilts") -> TiltSeries:
    """Keep the projections with these numbers, in this order, with their background, gains and shifts.

    Parameters
    ----------
    series : TiltSeries
        It is not modified; a lazy one stays lazy.
    kept : sequence of int
        Numbers of projections, from 0, each at most once.
    step : str
        Name of the entry in the provenance.

    Raises
    ------
    ParameterError
        When a number is not there or given twice, or none is left.
    """
    numbers = [int(one) for one in kept]
    _require_there(series, numbers)
    if len(set(numbers)) < len(numbers):
        raise ParameterError(f"tilt series {series.name!r}: a projection is chosen twice in {numbers}")
    if not numbers:
        raise ParameterError(
            f"tilt series {series.name!r}: no projection is left of {series.shape[0]}; expected at least one"
        )
    aligned = series.alignment
    if aligned is not None:
        aligned = aligned.replace(
            tilts_deg=aligned.tilts_deg[numbers],
            matrices=aligned.matrices[numbers],
            residual_px=take(aligned.residual_px, numbers),
        )
    return series.replace(
        data=take(series.data, numbers),
        tilts_deg=series.tilts_deg[numbers],
        detector_shifts_px=take(series.detector_shifts_px, numbers),
        gains=take(series.gains, numbers),
        background=take(series.background, numbers),
        valid=take(series.valid, numbers),
        alignment=aligned,
        recorded_numbers=tuple(series.number_recorded(one) for one in numbers),
        provenance=recorded(series, step, kept=numbers, of=series.shape[0]),
    )


def drop_tilts(
    series: TiltSeries, projections: Sequence[int] = (), *, largest_deg: float | None = None
) -> TiltSeries:
    """Leave projections out.

    Parameters
    ----------
    series : TiltSeries
        It is not modified; a lazy one stays lazy.
    projections : sequence of int
        Numbers of the projections to leave out, from 0.
    largest_deg : float, optional
        Leave out those that are tilted further than this, to either side, in degrees.

    Raises
    ------
    ParameterError
        When a number is not there, or no projection is left.
    """
    _require_there(series, projections)
    drop = np.zeros(series.shape[0], dtype=bool)
    drop[list(projections)] = True
    if largest_deg is not None:
        drop |= np.abs(series.tilts_deg) > largest_deg
    return select_tilts(series, np.flatnonzero(~drop).tolist(), "drop_tilts")


def sort_by_tilt(series: TiltSeries) -> TiltSeries:
    """Put the projections into the order of their tilts, rising. Equal tilts keep their order."""
    order = np.argsort(series.tilts_deg, kind="stable").tolist()
    return select_tilts(series, order, "sort_by_tilt")


def _require_there(series: TiltSeries, numbers: Sequence[int]) -> None:
    wrong = [one for one in numbers if not 0 <= one < series.shape[0]]
    if wrong:
        raise ParameterError(
            f"tilt series {series.name!r}: there is no projection {', '.join(map(str, wrong))}; "
            f"expected numbers from 0 to {series.shape[0] - 1}"
        )


class DropTilts(SeriesOperation):
    """Leave projections out."""

    title: ClassVar[str] = "Drop tilts"
    operation: ClassVar[str] = "drop_tilts"
    main: ClassVar[str | None] = "projections"
    projections: tuple[int, ...] = Field(
        (),
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

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        return drop_tilts(series, self.projections, largest_deg=self.largest_deg)


class SortTilts(SeriesOperation):
    """Put the projections into the order of their tilts."""

    title: ClassVar[str] = "Sort by tilt"
    operation: ClassVar[str] = "sort_tilts"

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        return sort_by_tilt(series)
