"""What a reconstruction method offers, so that it can run slab by slab."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, Protocol

import numpy.typing as npt

from chemtomo.opencl import DeviceInfo
from chemtomo.opencl.memory import MemoryEstimate
from chemtomo.solvers import Iteration

if TYPE_CHECKING:
    from chemtomo.opencl.upload import Upload

__all__ = ["Method", "SlabIteration"]


class SlabIteration(Iteration, Protocol):
    """An iterative method on some of the slices, in the units of the data."""

    @property
    def allocated_bytes(self) -> int:
        """Device memory in use."""

    def release(self) -> None:
        """Give the device memory back."""

    def release_all_but_image(self) -> None:
        """Give the device memory back, but for the image: only `slice` and `volume` work from now on."""

    def variables(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Yield all that `restore` needs to go on from here, by names; one array is in memory at a time."""

    def restore(self, variables: Mapping[str, npt.NDArray[Any]], iterations: int) -> None:
        """Go on from what `variables` gave after so many iterations, on this device or another one."""


class Method(Protocol):
    """A method with the whole data, that makes iterations for parts of it."""

    overlap: bool
    """Whether neighbouring slices depend on each other."""

    def estimate_memory(self, slices: int, device: DeviceInfo) -> MemoryEstimate:
        """Device memory for so many slices."""

    def upload(self, first: int, last: int, device: DeviceInfo, executor: Executor) -> Upload:
        """Send the data of some slices ahead, for an `iteration` of the same slices."""

    def iteration(
        self,
        first: int,
        last: int,
        device: DeviceInfo | None,
        should_stop: Callable[[], bool] | None = None,
        upload: Upload | None = None,
    ) -> SlabIteration:
        """Return the iteration of the slices ``first <= y < last``, at its start.

        `upload` is the data, if it was sent ahead. `should_stop` is asked where the preparation takes long;
        the iteration of a run that is stopped is never advanced.
        """
