"""Fewer, larger pixels."""

from __future__ import annotations

import numpy as np

from chemtomo.data import TiltSeries
from chemtomo.errors import ParameterError

__all__ = ["bin_pixels"]


def bin_pixels(series: TiltSeries, factor: int) -> TiltSeries:
    """Join ``factor x factor`` pixels of every projection: the sum of counts, the mean of an intensity.

    Rows and columns at the end that do not fill a bin are left out; a single row stays one. The
    tilt axis stays where it is in the sample.

    Parameters
    ----------
    series : TiltSeries
        It is not modified.
    factor : int
        Pixels of an edge of a bin.

    Raises
    ------
    ParameterError
        When the factor is below 1, or larger than a projection.
    """
    tilts, height, width = series.shape
    if not 1 <= factor <= width:
        raise ParameterError(
            f"tilt series {series.name!r}: found a bin of {factor} pixels; expected 1 to {width}"
        )
    rows = min(factor, height)
    data = series.data[:, : height // rows * rows, : width // factor * factor]
    bins = data.reshape(tilts, height // rows, rows, width // factor, factor)
    if series.kind == "counts":
        binned = bins.sum(axis=(2, 4))
        exact = np.issubdtype(series.data.dtype, np.floating)
        binned = binned.astype(series.data.dtype) if exact else binned
    else:
        binned = bins.mean(axis=(2, 4)).astype(np.float32)
    axis = (series.axis_position - (factor - 1) / 2) / factor
    return series.replace(
        data=binned,
        pixel_size_nm=series.pixel_size_nm * factor,
        axis_position_px=axis,
        provenance=(*series.provenance, {"step": "bin_pixels", "factor": factor}),
    )
