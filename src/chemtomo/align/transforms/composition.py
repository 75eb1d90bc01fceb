"""Two successive alignments combined into one."""

from __future__ import annotations

import math

import numpy as np

from chemtomo.align.starting_point import RELATIVE_PIXEL_TOLERANCE
from chemtomo.data import Alignment
from chemtomo.errors import DataError
from chemtomo.geometry import affine

__all__ = ["compose"]


def compose(first: Alignment, then: Alignment) -> Alignment:
    """Return the alignment that applies `first`, and `then` to the result.

    The matrices are multiplied, so that the recorded values are interpolated once. Order matters: a shift
    of a turned image is not the turn of a shifted one.

    Parameters
    ----------
    first : Alignment
        From the recorded projections.
    then : Alignment
        Found on the projections that `first` aligned.

    Returns
    -------
    Alignment
        Its reference is that of `first`; its tilts and residuals are those of `then`. The tilt axis, for
        information, is that of `then` seen in the recorded projections.

    Raises
    ------
    DataError
        When they are of different numbers of projections, shapes or pixel sizes.
    """
    where = f"alignments of {first.reference!r} and {then.reference!r}"
    if len(first.matrices) != len(then.matrices):
        raise DataError(
            f"{where}: found {len(first.matrices)} and {len(then.matrices)} transforms; expected as many"
        )
    shape = then.shape if first.shape is None else first.shape
    if first.shape and then.shape and tuple(first.shape) != tuple(then.shape):
        raise DataError(
            f"{where}: found projections of {first.shape} and {then.shape} pixels; expected the same"
        )
    sizes = [one.pixel_size_nm for one in (first, then) if one.pixel_size_nm is not None]
    if len(sizes) == 2 and not np.isclose(sizes[0], sizes[1], rtol=RELATIVE_PIXEL_TOLERANCE):
        raise DataError(f"{where}: found pixels of {sizes[0]:g} and {sizes[1]:g} nm; expected the same")
    angle, offset = _axis(first, then)
    entry = {"step": "compose", "first": first.to_json(), "then": then.to_json()}
    return then.replace(
        reference=first.reference,
        matrices=affine.compose(first.matrices, then.matrices),
        axis_angle_deg=angle,
        axis_offset_px=offset,
        pixel_size_nm=sizes[0] if sizes else None,
        shape=shape,
        method=" + ".join(one.method for one in (first, then) if one.method),
        provenance=(*first.provenance, *then.provenance, entry),
    )


def _axis(first: Alignment, then: Alignment) -> tuple[float, float]:
    """Angle and offset, in the frame of `first`'s axis, of the line that is the axis of `then`."""
    angle = first.axis_angle_deg + then.axis_angle_deg
    turn = math.radians(first.axis_angle_deg)
    down = -then.axis_offset_px * math.sin(turn)
    right = first.axis_offset_px + then.axis_offset_px * math.cos(turn)
    return angle, right - down * math.tan(math.radians(angle))
