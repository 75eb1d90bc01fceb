"""Data on its way to a device while another computation runs there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Any

import numpy as np
import numpy.typing as npt
import pyopencl as cl

from chemtomo.errors import DeviceMemoryError
from chemtomo.opencl.device import DeviceInfo, context_of

__all__ = ["Upload", "marked"]

_NOT_VALID = np.finfo(np.float32).min  # see kernels/common.cl


def marked(data: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.float32]:
    """Return data with the value that the kernels take for a pixel that is not valid.

    No datum has that value. So a mask takes neither memory nor time on a device.
    """
    return data if valid is None else np.where(valid, data, _NOT_VALID)


class Upload:
    """Arrays that are packed and copied to a device in a thread and a queue of their own.

    Parameters
    ----------
    executor : concurrent.futures.Executor
        Gives the thread.
    device : DeviceInfo
        Where to.
    pack : callable
        Makes the arrays; it runs in the thread.
    """

    def __init__(
        self, executor: Executor, device: DeviceInfo, pack: Callable[[], Sequence[npt.NDArray[Any]]]
    ) -> None:
        self._buffers: Future[list[Any]] = executor.submit(_copy, device, pack)

    def take(self) -> list[Any]:
        """Wait for the buffers and return them; the caller releases them.

        Raises
        ------
        DeviceMemoryError
            When the device could not hold them.
        """
        return self._buffers.result()

    def release(self) -> None:
        """Give the device memory back if the buffers are not taken."""
        if self._buffers.cancel() or self._buffers.exception() is not None:
            return
        for buffer in self._buffers.result():
            buffer.release()


def _copy(device: DeviceInfo, pack: Callable[[], Sequence[npt.NDArray[Any]]]) -> list[Any]:
    context = context_of(device)
    queue = cl.CommandQueue(context)
    buffers: list[Any] = []
    size = 0
    try:
        for array in pack():
            contiguous = np.ascontiguousarray(array)
            size += contiguous.nbytes
            buffers.append(cl.Buffer(context, cl.mem_flags.READ_ONLY, contiguous.nbytes))
            cl.enqueue_copy(queue, buffers[-1], contiguous, is_blocking=True)
        queue.finish()
    except (cl.MemoryError, cl.LogicError, cl.RuntimeError) as error:
        for buffer in buffers:
            buffer.release()
        raise DeviceMemoryError(f"{device.name} cannot hold {size / 2**20:.0f} MiB more") from error
    return buffers
