"""What a reconstruction is said to take of the device's memory is what it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest

from chemtomo.functionals import Problem
from chemtomo.geometry import ParallelBeam
from chemtomo.opencl import DeviceInfo
from chemtomo.opencl.memory import _SMALL_BUFFERS_BYTES, estimate_sirt_memory, estimate_variational_memory
from chemtomo.recon.sirt import inverse_sums
from chemtomo.solvers.metric import FourierMetric

GEOMETRY = ParallelBeam([-60, -25, 0, 20, 55, 80], 45, (31, 40))


LieAsOn = Callable[[str], None]
SIZES = pytest.mark.parametrize(
    ("kind", "channels", "slices"), [("cpu", 2, 9), ("cpu", 3, 70), ("gpu", 5, 22), ("gpu", 1, 1)]
)


@SIZES
@pytest.mark.parametrize("second_order", [False, True])
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("background", [False, True])
def test_variational(
    device: DeviceInfo,
    lie_as_on: LieAsOn,
    kind: str,
    channels: int,
    slices: int,
    dims: Literal[2, 3],
    second_order: bool,
    background: bool,
) -> None:
    from chemtomo.opencl.variational import OpenCLBackend

    lie_as_on(kind)
    problem = Problem(
        geometry=GEOMETRY,
        data=np.ones((channels, 6, slices, 45), np.float32),
        weights=np.ones(channels),
        alpha0=4.0,
        alpha1=1.0,
        dims=dims,
        data_term="kl",
        coupling="frobenius",
        second_order=second_order,
        operator_norm=15.0,
        background=np.ones((channels, 6, slices, 45), np.float32) if background else None,
    )
    arguments: dict[str, Any] = {
        "dims": dims,
        "second_order": second_order,
        "device": device,
        "background": background,
    }
    backend = OpenCLBackend(problem, device)
    need = estimate_variational_memory(GEOMETRY, channels, slices, fast=False, **arguments)
    assert 0 <= need.total - backend.allocated_bytes <= _SMALL_BUFFERS_BYTES

    steps = (1.0,) * channels
    metric = FourierMetric.of_problem(problem, 1.0, 1.0, steps, steps)
    backend.reserve(metric)
    need = estimate_variational_memory(GEOMETRY, channels, slices, fast=True, **arguments)
    assert 0 <= need.total - backend.allocated_bytes <= _SMALL_BUFFERS_BYTES
    backend.reserve(metric)
    assert 0 <= need.total - backend.allocated_bytes <= _SMALL_BUFFERS_BYTES
    largest = max(buffer.size for buffer in backend._queue._buffers)
    assert need.largest == largest
    backend.release()
    assert backend.allocated_bytes == 0


@SIZES
def test_sirt(device: DeviceInfo, lie_as_on: LieAsOn, kind: str, channels: int, slices: int) -> None:
    from chemtomo.opencl.sirt import OpenCLSirt

    lie_as_on(kind)
    data = np.ones((channels, 6, slices, 45), np.float32)
    weights = np.ones((channels, 6))
    sirt = OpenCLSirt(GEOMETRY, data, *inverse_sums(GEOMETRY, weights), weights, True, device)
    need = estimate_sirt_memory(GEOMETRY, channels, slices, device=device)
    assert 0 <= need.total - sirt.allocated_bytes <= _SMALL_BUFFERS_BYTES
    assert need.largest == max(buffer.size for buffer in sirt._queue._buffers)
    sirt.release()
    assert sirt.allocated_bytes == 0
