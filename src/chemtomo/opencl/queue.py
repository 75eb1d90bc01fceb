"""A device with its queue, and the buffers and kernels of one computation on it."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyopencl as cl

from chemtomo.errors import DeviceError, DeviceMemoryError
from chemtomo.opencl.device import DeviceInfo, context_of
from chemtomo.opencl.program import build

__all__ = ["Queue"]


class Queue:
    """Buffers, kernels and transfers on one device, in order.

    Parameters
    ----------
    device : DeviceInfo
        Where to compute.
    defines : mapping of str to int
        Constants that all kernels are compiled with.
    """

    def __init__(self, device: DeviceInfo, defines: Mapping[str, int]) -> None:
        self.device = device
        self.defines = dict(defines)
        self.context = context_of(device)
        self.queue = cl.CommandQueue(self.context)
        self._buffers: list[Any] = []
        self._kernels: dict[tuple[str, str], Any] = {}

    @property
    def allocated_bytes(self) -> int:
        """Device memory in the buffers of this queue."""
        return sum(int(buffer.size) for buffer in self._buffers)

    def beside(self, defines: Mapping[str, int]) -> Queue:
        """Return the same queue for kernels that are compiled with other constants."""
        other = copy.copy(self)  # shares queue and buffers
        other.defines = dict(defines)
        other._kernels = {}
        return other

    def redefine(self, defines: Mapping[str, int]) -> None:
        """Compile the kernels with other constants from now on."""
        self.defines = dict(defines)
        self._kernels = {}

    def release(self, buffer: Any) -> None:
        """Give a buffer's memory back."""
        self._buffers.remove(buffer)
        buffer.release()

    def release_all(self, but: Sequence[Any] = ()) -> None:
        """Give the memory of all buffers back, except of those in `but`."""
        self.queue.finish()
        for buffer in [one for one in self._buffers if not any(one is kept for kept in but)]:
            self.release(buffer)

    def kernel(self, program: str, name: str) -> Any:
        """Return a kernel of a program; the kernel object is this queue's own."""
        key = program, name
        if key not in self._kernels:
            self._kernels[key] = cl.Kernel(build(program, self.device, self.defines), name)
        return self._kernels[key]

    def run(
        self, program: str, name: str, size: Sequence[int], group: Sequence[int], *arguments: Any
    ) -> None:
        """Enqueue a kernel; the global size is rounded up to whole work groups."""
        whole = tuple(-(-n // g) * g for n, g in zip(size, group, strict=True))
        with self._errors_named(name):
            self.kernel(program, name)(self.queue, whole, tuple(group), *arguments)

    def zeros(self, shape: Sequence[int]) -> Any:
        """Allocate float32 zeros.

        Raises
        ------
        DeviceMemoryError
            When the device memory is too small.
        """
        size = 4 * int(np.prod(shape, dtype=np.int64))
        try:
            buffer = cl.Buffer(self.context, cl.mem_flags.READ_WRITE, size)
            self.fill(buffer, size)
            self.queue.finish()
        except (cl.MemoryError, cl.LogicError, cl.RuntimeError) as error:
            raise DeviceMemoryError(
                f"{self.device.name} cannot hold {(self.allocated_bytes + size) / 2**20:.0f} MiB: it reports "
                f"{self.device.memory_bytes / 2**20:.0f} MiB. Choose fewer slices or channels, or crop"
            ) from error
        self._buffers.append(buffer)
        return buffer

    def fill(self, buffer: Any, size: int | None = None) -> None:
        """Set a buffer to zero."""
        zero = np.zeros((), dtype=np.float32)
        cl.enqueue_fill_buffer(self.queue, buffer, zero, 0, buffer.size if size is None else size)

    def upload(self, array: npt.NDArray[Any]) -> Any:
        """Copy an array into a new buffer; its bytes count as allocated."""
        array = np.ascontiguousarray(array)
        try:
            flags = cl.mem_flags.READ_ONLY | cl.mem_flags.COPY_HOST_PTR
            buffer = cl.Buffer(self.context, flags, hostbuf=array)
        except (cl.MemoryError, cl.LogicError, cl.RuntimeError) as error:
            raise DeviceMemoryError(
                f"{self.device.name} cannot hold {array.nbytes / 2**20:.0f} MiB more"
            ) from error
        self._buffers.append(buffer)
        return buffer

    def adopt(self, buffer: Any) -> Any:
        """Take over a buffer that was made elsewhere; its bytes count as allocated."""
        self._buffers.append(buffer)
        return buffer

    def write(self, buffer: Any, array: npt.NDArray[Any]) -> None:
        """Copy an array into a buffer."""
        with self._errors_named("a transfer"):
            cl.enqueue_copy(self.queue, buffer, np.ascontiguousarray(array))

    def read(self, buffer: Any, shape: Sequence[int]) -> npt.NDArray[np.float32]:
        """Copy a buffer of float32 back."""
        result = np.empty(shape, dtype=np.float32)
        with self._errors_named("a transfer"):
            cl.enqueue_copy(self.queue, result, buffer)
        return result

    def finish(self) -> None:
        """Wait for everything enqueued."""
        with self._errors_named("a computation"):
            self.queue.finish()

    @contextlib.contextmanager
    def _errors_named(self, doing: str) -> Iterator[None]:
        """Turn errors of the driver into our own: what failed where. Some come later than their cause."""
        try:
            yield
        except cl.MemoryError as error:
            raise DeviceMemoryError(f"{self.device.name} ran out of memory in {doing}: {error}") from error
        except cl.Error as error:
            raise DeviceError(f"{self.device.name} failed in {doing}: {error}") from error
