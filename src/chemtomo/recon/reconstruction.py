"""What every prepared reconstruction offers, in the units and the frame of its result."""

from __future__ import annotations

from typing import Protocol

from chemtomo.data import Volume
from chemtomo.solvers import Step

__all__ = ["Reconstruction"]


class Reconstruction(Step, Protocol):
    """A method with its data on a device, ready for `chemtomo.solvers.iterate`.

    As a `Step` it speaks in the units of the data and in the frame of the result: a slice or volume
    is padded and oriented like the volume that `result` returns.
    """

    @property
    def device(self) -> str:
        """Name of the device."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the channels."""

    def result(self) -> Volume:
        """Return the iterate as a volume, without provenance."""
