"""The interface of reconstruction methods, which run slab by slab."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from chemtomo.opencl import DeviceInfo
from chemtomo.opencl.memory import MemoryEstimate
from chemtomo.solvers import Iteration
from chemtomo.solvers.backend import ImageStorage

if TYPE_CHECKING:
    from chemtomo.opencl.upload import Upload

__all__ = ["BackendIteration", "Method", "SlabIteration"]


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
        """Yield all that `restore` needs to continue, by names; one array is in memory at a time."""

    def restore(self, variables: Mapping[str, npt.NDArray[Any]], iterations: int) -> None:
        """Continue from what `variables` gave after so many iterations, on this device or another one."""


_Backend = TypeVar("_Backend", bound=ImageStorage)


class BackendIteration(Generic[_Backend]):
    """The part of a `SlabIteration` that concerns the memory and the image of its backend.

    Parameters
    ----------
    backend : ImageStorage
        Holds the image.
    units : numpy.ndarray, shape (channel,), optional
        Units of the backend's image, in those of the data; 1 by default.
    """

    def __init__(self, backend: _Backend, units: npt.NDArray[np.float32] | None = None) -> None:
        self._backend = backend
        self._units = units

    @property
    def allocated_bytes(self) -> int:
        """Device memory in use."""
        return self._backend.allocated_bytes

    def release(self) -> None:
        """Give the device memory back."""
        self._backend.release()

    def release_all_but_image(self) -> None:
        """Give the device memory back, but for the image."""
        self._backend.release_all_but_image()

    def slice(self, y: int) -> npt.NDArray[np.float32]:
        """Return the slice `y` of the iterate, shape (channel, z, x)."""
        return self._in_units_of_the_data(self._backend.slice(y))

    def volume(self) -> npt.NDArray[np.float32]:
        """Return the iterate, shape (channel, z, y, x)."""
        return self._in_units_of_the_data(self._backend.volume())

    def _in_units_of_the_data(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if self._units is None:
            return image
        return image * self._units.reshape(-1, *(1,) * (image.ndim - 1))


class Method(Protocol):
    """A method with all data, which makes iterations for slabs."""

    overlap: bool
    """Whether neighbouring slices depend on each other."""

    most_iterations: int | None
    """Iterations after which nothing changes any more, where there is such a number."""

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
