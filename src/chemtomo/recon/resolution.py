"""Signals with pixels of different sizes in one reconstruction, in the resolution of the finest."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import DataError
from chemtomo.preprocess.stacks import each_projection

__all__ = ["Resolutions"]

_RELATIVE_ERROR = 1e-3  # of the ratio of two pixel sizes
_SAME_AXIS_PX = 1e-3


@dataclasses.dataclass(frozen=True)
class Resolutions:
    """The signals on the pixels of the finest of them, see `chemtomo.operators.BinnedProjector`.

    Attributes
    ----------
    dataset : Dataset
        All series with the same rows, columns and pixel size. A pixel of ``k x k`` fine ones stands at the
        first of them, times its `lift`; the others are not valid.
    factors : tuple of int
        ``k`` of every series.
    lifts : tuple of float
        What the values were multiplied by to be the sum over the cell divided by ``k``: ``1 / k`` for counts,
        which are the sum, and ``k`` for intensities, which are the mean.
    note : str, optional
        What was recognised.
    """

    dataset: Dataset
    factors: tuple[int, ...]
    lifts: tuple[float, ...]
    note: str | None = None

    @classmethod
    def of(cls, dataset: Dataset) -> Resolutions:
        """Recognise the resolutions.

        Raises
        ------
        DataError
            When a pixel size is not a multiple of the finest, or a field of view is another one.
        """
        finest = min(dataset, key=lambda one: one.pixel_size_nm)
        factors = tuple(_factor(one, finest) for one in dataset)
        if set(factors) == {1}:
            return cls(dataset, factors, (1.0,) * len(factors))
        lifts = tuple(
            1 / k if one.kind == "counts" else float(k) for one, k in zip(dataset, factors, strict=True)
        )
        fine = tuple(
            one if k == 1 else _on_fine_pixels(one, finest, k, lift)
            for one, k, lift in zip(dataset, factors, lifts, strict=True)
        )
        coarse = [
            f"{', '.join(one.name for one, k in zip(dataset, factors, strict=True) if k == size)}: "
            f"{size} x {size} of these in a pixel"
            for size in sorted(set(factors) - {1})
        ]
        note = f"in the pixels of {finest.name} ({finest.pixel_size_nm:g} nm); {'; '.join(coarse)}"
        return cls(Dataset(fine), factors, lifts, note)

    @property
    def cell(self) -> int:
        """Rows and columns that hold whole pixels of every series."""
        return math.lcm(*self.factors)

    @property
    def finest(self) -> Dataset:
        """The series with the finest pixels."""
        return Dataset(tuple(one for one, k in zip(self.dataset, self.factors, strict=True) if k == 1))

    def whole_cells(self, start: int, stop: int, size: int) -> tuple[int, int]:
        """Return the least range that holds ``start <= i < stop`` and only whole cells of `size` pixels.

        A range beyond the data is returned as it is: the selection refuses it.
        """
        if stop > size:
            return start, stop
        cell = self.cell
        return start // cell * cell, min(-(-stop // cell) * cell, size // cell * cell)


def _factor(series: TiltSeries, finest: TiltSeries) -> int:
    ratio = series.pixel_size_nm / finest.pixel_size_nm
    factor = max(1, round(ratio))
    pair = f"tilt series {finest.name!r} and {series.name!r}"
    if abs(ratio - factor) > _RELATIVE_ERROR * factor:
        raise DataError(
            f"{pair} have pixels of {finest.pixel_size_nm:g} and {series.pixel_size_nm:g} nm; expected the "
            "same size, or a whole multiple. Bin the finer, or correct the pixel size"
        )
    height, width = finest.shape[1:]
    if factor > 1 and series.shape[1:] != (height // factor, width // factor):
        raise DataError(
            f"{pair} have projections of {finest.shape[1:]} and {series.shape[1:]} pixels, {factor} times as "
            f"large; expected {(height // factor, width // factor)} of these, the same field of view. Crop "
            "one of them, or link it to the other"
        )
    return factor


def _on_fine_pixels(series: TiltSeries, finest: TiltSeries, factor: int, lift: float) -> TiltSeries:
    _, height, width = finest.shape
    tilts = series.shape[0]
    known = series.valid

    def spread(values: npt.NDArray[Any], tilt: int) -> npt.NDArray[np.float32]:
        fine = np.zeros((height, width), np.float32)
        rows, columns = values.shape
        fine[: rows * factor : factor, : columns * factor : factor] = values.astype(np.float32) * lift
        return fine

    def measured(values: npt.NDArray[Any], tilt: int) -> npt.NDArray[np.bool_]:
        fine = np.zeros((height, width), np.bool_)
        rows, columns = values.shape
        fine[: rows * factor : factor, : columns * factor : factor] = True if known is None else known[tilt]
        return fine

    def stacked(stack: Any) -> Any:
        return each_projection(stack, spread, dtype=np.float32, shape=(height, width))

    axis = factor * series.axis_position + (factor - 1) / 2  # pixels begin at the same corner
    aside = axis - finest.axis_position
    shifts = np.zeros(tilts) if series.detector_shifts_px is None else series.detector_shifts_px * factor
    if abs(aside) > _SAME_AXIS_PX:
        shifts = shifts + aside
    return series.replace(
        data=stacked(series.data),
        pixel_size_nm=finest.pixel_size_nm,
        axis_position_px=finest.axis_position_px,
        detector_shifts_px=shifts if shifts.any() else None,
        background=None if series.background is None else stacked(series.background),
        valid=each_projection(series.data, measured, dtype=np.bool_, shape=(height, width)),
        first_pixel_nm=finest.first_pixel_nm,
        provenance=series.provenance,
    )
