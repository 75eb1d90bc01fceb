"""Whether PoCL, the OpenCL driver of the CPU, can link the kernels that it compiles.

PoCL calls the linker of the system for every kernel. Where that fails, for want of a linker or of the
C library's development files, it ends the whole process, and with it napari and unsaved work.
So before PoCL is used another process tries it, unless all that is needed is seen to be there.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from chemtomo.errors import DeviceError

__all__ = ["POCL", "require_linker"]

POCL = "Portable Computing Language"

_PROBE = f"""
import pyopencl as cl
from chemtomo.opencl.drivers.pocl_processor import name_unknown_processor
device = next(d for p in cl.get_platforms() if p.name.strip() == {POCL!r} for d in p.get_devices())
name_unknown_processor(device.int_ptr)
context = cl.Context([device])
queue = cl.CommandQueue(context)
program = cl.Program(context, "__kernel void probe(__global float *a) {{ a[0] = 1; }}").build()
program.probe(queue, (1,), None, cl.Buffer(context, cl.mem_flags.READ_WRITE, 4))
queue.finish()
"""


@cache
def require_linker(platform: str) -> None:
    """Raise unless kernels can be linked on an OpenCL platform; tried once for each.

    Parameters
    ----------
    platform : str
        Name of the OpenCL platform. Only that of PoCL on Linux needs a linker.

    Raises
    ------
    DeviceError
        When they cannot: what the linker said, and what to install.
    """
    if platform != POCL or sys.platform != "linux" or _tool_chain_is_there():
        return
    done = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
    raise DeviceError(
        f"PoCL, the OpenCL driver of the CPU, cannot link kernels ({lines[0]}). It needs the C tool chain: "
        "'sudo apt-get install gcc libc6-dev' on Debian and Ubuntu, "
        "'sudo dnf install gcc glibc-devel' on Fedora"
    )


def _tool_chain_is_there() -> bool:
    """Tell whether linker, compiler library and C library are where PoCL looks for them first."""
    usr_lib = Path("/usr/lib")
    return (
        shutil.which("ld") is not None
        and any(usr_lib.glob("gcc/*/*/libgcc.a"))
        and any(
            folder.joinpath("libc.so").exists() for folder in (Path("/usr/lib64"), *usr_lib.glob("*-linux-*"))
        )
    )
