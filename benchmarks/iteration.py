"""Seconds of a joint TGV iteration in three dimensions, and where they go."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.machine import Limits
from benchmarks.measure import seconds_of
from benchmarks.simulated import problem_of
from chemtomo.functionals import Problem
from chemtomo.opencl import DeviceInfo
from chemtomo.opencl.queue import Queue
from chemtomo.opencl.variational import OpenCLBackend
from chemtomo.solvers.metric_norm import metric_norm
from chemtomo.solvers.primal_dual import FastIteration, PaperIteration, PrimalDualIteration, fast_step_sizes

# Per voxel and channel, in three dimensions: what each pass must read and write at least.
_DUAL_FLOATS = (1 + 3 + 3 + 6) + (3 + 6)  # u and w extrapolated, p, q; p, q
_PRIMAL_FLOATS = (3 + 6 + 1 + 1 + 3) + (1 + 3 + 1 + 3)  # p, q, A^T r, u, w; u, w and their extrapolations
_PROJECTIONS = ("forward_project", "back_project")
_PUBLISHED_SECONDS = 0.1  # of an iteration of the published program for a slice and channel, on such a CPU


def run(device: DeviceInfo, limits: Limits, quick: bool) -> dict[str, Any]:
    sizes = (4, 8, 15) if quick else (8, 15, 30, 60)
    repeats = 3 if quick else 5
    lines: dict[str, list[dict[str, Any]]] = {"paper": [], "fast": []}
    for slices in sizes:
        problem = problem_of(slices)
        for name, found in lines.items():
            found.append(_measure(name, problem, device, limits, repeats))
    return {
        "case": {
            "slice": [303, 303],
            "tilts": 36,
            "detector_pixels": 303,
            "channels": 4,
            "method": "tgv, 3D",
        },
        "steps": {name: {"results": found, "linearity": _linearity(found)} for name, found in lines.items()},
    }


def _linearity(lines: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Seconds per voxel and channel: largest over smallest, and of the largest case over the smallest."""
    rates = [line["nanoseconds_per_voxel_channel"] for line in lines]
    return {
        "largest_over_smallest_rate": max(rates) / min(rates),
        "rate_of_largest_case": rates[-1] / rates[0],
    }


def _measure(name: str, problem: Problem, device: DeviceInfo, limits: Limits, repeats: int) -> dict[str, Any]:
    backend = OpenCLBackend(problem, device)
    start = time.perf_counter()
    steps = _steps(name, problem, backend, device)
    setup = time.perf_counter() - start
    for _ in range(2):
        steps.advance()
    seconds = statistics.median(seconds_of(steps.advance) for _ in range(repeats))
    kernels = _seconds_of_kernels(steps, repeats)
    allocated = backend.allocated_bytes
    backend.release()

    voxel_channels = int(np.prod(problem.volume_shape))
    projections = sum(kernels.get(kernel, 0.0) for kernel in _PROJECTIONS)
    line = {
        "slices": problem.slices,
        "voxel_channels": voxel_channels,
        "seconds": seconds,
        "setup_seconds": setup,
        "nanoseconds_per_voxel_channel": 1e9 * seconds / voxel_channels,
        "seconds_of_kernels": kernels,
        "seconds_outside_projections": seconds - projections,
        "device_bytes_per_voxel_channel": allocated / voxel_channels,
        "times_faster_than_published_program": _PUBLISHED_SECONDS
        * problem.slices
        * problem.channels
        / seconds,
    }
    dual_bytes, primal_bytes = (4 * floats * voxel_channels for floats in (_DUAL_FLOATS, _PRIMAL_FLOATS))
    if name == "paper":
        line["bytes_per_voxel_channel"] = 4 * (_DUAL_FLOATS + _PRIMAL_FLOATS)
        line["fraction_of_copy_bandwidth"] = {
            "dual_update": 1e-9 * dual_bytes / kernels["dual_update"] / limits.copy_gb_per_s,
            "primal_update": 1e-9 * primal_bytes / kernels["primal_update"] / limits.copy_gb_per_s,
            "outside_projections": 1e-9
            * (dual_bytes + primal_bytes)
            / line["seconds_outside_projections"]
            / limits.copy_gb_per_s,
        }
    else:
        # with the dual variable of the positivity, read and written
        dual_bytes += 8 * voxel_channels
        line["fraction_of_copy_bandwidth"] = {
            "dual_update": 1e-9 * dual_bytes / kernels["dual_update"] / limits.copy_gb_per_s
        }
    return line


def _steps(name: str, problem: Problem, backend: OpenCLBackend, device: DeviceInfo) -> PrimalDualIteration:
    if name == "paper":
        return PaperIteration(backend)
    sizes = fast_step_sizes(problem)
    metric = metric_norm(problem, sizes, lambda small: OpenCLBackend(small, device))
    backend.reserve(metric)
    return FastIteration(backend, sizes, metric)


def _seconds_of_kernels(steps: PrimalDualIteration, repeats: int) -> dict[str, float]:
    """Median time an iteration spends in each kernel, when each is waited for."""
    enqueue = Queue.run
    spent: dict[str, float] = defaultdict(float)

    def timed(self: Queue, program: str, name: str, *arguments: Any) -> None:
        self.finish()
        start = time.perf_counter()
        enqueue(self, program, name, *arguments)
        self.finish()
        spent[name] += time.perf_counter() - start

    rounds = []
    Queue.run = timed  # type: ignore[method-assign]
    try:
        for _ in range(repeats):
            spent.clear()
            steps.advance()
            rounds.append(dict(spent))
    finally:
        Queue.run = enqueue  # type: ignore[method-assign]
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
