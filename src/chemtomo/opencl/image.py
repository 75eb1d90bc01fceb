"""The image of an iterative method in the memory of a device."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.errors import DataError
from chemtomo.opencl.layout import Layout
from chemtomo.opencl.queue import Queue

__all__ = ["DeviceImage"]


class DeviceImage:
    """What the backends of all methods share: see `chemtomo.solvers.backend.ImageStorage`.

    Parameters
    ----------
    queue : Queue
        Owns all buffers of the backend.
    layout : Layout
        Order of the image in memory.
    image : buffer
        The image.
    shape : tuple of int
        Its shape in memory.
    """

    def __init__(self, queue: Queue, layout: Layout, image: Any, shape: tuple[int, int, int, int]) -> None:
        self._queue = queue
        self._layout = layout
        self._image = image
        self._volume_shape = shape

    @property
    def allocated_bytes(self) -> int:
        """Device memory in use."""
        return self._queue.allocated_bytes

    def release(self) -> None:
        """Give the device memory back; the backend cannot be used any more."""
        self._queue.release_all()

    def release_all_but_image(self) -> None:
        """Give the device memory back, but for the image: only `slice` and `volume` work from now on."""
        self._queue.release_all(but=(self._image,))

    def finish(self) -> None:
        """Wait until the device has done everything asked of it."""
        self._queue.finish()

    def slice(self, y: int) -> npt.NDArray[np.float32]:
        """Return the slice `y` of the image, shape (channel, z, x)."""
        if not 0 <= y < self._layout.slices:
            raise DataError(f"slice: found y = {y}; expected 0 to {self._layout.slices - 1}")
        return self._layout.unpack_slice(self._queue.read(self._image, self._volume_shape), y)

    def volume(self) -> npt.NDArray[np.float32]:
        """Return the image, shape (channel, z, y, x)."""
        return self._layout.unpack(self._queue.read(self._image, self._volume_shape))
