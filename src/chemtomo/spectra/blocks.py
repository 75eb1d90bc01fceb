"""Process spectra that do not fit into memory, block by block."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Generator, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import SpectrumSeries
from chemtomo.progress import TaskProgress, blocking

__all__ = ["Block", "block_list", "read_block", "sum_spectrum", "sum_spectrum_job"]

_BLOCK_BYTES = 128 * 2**20


@dataclasses.dataclass(frozen=True)
class Block:
    """A part of the pixels of one or a few tilts, with whole spectra.

    Attributes
    ----------
    tilts, rows, columns : slice
        The tilts and pixels.
    """

    tilts: slice
    rows: slice
    columns: slice

    @property
    def place(self) -> tuple[slice, slice, slice]:
        """Index of the block in an array of axes ``(tilt, y, x)``."""
        return self.tilts, self.rows, self.columns


def block_list(series: SpectrumSeries, block_bytes: int = _BLOCK_BYTES) -> list[Block]:
    """Divide spectra into blocks of about `block_bytes` at most, tilt by tilt.

    The blocks of lazy data follow the pieces in which a file holds them, so that each piece is read once.
    One such piece is the smallest block, however large it is.

    Parameters
    ----------
    series : SpectrumSeries
        The spectra.
    block_bytes : int
        Size of a block in memory.
    """
    tilts, height, width, energies = series.shape
    pixels = block_bytes // (energies * series.data.dtype.itemsize)
    chunks = getattr(series.data, "chunks", None) or ((1,) * tilts, (1,) * height, (width,))
    tilt_slices = list(_merged(chunks[0], 1))
    deepest = max(one.stop - one.start for one in tilt_slices)
    columns = list(_merged(chunks[2], pixels // (deepest * max(chunks[1]))))
    widest = max(one.stop - one.start for one in columns)
    rows = list(_merged(chunks[1], pixels // (deepest * widest)))
    return [Block(*place) for place in itertools.product(tilt_slices, rows, columns)]


def read_block(series: SpectrumSeries, block: Block, channels: slice = slice(None)) -> npt.NDArray[Any]:
    """Return the spectra of a block, shape (tilt, y, x, energy)."""
    return np.asarray(series.data[(*block.place, channels)])


def sum_spectrum_job(
    series: SpectrumSeries, *, should_stop: Callable[[], bool] | None = None
) -> Generator[TaskProgress, None, npt.NDArray[np.float64]]:
    """Add up the spectra of all pixels and tilts, block by block.

    Parameters
    ----------
    series : SpectrumSeries
        The spectra.
    should_stop : callable, optional
        Asked before every block; ``True`` ends with the sum so far.

    Yields
    ------
    TaskProgress
        After every block.

    Returns
    -------
    numpy.ndarray, shape (energy,)
        Counts in float64, exact up to 2^53.
    """
    total = np.zeros(series.shape[3])
    blocks = block_list(series)
    for done, block in enumerate(blocks, 1):
        if should_stop is not None and should_stop():
            break
        spectra = read_block(series, block).reshape(-1, series.shape[3])
        total += spectra.sum(axis=0, dtype=np.float64 if spectra.dtype.kind == "f" else np.int64)
        yield TaskProgress(done, len(blocks), "Adding up the spectra")
    return total


sum_spectrum = blocking(sum_spectrum_job)


def _merged(sizes: tuple[int, ...], most: int) -> Iterator[slice]:
    """Join neighbouring pieces as long as they have `most` pixels together at most."""
    start = stop = 0
    for size in sizes:
        if stop > start and stop - start + size > most:
            yield slice(start, stop)
            start = stop
        stop += size
    yield slice(start, stop)
