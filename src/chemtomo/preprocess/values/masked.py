"""Pixels that are left out: shadowed or dead ones, and what somebody painted over."""

from __future__ import annotations

import re
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from chemtomo.data import TiltSeries
from chemtomo.errors import ParameterError
from chemtomo.preprocess.operation import SeriesOperation
from chemtomo.preprocess.stacks import each_projection, recorded

__all__ = ["MaskPixels", "boxes_of", "check_mask", "mask_pixels", "pixels_of"]

_RANGE = r"(\*|\d+(?::\d+)?)"
_BOX = re.compile(rf"{_RANGE}/{_RANGE}/{_RANGE}")

_Mask = npt.NDArray[np.bool_]


def mask_pixels(series: TiltSeries, invalid: _Mask) -> TiltSeries:
    """Mark pixels as not valid: reconstructions leave their values out.

    Parameters
    ----------
    series : TiltSeries
        It is not modified; its values stay as they are. What was not valid before stays so.
    invalid : numpy.ndarray of bool, shape (tilt, y, x) or (y, x)
        Which pixels to leave out, at every tilt or at all of them.

    Raises
    ------
    ParameterError
        When the shape is not that of the series.
    """
    return _without(series, invalid).replace(
        provenance=recorded(series, "mask_pixels", pixels=boxes_of(invalid))
    )


def check_mask(series: TiltSeries, invalid: _Mask) -> None:
    """Raise `ParameterError` when a mask (tilt, y, x) or (y, x) has not the shape of the series."""
    if invalid.shape not in (series.shape, series.shape[1:]):
        raise ParameterError(
            f"tilt series {series.name!r}: found a mask of shape {invalid.shape}; expected "
            f"(tilt, y, x) = {series.shape}, or (y, x) = {series.shape[1:]} for all tilts"
        )


def _without(series: TiltSeries, invalid: _Mask) -> TiltSeries:
    check_mask(series, invalid)
    if series.valid is None:
        return series.replace(valid=np.array(np.broadcast_to(~invalid, series.shape)))
    everywhere = np.broadcast_to(invalid, series.shape)
    return series.replace(valid=each_projection(series.valid, lambda valid, tilt: valid & ~everywhere[tilt]))


def boxes_of(mask: _Mask) -> str:
    """Return the pixels of a mask as text, for `pixels_of`: boxes of rows that are alike.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (tilt, y, x) or (y, x)
        Pixels of every tilt, or of all tilts.
    """
    stack = mask[np.newaxis] if mask.ndim == 2 else mask
    return " ".join(
        f"{tilt if mask.ndim == 3 else '*'}/{top}:{bottom}/{left}:{right}"
        for tilt, image in enumerate(stack)
        for top, bottom, left, right in _boxes(image)
    )


def _boxes(image: _Mask) -> list[tuple[int, int, int, int]]:
    """Return boxes (first row, last + 1, first column, last + 1) that make up the pixels of an image."""
    padded = np.zeros((image.shape[0] + 1, image.shape[1] + 2), dtype=np.int8)
    padded[:-1, 1:-1] = image
    begun: dict[tuple[int, int], int] = {}  # columns of the boxes that reach the row above: their first row
    found = []
    for row, steps in enumerate(np.diff(padded, axis=1)):
        runs = set(zip(np.flatnonzero(steps > 0).tolist(), np.flatnonzero(steps < 0).tolist(), strict=True))
        ended = [columns for columns in begun if columns not in runs]
        found += [(begun.pop(columns), row, *columns) for columns in ended]
        for columns in sorted(runs - set(begun)):
            begun[columns] = row
    return sorted(found)


def pixels_of(text: str, shape: tuple[int, int, int]) -> _Mask:
    """Return the mask (tilt, y, x) of the boxes of a text.

    Parameters
    ----------
    text : str
        Boxes ``TILT/Y/X``, with blanks between them. Each part is a number, a range ``START:STOP``, or
        ``*`` for all: ``*/0:4/*`` are the first four rows of all projections.
    shape : (int, int, int)
        Projections, rows and columns.

    Raises
    ------
    ParameterError
        When the text is no list of boxes, or a box lies beyond the projections.
    """
    mask = np.zeros(shape, dtype=np.bool_)
    for word in text.split():
        ranges = []
        for part, size, name in zip(_parts(word), shape, ("projections", "rows", "columns"), strict=True):
            start, _, stop = part.partition(":")
            first, last = (0, size) if part == "*" else (int(start), int(stop) if stop else int(start) + 1)
            if not first < last <= size:
                raise ParameterError(f"pixels: found {word!r}; expected a box within {size} {name}")
            ranges.append(slice(first, last))
        mask[tuple(ranges)] = True
    return mask


def _parts(word: str) -> tuple[str, ...]:
    found = _BOX.fullmatch(word)
    if found is None:
        raise ParameterError(f"pixels: found {word!r}; expected boxes TILT/Y/X such as 3/10:20/0:64 or */5/*")
    return found.groups()


class MaskPixels(SeriesOperation):
    """Leave out pixels: shadowed, dead or painted over. Reconstructions do not look at their values."""

    title: ClassVar[str] = "Mask pixels"
    operation: ClassVar[str] = "mask"
    by_itself: ClassVar[bool] = False
    main: ClassVar[str | None] = "pixels"
    pixels: str = Field(
        "",
        title="Pixels",
        description="Boxes TILT/Y/X, with blanks between them; each part is a number, START:STOP or * for "
        "all, counted from 0. */0:4/* are the first four rows of all projections.",
    )

    def _prepare(self, series: TiltSeries) -> TiltSeries:
        try:
            invalid = pixels_of(self.pixels, series.shape)
        except ParameterError as error:
            raise ParameterError(f"tilt series {series.name!r}: {error}") from error
        return _without(series, invalid)
