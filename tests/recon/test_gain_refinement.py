"""Gains of projections that are found together with the image."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from chemtomo.data import Dataset, TiltSeries
from chemtomo.functionals import Problem, best_gains, with_gains
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector
from chemtomo.recon import Reconstructed

Run = Callable[..., Reconstructed]

EDGE, SLICES = 24, 4
TILTS = np.arange(-75.0, 76, 10)
SHADOW = np.clip(0.5 + np.abs(TILTS - 20) / 60, 0.5, 1.2)


def truth() -> npt.NDArray[np.float64]:
    z, y, x = np.indices((EDGE, SLICES, EDGE)) - np.array([11.5, 1.5, 11.5]).reshape(3, 1, 1, 1)
    body = np.hypot(z, x + 0.5) < 8
    grain = (np.abs(z - 2) < 3) & (np.abs(x + 2 - 0.3 * y) < 2)
    return np.stack([body * (1.0 + 2 * grain), grain * 3.0 + (np.hypot(z + 4, x - 3) < 2.2)])


def dataset(gains: npt.NDArray[np.float64], background: float = 0.0) -> Dataset:
    """An intensity, and a map with the gains, of some 100 000 counts a projection."""
    geometry = ParallelBeam(TILTS, EDGE, (EDGE, EDGE))
    expected = Projector(geometry, 2, SLICES).forward(truth())
    rng = np.random.default_rng(2)
    haadf = (rng.poisson(300 * expected[0]) / 300).astype(np.float32)
    behind = np.full(expected[1].shape, background, np.float32)
    counts = rng.poisson(150 * gains[:, None, None] * expected[1] + behind).astype(np.uint16)
    return Dataset(
        (
            TiltSeries("HAADF", haadf, TILTS, 2.0),
            TiltSeries("Al", counts, TILTS, 2.0, "counts", background=behind if background else None),
        )
    )


@pytest.mark.parametrize("background", [0.0, 20.0])
def test_known_gains_are_found(run: Run, opencl: str, background: float) -> None:
    """To 1 %, in the report's order, with the mean 1; the data are explained better."""
    recorded = dataset(SHADOW, background)
    options = {"steps": "fast", "iterations": 300, "device": opencl}
    result = run(recorded, refine_gains=True, **options)
    assert result.gains is not None
    found = np.array(result.gains["Al"])
    np.testing.assert_allclose(found, SHADOW / SHADOW.mean(), rtol=0.01)
    assert found.mean() == pytest.approx(1)
    plain = run(recorded, **options)
    assert plain.gains is None
    ((_, refined),), ((_, unrefined),) = result.slabs, plain.slabs
    assert refined.history[-1].data[1] < 0.5 * unrefined.history[-1].data[1]


def test_gains_of_one_stay(run: Run, opencl: str) -> None:
    """Within the noise of the counts of a projection."""
    recorded = dataset(np.ones(len(TILTS)))
    result = run(recorded, refine_gains=True, steps="fast", iterations=300, device=opencl)
    assert result.gains is not None
    noise = 1 / np.sqrt(recorded.series[1].values().sum(axis=(1, 2)))
    assert (np.abs(np.array(result.gains["Al"]) - 1) < 5 * noise).all()
    np.testing.assert_allclose(result.gains["HAADF"], 1, atol=0.01)


def test_the_gap_closes_with_refined_gains(run: Run, opencl: str) -> None:
    options = {"steps": "fast", "iterations": 3000, "tolerance": 5e-3, "device": opencl}
    result = run(dataset(SHADOW), refine_gains=True, **options)
    ((_, outcome),) = result.slabs
    assert "converged" in outcome.reason


def test_numpy_and_opencl_agree(run: Run, opencl: str) -> None:
    options: dict[str, Any] = {"steps": "fast", "iterations": 40, "refine_gains": True}
    expected, found = run(dataset(SHADOW), **options), run(dataset(SHADOW), device=opencl, **options)
    assert expected.gains is not None
    assert found.gains is not None
    np.testing.assert_allclose(found.gains["Al"], expected.gains["Al"], rtol=1e-3)
    ((_, one),), ((_, other),) = found.slabs, expected.slabs
    assert one.history[-1].gap == pytest.approx(other.history[-1].gap, rel=2e-2)
    assert one.history[-1].objective == pytest.approx(other.history[-1].objective, rel=1e-3)


def problem(data_term: Any, background: bool, seed: int) -> Problem:
    rng = np.random.default_rng(seed)
    shape = (2, 3, 2, 7)
    return Problem(
        geometry=ParallelBeam([-60, 0, 50], 7, (5, 6)),
        data=rng.poisson(3, shape).astype(np.float32),
        weights=np.array([1.0, 2.0]),
        alpha0=4.0,
        alpha1=1.0,
        dims=2,
        data_term=data_term,
        coupling="none",
        second_order=False,
        operator_norm=2.0,
        tilt_weights=np.array([[1, 2, 0.5], [0, 1, 1]]),
        background=rng.random(shape).astype(np.float32) if background else None,
        valid=rng.random(shape) > 0.1,
        pixel_weights=rng.uniform(0.5, 2, shape).astype(np.float32),
    )


@settings(max_examples=30, deadline=None)
@given(
    data_term=st.sampled_from(["kl", "l2", ("kl", "l2")]), background=st.booleans(), seed=st.integers(0, 999)
)
def test_best_gains_minimise_the_data_terms(data_term: Any, background: bool, seed: int) -> None:
    some = problem(data_term, background, seed)
    v = np.random.default_rng(seed + 1).uniform(0.5, 3, some.data.shape)
    found = best_gains(some, v)
    assert found[1, 0] == 1  # not recorded

    def value(gain: float, channel: int, tilt: int) -> float:
        scaled = v.copy()
        scaled[channel, tilt] *= gain
        return float(some.discrepancy.value(scaled)[channel])

    for channel, tilt in ((0, 1), (1, 2)):
        best = minimize_scalar(value, bounds=(0.02, 8), args=(channel, tilt), method="bounded")
        assert value(found[channel, tilt], channel, tilt) <= best.fun * (1 + 1e-9)


@pytest.mark.parametrize("data_term", ["kl", "l2", ("kl", "l2")])
def test_a_problem_with_gains_has_the_data_term_of_scaled_projections(data_term: Any) -> None:
    """But for what does not depend on the image."""
    some = dataclasses.replace(problem(data_term, True, 5), tilt_weights=None)
    rng = np.random.default_rng(6)
    gains = rng.uniform(0.5, 2, some.data.shape[:2])
    one, other = rng.uniform(1, 3, (2, *some.data.shape))
    scaled = gains[:, :, None, None]
    expected = some.discrepancy.value(scaled * one) - some.discrepancy.value(scaled * other)
    changed = with_gains(some, gains).discrepancy
    np.testing.assert_allclose(changed.value(one) - changed.value(other), expected, rtol=1e-5)
