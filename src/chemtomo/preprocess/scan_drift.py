"""Correct the drift of the sample during the scan of a spectrum image, by a fast image of the same area.

A spectrum image takes minutes, line by line, and the sample drifts meanwhile. A drift at a constant
speed shears and stretches the image: row ``y`` is shifted by ``speed * (y - middle)``. The fast image,
recorded within seconds, shows the sample as it is. Blocks of rows are registered against it, a line fit to
their shifts gives the speed, and one interpolation corrects every signal of the scan.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.geometry.resample import warp, warp_valid
from chemtomo.preprocess.operation import Operation
from chemtomo.preprocess.stacks import each_projection, recorded

__all__ = ["ScanDrift", "ScanDriftStep", "correct_scan_drift", "estimate_scan_drift"]

Numbers = npt.NDArray[np.float64]

_REFINEMENTS = 3
_LEAST_ROWS = 8
_LEAST_CORRELATION = 0.3


@dataclasses.dataclass(frozen=True, eq=False)
class ScanDrift:
    """How the sample drifted during every scan.

    Attributes
    ----------
    speed_px : numpy.ndarray, shape (tilt, 2)
        Shift ``(y, x)`` of the image from one row of the scan to the next, in pixels.
    offset_px : numpy.ndarray, shape (tilt, 2)
        Shift ``(y, x)`` of the middle row against the fast image, in pixels.
    residual_px : numpy.ndarray, shape (tilt,)
        Root mean square distance of the blocks from the line, after the correction. NaN where fewer
        than three blocks could be found.
    blocks : numpy.ndarray, shape (tilt,)
        How many blocks of rows were found in the fast image.
    """

    speed_px: Numbers
    offset_px: Numbers
    residual_px: Numbers
    blocks: npt.NDArray[np.int64]

    def matrices(self, height: int) -> Numbers:
        """Return the pull-back matrices (tilt, 2, 3): from a corrected pixel to its position in the scan.

        A pixel ``(y, x)`` of the sample is scanned in the row ``Y`` with
        ``y = Y - speed_y (Y - middle) - offset_y``, at ``X = x + speed_x (Y - middle) + offset_x``.
        """
        middle = (height - 1) / 2
        down, right = self.speed_px.T
        stretch = 1 / (1 - down)
        matrices = np.zeros((len(down), 2, 3))
        matrices[:, 0, 0] = stretch
        matrices[:, 0, 2] = middle + (self.offset_px[:, 0] - middle) * stretch
        matrices[:, 1, 0] = right * stretch
        matrices[:, 1, 1] = 1
        matrices[:, 1, 2] = self.offset_px[:, 1] + right * (self.offset_px[:, 0] - middle) * stretch
        return matrices

    def to_json(self) -> dict[str, Any]:
        """Return the drift as JSON values."""
        return {
            "speed_px": self.speed_px.tolist(),
            "offset_px": self.offset_px.tolist(),
            "residual_px": [None if np.isnan(one) else float(one) for one in self.residual_px],
            "blocks": self.blocks.tolist(),
        }


def estimate_scan_drift(
    slow: TiltSeries, fast: TiltSeries, *, blocks: int = 8, largest_shift_px: float = 20.0
) -> ScanDrift:
    """Find the drift of every slow scan against the fast image of the same tilt.

    Parameters
    ----------
    slow : TiltSeries
        An image of every slow scan with enough contrast: the signal that was recorded along with the
        spectra, or the sum of all counts.
    fast : TiltSeries
        The fast images, of the same size and tilts.
    blocks : int
        Blocks of rows that are registered, 3 or more.
    largest_shift_px : float
        The largest shift of a block that is looked for, in pixels.

    Raises
    ------
    DataError
        When the two do not fit together, or blocks would have fewer than 8 rows.
    ParameterError
        When there are fewer than 3 blocks, or the shift is not positive.
    """
    if blocks < 3 or not largest_shift_px > 0:
        raise ParameterError(
            f"found {blocks} blocks and a largest shift of {largest_shift_px:g} pixels; expected at least 3 "
            "blocks and a positive shift"
        )
    if slow.shape != fast.shape or np.abs(slow.tilts_deg - fast.tilts_deg).max() > 0.01:
        raise DataError(
            f"the slow scans {slow.name!r} have shape {slow.shape} and the fast images {fast.name!r} "
            f"{fast.shape}; expected the same shape and the same tilts"
        )
    rows = slow.shape[1] - 2 * _margin(slow.shape[1], largest_shift_px)
    if rows // blocks < _LEAST_ROWS:
        raise DataError(
            f"tilt series {slow.name!r}: {blocks} blocks of {rows} rows have fewer than "
            f"{_LEAST_ROWS} each; expected at most {rows // _LEAST_ROWS} blocks"
        )
    found = [
        _drift_of(np.asarray(one, dtype=np.float64), np.asarray(other, np.float64), blocks, largest_shift_px)
        for one, other in zip(slow.projections(), fast.projections(), strict=True)
    ]
    speed, offset, residual, used = zip(*found, strict=True)
    return ScanDrift(np.array(speed), np.array(offset), np.array(residual), np.array(used))


def correct_scan_drift(series: TiltSeries, drift: ScanDrift, *, keep_offset: bool = False) -> TiltSeries:
    """Undo the drift during the scans, by one linear interpolation.

    Counts stay non-negative and their sum stays what it was, but for what leaves the image. Where the
    scan moved with the sample, each area was recorded for longer: that factor goes into the gains.

    Parameters
    ----------
    series : TiltSeries
        Any signal of these scans. It is not modified; a lazy one stays lazy.
    drift : ScanDrift
        From `estimate_scan_drift`.
    keep_offset : bool
        Leave the constant shift between slow and fast image as it is.

    Raises
    ------
    DataError
        When the number of tilts differs.
    """
    if len(drift.speed_px) != series.shape[0]:
        raise DataError(
            f"tilt series {series.name!r}: found the drift of {len(drift.speed_px)} scans; "
            f"expected {series.shape[0]}"
        )
    if keep_offset:
        drift = dataclasses.replace(drift, offset_px=np.zeros_like(drift.offset_px))
    matrices = drift.matrices(series.shape[1])
    counts = series.kind == "counts"

    def undone(stack: Any) -> Any:
        return each_projection(
            stack,
            lambda projection, tilt: warp(
                projection,
                matrices[tilt],
                order=1,
                fill="zero" if counts else "nearest",
                conserve=counts,
            ),
            dtype=np.float32,
        )

    gains = series.gains
    if counts:
        stretch = np.abs(np.linalg.det(matrices[:, :, :2]))
        gains = stretch if gains is None else gains * stretch
    return series.replace(
        data=undone(series.data),
        background=None if series.background is None else undone(series.background),
        valid=None
        if series.valid is None
        else each_projection(series.valid, lambda valid, tilt: warp_valid(valid, matrices[tilt])),
        gains=gains,
        provenance=recorded(series, "correct_scan_drift", keep_offset=keep_offset, **drift.to_json()),
    )


def _drift_of(slow: Numbers, fast: Numbers, blocks: int, reach: float) -> tuple[Numbers, Numbers, float, int]:
    """Return speed, offset, residual and number of blocks of one scan."""
    height = slow.shape[0]
    middle = (height - 1) / 2
    margin = _margin(height, reach)
    edges = np.linspace(margin, height - margin, blocks + 1).round().astype(int)
    speed, offset = np.zeros(2), np.zeros(2)
    residual, used = float("nan"), 0
    for turn in range(_REFINEMENTS):
        known = ScanDrift(speed[np.newaxis], offset[np.newaxis], np.zeros(1), np.zeros(1, np.int64))
        matrix = known.matrices(height)[0]
        now = slow if turn == 0 else warp(slow.astype(np.float32), matrix, fill="nearest").astype(np.float64)
        places, shifts = [], []
        for top, bottom in itertools.pairwise(edges):
            shift = _block_shift(now, fast, int(top), int(bottom), reach if turn == 0 else min(reach, 5.0))
            if shift is not None:
                places.append((top + bottom - 1) / 2 - middle)
                shifts.append(shift)
        used = len(shifts)
        if used < 3:
            return (speed, offset, residual, used) if turn else (np.zeros(2), np.zeros(2), residual, used)
        found, residual = _line(np.array(places), np.array(shifts))
        offset, speed = offset + found[0], speed + found[1]
    return speed, offset, residual, used


def _margin(height: int, reach: float) -> int:
    """Return how many rows at each end are left out: they may have drifted out of the fast image."""
    return min(int(np.ceil(reach)), height // 10)


def _line(places: Numbers, shifts: Numbers) -> tuple[Numbers, float]:
    """Fit shift = offset + speed * place robustly; return (2, 2) and the root mean square residual."""
    matrix = np.stack([np.ones_like(places), places], axis=1)
    weights = np.ones_like(places)
    fit = np.zeros((2, 2))
    for _ in range(20):
        root = np.sqrt(weights)[:, np.newaxis]
        fit = np.linalg.lstsq(matrix * root, shifts * root, rcond=None)[0]
        away = np.hypot(*(shifts - matrix @ fit).T)
        # Tukey's biweight: a block that was matched at a wrong position gets no weight.
        scale = max(4.685 * float(np.median(away)) / 0.6745, 0.2)
        weights = np.clip(1 - (away / scale) ** 2, 1e-6, None) ** 2
    inside = weights > 0.05
    return fit, float(np.sqrt((away[inside] ** 2).mean()))


def _block_shift(slow: Numbers, fast: Numbers, top: int, bottom: int, reach: float) -> Numbers | None:
    """Return by how much a block of rows of the scan is shifted against the fast image, (dy, dx)."""
    from skimage import feature

    match: Any = feature.match_template

    wide = int(np.ceil(reach))
    side = min(wide, (slow.shape[1] - _LEAST_ROWS) // 2)
    block = slow[top:bottom, side : slow.shape[1] - side]
    if block.std() <= 1e-9 * (abs(block.mean()) + 1e-30):
        return None
    first, last = max(0, top - wide), min(fast.shape[0], bottom + wide)
    area = fast[first:last]
    scores = match(area, block)
    at = np.unravel_index(int(scores.argmax()), scores.shape)
    inside = all(0 < place < size - 1 for place, size in zip(at, scores.shape, strict=True))
    if not (inside and scores[at] > _LEAST_CORRELATION):
        return None
    fine = [_peak(scores, at, axis) for axis in (0, 1)]
    # The block lies at `fine` in the area; there the sample is, and here it was scanned.
    return np.array([top - (first + fine[0]), side - fine[1]])


def _peak(scores: Numbers, at: tuple[Any, ...], axis: int) -> float:
    """Return the place of the top of a parabola through the largest score and its two neighbours."""
    place = int(at[axis])
    index = list(at)
    values = []
    for step in (-1, 0, 1):
        index[axis] = place + step
        values.append(float(scores[tuple(index)]))
    below, top, above = values
    curvature = below - 2 * top + above
    return place + (0.5 * (below - above) / curvature if curvature < 0 else 0.0)


class ScanDriftStep(Operation):
    """Correct the drift of the sample during slow scans, by a fast image of the same area."""

    title: ClassVar[str] = "Drift within scans"
    whole_stack: ClassVar[bool] = True
    operation: ClassVar[str] = "scan_drift"
    main: ClassVar[str | None] = "fast"
    fast: str = Field(
        "", title="Fast image", description="Name of the signal with the fast images. It stays as it is."
    )
    slow: str | None = Field(
        None,
        title="Slow image",
        description="Name of the signal of the slow scan in which the drift is found. The sum of all counts "
        "if not given.",
    )
    blocks: int = Field(
        8, ge=3, le=64, title="Blocks", description="Blocks of rows that are looked for in the fast image."
    )
    largest_shift_px: float = Field(
        20.0, gt=0, le=1000, title="Largest shift (px)", description="Largest shift of a block, in pixels."
    )
    keep_offset: bool = Field(
        False, title="Keep offset", description="Undo shear and stretch only, and leave a constant shift."
    )

    def apply(self, dataset: Dataset) -> Dataset:
        """Correct the drift in the chosen signals, except the fast one. See `Operation.apply`."""
        if not self.fast.strip():
            raise ParameterError("scan_drift: found no fast image; expected the name of its signal")
        fast = dataset.resolve(self.fast.strip())
        drift = estimate_scan_drift(
            self._slow(dataset, fast),
            dataset[fast],
            blocks=self.blocks,
            largest_shift_px=self.largest_shift_px,
        )
        chosen = set(self.chosen(dataset)) - {fast}
        return dataset.map(
            lambda one: (
                self._recorded(one, correct_scan_drift(one, drift, keep_offset=self.keep_offset))
                if one.name in chosen
                else one
            )
        )

    def _slow(self, dataset: Dataset, fast: str) -> TiltSeries:
        if self.slow is not None:
            return dataset[self.slow.strip()]
        counts = [one for one in dataset if one.kind == "counts" and one.name != fast]
        if not counts:
            raise ParameterError("scan_drift: found no counts to sum; expected the name of the slow image")
        total = sum(one.data.astype("float32") for one in counts)
        return dataclasses.replace(counts[0], name="sum of the counts", data=total, background=None)
