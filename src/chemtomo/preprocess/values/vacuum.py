"""The zero of an intensity: the level of vacuum in every projection; and saturated pixels.

Electron detectors have an offset that drifts, and files store their signal as signed numbers. A
reconstruction needs the signal above vacuum, with the noise on both sides of zero.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import TiltSeries
from chemtomo.preprocess.stacks import each_projection, recorded

__all__ = ["Vacuum", "find_vacuum", "from_vacuum", "without_saturated"]

_Image = npt.NDArray[Any]
_NORMAL_MAD = 1.4826
# Size of the tiles into which a projection is divided.
_TILES_PER_EDGE = 32
_LEAST_TILE_PX = 4
# The darkest tiles give a candidate for the level. It is vacuum if many more agree with it within the noise.
_DARKEST = 0.02
_AGREEING = 0.04
_TOLERANCE_SIGMA = 5.0
# A film that fills the field gets brighter as 1 / cos(tilt), vacuum does not.
_FILM_SIGMA = 5.0
_FILM_FRACTION = 0.005
_LEAST_TILTS = 5
# An offset below this fraction of the signal is left alone.
_NEGLIGIBLE = 0.002
# Noise does not reach further below vacuum than this: lower values are no measurements.
_DEEPEST_SIGMA = 8.0
_NO_VACUUM_PERCENTILE = 0.1
_LEAST_SATURATED = 4
_CAMERA_BITS = (8, 10, 12, 14, 15, 16)


@dataclasses.dataclass(frozen=True)
class Vacuum:
    """The level of vacuum of a series.

    Attributes
    ----------
    levels : numpy.ndarray, shape (tilt,)
        Of every projection, in the units of the data.
    errors : numpy.ndarray, shape (tilt,)
        Standard errors of the levels.
    noise : float
        Standard deviation of a pixel in vacuum, the median over the projections.
    visible : bool
        Whether vacuum is in view. If not, the levels are a low percentile of the whole series, and the errors
        NaN.
    """

    levels: npt.NDArray[np.float64]
    errors: npt.NDArray[np.float64]
    noise: float
    visible: bool


def find_vacuum(series: TiltSeries) -> Vacuum:
    """Find the level of vacuum in every projection of an intensity.

    A projection is cut into tiles. The darkest ones are vacuum when many others agree with them to within the
    noise, and when their level does not rise as 1 / cos(tilt), as that of a film that fills the field does.

    Parameters
    ----------
    series : TiltSeries
        It is not modified. Pixels that are not valid are left out.
    """
    found = [
        _level_of(np.asarray(image, dtype=np.float64), valid)
        for image, valid in zip(series.projections(), series.valid_pixels(), strict=True)
    ]
    seen = np.array([one is not None for one in found])
    if 2 * seen.sum() >= seen.size:
        known = np.array([one for one in found if one is not None])
        order = np.argsort(series.tilts_deg[seen], kind="stable")
        tilts = series.tilts_deg[seen][order]
        levels, errors, noise = (np.interp(series.tilts_deg, tilts, column[order]) for column in known.T)
        levels[seen], errors[seen] = known[:, 0], known[:, 1]
        if not _rises_as_a_film(series, levels, seen):
            return Vacuum(levels, errors, float(np.median(noise)), True)
    lowest = min(
        float(np.percentile(image[valid], _NO_VACUUM_PERCENTILE))
        for image, valid in zip(series.projections(), series.valid_pixels(), strict=True)
        if valid.any()
    )
    count = series.shape[0]
    return Vacuum(np.full(count, lowest), np.full(count, np.nan), 0.0, False)


def from_vacuum(series: TiltSeries) -> tuple[TiltSeries, str | None]:
    """Return an intensity with its offset as background, and a note on what was found.

    The level of vacuum is subtracted from every projection, and a constant is added that keeps the noise
    below vacuum positive; the same constant becomes the background. So no noise is cut off, and the result
    suits both data terms: Kullback-Leibler (a Poisson variable shifted by the variance of the readout; Snyder
    et al. 1995) and least squares. Counts, series with a background, and intensities that begin at zero are
    returned as they are.

    Parameters
    ----------
    series : TiltSeries
        It is not modified; a lazy one stays lazy.
    """
    if series.kind == "counts" or series.background is not None:
        return series, None
    vacuum = find_vacuum(series)
    lowest, brightest = _range_above(series, vacuum.levels)
    raw_lowest = min(float(image[valid].min()) for image, valid in _pixels(series))
    largest = float(np.abs(vacuum.levels).max())
    if raw_lowest >= 0 and (not vacuum.visible or largest <= _NEGLIGIBLE * brightest):
        return series, None
    depth = max(0.0, -lowest)
    deepest = depth
    if vacuum.visible:
        deepest = min(depth, _DEEPEST_SIGMA * vacuum.noise) if vacuum.noise > 0 else depth
    levels = vacuum.levels - deepest
    known = series.valid

    def above(image: _Image, tilt: int) -> _Image:
        return np.asarray(np.maximum(image.astype(np.float64) - levels[tilt], 0))

    def measured(image: _Image, tilt: int) -> npt.NDArray[np.bool_]:
        deep_enough: npt.NDArray[np.bool_] = image >= levels[tilt] - 1e-6 * brightest
        return deep_enough if known is None else deep_enough & np.asarray(known[tilt])

    changed = series.replace(
        data=each_projection(series.data, above, dtype=np.float32),
        background=np.broadcast_to(np.float32(deepest), series.shape),
        valid=each_projection(series.data, measured, dtype=np.bool_) if deepest < depth else known,
        provenance=recorded(
            series, "from_vacuum", levels=vacuum.levels.tolist(), pedestal=deepest, visible=vacuum.visible
        ),
    )
    low, high = vacuum.levels.min(), vacuum.levels.max()
    between = f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g}"
    if not vacuum.visible:
        return changed, (
            f"{series.name}: no vacuum in view, and negative values; the lowest {_NO_VACUUM_PERCENTILE:g} % "
            f"of the pixels are taken for zero, at {between}. Subtract the offset of the detector if it is "
            "known (prepare, background constant)"
        )
    text = f"{series.name}: vacuum at {between} (± {np.median(vacuum.errors):.2g}) is taken for zero"
    if deepest < depth:
        text += f"; pixels more than {_DEEPEST_SIGMA:g} standard deviations below it are left out"
    return changed, text


def without_saturated(series: TiltSeries) -> tuple[TiltSeries, str | None]:
    """Return a series in which saturated pixels are not valid, and a note on them.

    Saturated are the pixels of an intensity in whole numbers that are at the largest number of their type, or
    of a camera of 8 to 16 bits, if that is the largest value and several pixels have it.

    Parameters
    ----------
    series : TiltSeries
        As recorded; it is not modified, and a lazy one stays lazy.
    """
    if series.kind == "counts" or series.data.dtype.kind not in "iu":
        return series, None
    limits = {2**bits - 1 for bits in _CAMERA_BITS} | {int(np.iinfo(series.data.dtype).max)}
    largest = max(int(image.max()) for image in series.projections())
    if largest not in limits:
        return series, None
    count = sum(int((image == largest).sum()) for image in series.projections())
    if count < _LEAST_SATURATED:
        return series, None
    known = series.valid

    def measured(image: _Image, tilt: int) -> npt.NDArray[np.bool_]:
        below: npt.NDArray[np.bool_] = image < largest
        return below if known is None else below & np.asarray(known[tilt])

    masked = series.replace(
        valid=each_projection(series.data, measured, dtype=np.bool_),
        provenance=recorded(series, "without_saturated", level=largest),
    )
    return masked, f"{series.name}: {count} pixels are saturated, at {largest}; they are left out"


def _pixels(series: TiltSeries) -> Iterator[tuple[_Image, npt.NDArray[np.bool_]]]:
    """Yield projections that have valid pixels, with these; one at a time, to spare memory."""
    pairs = zip(series.projections(), series.valid_pixels(), strict=True)
    yield from ((image, valid) for image, valid in pairs if valid.any())


def _level_of(image: _Image, valid: npt.NDArray[np.bool_]) -> tuple[float, float, float] | None:
    """Return level, its error and the noise of a pixel; None where no vacuum is in view."""
    height, width = image.shape
    edge = max(_LEAST_TILE_PX, min(height, width) // _TILES_PER_EDGE)
    tall, wide = min(edge, height), min(edge, width)
    rows, columns = height // tall, width // wide

    def tiled(array: _Image) -> _Image:
        cut = array[: rows * tall, : columns * wide].reshape(rows, tall, columns, wide)
        return cut.transpose(0, 2, 1, 3).reshape(rows * columns, tall * wide)

    tiles = tiled(image)[tiled(valid).all(axis=1)]
    if len(tiles) < 1 / _DARKEST:
        return None
    medians = np.median(tiles, axis=1)
    spreads = _NORMAL_MAD * np.median(np.abs(tiles - medians[:, np.newaxis]), axis=1)
    darkest = np.argsort(medians, kind="stable")[: max(2, int(_DARKEST * len(tiles)))]
    noise = float(np.median(spreads[darkest]))
    # the median of n values is known to about 1.25 sigma / sqrt(n)
    allowed = _TOLERANCE_SIGMA * 1.25 * noise / np.sqrt(tiles.shape[1])
    agreeing = np.abs(medians - np.median(medians[darkest])) <= allowed
    if agreeing.sum() < _AGREEING * len(tiles):
        return None
    values = tiles[agreeing].ravel()
    level = float(np.median(values))
    noise = float(_NORMAL_MAD * np.median(np.abs(values - level)))
    if noise == 0:  # most pixels have the same whole number
        noise = float(values.std())
    of_tiles = float(np.std(medians[agreeing])) / np.sqrt(agreeing.sum())
    return level, max(1.25 * noise / np.sqrt(values.size), of_tiles), noise


def _rises_as_a_film(
    series: TiltSeries, levels: npt.NDArray[np.float64], seen: npt.NDArray[np.bool_]
) -> bool:
    path = 1 / np.maximum(np.cos(np.deg2rad(series.tilts_deg[seen])), 0.05)
    reach = float(np.ptp(path))
    if seen.sum() < _LEAST_TILTS or reach < 0.1:
        return False
    slope, offset = np.polyfit(path, levels[seen], 1)
    scatter = float(np.sqrt(np.mean((levels[seen] - slope * path - offset) ** 2)))
    _, brightest = _range_above(series, levels)
    rise = slope * reach
    return bool(rise > _FILM_SIGMA * scatter and rise > _FILM_FRACTION * brightest)


def _range_above(series: TiltSeries, levels: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the lowest value above the levels, and the 99th percentile of the brightest projection."""
    lowest, brightest = np.inf, 0.0
    for image, valid, level in zip(series.projections(), series.valid_pixels(), levels, strict=True):
        values = image[valid].astype(np.float64) - level
        if values.size:
            lowest = min(lowest, float(values.min()))
            brightest = max(brightest, float(np.percentile(values, 99)))
    return lowest, brightest
