"""Time and iterations to the answer: the fast steps against the published ones, on the same device."""

from __future__ import annotations

from typing import Any

from benchmarks import published_data
from benchmarks.following import Plan, Way, follow, parameters_of
from benchmarks.machine import Limits
from chemtomo.data import Dataset
from chemtomo.opencl import DeviceInfo


def run(device: DeviceInfo, limits: Limits, quick: bool) -> dict[str, Any]:
    data = published_data.folder()
    if data is None:
        return {"missing": "the published data; CHEMTOMO_DATA may name its folder"}
    document = {"reference slice": _reference(published_data.reference_slice(data), data, device, quick)}
    if not quick:
        document["11 slices"] = _eleven(published_data.phantom_slices(data, 20, 31), device)
    return document


def _reference(dataset: Dataset, data: Any, device: DeviceInfo, quick: bool) -> dict[str, Any]:
    """The certified problem: one slice, four channels."""
    answer = published_data.reference_minimiser(data)
    plan = {"fast": (200, 5), "paper": (500, 50)} if quick else {"fast": (450, 5), "paper": (3600, 50)}
    ways = _both(dataset, device, plan)
    for way in ways.values():
        way.measure(answer)
    return {"minimum": published_data.MINIMUM} | _compare(ways, published_data.MINIMUM)


def _eleven(dataset: Dataset, device: DeviceInfo) -> dict[str, Any]:
    """Eleven slices in three dimensions; the answer is where the fast steps are in the end."""
    ways = _both(dataset, device, {"fast": (360, 10), "paper": (180, 30)})
    fast = ways["fast"]
    answer, minimum = fast.images[-1], min(fast.objectives)
    for way in ways.values():
        way.measure(answer)
    return {"best known": minimum, "its gap": fast.gaps[-1]} | _compare(ways, minimum)


def _both(dataset: Dataset, device: DeviceInfo, plan: Plan) -> dict[str, Way]:
    return follow(dataset, {steps: parameters_of(steps) for steps in ("fast", "paper")}, device, plan)


def _compare(ways: dict[str, Way], minimum: float) -> dict[str, Any]:
    document: dict[str, Any] = {"steps": {name: way.summary(minimum) for name, way in ways.items()}}
    fast, paper = (ways[name].to_objective(minimum, 0.01) for name in ("fast", "paper"))
    if fast and paper:
        document["seconds of paper over fast, to 1 %"] = paper["seconds"] / fast["seconds"]
        document["the same with setting up"] = (paper["seconds"] + ways["paper"].setup_seconds) / (
            fast["seconds"] + ways["fast"].setup_seconds
        )
    elif fast:
        paper_way = ways["paper"]
        document["seconds of paper over fast, to 1 %"] = {
            "more than": paper_way.seconds[-1] / fast["seconds"],
            "paper, above the minimum in that time": paper_way.objectives[-1] / minimum - 1,
        }
    return document
