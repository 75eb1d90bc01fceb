"""The OpenCL devices of this computer, with one context each."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

from chemtomo.errors import DeviceError
from chemtomo.opencl.drivers import intel
from chemtomo.opencl.drivers.pocl_processor import name_unknown_processor
from chemtomo.opencl.drivers.pocl_toolchain import POCL, require_linker

__all__ = ["HOW_TO_INSTALL", "DeviceInfo", "Trial", "context_of", "found_devices", "rank_of"]

HOW_TO_INSTALL = (
    "Install the driver of your GPU, which brings OpenCL, or a driver for the CPU: on Linux (x86-64) "
    "'pip install pocl-binary-distribution', "
    "there and under Windows 'pip install \"napari-chemtomo[intel]\"', elsewhere PoCL. "
    "'--device numpy' runs the slow reference without any"
)


@dataclasses.dataclass(frozen=True)
class Trial:
    """The result of the trial of a driver: see `chemtomo.opencl.choice.comparison`.

    Attributes
    ----------
    seconds : float or None
        Time of a small iteration; None if the driver failed.
    error : str
        Why it failed.
    """

    seconds: float | None
    error: str = ""


@dataclasses.dataclass(frozen=True)
class DeviceInfo:
    """An OpenCL device.

    Attributes
    ----------
    number : int
        Its index in the list.
    name, platform : str
        As the driver spells them.
    kind : {"gpu", "cpu", "other"}
        Kind of the device.
    memory_bytes : int
        Global memory that the driver reports.
    compute_units : int
        Parallel units that the driver reports.
    largest_buffer_bytes : int
        Largest single buffer that the driver allows.
    driver_version : str
        As the driver spells it.
    default : bool
        Whether ``auto`` chooses it.
    trial : Trial, optional
        Its trial, where it had one.
    """

    number: int
    name: str
    platform: str
    kind: str
    memory_bytes: int
    compute_units: int
    largest_buffer_bytes: int = 2**63 - 1
    driver_version: str = ""
    default: bool = dataclasses.field(default=False, compare=False)
    trial: Trial | None = dataclasses.field(default=None, compare=False)


def _opencl() -> Any:
    try:
        import pyopencl
    except (ImportError, OSError) as error:
        raise DeviceError(f"OpenCL cannot be loaded ({error}). {HOW_TO_INSTALL}") from error
    return pyopencl


@cache
def _found() -> tuple[tuple[Any, DeviceInfo], ...]:
    with intel.announced():
        cl = _opencl()
        try:
            platforms = cl.get_platforms()
        except cl.Error:  # the loader found no driver
            platforms = []
    found = []
    for platform in platforms:
        try:
            devices = platform.get_devices()
        except cl.Error:  # a driver without its hardware
            continue
        found += [device for device in devices if device.available and device.compiler_available]
    return tuple(
        (
            device,
            DeviceInfo(
                number,
                device.name.strip(),
                device.platform.name.strip(),
                _kind(cl, device),
                int(device.global_mem_size),
                int(device.max_compute_units),
                int(device.max_mem_alloc_size),
                device.driver_version.strip(),
            ),
        )
        for number, device in enumerate(found)
    )


def _kind(cl: Any, device: Any) -> str:
    if device.type & cl.device_type.GPU:
        return "gpu"
    return "cpu" if device.type & cl.device_type.CPU else "other"


def found_devices() -> list[DeviceInfo]:
    """Return the OpenCL devices of this computer, without a default; empty when there is none.

    Raises
    ------
    DeviceError
        When OpenCL itself cannot be loaded.
    """
    return [info for _, info in _found()]


def rank_of(device: DeviceInfo) -> tuple[int, int, int, int]:
    """Sort key: GPUs before CPUs, devices with their own memory before others, then by speed."""
    handle = _found()[device.number][0]
    own_memory = device.kind == "gpu" and not handle.host_unified_memory
    speed = device.compute_units * int(handle.max_clock_frequency)
    return {"gpu": 2, "cpu": 1}.get(device.kind, 0), int(own_memory), speed, device.memory_bytes


@cache
def context_of(device: DeviceInfo) -> Any:
    """Return the OpenCL context of a device, one for the whole program.

    Raises
    ------
    DeviceError
        When the device could not run a kernel: see `chemtomo.opencl.drivers.pocl_toolchain`.
    """
    handle = _found()[device.number][0]
    if device.platform == POCL:
        name_unknown_processor(handle.int_ptr)
    require_linker(device.platform)
    return _opencl().Context([handle])
