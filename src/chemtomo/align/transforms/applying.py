"""Apply an alignment: the recorded values are interpolated once, or not at all."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.align.starting_point import current
from chemtomo.data import Alignment, TiltSeries
from chemtomo.errors import DataError
from chemtomo.geometry import affine
from chemtomo.geometry.resample import Fill, warp, warp_valid

__all__ = ["aligned_view", "apply", "covered_rows", "recorded_pixels"]

# Rows are copied, not interpolated, if their shift is a whole number of rows to within this.
_WHOLE_ROW_TOLERANCE_PX = 1e-6
# A recorded pixel is marked where the interpolated mask is at least this; the tolerance is for rounding.
_HALF = 0.5 - 1e-3

_Image = npt.NDArray[Any]
_Matrix = npt.NDArray[np.float64]


def apply(series: TiltSeries, alignment: Alignment | None = None, *, fill: Fill | None = None) -> TiltSeries:
    """Return the aligned series, for a reconstruction.

    If the alignment consists of shifts only, the shift along ``x`` is not applied to the values: it goes into
    ``detector_shifts_px``, which the projector includes in its geometry. Along ``y``, whole rows are moved
    without interpolation, and a remaining fraction of a row is interpolated linearly. So counts stay
    non-negative and their total is conserved within the field; without a shift along ``y`` they are
    unchanged. If the alignment rotates or scales, each recorded projection is warped once, linearly, with its
    complete matrix.

    A background is treated as the data is. Gains are kept. What is lazy stays lazy. Pixels to which something
    contributes that was not measured, because it is outside of the recorded image or not valid there, are not
    valid.

    Parameters
    ----------
    series : TiltSeries
        It is not modified.
    alignment : Alignment, optional
        That of the series by default. A series without one is returned as it is. Position and shifts of
        the tilt axis that the series has are replaced by those of the alignment, which holds them.
    fill : {"zero", "nearest"}, optional
        Values where nothing was recorded, which are not valid. By default zero for counts, and the nearest
        recorded value for intensities, which often have a pedestal.

    Returns
    -------
    TiltSeries
        Its tilts are those of the alignment, and its tilt axis is in the middle of the detector (plus the
        shifts). It has no alignment any more; the one that was applied is in its provenance.

    Raises
    ------
    DataError
        When the alignment is for other projections: their number, shape or pixel size. Link it first.
    """
    if alignment is None and series.alignment is None:
        return series
    chosen = current(series, alignment)
    filling = _filling(series, fill)
    shifts: npt.NDArray[np.float64] | None = None
    if affine.is_translation(chosen.matrices):
        down, shifts = chosen.matrices[:, 0, 2], chosen.matrices[:, 1, 2]
        whole = bool(np.abs(down - np.round(down)).max() < _WHOLE_ROW_TOLERANCE_PX)
        if whole and not np.round(down).any():
            data, background, valid = series.data, series.background, series.valid
        else:
            matrices = affine.translation(down, 0.0)
            data, background, valid = _warped(series, matrices, filling, keep_type=whole)
    else:
        data, background, valid = _warped(series, chosen.matrices, filling)
    given = series.alignment if alignment is None else alignment
    assert given is not None  # it is one of the two
    entry = {"step": "align", "fill": filling, "alignment": given.to_json()}
    return series.replace(
        data=data,
        background=background,
        valid=valid,
        tilts_deg=chosen.tilts_deg,
        axis_position_px=None,
        axis_angle_deg=None,
        detector_shifts_px=shifts,
        alignment=None,
        provenance=(*series.provenance, entry),
    )


def aligned_view(
    series: TiltSeries, alignment: Alignment | None = None, *, fill: Fill | None = None
) -> TiltSeries:
    """Return the series as it looks when aligned: all shifts applied to the pixels, also those along ``x``.

    For display, and for estimators that compare projections. Reconstruct the result of `apply`, whose values
    are interpolated less.

    Parameters
    ----------
    series : TiltSeries
        It is not modified.
    alignment : Alignment, optional
        That of the series by default; if it has none, its tilt axis is brought to the middle.
    fill : {"zero", "nearest"}, optional
        As in `apply`.

    Returns
    -------
    TiltSeries
        Its data is a dask array of float32, computed projection by projection when it is asked for.

    Raises
    ------
    DataError
        When the alignment is for other projections.
    """
    chosen = current(series, alignment)
    data, background, valid = _warped(series, chosen.matrices, _filling(series, fill), lazy=True)
    entry = {"step": "aligned_view", "alignment": chosen.to_json()}
    return series.replace(
        data=data,
        background=background,
        valid=valid,
        tilts_deg=chosen.tilts_deg,
        axis_position_px=None,
        axis_angle_deg=None,
        detector_shifts_px=None,
        alignment=None,
        provenance=(*series.provenance, entry),
    )


def recorded_pixels(mask: npt.NDArray[np.bool_], alignment: Alignment) -> npt.NDArray[np.bool_]:
    """Return which recorded pixels are those that are marked in the aligned view.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (tilt, y, x)
        Pixels of the aligned view.
    alignment : Alignment
        That of the view, in the same pixels.

    Raises
    ------
    DataError
        When it is for another number of projections.
    """
    if len(alignment.matrices) != len(mask):
        raise DataError(
            f"found {len(mask)} masks for {len(alignment.matrices)} transforms; expected one for each"
        )
    back = affine.inverse(alignment.matrices)
    return np.stack(
        [warp(image.astype(np.float32), one) >= _HALF for image, one in zip(mask, back, strict=True)]
    )


def covered_rows(alignment: Alignment, shape: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return the rows of the aligned frame that were recorded at every tilt, start and stop.

    In other rows some tilts are missing: what `apply` fills in there is not valid.

    Parameters
    ----------
    alignment : Alignment
        Any.
    shape : (int, int), optional
        Rows and columns of a projection; that of the reference by default.

    Raises
    ------
    DataError
        When no shape is known, or no row was recorded at every tilt.
    """
    size = alignment.shape if shape is None else shape
    where = f"alignment of {alignment.reference!r}"
    if size is None:
        raise DataError(f"{where}: the shape of a projection is not known; expected it")
    rows = np.arange(size[0], dtype=np.float64)
    middle = np.stack([rows, np.full(size[0], (size[1] - 1) / 2)], axis=1)
    seen = affine.apply(alignment.matrices, middle)[:, :, 0]
    inside = np.flatnonzero(
        ((seen >= -_WHOLE_ROW_TOLERANCE_PX) & (seen <= size[0] - 1 + _WHOLE_ROW_TOLERANCE_PX)).all(axis=0)
    )
    if not inside.size:
        raise DataError(f"{where}: no row was recorded at every tilt; expected shifts within the field")
    return int(inside[0]), int(inside[-1]) + 1


def _filling(series: TiltSeries, fill: Fill | None) -> Fill:
    if fill is not None:
        return fill
    return "zero" if series.kind == "counts" else "nearest"


def _warped(
    series: TiltSeries, matrices: _Matrix, fill: Fill, *, keep_type: bool = False, lazy: bool = False
) -> tuple[Any, Any, Any]:
    """Return data, background and valid pixels with every projection warped.

    With `keep_type` data and background keep their own types.
    """
    function = functools.partial(warp, fill=fill, conserve=series.kind == "counts")
    data, background = (
        None
        if stack is None
        else _map_projections(function, stack, matrices, stack.dtype if keep_type else np.float32, lazy)
        for stack in (series.data, series.background)
    )
    if series.valid is None and _all_inside(matrices, series.shape[1:]):
        return data, background, None
    known = series.valid
    if known is not None:
        valid = _map_projections(warp_valid, known, matrices, np.bool_, lazy)
    else:
        whole = functools.partial(warp_valid, np.ones(series.shape[1:], dtype=np.bool_))
        valid = _map_projections(lambda _, matrix: whole(matrix), series.data, matrices, np.bool_, lazy)
    return data, background, valid


def _all_inside(matrices: _Matrix, shape: tuple[int, int]) -> bool:
    """Tell whether every pixel of the result lies in the recorded image, at every tilt."""
    last = np.array(shape, dtype=np.float64) - 1
    corners = np.array([[0.0, 0.0], [0.0, last[1]], [last[0], 0.0], last])
    seen = affine.apply(matrices, corners)
    tolerance = _WHOLE_ROW_TOLERANCE_PX
    return bool(((seen >= -tolerance) & (seen <= last + tolerance)).all())


def _map_projections(
    function: Callable[[_Image, _Matrix], _Image], stack: Any, matrices: _Matrix, dtype: Any, lazy: bool
) -> Any:
    if isinstance(stack, np.ndarray) and not isinstance(stack, np.memmap) and not lazy:
        mapped = np.empty(stack.shape, dtype=dtype)
        for tilt, matrix in enumerate(matrices):
            mapped[tilt] = function(stack[tilt], matrix)
        return mapped
    import dask.array  # slow to import

    da: Any = dask.array  # it has no types

    one_each = (1, *stack.shape[1:])
    if isinstance(stack, np.ndarray):
        # Files are opened again by whoever computes; a name by content would read them all now.
        chunked = da.from_array(stack, chunks=one_each, name=False)
    else:
        chunked = stack.rechunk(one_each)
    each = da.from_array(matrices, chunks=(1, 2, 3), name=False)

    def block(image: _Image, matrix: _Matrix) -> _Image:
        return function(image[0], matrix[0])[np.newaxis].astype(dtype, copy=False)

    return da.map_blocks(
        block, chunked, each, dtype=dtype, chunks=chunked.chunks, meta=np.empty((0, 0, 0), dtype)
    )
