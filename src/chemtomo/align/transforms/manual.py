"""Alignment by hand: move projections, choose the tilt axis, and preview slices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from chemtomo.align.starting_point import current
from chemtomo.data import Alignment, TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.geometry import affine
from chemtomo.geometry.resample import warp
from chemtomo.recon.filtered_back_projection import back_project, filter_sinograms

__all__ = ["axis_preview", "nudge", "set_axis"]

# Wider slices are binned, so that the preview follows a slider.
_WIDEST_PREVIEW = 256


def nudge(alignment: Alignment, tilts: Iterable[int], dy: float, dx: float) -> Alignment:
    """Move some of the aligned projections.

    Parameters
    ----------
    alignment : Alignment
        It is not modified.
    tilts : iterable of int
        Indices of the projections.
    dy, dx : float
        Shift of the aligned images along ``y`` and ``x``, in pixels of the reference.

    Returns
    -------
    Alignment
        Residuals of the moved projections are not known, NaN.

    Raises
    ------
    ParameterError
        When an index is not one of a projection, or a number is not finite.
    """
    chosen = sorted(set(tilts))
    count = len(alignment.matrices)
    if chosen and not 0 <= chosen[0] <= chosen[-1] < count:
        raise ParameterError(f"found the projections {chosen[0]} to {chosen[-1]}; expected 0 to {count - 1}")
    if not np.isfinite([dy, dx]).all():
        raise ParameterError(f"found the shift {dy}, {dx}; expected finite numbers of pixels")
    matrices = alignment.matrices.copy()
    matrices[chosen] = affine.compose(matrices[chosen], affine.translation(-dy, -dx))
    residual = alignment.residual_px
    if residual is not None:
        residual = residual.copy()
        residual[chosen] = np.nan
    entry = {"step": "nudge", "projections": chosen, "dy_px": float(dy), "dx_px": float(dx)}
    return alignment.replace(
        matrices=matrices,
        residual_px=residual,
        method=_by_hand(alignment.method),
        provenance=(*alignment.provenance, entry),
    )


def set_axis(alignment: Alignment, angle_deg: float, offset_px: float) -> Alignment:
    """Replace the tilt axis; the registration of the projections is kept.

    Parameters
    ----------
    alignment : Alignment
        With the shape of the reference. It is not modified.
    angle_deg, offset_px : float
        The tilt axis in the recorded projections, see `chemtomo.data.Alignment`.

    Raises
    ------
    DataError
        When the alignment does not know the shape of its projections.
    """
    if alignment.shape is None:
        raise DataError(
            f"alignment of {alignment.reference!r}: the shape of its projections is not known; expected it, "
            "to turn about their middle"
        )
    before = affine.tilt_axis(alignment.axis_angle_deg, alignment.axis_offset_px, alignment.shape)
    after = affine.tilt_axis(angle_deg, offset_px, alignment.shape)
    change = affine.compose(affine.inverse(before), after)
    entry = {"step": "set_axis", "axis_angle_deg": float(angle_deg), "axis_offset_px": float(offset_px)}
    return alignment.replace(
        matrices=affine.compose(alignment.matrices, change),
        axis_angle_deg=float(angle_deg),
        axis_offset_px=float(offset_px),
        residual_px=None,
        method=_by_hand(alignment.method),
        provenance=(*alignment.provenance, entry),
    )


def axis_preview(
    series: TiltSeries, alignment: Alignment | None = None, parts: Sequence[float] = (0.25, 0.5, 0.75)
) -> npt.NDArray[np.float32]:
    """Reconstruct a few slices quickly, to judge a tilt axis by eye.

    Filtered back-projection of single aligned rows; wide slices are binned.

    Parameters
    ----------
    series : TiltSeries
        As recorded.
    alignment : Alignment, optional
        That of the series by default.
    parts : sequence of float
        Where the slices are, from 0, the first row, to 1, the last.

    Returns
    -------
    numpy.ndarray, shape (slice, z, x)
        Without meaningful units.

    Raises
    ------
    DataError
        When the alignment does not fit the series.
    ParameterError
        When a part is not between 0 and 1.
    """
    if not all(0 <= part <= 1 for part in parts):
        raise ParameterError(f"found slices at {list(parts)}; expected parts of the height from 0 to 1")
    chosen = current(series, alignment)
    tilts, height, width = series.shape
    factor = -(-width // _WIDEST_PREVIEW)
    columns = width // factor
    rows = [round(part * (height - 1)) for part in parts]
    sinograms = np.empty((len(rows), tilts, columns), dtype=np.float32)
    for tilt, (projection, matrix) in enumerate(zip(series.projections(), chosen.matrices, strict=True)):
        aligned = _rows(projection, matrix, rows)[:, : columns * factor]
        sinograms[:, tilt] = aligned.reshape(len(rows), columns, factor).mean(axis=2)
    sinograms -= sinograms.mean(axis=-1, keepdims=True)  # a pedestal would leave a ring
    return back_project(filter_sinograms(sinograms, chosen.tilts_deg), chosen.tilts_deg)


def _rows(
    projection: npt.NDArray[np.generic], matrix: npt.NDArray[np.float64], rows: Sequence[int]
) -> npt.NDArray[np.float32]:
    """Return some rows of the aligned projection."""
    width = projection.shape[1]
    down = affine.compose(matrix[np.newaxis], affine.translation(rows, 0.0))
    return np.concatenate([warp(projection, one, shape=(1, width), fill="nearest") for one in down])


def _by_hand(method: str) -> str:
    return method if method.endswith("by hand") else f"{method} + by hand".removeprefix(" + ")
