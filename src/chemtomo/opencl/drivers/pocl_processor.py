"""PoCL on processors that are newer than the compiler inside it.

PoCL asks LLVM for the name of the processor, and hands it to the compiler of kernels. LLVM calls a
processor that it does not know ``generic``, which is the one name that this compiler refuses for x86:
``error: unknown target CPU 'generic'``, and no kernel can be built (pocl issue 1049). The release on PyPI
has LLVM 14, which knows neither AMD's Zen 5 nor its successors.

PoCL offers no setting for the name. It keeps a pointer to it in its description of the device, and reads it
at every build. So this module puts another name there: that of a processor with the instructions which the
functions built into PoCL are compiled for on this computer. Nothing is touched unless the name is
``generic``.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from pathlib import Path

__all__ = ["name_unknown_processor", "processor_with"]

_UNKNOWN = b"generic\0"
_DESCRIPTION_BYTES = 4096  # PoCL 3 describes a device in about 3000
_POINTER = struct.Struct("<Q")

# What PoCL's own functions are compiled for, the best first (`kernellib_feature_map` in its source).
_PROCESSORS = (
    ("skylake-avx512", {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}),
    ("haswell", {"avx2", "fma", "bmi1", "bmi2", "f16c"}),
    ("ivybridge", {"avx", "f16c"}),
    ("x86-64", set[str]()),
)


def name_unknown_processor(description: int) -> str | None:
    """Give the processor of a PoCL device a name that its compiler knows, where LLVM knew none.

    Parameters
    ----------
    description : int
        Address of PoCL's description of the device, which is what its OpenCL handle is.

    Returns
    -------
    str or None
        The name; None where there was one already, or where none is needed.
    """
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        return None
    name = processor_with(_instructions())
    # Through a file, reading what is no memory is an error and not the end of the process.
    memory = os.open("/proc/self/mem", os.O_RDWR)
    try:
        found = os.pread(memory, _DESCRIPTION_BYTES, description)
        for offset in range(0, len(found) - _POINTER.size + 1, _POINTER.size):
            (address,) = _POINTER.unpack_from(found, offset)
            if _text_at(memory, address) != _UNKNOWN:
                continue
            c_library = ctypes.CDLL(None)
            c_library.strdup.restype = ctypes.c_void_p  # PoCL frees it
            os.pwrite(memory, _POINTER.pack(c_library.strdup(name.encode())), description + offset)
            return name
    finally:
        os.close(memory)
    return None


def processor_with(instructions: set[str]) -> str:
    """Return the name of the best processor that has none but these instructions, as LLVM spells it.

    Parameters
    ----------
    instructions : set of str
        The flags of the processor, as Linux spells them.
    """
    return next(name for name, needed in _PROCESSORS if needed <= instructions)


def _instructions() -> set[str]:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("flags"):
            return set(line.partition(":")[2].split())
    return set()


def _text_at(memory: int, address: int) -> bytes:
    """Read as many bytes as the searched name has; nothing where there is no memory."""
    if not 1 << 16 <= address < 1 << 47:
        return b""
    try:
        return os.pread(memory, len(_UNKNOWN), address)
    except OSError:
        return b""
