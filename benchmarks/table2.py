"""The case of table 2 in Huber et al. 2019: 296 x 296 pixels, 39 projections, 30 slices, 4 channels.

The published program took 145 s for 2000 iterations on a GeForce GTX 980. A CPU does a few of the
iterations, and the time for 2000 is their multiple.
"""

from __future__ import annotations

import time
from typing import Any

from benchmarks.machine import Limits
from benchmarks.simulated import problem_of
from chemtomo.opencl import DeviceInfo
from chemtomo.opencl.variational import OpenCLBackend
from chemtomo.solvers.primal_dual import PaperIteration

_ITERATIONS = 2000
_PUBLISHED_SECONDS = 145.0


def run(device: DeviceInfo, limits: Limits, quick: bool) -> dict[str, Any]:
    problem = problem_of(30, 296, 39)
    backend = OpenCLBackend(problem, device)
    steps = PaperIteration(backend)
    for _ in range(3):
        steps.advance()
    iterations = _ITERATIONS if device.kind == "gpu" and not quick else 20
    start = time.perf_counter()
    for _ in range(iterations):
        steps.advance()
    seconds = time.perf_counter() - start
    whole = seconds * _ITERATIONS / iterations
    return {
        "case": {"slice": [296, 296], "tilts": 39, "slices": 30, "channels": 4, "steps": "paper"},
        "iterations_done": iterations,
        "seconds": seconds,
        "seconds_of_2000_iterations": whole,
        "published_seconds_on_gtx_980": _PUBLISHED_SECONDS,
        "times_faster": _PUBLISHED_SECONDS / whole,
        "device_bytes": backend.allocated_bytes,
    }
