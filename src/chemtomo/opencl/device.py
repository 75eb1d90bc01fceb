"""Which device computes: the one place where that is decided.

A device is named by ``auto`` (the fastest GPU, else the CPU), ``gpu``, ``cpu``, its number in
`list_devices`, or a part of its name. ``numpy`` is no OpenCL device: it chooses the slow reference,
and only ever by name. When nothing fits there is an error, never another device instead.
"""

from __future__ import annotations

import dataclasses
import os
from functools import cache
from typing import Any

from chemtomo.errors import DeviceError
from chemtomo.opencl.drivers import intel
from chemtomo.opencl.drivers.pocl_processor import name_unknown_processor
from chemtomo.opencl.drivers.pocl_toolchain import POCL, require_linker

__all__ = ["ENVIRONMENT_VARIABLE", "NUMPY", "DeviceInfo", "choose_device", "context_of", "list_devices"]

ENVIRONMENT_VARIABLE = "CHEMTOMO_DEVICE"
NUMPY = "numpy"

_HOW_TO_INSTALL = (
    "Install the driver of your GPU, which brings OpenCL, or a CPU device: on Linux (x86-64) "
    "'pip install pocl-binary-distribution', elsewhere the OpenCL runtime of Intel or PoCL. "
    "'--device numpy' runs the slow reference without any"
)


@dataclasses.dataclass(frozen=True)
class DeviceInfo:
    """An OpenCL device.

    Attributes
    ----------
    number : int
        Its place in the list.
    name, platform : str
        As the driver spells them.
    kind : {"gpu", "cpu", "other"}
        What it is.
    memory_bytes : int
        Global memory that the driver reports.
    compute_units : int
        Parallel units that the driver reports.
    largest_buffer_bytes : int
        Largest single buffer that the driver allows.
    default : bool
        Whether ``auto`` chooses it.
    """

    number: int
    name: str
    platform: str
    kind: str
    memory_bytes: int
    compute_units: int
    largest_buffer_bytes: int = 2**63 - 1
    default: bool = False


def _opencl() -> Any:
    try:
        import pyopencl
    except (ImportError, OSError) as error:
        raise DeviceError(f"OpenCL cannot be loaded ({error}). {_HOW_TO_INSTALL}") from error
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
    kinds = [_kind(cl, device) for device in found]
    order = sorted(range(len(found)), key=lambda at: _rank(found[at], kinds[at]), reverse=True)
    best = order[0] if order and kinds[order[0]] != "other" else None
    return tuple(
        (
            device,
            DeviceInfo(
                number,
                device.name.strip(),
                device.platform.name.strip(),
                kinds[number],
                int(device.global_mem_size),
                int(device.max_compute_units),
                int(device.max_mem_alloc_size),
                number == best,
            ),
        )
        for number, device in enumerate(found)
    )


def _kind(cl: Any, device: Any) -> str:
    if device.type & cl.device_type.GPU:
        return "gpu"
    return "cpu" if device.type & cl.device_type.CPU else "other"


def _rank(device: Any, kind: str) -> tuple[int, int, int, int]:
    """Sort key of ``auto``: GPUs first, those with memory of their own before others, then by speed."""
    own_memory = kind == "gpu" and not device.host_unified_memory
    speed = int(device.max_compute_units) * int(device.max_clock_frequency)
    return {"gpu": 2, "cpu": 1}.get(kind, 0), int(own_memory), speed, int(device.global_mem_size)


def list_devices() -> list[DeviceInfo]:
    """Return the OpenCL devices of this computer; empty when there is none.

    Raises
    ------
    DeviceError
        When OpenCL itself cannot be loaded.
    """
    return [info for _, info in _found()]


def choose_device(wanted: str | None = None) -> DeviceInfo | None:
    """Return the device that `wanted` means, or None for ``numpy``.

    Parameters
    ----------
    wanted : str, optional
        See the module. ``auto`` or nothing takes the environment variable ``CHEMTOMO_DEVICE``, and
        without that the best device.

    Raises
    ------
    DeviceError
        When there is no such device: what is there, and what to install.
    """
    wanted = (wanted or "").strip()
    if wanted.lower() in ("", "auto"):
        wanted = os.environ.get(ENVIRONMENT_VARIABLE, "").strip() or "auto"
    if wanted.lower() == NUMPY:
        return None
    devices = list_devices()
    if not devices:
        raise DeviceError(f"no OpenCL device was found; expected a GPU or a CPU. {_HOW_TO_INSTALL}")
    fitting = [device for device in devices if _fits(device, wanted.lower())]
    if fitting:
        return max(
            fitting, key=lambda device: (device.default, _rank(_found()[device.number][0], device.kind))
        )
    there = "; ".join(f"{device.number}: {device.name} ({device.kind})" for device in devices)
    raise DeviceError(
        f"no device fits {wanted!r}; expected auto, gpu, cpu, numpy, "
        f"or a number or part of a name of: {there}"
    )


def _fits(device: DeviceInfo, wanted: str) -> bool:
    if wanted == "auto":
        return device.default
    if wanted in ("gpu", "cpu"):
        return device.kind == wanted
    return wanted == str(device.number) or (not wanted.isdigit() and wanted in device.name.lower())


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
