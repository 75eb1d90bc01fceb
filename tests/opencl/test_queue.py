"""Buffers on a device, and what is said when it cannot hold them."""

from __future__ import annotations

import numpy as np
import pytest

from chemtomo.errors import DeviceError, DeviceMemoryError
from chemtomo.opencl import DeviceInfo

pytest.importorskip("pyopencl", exc_type=ImportError)

from chemtomo.opencl.queue import Queue


def test_what_is_written_is_read(device: DeviceInfo) -> None:
    queue = Queue(device, {})
    array = np.random.default_rng(0).random((3, 5)).astype(np.float32)
    buffer = queue.zeros(array.shape)
    np.testing.assert_array_equal(queue.read(buffer, array.shape), 0)
    queue.write(buffer, array)
    np.testing.assert_array_equal(queue.read(buffer, array.shape), array)
    np.testing.assert_array_equal(queue.read(queue.upload(array), array.shape), array)
    queue.fill(buffer)
    np.testing.assert_array_equal(queue.read(buffer, array.shape), 0)


def test_memory_is_counted(device: DeviceInfo) -> None:
    queue = Queue(device, {})
    first = queue.zeros((2, 3))
    beside = queue.beside({"DIMS": 2})
    second = beside.upload(np.zeros(10, np.float32))
    assert queue.allocated_bytes == beside.allocated_bytes == 64
    queue.release(second)
    assert queue.allocated_bytes == 24
    queue.release(first)
    assert queue.allocated_bytes == 0


def test_too_much_memory_is_an_error_that_names_both_sides(device: DeviceInfo) -> None:
    queue = Queue(device, {})
    with pytest.raises(DeviceMemoryError) as error:
        queue.zeros((2**20, 2**20))
    assert f"cannot hold {2**22} MiB: it reports {device.memory_bytes / 2**20:.0f} MiB" in str(error.value)
    assert "fewer slices or channels" in str(error.value)
    assert queue.allocated_bytes == 0


def test_a_kernel_that_the_device_refuses_is_an_error(device: DeviceInfo) -> None:
    queue = Queue(device, {})
    buffer = queue.zeros((4,))
    size = 2**20  # work items in one group, more than any device has
    with pytest.raises(DeviceError, match=f"{device.name} failed in weighted_residual"):
        queue.run(
            "data_term",
            "weighted_residual",
            (size, 1, 1),
            (size, 1, 1),
            *[buffer] * 4,
            np.int32(0),
            np.int32(1),
        )
