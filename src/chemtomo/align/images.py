"""Projections as the estimators use them: without their pedestal, and with constant ones marked."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.align.starting_point import current
from chemtomo.data import Alignment, TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.geometry import affine
from chemtomo.geometry.resample import warp

__all__ = [
    "Images",
    "nearest_to",
    "pedestal",
    "prepare_images",
    "shows_anything",
    "start_afresh",
    "taper",
    "with_neighbours_filled",
]

_LARGEST_EDGE_PX = 1024
_STRIP_PX = 8
_PIECES_PER_EDGE = 8
_NORMAL_MAD = 1.4826
_RELATIVE_RANGE_OF_CONSTANT = 1e-6

_Stack = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Images:
    """Projections ready to be compared.

    Attributes
    ----------
    stack : numpy.ndarray, shape (tilt, y, x)
        Float32, aligned as `start` says, without pedestal, in bins of `factor` pixels.
    usable : numpy.ndarray of bool, shape (tilt,)
        Which projections show anything: not those that are constant.
    noise : numpy.ndarray, shape (tilt,)
        Standard deviation of the pixels around the sample.
    start : Alignment
        How the recorded projections were brought here.
    factor : int
        Pixels of an edge of a bin; more than 1 only where projections are very large.
    """

    stack: _Stack
    usable: npt.NDArray[np.bool_]
    noise: npt.NDArray[np.float64]
    start: Alignment
    factor: int

    @property
    def tilts_deg(self) -> npt.NDArray[np.float64]:
        """Tilts in degrees, shape (tilt,)."""
        return self.start.tilts_deg

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of these images."""
        return self.stack.shape[1], self.stack.shape[2]

    def in_recorded_pixels(self, matrices: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return maps of these images as maps from further aligned pixels to the recorded projections."""
        return affine.compose(self.start.matrices, affine.rescale(matrices, self.factor, 1.0))


def prepare_images(series: TiltSeries, start: Alignment, largest: int = _LARGEST_EDGE_PX) -> Images:
    """Read the projections one by one, align them by `start` and remove their pedestal.

    Parameters
    ----------
    series : TiltSeries
        It is not modified. A background that it knows is subtracted.
    start : Alignment
        The alignment so far, of this series.
    largest : int
        Projections with more pixels along an edge are binned, to spare memory.

    Raises
    ------
    DataError
        When values are not finite, or no projection shows anything.
    """
    tilts, height, width = series.shape
    factor = max(1, -(-max(height, width) // largest))
    shape = max(1, height // factor), max(1, width // factor)
    rows = min(factor, height)
    stack = np.empty((tilts, *shape), dtype=np.float32)
    usable = np.zeros(tilts, dtype=bool)
    noise = np.zeros(tilts)
    matrices = start.matrices
    for tilt, projection in enumerate(series.projections()):
        image = np.asarray(projection, dtype=np.float32)
        if not np.isfinite(image).all():
            series.require_finite()  # says where
        if series.background is not None:
            image = image - np.asarray(series.background[tilt], dtype=np.float32)
        usable[tilt] = shows_anything(image)
        image = warp(image, matrices[tilt], fill="nearest")
        if factor > 1:
            cut = image[: shape[0] * rows, : shape[1] * factor]
            image = cut.reshape(shape[0], rows, shape[1], factor).mean(axis=(1, 3))
        level, noise[tilt] = pedestal(image)
        stack[tilt] = image - np.float32(level)
    if not usable.any():
        raise DataError(
            f"tilt series {series.name!r}: all projections are constant; expected some that show a sample"
        )
    return Images(stack, usable, noise, start, factor)


def shows_anything(image: npt.NDArray[Any]) -> bool:
    """Tell whether a projection is not constant. Its type may be one that cannot hold its own range."""
    low, high = float(image.min()), float(image.max())
    return high - low > _RELATIVE_RANGE_OF_CONSTANT * max(abs(low), abs(high))


def pedestal(image: npt.NDArray[np.floating]) -> tuple[float, float]:
    """Estimate the level around the sample, and the noise there.

    Strips along the four edges are cut into pieces. The darkest piece, and those that do not differ from
    it by more than noise, are taken for free of sample: a sample may cross any of the edges.

    Parameters
    ----------
    image : numpy.ndarray, shape (y, x)
        A projection.

    Returns
    -------
    level, noise : float
        Median and standard deviation.
    """
    strip = max(1, min(_STRIP_PX, min(image.shape) // 8))
    pieces = []
    for edge in (image[:strip], image[-strip:], image[:, :strip].T, image[:, -strip:].T):
        pieces += [
            piece.ravel() for piece in np.array_split(edge, min(_PIECES_PER_EDGE, edge.shape[1]), axis=1)
        ]
    medians = np.array([np.median(piece) for piece in pieces])
    spreads = np.array(
        [_NORMAL_MAD * np.median(np.abs(piece - one)) for piece, one in zip(pieces, medians, strict=True)]
    )
    darkest = int(medians.argmin())
    # the median of n values is known to about 1.25 sigma / sqrt(n)
    allowed = 5 * 1.25 * spreads[darkest] / np.sqrt(pieces[darkest].size)
    free = np.concatenate([pieces[one] for one in np.flatnonzero(medians <= medians[darkest] + allowed)])
    level = float(np.median(free))
    counted = float(free.mean())
    noise = float(_NORMAL_MAD * np.median(np.abs(free - level)))
    # Few counts: the median of a Poisson variable of mean 0.3 is 0. The mean is right then, and its noise.
    if noise == 0:
        level, noise = counted, float(free.std())
    return level, noise


def taper(shape: tuple[int, int], fraction: float) -> _Stack:
    """Return a window that falls to zero over `fraction` of the width at each edge, shape (y, x)."""
    sides = []
    for size in shape:
        from_edge = (np.minimum(np.arange(size), np.arange(size)[::-1]) + 0.5) / max(1.0, fraction * size)
        sides.append(0.5 - 0.5 * np.cos(np.pi * np.clip(from_edge, 0, 1)))
    window: _Stack = np.outer(*sides).astype(np.float32)
    return window


def nearest_to(tilts_deg: npt.NDArray[np.float64], usable: npt.NDArray[np.bool_], given: int | None) -> int:
    """Return the projection that the others are brought to: the given one, or the usable one nearest to 0.

    Raises
    ------
    ParameterError
        When there is no such projection, or it shows nothing.
    """
    if given is None:
        return int(np.where(usable, np.abs(tilts_deg), np.inf).argmin())
    if not 0 <= given < tilts_deg.size:
        raise ParameterError(f"reference tilt: found {given}; expected 0 to {tilts_deg.size - 1}")
    if not usable[given]:
        raise ParameterError(f"reference tilt: projection {given} is constant; expected one with a sample")
    return given


def start_afresh(series: TiltSeries, alignment: Alignment | None) -> Alignment:
    """Return the given alignment, or one that knows only where the series has its tilt axis."""
    return current(series if alignment is not None else series.replace(alignment=None), alignment)


def with_neighbours_filled(
    matrices: npt.NDArray[np.float64], tilts_deg: npt.NDArray[np.float64], usable: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Give projections that show nothing what lies between those of the neighbouring tilts."""
    if usable.all():
        return matrices
    order = np.argsort(tilts_deg[usable], kind="stable")
    known = tilts_deg[usable][order]
    filled = matrices.copy()
    for i in range(2):
        for j in range(3):
            filled[~usable, i, j] = np.interp(tilts_deg[~usable], known, matrices[usable, i, j][order])
    return filled
