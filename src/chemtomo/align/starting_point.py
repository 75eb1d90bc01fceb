"""The alignment of a series so far, at least that of its tilt axis."""

from __future__ import annotations

import numpy as np

from chemtomo.data import Alignment, TiltSeries
from chemtomo.errors import DataError
from chemtomo.geometry import affine

__all__ = ["RELATIVE_PIXEL_TOLERANCE", "current", "require_fitting"]

RELATIVE_PIXEL_TOLERANCE = 1e-3
"""Pixel sizes whose relative difference is smaller are the same: files keep few digits."""


def current(series: TiltSeries, alignment: Alignment | None = None) -> Alignment:
    """Return the alignment of a series as far as it is known.

    `alignment` if given, else that of the series. Without one, the position of the tilt axis and its
    shift at every tilt say where the middle of the aligned projections is.

    Raises
    ------
    DataError
        When the alignment is not one of these projections; see `require_fitting`.
    """
    chosen = series.alignment if alignment is None else alignment
    if chosen is not None:
        require_fitting(chosen, series)
        return chosen.replace(shape=series.shape[1:], pixel_size_nm=series.pixel_size_nm)
    middle = (series.shape[2] - 1) / 2
    offset = series.axis_position - middle
    shifts = np.zeros(series.shape[0]) if series.detector_shifts_px is None else series.detector_shifts_px
    return Alignment(
        reference=series.name,
        tilts_deg=series.tilts_deg,
        matrices=affine.translation(0.0, offset + shifts),
        axis_offset_px=offset,
        pixel_size_nm=series.pixel_size_nm,
        shape=series.shape[1:],
    )


def require_fitting(alignment: Alignment, series: TiltSeries) -> None:
    """Raise `DataError` unless the alignment is of projections as these: number, shape and pixel size."""
    where = f"alignment of {alignment.reference!r} on tilt series {series.name!r}"
    count = len(alignment.matrices)
    if count != series.shape[0]:
        raise DataError(
            f"{where}: found {count} transforms for {series.shape[0]} projections; expected one each. "
            "Link the alignment to this series first"
        )
    if alignment.shape is not None and tuple(alignment.shape) != series.shape[1:]:
        raise DataError(
            f"{where}: found it for projections of {alignment.shape[0]} x {alignment.shape[1]} pixels and "
            f"the series with {series.shape[1]} x {series.shape[2]}; expected the same. "
            "Link the alignment to this series first"
        )
    size = alignment.pixel_size_nm
    if size is not None and not np.isclose(size, series.pixel_size_nm, rtol=RELATIVE_PIXEL_TOLERANCE):
        raise DataError(
            f"{where}: found it for pixels of {size:g} nm and the series with {series.pixel_size_nm:g} nm; "
            "expected the same. Link the alignment to this series first"
        )
