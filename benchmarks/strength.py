"""The strength that the data choose against fixed ones: four samples of known truth, three doses."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
import numpy.typing as npt

import chemtomo
from benchmarks.machine import Limits
from chemtomo.data import Dataset, TiltSeries
from chemtomo.geometry import ParallelBeam
from chemtomo.opencl import DeviceInfo
from chemtomo.operators import Projector
from chemtomo.samples import phantom_volume
from chemtomo.samples.bodies import Body, Ellipsoid, project, voxels
from chemtomo.samples.shapes import Cloud
from chemtomo.samples.specimens import specimen

_DOSES = (0.25, 1.0, 4.0)
_FIXED = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
_TILTS = 36
_ROWS = 12
_OPTIONS = {"iterations": 200, "tolerance": 0.003, "crop": "none", "field": "sample"}

_Volume = npt.NDArray[np.floating]
_Parts = dict[str, tuple[tuple[Body, ...], Cloud | None]]


def run(device: DeviceInfo, limits: Limits, quick: bool) -> dict[str, Any]:
    edge = 64 if quick else 128
    cases = itertools.product(("phantom", "spheres", "pillar", "grains"), _DOSES[1:2] if quick else _DOSES)
    return {"edge": edge, "results": [_case(name, dose, edge, device) for name, dose in cases]}


def _case(name: str, dose: float, edge: int, device: DeviceInfo) -> dict[str, Any]:
    dataset, truth = sample(name, dose, edge)
    options: dict[str, Any] = {**_OPTIONS, "device": str(device.number)}
    fixed = {}
    seconds = []
    for strength in _FIXED:
        start = time.perf_counter()
        fixed[strength] = _errors(chemtomo.reconstruct(dataset, strength=strength, **options), truth)
        seconds.append(time.perf_counter() - start)
    start = time.perf_counter()
    made = chemtomo.reconstruct(dataset, strength="auto", mu="auto", **options)
    total = time.perf_counter() - start
    auto = _errors(made, truth)
    channels = {}
    for number, channel in enumerate(dataset.names):
        best = min(_FIXED, key=lambda one, number=number: fixed[one][number])
        own = {str(one): errors[number] for one, errors in fixed.items()}
        channels[channel] = {
            "error": own,
            "best": best,
            "auto": auto[number],
            "chosen": made.report["auto"]["channels"][channel]["chosen"],
            "auto_loses_dB": 20 * np.log10(auto[number] / fixed[best][number]),
            "default_loses_dB": 20 * np.log10(fixed[1.0][number] / fixed[best][number]),
        }
    return {
        "sample": name,
        "dose": dose,
        "channels": channels,
        "search_over_run": (total - seconds[2]) / seconds[2],
    }


def _errors(made: Any, truth: _Volume) -> list[float]:
    """Distance of every channel from the truth, relative to it."""
    return [
        float(np.linalg.norm(found - true) / np.linalg.norm(true))
        for found, true in zip(made.volume.data, truth, strict=True)
    ]


def sample(name: str, dose: float, edge: int) -> tuple[Dataset, _Volume]:
    """Simulate an aligned acquisition; return it with its truth (channel, z, y, x)."""
    if name == "phantom":
        return _phantom(dose, edge)
    tilts = np.linspace(-70.0, 70.0, _TILTS)
    if name == "spheres":
        return _of_parts(_spheres(edge), tilts, (_ROWS, edge), 200 * dose, 2 * dose)
    return _of_parts(specimen(name, shape=(edge, edge)).parts, tilts, (edge, edge), 2000 * dose, 4 * dose)


def _phantom(dose: float, edge: int) -> tuple[Dataset, _Volume]:
    """As `chemtomo.samples.phantom`, with another dose."""
    truth = phantom_volume((_ROWS, edge))
    tilts = -90 + 180 / _TILTS * np.arange(_TILTS)
    projector = Projector(ParallelBeam(tilts, edge, (edge, edge)), len(truth.names), _ROWS)
    rng = np.random.default_rng(0)
    series = []
    for channel, expected in zip(truth.names, projector.forward(truth.data), strict=True):
        data = rng.poisson(dose * expected) / (1 if channel != "HAADF" else dose)
        kind = "counts" if channel != "HAADF" else "intensity"
        series.append(TiltSeries(channel, data.astype(np.float32), tilts, kind=kind))
    scale = np.array([dose if channel != "HAADF" else 1 for channel in truth.names])
    return Dataset(tuple(series)), truth.data * scale[:, None, None, None]


def _spheres(edge: int) -> _Parts:
    """Spheres of two elements on both sides of a support."""
    rng = np.random.default_rng(0)
    support = Ellipsoid((0.02 * edge, 0.0, -0.01 * edge), (0.05 * edge, 4.0 * _ROWS, 0.3 * edge))
    spheres: dict[str, list[Body]] = {"Al": [], "Ti": []}
    for name, side in zip(itertools.cycle(spheres), rng.choice([-1, 1], 14), strict=False):
        radius = edge * rng.uniform(0.025, 0.06)
        y, x = rng.uniform(-0.5, 0.5) * _ROWS, rng.uniform(-0.25, 0.25) * edge
        surface = 0.05 * edge * np.sqrt(1 - (x / (0.3 * edge)) ** 2)
        spheres[name].append(
            Ellipsoid((0.02 * edge + side * (surface + radius), y, x), (radius,) * 3, 1.5 + (name == "Ti"))
        )
    return {"C": ((support,), None), **{name: (tuple(some), None) for name, some in spheres.items()}}


def _of_parts(
    parts: _Parts, tilts: npt.NDArray[np.float64], shape: tuple[int, int], haadf: float, counts: float
) -> tuple[Dataset, _Volume]:
    """Project parts: HAADF of all together, and a map of each, with counts at the brightest pixel."""
    still = np.broadcast_to(np.array([[1.0, 0, 0], [0, 1, 0]]), (tilts.size, 2, 3))
    projected, solid = {}, {}
    for name, (bodies, cloud) in parts.items():
        projected[name] = project(bodies, tilts, still, shape)
        solid[name] = voxels(bodies, shape[1], shape[0])
        if cloud is not None:
            projected[name] = projected[name] + cloud.project(tilts, still, shape)
            solid[name] = solid[name] + cloud.density(shape[1], shape[0])
    first = (shape[0] - _ROWS) // 2
    rows = slice(first, first + _ROWS)
    rng = np.random.default_rng(1)
    images = {"HAADF": np.sum(list(projected.values()), axis=0), **projected}
    bodies = {"HAADF": np.sum(list(solid.values()), axis=0), **solid}
    series, truth = [], []
    for name, image in images.items():
        factor = (haadf if name == "HAADF" else counts) / image.max()
        data = rng.poisson(factor * image[:, rows]).astype(np.float32)
        series.append(TiltSeries(name, data, tilts, kind="intensity" if name == "HAADF" else "counts"))
        truth.append(factor * bodies[name][:, rows])
    return Dataset(tuple(series)), np.stack(truth)
