"""The device that the user means.

A device is named by ``auto`` (the fastest GPU, else the CPU), ``gpu``, ``cpu``, its number in `list_devices`,
or a part of its name or of its platform's. ``numpy`` is not an OpenCL device: it chooses the slow reference,
and is never chosen automatically. If no device fits, that is an error: no other device is used instead.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

from chemtomo.errors import DeviceError
from chemtomo.opencl.choice.comparison import compare, fastest
from chemtomo.opencl.device import HOW_TO_INSTALL, DeviceInfo, found_devices, rank_of

__all__ = ["ENVIRONMENT_VARIABLE", "NUMPY", "choose_device", "list_devices"]

ENVIRONMENT_VARIABLE = "CHEMTOMO_DEVICE"
NUMPY = "numpy"


def list_devices() -> list[DeviceInfo]:
    """Return the OpenCL devices of this computer; empty when there is none.

    Where the default is one of several drivers of the CPU, these are compared, once: see
    `chemtomo.opencl.choice.comparison`.

    Raises
    ------
    DeviceError
        When OpenCL itself cannot be loaded.
    """
    found = found_devices()
    best = _best([device for device in found if device.kind != "other"])
    drivers = _drivers_of_the_cpu(found) if best is not None and best.kind == "cpu" else []
    trials = compare(tuple(drivers)) if len(drivers) > 1 else {}
    return [dataclasses.replace(device, default=device == best, trial=trials.get(device)) for device in found]


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
        When there is no such device; the message lists the devices, and what to install.
    """
    wanted = (wanted or "").strip()
    if wanted.lower() in ("", "auto"):
        wanted = os.environ.get(ENVIRONMENT_VARIABLE, "").strip() or "auto"
    if wanted.lower() == NUMPY:
        return None
    devices = found_devices()
    if not devices:
        raise DeviceError(f"no OpenCL device was found; expected a GPU or a CPU. {HOW_TO_INSTALL}")
    best = _best(_fitting(devices, wanted.lower()))
    if best is not None:
        return best
    there = "; ".join(f"{device.number}: {device.name} ({device.kind})" for device in devices)
    raise DeviceError(
        f"no device fits {wanted!r}; expected auto, gpu, cpu, numpy, "
        f"or a number or part of a name of: {there}"
    )


def _fitting(devices: Sequence[DeviceInfo], wanted: str) -> list[DeviceInfo]:
    """Return the devices that a name may mean; those that have exactly this name before all others."""
    if wanted == "auto":
        return [device for device in devices if device.kind != "other"]
    if wanted in ("gpu", "cpu"):
        return [device for device in devices if device.kind == wanted]
    if wanted.isdigit():
        return [device for device in devices if wanted == str(device.number)]
    names = {device: (device.name.lower(), device.platform.lower()) for device in devices}
    exact = [device for device in devices if wanted in names[device]]
    return exact or [device for device in devices if any(wanted in name for name in names[device])]


def _best(devices: Sequence[DeviceInfo]) -> DeviceInfo | None:
    """Return the best of some devices by rank; among drivers of the CPU, the one with the faster trial."""
    best = max(devices, key=rank_of, default=None)
    if best is None or best.kind != "cpu":
        return best
    return fastest(_drivers_of_the_cpu(devices))


def _drivers_of_the_cpu(devices: Sequence[DeviceInfo]) -> list[DeviceInfo]:
    """Return the best device of every driver that has the CPU."""
    drivers: dict[str, DeviceInfo] = {}
    for device in sorted(devices, key=rank_of, reverse=True):
        if device.kind == "cpu":
            drivers.setdefault(device.platform, device)
    return list(drivers.values())
