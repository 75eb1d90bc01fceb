"""Time to map four elements of a 37 x 128 x 128 x 2048 series, against HyperSpy or a plain loop.

``python -m benchmarks.mapping [--quick]`` prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import numpy as np

from benchmarks.measure import median_seconds, rounded
from chemtomo.data import SpectrumSeries
from chemtomo.spectra import (
    EnergyWindow,
    element_maps,
    kramers_shapes,
    line_shape,
    line_windows,
    sum_spectrum,
)

ELEMENTS = ("Fe", "Co", "Cu", "O")
CHANNELS, STEP_KEV = 2048, 0.01


def make_series(tilts: int, edge: int) -> SpectrumSeries:
    """Simulate spectra of some 80 counts; the tilts repeat, which costs no one anything."""
    energies = STEP_KEV * np.arange(CHANNELS)
    mean = 40.0 * kramers_shapes(energies)[2]
    for shell in ("Fe_K", "Co_K", "Cu_K", "O_K"):
        mean = mean + 10.0 * line_shape(*shell.split("_"), energies)
    image = np.random.default_rng(0).poisson(mean, (edge, edge, CHANNELS)).astype(np.uint16)
    data = np.empty((tilts, edge, edge, CHANNELS), np.uint16)
    data[:] = image
    return SpectrumSeries("EDX", data, np.linspace(-60, 60, tilts), 0.0, STEP_KEV, 2.0)


def plain_loop(series: SpectrumSeries, windows: tuple[EnergyWindow, ...]) -> list[np.ndarray]:
    """Map line by line and tilt by tilt with masks of the energies, as one writes it first."""
    energies = series.energies_keV
    maps = []
    for window in windows:
        masks = [
            (energies >= low) & (energies < high)
            for low, high in ((window.low_keV, window.high_keV), *window.background)
        ]
        net = np.empty(series.shape[:3], np.float32)
        for tilt in range(series.shape[0]):
            counts, *beside = [series.data[tilt][..., mask].sum(axis=-1, dtype=np.float32) for mask in masks]
            for mask, side in zip(masks[1:], beside, strict=True):
                counts = counts - side * (masks[0].sum() / mask.sum() / len(beside))
            net[tilt] = counts
        maps.append(net)
    return maps


def hyperspy_maps(series: SpectrumSeries, windows: tuple[EnergyWindow, ...]) -> Any:
    """Map with HyperSpy: integrals over ranges of its signal axis; None where it is not installed."""
    try:
        import hyperspy.api as hyperspy
    except ImportError:
        return None
    signal = hyperspy.signals.Signal1D(series.data)
    axis = signal.axes_manager.signal_axes[0]
    axis.scale, axis.offset, axis.units = STEP_KEV, 0.0, "keV"

    def run() -> list[np.ndarray]:
        maps = []
        for window in windows:
            counts = signal.isig[window.low_keV : window.high_keV].sum(-1).data.astype(np.float32)
            for low, high in window.background:
                side = signal.isig[low:high].sum(-1).data
                share = (window.high_keV - window.low_keV) / (high - low) / len(window.background)
                counts -= np.float32(share) * side
            maps.append(counts)
        return maps

    return run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer tilts and repetitions")
    quick = parser.parse_args().quick
    series = make_series(5 if quick else 37, 128)
    windows = line_windows(series, ELEMENTS)
    spectrum = sum_spectrum(series)
    peer = hyperspy_maps(series, windows)
    actions = {
        "window": lambda: element_maps(series, windows),
        "fit": lambda: element_maps(series, windows, method="fit"),
        "fit_with_known_sum": lambda: element_maps(series, windows, method="fit", spectrum=spectrum),
        "plain_loop": lambda: plain_loop(series, windows),
    }
    if peer is not None:
        actions["hyperspy"] = peer
    seconds = median_seconds(actions, 1 if quick else 3)
    document = {
        "benchmark": "mapping",
        "shape": list(series.shape),
        "elements": ELEMENTS,
        "seconds": seconds,
        "peer": "missing" if peer is None else "hyperspy",
        "times_faster_than_plain_loop": seconds["plain_loop"] / seconds["window"],
    }
    print(json.dumps(rounded(document), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
