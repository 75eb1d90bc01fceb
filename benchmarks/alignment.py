"""Accuracy and time of alignment, against simpler methods, on samples whose truth is known."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.machine import Limits
from chemtomo.align import auto, center_of_mass, com_common_line, link, phase_correlation, stackreg
from chemtomo.data import Alignment, TiltSeries
from chemtomo.errors import ChemTomoError
from chemtomo.opencl import DeviceInfo
from chemtomo.samples import Misalignment, alignment_error, particles, specimen_series

METHODS: dict[str, Callable[[TiltSeries], Alignment]] = {
    "auto": auto,
    "phase_correlation": phase_correlation,
    "stackreg": stackreg,
    "center_of_mass": center_of_mass,
    "com_common_line": com_common_line,
}

AXIS = Misalignment(shifts_px=10, axis_angle_deg=3, axis_offset_px=6.5)

CASES: dict[str, dict[str, Any]] = {
    "shifts": {"misalignment": Misalignment(shifts_px=10)},
    "shifts and axis": {"misalignment": AXIS},
    "30 counts, 2 % read noise": {"misalignment": AXIS, "dose": 30, "read_noise": 0.02},
    "pedestal of 20 %": {"misalignment": AXIS, "pedestal": 0.2},
    "object entering": {"misalignment": AXIS, "intruder": True},
    "drift and turn": {"misalignment": Misalignment(0, drift_px=12, axis_angle_deg=4, axis_offset_px=3)},
    "needle": {"misalignment": AXIS, "sample": "needle"},
    "slab": {"misalignment": AXIS, "sample": "slab"},
    "-60 to 60 deg": {"misalignment": AXIS, "tilts_deg": np.arange(-60.0, 61.0, 2.0)},
}

# Specimens wider than the field, and a needle that widens: 57 tilts of 192 x 192 pixels.
WIDE: dict[str, dict[str, Any]] = {
    "film": {"name": "film"},
    "film, 100 counts": {"name": "film", "dose": 100},
    "lamella of 60 pixels": {"name": "lamella"},
    "lamella of 60 pixels, 300 counts": {"name": "lamella", "dose": 300},
    "pillar": {"name": "pillar"},
    "grains": {"name": "grains"},
}

TARGETS_PX = {
    "shifts": 0.03,
    "shifts and axis": 0.05,
    "30 counts, 2 % read noise": 0.12,
    "pedestal of 20 %": 0.05,
    "object entering": 0.10,
    "drift and turn": 0.05,
    "film": 0.1,
    "film, 100 counts": 0.4,
    "lamella of 60 pixels": 0.2,
    "lamella of 60 pixels, 300 counts": 0.6,
    "pillar": 0.03,
}


def run(device: DeviceInfo, limits: Limits, quick: bool) -> dict[str, Any]:
    """Run all cases; alignment runs on the processor, whatever the device."""
    seeds = 1 if quick else 3
    methods = {"auto": auto} if quick else METHODS
    cases = {name: _case(given, seeds, methods) for name, given in CASES.items()}
    cases |= {name: _case(given, seeds, {"auto": auto}) for name, given in WIDE.items()}
    for name, target in TARGETS_PX.items():
        cases[name]["target, px"] = target
    return {"size": "77 x 256 x 256", "seeds": seeds, "cases": cases, "element maps": _element_maps(seeds)}


def _case(
    given: dict[str, Any], seeds: int, methods: dict[str, Callable[[TiltSeries], Alignment]]
) -> dict[str, Any]:
    measured: dict[str, list[dict[str, Any]]] = {name: [] for name in methods}
    for seed in range(1, seeds + 1):
        made = specimen_series(seed=seed, **given) if "name" in given else particles(seed=seed, **given)
        for name, method in methods.items():
            start, used = time.perf_counter(), time.process_time()
            try:
                found = method(made.series)
            except ChemTomoError as error:
                measured[name].append({"failed": str(error)})
                continue
            seconds, processor = time.perf_counter() - start, time.process_time() - used
            error = alignment_error(made.truth, found, made.positions)
            measured[name].append(
                {
                    "px": error.rms_px,
                    "said": _said(found),
                    "angle": abs(error.angle_deg),
                    "s": seconds,
                    "cpu": processor,
                }
            )
    return {name: _summary(results) for name, results in measured.items()}


def _said(found: Alignment) -> float | None:
    """Root mean square of the standard errors."""
    if found.residual_px is None or not np.isfinite(found.residual_px).any():
        return None
    return float(np.sqrt(np.nanmean(found.residual_px**2)))


def _summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Every seed's error: a median alone would hide a failure."""
    good = [one for one in results if "failed" not in one]
    summary: dict[str, Any] = {
        "error, px": [one.get("px", "failed") for one in results],
        "standard error, px": [one.get("said", "failed") for one in results],
        "angle error, deg": [one.get("angle", "failed") for one in results],
    }
    if good:
        summary["seconds"] = statistics.median(one["s"] for one in good)
        summary["processor seconds"] = statistics.median(one["cpu"] for one in good)
    if failed := [one["failed"] for one in results if "failed" in one]:
        summary["failures"] = failed
    return summary


def _element_maps(seeds: int) -> dict[str, Any]:
    """A map of 0.5 counts per pixel: through HAADF, and by itself."""
    through, alone = [], []
    for seed in range(1, seeds + 1):
        made = particles(seed=seed, misalignment=AXIS, dose=30, read_noise=0.02, counts=0.5)
        assert made.maps is not None
        target = made.maps["carrier"]
        linked = link(auto(made.series), target)
        through.append(alignment_error(made.truth, linked, made.positions).rms_px)
        try:
            found = phase_correlation(target)
            alone.append(alignment_error(made.truth, found, made.positions).rms_px)
        except ChemTomoError as error:
            alone.append(f"failed: {error}")
    return {"through HAADF, px": through, "by itself with phase_correlation, px": alone}
