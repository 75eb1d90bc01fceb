"""Decide whether values are event counts or intensities, where the file does not say.

The evidence, the strongest first:

1. What the file says: spectra are counts, and so are the quantities ``counts`` and ``X-rays (Counts)``;
   ``intensity`` is not (`kind_from_name`).
2. Values that a counter cannot produce: fractions, negative numbers, more than 4095, and a maximum that is
   exactly the largest 8, 10 or 12-bit number, at which detectors saturate and to which images are stretched.
3. The name of the signal or detector: elements and lines, EDX and X-rays are counts if the values allow it;
   HAADF and the like, and cameras, are intensities.
4. If the name says nothing, values are counts only if they look like sparse counts: from 0 to at most 255,
   with at least counting noise. Digitised camera and scan images have an offset, spread over 12 bits, or
   are smoother: for counts, the mean square difference of neighbours is at least twice the mean count.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import SignalKind
from chemtomo.data.colours import is_structural
from chemtomo.errors import ReadError
from chemtomo.io.interpret.elements import element_of

__all__ = ["ValueSummary", "guess_kind", "kind_from_name", "summarise_values"]

_LARGEST_COUNT = 4095
_LARGEST_UNNAMED = 255
_BITS_BY_MAXIMUM = {255: 8, 1023: 10, 4095: 12}
# As a fraction of counting noise; half, because filters and few pixels make it uncertain.
_MIN_COUNTING_NOISE = 0.5
_MIN_PIXELS = 1024
# Larger arrays are not searched for fractions; their kind is left open.
_INSPECT_UP_TO_BYTES = 256 << 20
_COUNTING = re.compile(r"(?<![a-z])(?:x?eds|edx|x-?rays?|counts?)(?![a-z])", re.IGNORECASE)
_CAMERA = re.compile(
    r"(?<![a-z])(?:(?:bm-)?ceta|falcon|oneview|rio|clearview|orius|ultrascan|eagle|temcam|tietz|veleta|"
    r"quemesa|morada|camera|ccd|cmos|tem|eftem|zero-?loss)(?![a-z])",
    re.IGNORECASE,
)


@dataclasses.dataclass(frozen=True)
class ValueSummary:
    """Statistics of the values of a stack.

    Attributes
    ----------
    smallest, largest : float
        Smallest and largest value.
    whole : bool
        Whether all are integers.
    inspected : int or None
        How many projections were inspected; None for all.
    noise : float or None
        Mean square difference of neighbours along rows, divided by twice the mean: at least about 1 for
        counts. None if it is not meaningful.
    """

    smallest: float
    largest: float
    whole: bool
    inspected: int | None = None
    noise: float | None = None


def summarise_values(data: Any, path: Path | str) -> ValueSummary:
    """Inspect all values of a stack ``(tilt, y, x)``, one projection at a time.

    Of a stack that is not in memory, only the first, middle and last projections are inspected.

    Raises
    ------
    ReadError
        When a value is not finite; the message names `path`, the file or the signal, and the position.
    """
    tilts = range(data.shape[0])
    lazy = not isinstance(data, np.ndarray) or isinstance(data, np.memmap)
    inspected = sorted({0, len(tilts) // 2, len(tilts) - 1}) if lazy else tilts
    smallest, largest, whole = np.inf, -np.inf, True
    squares, total, pixels = 0.0, 0.0, 0
    for tilt in inspected:
        projection = np.asarray(data[tilt])
        if not np.isfinite(projection).all():
            y, x = np.argwhere(~np.isfinite(projection))[0].tolist()
            raise ReadError(
                f"{path}: found {projection[y, x]} at (tilt, y, x) = ({tilt}, {y}, {x}); "
                "expected finite values"
            )
        smallest = min(smallest, float(projection.min()))
        largest = max(largest, float(projection.max()))
        whole = whole and bool((projection == np.rint(projection)).all())
        if whole and smallest >= 0 and largest <= _LARGEST_UNNAMED and projection.shape[1] > 1:
            steps = np.diff(projection.astype(np.int16), axis=1).astype(np.int32)
            squares += float((steps * steps).sum(dtype=np.float64)) * projection.size / steps.size
            total += float(projection.sum(dtype=np.float64))
            pixels += projection.size
    noise = squares / (2 * total) if pixels >= _MIN_PIXELS and total > 0 else None
    seen = len(inspected) if len(inspected) < len(tilts) else None
    return ValueSummary(smallest, largest, whole, seen, noise)


def guess_kind(name: str, values: ValueSummary, detectors: Sequence[str] = ()) -> tuple[SignalKind, str]:
    """Guess whether values are event counts, by the evidence listed at the top of this module.

    Parameters
    ----------
    name : str
        Name of the signal.
    values : ValueSummary
        Their statistics.
    detectors : sequence of str
        Names of the detectors, if the file gives them.

    Returns
    -------
    kind : {"counts", "intensity"}
    note : str
        The reason.
    """
    found = f"from {values.smallest:g} to {values.largest:g}"
    if values.inspected is not None:
        found += f", in {values.inspected} projections"
    reason = _reason_not_counts(values, found)
    if reason is None and (
        image := next((one for one in (name, *detectors) if _is_detector_image(one)), None)
    ):
        reason = f"{image!r} is the name of a detector image"
    if reason is not None:
        return "intensity", f"taken for intensities: {reason}"
    if element_of(name) or any(_COUNTING.search(one) for one in (name, *detectors)):
        return "counts", f"taken for event counts: all values are whole numbers {found}, of {name!r}"
    if values.largest > _LARGEST_UNNAMED:
        reason = f"the values go {found}, as those of a camera, and {name!r} is no element"
    elif values.smallest > 0:
        reason = f"no value is 0 ({found}), as in images with an offset, and {name!r} is no element"
    elif values.noise is not None and values.noise < _MIN_COUNTING_NOISE:
        reason = f"neighbouring values ({found}) differ by less than the noise of counting"
    if reason is not None:
        return "intensity", f"taken for intensities: {reason}"
    return "counts", f"taken for event counts: all values are whole numbers {found}"


def kind_from_name(name: str, data: Any, quantity: str = "") -> SignalKind | None:
    """Tell whether values are counts from name and metadata; None if it has to be guessed."""
    said = quantity.strip().lower()
    if element_of(name) or said == "counts" or said.startswith("x-rays"):
        if data.dtype.kind == "u":
            return "counts"
        if data.size * data.dtype.itemsize > _INSPECT_UP_TO_BYTES:
            return None
        images = data if data.ndim == 3 else data[np.newaxis]
        whole = all(_is_whole_and_not_negative(np.asarray(images[index])) for index in range(images.shape[0]))
        return "counts" if whole else "intensity"
    if said == "intensity" or is_structural(name):
        return "intensity"
    return None


def _reason_not_counts(values: ValueSummary, found: str) -> str | None:
    """Return the reason why values cannot be counts; None if they may be."""
    if not values.whole:
        return f"not all values are whole numbers ({found})"
    if values.smallest < 0 or values.largest > _LARGEST_COUNT:
        return f"the values go {found}"
    bits = _BITS_BY_MAXIMUM.get(int(values.largest))
    if bits is not None:
        return f"the values go {found}, the largest number of {bits} bits"
    return None


def _is_detector_image(name: str) -> bool:
    return is_structural(name) or _CAMERA.search(name) is not None


def _is_whole_and_not_negative(image: npt.NDArray[Any]) -> bool:
    return bool((image >= 0).all() and (image == np.rint(image)).all())
