"""The same alignment for the same projections in other pixels: cropped, padded or binned."""

from __future__ import annotations

import numpy as np

from chemtomo.data import Alignment
from chemtomo.errors import DataError
from chemtomo.geometry import affine

__all__ = ["in_other_pixels"]


def in_other_pixels(
    alignment: Alignment,
    shape: tuple[int, int],
    *,
    origin: tuple[float, float] = (0.0, 0.0),
    factor: tuple[float, float] = (1.0, 1.0),
    before: tuple[int, int] | None = None,
) -> Alignment:
    """Return an alignment in the pixels of projections that were cropped, padded or binned.

    A new pixel ``i`` of the recorded projections is centred on ``origin + factor i + (factor - 1) / 2`` of
    the old ones. The aligned frame goes along, but for the column of the tilt axis, which is the middle of
    the new frame as it was that of the old one.

    Parameters
    ----------
    alignment : Alignment
        In the old pixels.
    shape : (int, int)
        Rows and columns of the new projections.
    origin : (float, float)
        Place ``(y, x)`` of the new first pixel's corner in the old projections: negative after padding.
    factor : (float, float)
        Old pixels of a new one, along ``(y, x)``.
    before : (int, int), optional
        Rows and columns of the old projections, where the alignment does not know them.

    Raises
    ------
    DataError
        When the shape of the old projections is not known.
    """
    old = alignment.shape if alignment.shape is not None else before
    if old is None:
        raise DataError(
            f"alignment of {alignment.reference!r}: the shape of its projections is not known; expected it"
        )
    raw = _to_old(factor, [o + (f - 1) / 2 for o, f in zip(origin, factor, strict=True)])
    middle, old_middle = (shape[1] - 1) / 2, (old[1] - 1) / 2
    aligned = _to_old(factor, [raw[0, 0, 2], old_middle - factor[1] * middle])
    slope = np.tan(np.deg2rad(alignment.axis_angle_deg))
    row = (shape[0] - 1) / 2  # the new middle row, and where the axis crosses it
    old_row = factor[0] * row + raw[0, 0, 2]
    crossing = old_middle + alignment.axis_offset_px + slope * (old_row - (old[0] - 1) / 2)
    residual, size = alignment.residual_px, alignment.pixel_size_nm
    return alignment.replace(
        matrices=affine.compose(affine.inverse(raw), affine.compose(alignment.matrices, aligned)),
        axis_offset_px=float((crossing - raw[0, 1, 2]) / factor[1] - middle),
        residual_px=None if residual is None else residual / factor[1],
        pixel_size_nm=None if size is None else size * factor[1],
        shape=shape,
    )


def _to_old(factor: tuple[float, float], shift: list[float]) -> affine.Matrices:
    """Return the map from new pixels to old ones."""
    matrix = affine.identity()
    matrix[0, 0, 0], matrix[0, 1, 1] = factor
    matrix[0, :, 2] = shift
    return matrix
