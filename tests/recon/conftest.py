"""Small tilt series, and reconstructions of them on every backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chemtomo.data import Dataset, TiltSeries
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector
from chemtomo.recon import Reconstructed, ReconstructParameters, reconstruct
from chemtomo.solvers import Limits

Run = Callable[..., Reconstructed]


@pytest.fixture
def device(request: pytest.FixtureRequest) -> str:
    """Name of a device, for indirect parametrisation by numpy and opencl."""
    return "numpy" if request.param == "numpy" else request.getfixturevalue("opencl")


@pytest.fixture
def run() -> Run:
    """Reconstruct a dataset, by default with a few published iterations in NumPy on the whole detector."""

    def reconstruct_all(dataset: Dataset, **changes: Any) -> Reconstructed:
        few = {
            "device": "numpy",
            "crop": "none",
            "field": "sample",
            "iterations": 6,
            "steps": "paper",
            "tolerance": 0,
        }
        parameters = ReconstructParameters(**(few | changes))
        limits = Limits(parameters.iterations, parameters.report_every, parameters.tolerance or None)
        running = reconstruct(dataset, parameters, limits)
        while True:
            try:
                next(running)
            except StopIteration as end:
                result: Reconstructed = end.value
                return result

    return reconstruct_all


@pytest.fixture(scope="session")
def truth() -> np.ndarray:
    """Three channels with common edges, asymmetric in every direction, (channel, z, y, x)."""
    z, y, x = np.meshgrid(np.arange(16) - 7.5, np.arange(5), np.arange(16) - 7.5, indexing="ij")
    body = np.hypot(z + 0.7, x - 0.5) < 5
    grain = (np.abs(z - 1.5) < 2) & (np.abs(x + 1 - 0.3 * y) < 1.6)
    return np.stack([body * (1.0 + grain), body * (1 - grain) * (1 + 0.06 * x), grain * (1.5 + 0.2 * y)])


@pytest.fixture(scope="session")
def dataset(truth: np.ndarray) -> Dataset:
    """Noisy projections of `truth`: an intensity and two signals of counts."""
    tilts = np.array([-75.0, -60, -42, -28, -10, 3, 17, 33, 50, 64, 88])
    expected = Projector(ParallelBeam(tilts, 16, (16, 16)), *truth.shape[::2]).forward(truth)
    rng = np.random.default_rng(3)
    return Dataset(
        (
            TiltSeries("HAADF", (rng.poisson(400 * expected[0]) / 7).astype(np.float32), tilts, 2.0),
            TiltSeries("Al", rng.poisson(2 * expected[1]).astype(np.uint16), tilts, 2.0, "counts"),
            TiltSeries("Yb", rng.poisson(expected[2]).astype(np.uint16), tilts, 2.0, "counts"),
        )
    )
