"""Sources of the kernels, and their compiled programs, which are cached."""

from __future__ import annotations

import functools
import importlib.resources
import re
import warnings
from collections.abc import Mapping
from typing import Any

import pyopencl as cl

from chemtomo.errors import DeviceError
from chemtomo.opencl.device import DeviceInfo, context_of

__all__ = ["KERNEL_FILES", "build", "kernel_source"]

# Every program starts with the shared part; files that need another name it here.
KERNEL_FILES: dict[str, tuple[str, ...]] = {
    "projector": ("common", "projector"),
    "data_term": ("common", "data_term"),
    "classical": ("common", "classical"),
    "dart": ("common", "dart"),
    "binning": ("common", "binning"),
    "total_variation": ("common", "derivatives", "nuclear", "total_variation"),
    "objective": ("common", "derivatives", "nuclear", "objective"),
    "feasible_objective": ("common", "derivatives", "nuclear", "objective"),
    "metric": ("common", "derivatives", "fft", "metric"),
}
_OWN_DEFINES = {"feasible_objective": {"SCALED_DUALS": 1}}


@functools.cache
def kernel_source(name: str) -> str:
    """Return the text of the program `name`, valid OpenCL C as it stands."""
    folder = importlib.resources.files("chemtomo.opencl") / "kernels"
    return "\n".join((folder / f"{part}.cl").read_text(encoding="utf-8") for part in KERNEL_FILES[name])


@functools.cache
def _constants_of(name: str) -> frozenset[str]:
    """Names that the program `name` uses, beyond giving them a default."""
    used = re.sub(r"^#(ifndef|define) \w+", "", kernel_source(name), flags=re.MULTILINE)
    return frozenset(re.findall(r"\b[A-Z]\w*\b", used))


def build(name: str, device: DeviceInfo, defines: Mapping[str, int]) -> Any:
    """Return the program `name`, compiled for a device with constants; built once for each.

    Constants that the program does not use are ignored.

    Raises
    ------
    DeviceError
        When the driver cannot compile the program; with the compiler's message.
    """
    used = _constants_of(name)
    constants = {key: value for key, value in defines.items() if key in used} | _OWN_DEFINES.get(name, {})
    return _build(name, device, tuple(sorted(constants.items())))


@functools.lru_cache(maxsize=256)
def _build(name: str, device: DeviceInfo, defines: tuple[tuple[str, int], ...]) -> Any:
    options = [f"-D{key}={value}" for key, value in defines] + ["-cl-std=CL1.2"]
    program = cl.Program(context_of(device), kernel_source(name))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", cl.CompilerWarning)
            return program.build(options)
    except cl.RuntimeError as error:
        raise DeviceError(f"{device.name} cannot compile the kernels {name!r}: {error}") from error
