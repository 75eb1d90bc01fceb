"""Computers with other devices than this one: what pyopencl would tell of them."""

from collections.abc import Callable
from types import SimpleNamespace

GPU, CPU, ACCELERATOR = 4, 2, 8  # bits of CL_DEVICE_TYPE


def raw_device(
    name: str,
    kind: int,
    *,
    units: int = 8,
    shared: bool = False,
    available: bool = True,
    platform: str = "some platform",
    version: str = "1.0",
) -> SimpleNamespace:
    """What pyopencl tells of a device."""
    return SimpleNamespace(
        name=f" {name} ",
        platform=SimpleNamespace(name=f"{platform} "),
        driver_version=version,
        type=kind,
        global_mem_size=2**33,
        max_mem_alloc_size=2**31,
        max_compute_units=units,
        max_clock_frequency=1000,
        host_unified_memory=shared,
        available=available,
        compiler_available=True,
    )


class DriverError(Exception):
    """Stands for pyopencl.Error."""


DeviceList = Callable[..., None]
