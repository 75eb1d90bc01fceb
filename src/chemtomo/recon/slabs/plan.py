"""Divide volumes that are larger than the device memory into slabs of slices.

Methods that treat every slice by itself are exact in slabs. With derivatives across slices a slab
is reconstructed with additional slices on either side, which are discarded: the error at the seams is
measured in the documentation ("Large volumes").
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

from chemtomo.errors import DeviceMemoryError

__all__ = ["LEAST_OVERLAP", "OVERLAP", "Slab", "even_slabs", "halves", "plan_slabs"]

OVERLAP = 8
"""Additional slices on either side, which are discarded, with derivatives across slices."""

LEAST_OVERLAP = 2
"""Least overlap, to which it is reduced where less than a third of a slab would be kept."""


@dataclasses.dataclass(frozen=True)
class Slab:
    """Slices ``start <= y < stop`` are kept, ``first <= y < last`` are reconstructed."""

    first: int
    start: int
    stop: int
    last: int

    @property
    def slices(self) -> int:
        """Number of slices to reconstruct."""
        return self.last - self.first

    def times(self, factor: int) -> Slab:
        """Return the slab with all numbers multiplied."""
        return Slab(self.first * factor, self.start * factor, self.stop * factor, self.last * factor)


def plan_slabs(
    slices: int, overlap: int, fits: Callable[[int], bool], least: int | None = None, cell: int = 1
) -> tuple[Slab, ...]:
    """Split slices into as few slabs as fit, of about equal height.

    The overlap is reduced, at most to `LEAST_OVERLAP`, while less than a third of a slab would be kept.

    Parameters
    ----------
    slices : int
        Number of slices of the volume.
    overlap : int
        Slices to add on either side; 0 if slices do not depend on each other.
    fits : callable
        Tells whether a slab of so many slices fits the device.
    least : int, optional
        The number of slabs that is asked for. They have the whole overlap, if that fits.
    cell : int
        Edges of slabs are multiples of it.

    Raises
    ------
    DeviceMemoryError
        When not even one slice fits, with its overlap.
    """
    if cell > 1:
        of_cells = plan_slabs(slices // cell, -(-overlap // cell), lambda count: fits(count * cell), least)
        return tuple(slab.times(cell) for slab in of_cells)
    least = min(least or 1, slices)
    asked = even_slabs(slices, least, overlap)
    if fits(max(slab.slices for slab in asked)):
        return asked
    found: tuple[Slab, ...] = ()
    for tried in range(overlap, min(overlap, LEAST_OVERLAP) - 1, -1):
        slabs = _fewest(slices, tried, fits, max(2, least))
        if slabs:
            found = slabs
            if min(slab.stop - slab.start for slab in slabs) >= tried:
                break
    if not found:
        smallest = min(slices, 1 + 2 * min(overlap, LEAST_OVERLAP))
        raise DeviceMemoryError(
            f"a slab of {smallest} slices does not fit the memory; expected at least that much. "
            "Raise the memory, crop the detector, choose fewer channels, or 2 dimensions"
        )
    return found


def even_slabs(slices: int, count: int, overlap: int) -> tuple[Slab, ...]:
    """Split slices into `count` slabs of about equal height, with `overlap` more slices on either side."""
    return _split(0, slices, count, overlap, slices)


def _fewest(slices: int, overlap: int, fits: Callable[[int], bool], least: int) -> tuple[Slab, ...]:
    for count in range(least, slices + 1):
        slabs = _split(0, slices, count, overlap, slices)
        if fits(max(slab.slices for slab in slabs)):
            return slabs
    return ()


def halves(slab: Slab, overlap: int, slices: int, cell: int = 1) -> tuple[Slab, ...]:
    """Split a slab that did not fit after all, with at most its own overlap, which shrinks as in a plan.

    Raises
    ------
    DeviceMemoryError
        When the slab keeps only one slice.
    """
    if cell > 1 and slab.stop - slab.start >= 2 * cell:
        in_cells = Slab(slab.first // cell, slab.start // cell, slab.stop // cell, slab.last // cell)
        return tuple(one.times(cell) for one in halves(in_cells, -(-overlap // cell), slices // cell))
    if slab.stop - slab.start < 2 * cell:
        raise DeviceMemoryError(
            f"the device has not enough memory for slice {slab.start} with {slab.slices} slices in all; "
            "expected room for one. Crop the detector, choose fewer channels, or 2 dimensions"
        )
    own = max(slab.start - slab.first, slab.last - slab.stop) or overlap  # a whole volume has none
    kept = (slab.stop - slab.start) // 2
    return _split(slab.start, slab.stop, 2, min(own, max(LEAST_OVERLAP, kept)), slices)


def _split(start: int, stop: int, count: int, overlap: int, slices: int) -> tuple[Slab, ...]:
    edges = [start + (stop - start) * k // count for k in range(count + 1)]
    return tuple(
        Slab(max(0, low - overlap), low, high, min(slices, high + overlap))
        for low, high in itertools.pairwise(edges)
    )
