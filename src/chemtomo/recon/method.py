"""What a reconstruction method offers, so that it can run slab by slab."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Protocol

from chemtomo.opencl import DeviceInfo
from chemtomo.opencl.memory import Need
from chemtomo.solvers import Step

if TYPE_CHECKING:
    from chemtomo.opencl.upload import Upload

__all__ = ["Method", "SlabStep"]


class SlabStep(Step, Protocol):
    """A step on some of the slices, in the units of the data."""

    @property
    def allocated_bytes(self) -> int:
        """Device memory in use."""

    def release(self) -> None:
        """Give the device memory back."""

    def release_all_but_image(self) -> None:
        """Give the device memory back, but for the image: only `slice` and `volume` work from now on."""


class Method(Protocol):
    """A method with the whole data, that makes steps for parts of it."""

    overlap: bool
    """Whether neighbouring slices depend on each other."""

    def need(self, slices: int, device: DeviceInfo) -> Need:
        """Device memory for so many slices."""

    def upload(self, first: int, last: int, device: DeviceInfo, executor: Executor) -> Upload:
        """Send the data of some slices ahead, for a `step` of the same slices."""

    def step(
        self,
        first: int,
        last: int,
        device: DeviceInfo | None,
        should_stop: Callable[[], bool] | None = None,
        upload: Upload | None = None,
    ) -> SlabStep:
        """Return the step for the slices ``first <= y < last``, at its start, with data that was sent ahead.

        `should_stop` is asked where that takes long; the step of a run that is stopped is never advanced.
        """
