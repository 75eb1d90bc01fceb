"""Independent parts of recorded data: thinned counts, halves of the tilts, tilts that are held out."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.preprocess.selection.tilts import select_tilts

__all__ = ["can_be_split", "halves_of_tilts", "split_counts", "without_tilts"]


def can_be_split(series: TiltSeries) -> bool:
    """Tell whether the series holds counts as they were recorded: whole numbers, none below 0."""
    if series.kind != "counts":
        return False
    if series.data.dtype.kind == "u":
        return True
    pairs = zip(series.projections(), series.valid_pixels(), strict=True)
    return all(_are_counts(image[valid]) for image, valid in pairs)


def split_counts(series: TiltSeries, shares: Sequence[float], seed: int = 0) -> tuple[TiltSeries, ...]:
    """Give every count to one of several parts by chance, which makes independent series of fewer counts.

    Poisson counts of mean ``v`` fall apart into independent Poisson counts of means ``share v``; this is
    binomial thinning (multinomial for more than two parts), which needs to know nothing of ``v``. The gains
    of a part are those of the series times its share, and so is its background, so that a reconstruction of
    every part has the density of the whole.

    Parameters
    ----------
    series : TiltSeries
        Counts as recorded: whole numbers. It is not modified, and a lazy one is read.
    shares : sequence of float
        The probability of each part, positive; together 1.
    seed : int
        Equal seeds give equal parts of a projection, whatever else is split.

    Returns
    -------
    tuple of TiltSeries
        One for every share. The parts add up to the whole wherever pixels are valid, and are 0 elsewhere.

    Raises
    ------
    DataError
        When the series holds no whole numbers of counts.
    ParameterError
        When the shares are not positive, or do not add up to 1.
    """
    given = np.asarray(shares, dtype=np.float64)
    if given.ndim != 1 or not (given > 0).all() or not np.isclose(given.sum(), 1):
        raise ParameterError(f"shares: found {list(shares)}; expected positive numbers that add up to 1")
    where = f"tilt series {series.name!r}"
    if series.kind != "counts":
        raise DataError(f"{where}: found intensities; expected counts, which can be split by chance")
    parts = np.zeros((given.size, *series.shape), dtype=series.data.dtype)
    channel = zlib.crc32(series.name.encode())
    images = zip(series.projections(), series.valid_pixels(), strict=True)
    for tilt, (image, valid) in enumerate(images):
        if not _are_counts(image[valid]):
            raise DataError(
                f"{where}: found values at {series.tilts_deg[tilt]:g} degrees that are no whole numbers, or "
                "are negative; expected counts as they were recorded, before filters and alignment"
            )
        rng = np.random.default_rng([seed, channel, series.number_recorded(tilt)])
        counts = np.where(valid, image, 0).astype(np.int64)
        parts[:, tilt] = _by_chance(counts, given, rng)
    gains = np.ones(series.shape[0]) if series.gains is None else series.gains
    background = None if series.background is None else np.asarray(series.background)
    return tuple(
        series.replace(
            data=part,
            gains=share * gains,
            background=None if background is None else (share * background).astype(background.dtype),
        )
        for part, share in zip(parts, given.tolist(), strict=True)
    )


def halves_of_tilts(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """Return the projections of every other tilt, and the others.

    Every signal is halved in the order of its own tilts, so that each half reaches as far as the whole.

    Raises
    ------
    DataError
        When a signal has a single projection.
    """
    for series in dataset:
        if series.shape[0] < 2:
            raise DataError(f"tilt series {series.name!r}: found one projection; expected two for halves")

    def half(series: TiltSeries, first: int) -> TiltSeries:
        order = np.argsort(series.tilts_deg, kind="stable")
        return select_tilts(series, np.sort(order[first::2]).tolist())

    return dataset.map(lambda one: half(one, 0)), dataset.map(lambda one: half(one, 1))


def without_tilts(series: TiltSeries, held_out: Sequence[int]) -> TiltSeries:
    """Return the series with no valid pixel in some projections: reconstructions leave them out.

    The projections stay, so that the geometry does not change.

    Parameters
    ----------
    series : TiltSeries
        It is not modified.
    held_out : sequence of int
        Numbers of projections.
    """
    valid = np.stack(list(series.valid_pixels()))
    valid[list(held_out)] = False
    return series.replace(valid=valid)


def _are_counts(values: npt.NDArray[Any]) -> bool:
    if values.dtype.kind == "u":
        return True
    return bool((values >= 0).all() and (values == np.rint(values)).all())


def _by_chance(
    counts: npt.NDArray[np.int64], shares: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Split counts (y, x) into parts (part, y, x): one binomial after the other, of what is left."""
    parts = np.empty((shares.size, *counts.shape), dtype=np.int64)
    left = counts.copy()
    of_rest = 1.0
    for number, share in enumerate(shares[:-1]):
        parts[number] = rng.binomial(left, min(share / of_rest, 1.0))
        left -= parts[number]
        of_rest -= share
    parts[-1] = left
    return parts
