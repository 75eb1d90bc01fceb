"""The limits of a device: bandwidth of a copy, and multiply-adds."""

from __future__ import annotations

import dataclasses
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import pyopencl as cl

import chemtomo
from benchmarks.measure import median_seconds
from chemtomo.opencl import DeviceInfo
from chemtomo.opencl.device import context_of

_COPY_BYTES = 512 * 2**20  # of the buffer: beyond any cache
_CACHED_BYTES = 128 * 2**10  # in the cache of one core


@dataclasses.dataclass(frozen=True)
class Limits:
    """What the device reaches at best.

    Attributes
    ----------
    copy_gb_per_s : float
        Bytes read and bytes written, by a copy of a large buffer.
    gflop_per_s : float
        Multiplications and additions in registers, float32.
    cached_gflop_per_s : float
        The same with one operand of each pair from the cache: what a projector can reach.
    """

    copy_gb_per_s: float
    gflop_per_s: float
    cached_gflop_per_s: float

    def roofline_gflop_per_s(self, flop_per_byte: float) -> float:
        """Reachable by a kernel of that intensity (Williams et al. 2009)."""
        return min(self.gflop_per_s, flop_per_byte * self.copy_gb_per_s)


def measure_limits(device: DeviceInfo, repeats: int = 5) -> Limits:
    context = context_of(device)
    queue = cl.CommandQueue(context)
    gpu = device.kind == "gpu"
    width = 4 if gpu else 8
    text = (Path(__file__).parent / "machine.cl").read_text(encoding="utf-8")
    arithmetic, memory = (cl.Program(context, text).build([f"-DWIDTH={lanes}"]) for lanes in (width, 4))
    flags = cl.mem_flags.READ_WRITE
    large = min(_COPY_BYTES, device.memory_bytes // 8) // 2**20 * 2**20
    source, target = cl.Buffer(context, flags, large), cl.Buffer(context, flags, large)
    for buffer in (source, target):
        cl.enqueue_fill_buffer(queue, buffer, np.float32(1), 0, large)

    group = 256 if gpu else 16
    items = device.compute_units * (4096 if gpu else 64)
    length = _CACHED_BYTES // (4 * width) if not gpu else 1024
    sums = 8
    rounds = 4000 if gpu else 100_000
    passes = 100 if gpu else rounds * sums // length * 4
    copy = cl.Kernel(memory, "copy")
    multiply_add, weighted_sum = (cl.Kernel(arithmetic, name) for name in ("multiply_add", "weighted_sum"))

    def run(kernel: Any, size: int, *arguments: Any) -> None:
        kernel(queue, (size,), (group,), *arguments)
        queue.finish()

    seconds = median_seconds(
        {
            "copy": lambda: run(copy, large // 16, source, target),
            "registers": lambda: run(multiply_add, items, target, np.float32(0.999), np.int32(rounds)),
            "cached": lambda: run(
                weighted_sum, items, source, target, np.float32(0.999), np.int32(length), np.int32(passes)
            ),
        },
        repeats,
    )
    return Limits(
        2e-9 * large / seconds["copy"],
        2e-9 * width * sums * rounds * items / seconds["registers"],
        2e-9 * width * length * passes * items / seconds["cached"],
    )


def describe(device: DeviceInfo, limits: Limits) -> dict[str, Any]:
    """The part of a document that says where it was measured."""
    return {
        "chemtomo": chemtomo.__version__,
        "device": device.name,
        "kind": device.kind,
        "driver": device.platform,
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "limits": dataclasses.asdict(limits),
    }
