"""Digests of tilt series, which tell whether values and other numbers are still the same."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data.alignment import Alignment
from chemtomo.data.tilt_series import TiltSeries

__all__ = ["alignment_digest", "frame_digest", "series_digest"]


def series_digest(series: TiltSeries) -> str:
    """Return the SHA-256 of the values, background, valid pixels, and all numbers that a reconstruction uses.

    The values are taken in float32, which is how they are reconstructed and how a viewer keeps them. Names,
    notes and the alignment do not count. Of a lazy series one projection is in memory at a time.
    """
    digest = hashlib.sha256(frame_digest(series).encode())
    for projection in series.projections():
        digest.update(_bytes(projection))
    if series.background is not None:
        for projection in series.backgrounds():
            digest.update(_bytes(projection))
    if series.valid is not None:
        for valid in series.valid_pixels():
            digest.update(np.packbits(valid).tobytes())
    return digest.hexdigest()


def frame_digest(series: TiltSeries) -> str:
    """Return the SHA-256 of all numbers of a series except its values, background and alignment."""
    frame = {
        "shape": list(series.shape),
        "tilts": _texts(series.tilts_deg),
        "pixel": _texts([series.pixel_size_nm]),
        "kind": series.kind,
        "axis": _texts([series.axis_position]),
        "shifts": None if series.detector_shifts_px is None else _texts(series.detector_shifts_px),
        "gains": None if series.gains is None else _texts(series.gains),
        "background": series.background is not None,
    }
    if series.valid is not None:
        frame["valid"] = True
    return hashlib.sha256(json.dumps(frame).encode()).hexdigest()


def alignment_digest(alignment: Alignment | None) -> str | None:
    """Return the SHA-256 of tilts and transforms; None for no alignment."""
    if alignment is None:
        return None
    numbers = np.concatenate([alignment.tilts_deg, alignment.matrices.ravel()])
    return hashlib.sha256(" ".join(_texts(numbers)).encode()).hexdigest()


def _texts(numbers: Any) -> list[str]:
    """Return numbers to nine digits: a conversion to other units and back may change the last ones."""
    return [f"{number + 0.0:.9g}" for number in np.asarray(numbers, dtype=np.float64)]


def _bytes(projection: npt.NDArray[Any]) -> bytes:
    return np.ascontiguousarray(projection, dtype="<f4").tobytes()
