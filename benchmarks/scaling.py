"""Time and memory of a joint TGV reconstruction from 8 to 512 slices, and what slabs cost in accuracy."""

from __future__ import annotations

import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

from benchmarks.machine import Limits
from benchmarks.simulated import dataset_of
from chemtomo.opencl import DeviceInfo
from chemtomo.pipeline.jobs.reconstruct import Result, reconstruct_job
from chemtomo.progress import finish
from chemtomo.recon import ReconstructParameters

_EDGE = 303


def run(device: DeviceInfo, limits: Limits, quick: bool) -> dict[str, Any]:
    sizes = (8, 32) if quick else (8, 32, 128, 512)
    results = [_alone(_reconstruct, slices, device.number) for slices in sizes]
    rates = [line["seconds_per_iteration"] / line["slices_reconstructed"] for line in results]
    return {
        "case": {"slice": [_EDGE, _EDGE], "tilts": 36, "channels": 4, "method": "tgv, 3D"},
        "results": results,
        "linearity": {
            "seconds_per_iteration_and_reconstructed_slice": rates,
            "largest_over_smallest": max(rates) / min(rates),
        },
        "four times the budget": _alone(_in_slabs, 96 if quick else 192, 60 if quick else 150, device.number),
    }


def _run(dataset: Any, parameters: ReconstructParameters) -> Result:
    return finish(reconstruct_job(dataset, parameters))


def _alone(function: Any, *arguments: Any) -> Any:
    """Call in a process of its own, whose peak of memory is that of the case."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(function, *arguments).result()


def _reconstruct(slices: int, device: int) -> dict[str, Any]:
    dataset = dataset_of(slices, _EDGE)
    before = _peak_bytes()
    iterations = 3
    parameters = ReconstructParameters(
        crop="none", iterations=iterations, tolerance=0, report_every=iterations, device=str(device)
    )
    start = time.perf_counter()
    report = _run(dataset, parameters).report
    wall = time.perf_counter() - start
    ranges = [one["reconstructed"] for one in report.get("slabs", [{"reconstructed": [0, slices]}])]
    heights = [stop - first for first, stop in ranges]
    peak = report["memory"]["peak_bytes"]
    return {
        "slices": slices,
        "slabs": len(heights),
        "slices_reconstructed": sum(heights),
        "seconds_per_iteration": _seconds_per_iteration(report["history"], iterations),
        "seconds_besides": wall - report["seconds"],
        "peak_device_bytes": peak,
        "device_bytes_per_voxel_channel": peak / (max(heights) * _EDGE**2 * len(dataset)),
        "device_budget_bytes": report["memory"]["budget_bytes"],
        "peak_process_bytes": _peak_bytes(),
        "process_bytes_before": before,
    }


def _seconds_per_iteration(history: list[dict[str, Any]], iterations: int) -> float:
    """Of all slabs together, without the first iteration, which compiles kernels."""
    first = sum(one["seconds"] for one in history if one["iteration"] == 1)
    last = sum(one["seconds"] for one in history if one["iteration"] == iterations)
    return float(last - first) / (iterations - 1)


def _in_slabs(slices: int, iterations: int, device: int) -> dict[str, Any]:
    """A problem of four times the budget, and the same in one piece."""
    dataset = dataset_of(slices, 64)
    common = {"crop": "none", "iterations": iterations, "tolerance": 0, "report_every": iterations}
    whole = _run(dataset, ReconstructParameters(**common, device=str(device)))
    budget = whole.report["memory"]["peak_bytes"] / 4
    parts = _run(dataset, ReconstructParameters(**common, device=str(device), memory=budget / 2**30))
    slabs = parts.report.get("slabs", [])
    largest = whole.volume.data.max(axis=(1, 2, 3))
    difference = np.abs(parts.volume.data - whole.volume.data).max(axis=(1, 2, 3)) / largest
    return {
        "case": {"slice": [64, 64], "slices": slices, "iterations": iterations},
        "budget_bytes": budget,
        "peak_device_bytes": parts.report["memory"]["peak_bytes"],
        "slabs": " ".join(":".join(map(str, one["slices"])) for one in slabs),
        "reconstructed": " ".join(":".join(map(str, one["reconstructed"])) for one in slabs),
        "largest_difference_over_maximum": dict(zip(whole.volume.names, difference.tolist(), strict=True)),
        "seconds": {"whole": whole.report["seconds"], "slabs": parts.report["seconds"]},
    }


def _peak_bytes() -> int | None:
    """Peak of the memory of this process, buffers of a CPU device included."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
