"""Timing: medians of interleaved repetitions."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def seconds_of(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def median_seconds(actions: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median time of every action. They take turns, so that a busy moment does not hit one alone.

    Every action must wait until what it started is done. The first round is not counted.
    """
    for action in actions.values():
        action()
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(repeats):
        for name, action in actions.items():
            times[name].append(seconds_of(action))
    return {name: statistics.median(values) for name, values in times.items()}


def rounded(value: object, digits: int = 5) -> object:
    """Round all numbers of a document to significant digits, so that it can be read."""
    if isinstance(value, float):
        return float(f"{value:.{digits}g}")
    if isinstance(value, dict):
        return {key: rounded(item, digits) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item, digits) for item in value]
    return value
