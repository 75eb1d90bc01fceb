"""The stream in which Velox stores the X-ray counts of a detector.

It is a list of 16-bit numbers in scan order. A number below 65535 is one count in that channel at the
current pixel; 65535 advances to the next pixel. The last pixel of a frame is followed by the first of the
next frame. There is no end mark.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.errors import ReadError

__all__ = ["Stream", "decode", "lazy_spectra"]

_NEXT_PIXEL = 65535
_PIECE = 1 << 22
_BLOCK_BYTES = 32 << 20


@dataclasses.dataclass(frozen=True)
class Stream:
    """The streams of a spectrum image, and how to read them.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    datasets : tuple of str
        One stream per detector; they are summed.
    shape : tuple of int
        Rows and columns of the scan.
    channels : int
        Number of energy channels.
    frames : int or None
        How many frames are summed; None for all.
    """

    path: Path
    datasets: tuple[str, ...]
    shape: tuple[int, int]
    channels: int
    frames: int | None = None


def decode(
    numbers: npt.NDArray[np.uint16], pixels: int, frames: int | None = None, start: int = 0
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint16], int]:
    """Return the pixel and channel of every count in a part of a stream.

    Parameters
    ----------
    numbers : numpy.ndarray of uint16
        The piece.
    pixels : int
        Pixels in a frame.
    frames : int, optional
        Frames after this many are left out.
    start : int
        Number of pixels before this part, over all frames.

    Returns
    -------
    pixel : numpy.ndarray of uint32
        Index in scan order, the same in every frame.
    channel : numpy.ndarray of uint16
    passed : int
        The `start` of the next part.
    """
    moves = numbers == _NEXT_PIXEL
    place = start + np.cumsum(moves)
    counts = ~moves
    if frames is not None:
        counts &= place < frames * pixels
    passed = int(place[-1]) if place.size else start
    return (place[counts] % pixels).astype(np.uint32), numbers[counts], passed


def lazy_spectra(stream: Stream) -> Any:
    """Return a dask array ``(y, x, energy)`` of uint16 that decodes the streams when needed.

    A computation reads each stream once and makes the spectra in blocks of rows, so that only the current
    blocks and the list of counts are in memory.
    """
    import dask.array  # slow to import
    from dask.delayed import delayed

    da: Any = dask.array  # it has no types

    rows, columns = stream.shape
    at_once = max(1, _BLOCK_BYTES // (columns * stream.channels * 2))
    counts = delayed(_counts, pure=False)(stream)
    blocks = []
    for first in range(0, rows, at_once):
        last = min(rows, first + at_once)
        block = delayed(_block, pure=False)(counts, stream, first, last)
        blocks.append(da.from_delayed(block, (last - first, columns, stream.channels), dtype=np.uint16))
    return da.concatenate(blocks) if len(blocks) > 1 else blocks[0]


def _counts(stream: Stream) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint16]]:
    """Return pixel and channel of all counts of all detectors, sorted by pixel."""
    import h5py

    pixels = stream.shape[0] * stream.shape[1]
    places, channels = [], []
    try:
        with h5py.File(stream.path, "r") as file:
            for name in stream.datasets:
                dataset, passed = file[name], 0
                for first in range(0, dataset.shape[0], _PIECE):
                    piece = np.asarray(dataset[first : first + _PIECE, 0], dtype=np.uint16)
                    place, channel, passed = decode(piece, pixels, stream.frames, passed)
                    places.append(place)
                    channels.append(channel)
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise ReadError(
            f"{stream.path}: the counts of the EDX spectrum image cannot be read ({error}); "
            "expected the file to stay as it was when it was opened"
        ) from error
    place, channel = np.concatenate(places), np.concatenate(channels)
    if channel.size and int(channel.max()) >= stream.channels:
        raise ReadError(
            f"{stream.path}: found a count in channel {int(channel.max())} of the EDX spectrum image; "
            f"expected less than {stream.channels}"
        )
    order = np.argsort(place, kind="stable")
    return place[order], channel[order]


def _block(
    counts: tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint16]], stream: Stream, first: int, last: int
) -> npt.NDArray[np.uint16]:
    """Return the spectra of some rows."""
    place, channel = counts
    columns, channels = stream.shape[1], stream.channels
    start, stop = np.searchsorted(place, [first * columns, last * columns])
    where = (place[start:stop].astype(np.int64) - first * columns) * channels + channel[start:stop]
    shape = (last - first, columns, channels)
    found = np.bincount(where, minlength=(last - first) * columns * channels)
    if found.max() > np.iinfo(np.uint16).max:
        raise ReadError(
            f"{stream.path}: found {found.max()} counts in one channel of a pixel; expected at most 65535"
        )
    return found.astype(np.uint16).reshape(shape)
