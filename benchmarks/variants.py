"""The rule of the fast steps, untouched, on other problems: where it is after how many iterations.

Each is held against its own end after a long run. The duality gap there says how near the minimum that
is: a run that settled elsewhere would show by a gap that stays open.
"""

from __future__ import annotations

from typing import Any

from benchmarks import published_data
from benchmarks.following import follow, parameters_of
from benchmarks.machine import Limits
from chemtomo.data import Dataset, TiltSeries
from chemtomo.opencl import DeviceInfo


def run(device: DeviceInfo, limits: Limits, quick: bool) -> dict[str, Any]:
    data = published_data.folder()
    if data is None:
        return {"missing": "the published data; CHEMTOMO_DATA may name its folder"}
    problems = _problems(published_data.reference_slice(data))
    if quick:
        problems = {name: problems[name] for name in ("TV", "mu x 5")}
    results = {}
    for name, (dataset, changes, iterations) in problems.items():
        plan = {name: (300 if quick else iterations, 10)}
        way = follow(dataset, {name: parameters_of("fast", **changes)}, device, plan)[name]
        results[name] = way.measure(way.images[-1]).summary(min(way.objectives))
    return {"results": results}


def _problems(dataset: Dataset) -> dict[str, tuple[Dataset, dict[str, Any], int]]:
    """Data, parameters, and how many iterations to do: more where they are slow."""

    def times(factor: float) -> dict[str, Any]:
        return {"mu": {name: factor * mu for name, mu in published_data.MU.items()}}

    haadf = published_data.MU["HAADF"]
    return {
        "HAADF alone": (dataset.select(["HAADF"]), {"mu": {"HAADF": haadf}}, 1000),
        "every third tilt dropped": (dataset.map(_without_every_third), {}, 500),
        "12 tilts over 60 degrees": (dataset.map(_first_twelve), {}, 800),
        "mu x 5": (dataset, times(5), 900),
        "mu / 5": (dataset, times(0.2), 450),
        "TV": (dataset, {"method": "tv"}, 500),
        "L2": (dataset, {"data_term": "l2"}, 300),
    }


def _first_twelve(series: TiltSeries) -> TiltSeries:
    return series.replace(data=series.data[:12], tilts_deg=series.tilts_deg[:12])


def _without_every_third(series: TiltSeries) -> TiltSeries:
    kept = [i for i in range(series.shape[0]) if i % 3 != 2]
    return series.replace(data=series.data[kept], tilts_deg=series.tilts_deg[kept])
