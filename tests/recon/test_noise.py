"""The noise of intensities, estimated and used: laws on simulated noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chemtomo.data import Dataset, TiltSeries
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector
from chemtomo.recon import Reconstructed
from chemtomo.recon.noise import NoiseModel
from chemtomo.samples import phantom_volume

Run = Callable[..., Reconstructed]

TILTS = np.arange(-80.0, 81, 10)
EDGE, SLICES = 64, 24


@pytest.fixture(scope="module")
def expected() -> npt.NDArray[np.float64]:
    """Projections of the specimen without noise, up to about 10000."""
    truth = phantom_volume((SLICES, EDGE)).data[:1].astype(np.float64)
    return Projector(ParallelBeam(TILTS, EDGE, (EDGE, EDGE)), 1, SLICES).forward(truth)[0]


def noisy(
    signal: npt.NDArray[np.float64], gain: float, offset: float, seed: int = 0
) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return (rng.poisson(signal / gain) * gain + rng.normal(0, np.sqrt(offset), signal.shape)).astype(
        np.float32
    )


@settings(max_examples=12, deadline=None)
@given(
    gain=st.floats(0.05, 20),
    level=st.sampled_from([0.3, 1.0, 10.0]),
    readout=st.sampled_from([0.0, 1.0, 5.0]),
    seed=st.integers(0, 99),
)
def test_known_noise_is_found(
    expected: npt.NDArray[np.float64], gain: float, level: float, readout: float, seed: int
) -> None:
    """At the typical signal to 15 %, with a readout noise of some detected electrons."""
    signal = level * expected * gain / 10
    offset = (readout * gain) ** 2
    found = NoiseModel.of(TiltSeries("HAADF", noisy(signal, gain, offset, seed), TILTS))
    assert found is not None
    bright = float(np.percentile(signal, 90))
    assert found.variance(bright) == pytest.approx(offset + gain * bright, rel=0.15)
    assert found.gain == pytest.approx(gain, rel=0.2)


def test_noise_of_one_size_has_no_gain(expected: npt.NDArray[np.float64]) -> None:
    series = TiltSeries("HAADF", noisy(expected, 1e-6, 9e4), TILTS)
    found = NoiseModel.of(series)
    assert found is not None
    assert found.offset == pytest.approx(9e4, rel=0.1)
    assert found.gain * expected.max() < 0.2 * 9e4


def test_a_few_invalid_pixels_do_not_matter(expected: npt.NDArray[np.float64]) -> None:
    data = noisy(expected, 2.0, 0.0)
    valid = np.random.default_rng(1).random(data.shape) > 0.02
    spoilt = np.where(valid, data, 1e6).astype(np.float32)
    found = NoiseModel.of(TiltSeries("HAADF", spoilt, TILTS, valid=valid))
    assert found is not None
    assert found.gain == pytest.approx(2.0, rel=0.2)


def test_where_nothing_can_be_said() -> None:
    assert NoiseModel.of(TiltSeries("flat", np.ones((9, 8, 20), np.float32), TILTS[:9])) is None
    assert NoiseModel.of(TiltSeries("small", np.eye(3, dtype=np.float32)[None], [0.0])) is None


def test_weights_are_inverse_variances(expected: npt.NDArray[np.float64]) -> None:
    series = TiltSeries("HAADF", expected.astype(np.float32), TILTS)
    weights = NoiseModel(100.0, 2.0).weights(series, 1000.0)
    assert weights.shape == series.shape
    flat = np.full((2, 5, 6), 500.0, np.float32)
    found = NoiseModel(100.0, 2.0).weights(TiltSeries("flat", flat, [0.0, 1.0]), 1000.0)
    np.testing.assert_allclose(found, 2100 / 1100, rtol=1e-6)


def rms(found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> float:
    return float(np.sqrt(np.mean((found - wanted) ** 2)))


def test_weights_pay_where_the_noise_grows_with_the_signal(run: Run, opencl: str) -> None:
    """Squares over the variance are better than plain ones, each at the better of two strengths."""
    z, _, x = np.indices((40, 6, 40)) - np.array([19.5, 2.5, 19.5]).reshape(3, 1, 1, 1)
    bright = np.hypot(z - 8, x - 6) < 4
    truth = (np.hypot(z, x) < 16) * (1.0 + 0.5 * (np.hypot(z + 6, x + 5) < 3)) + 60.0 * bright
    signal = Projector(ParallelBeam(TILTS, 40, (40, 40)), 1, 6).forward(truth[np.newaxis])[0]
    series = TiltSeries("HAADF", noisy(signal, 2.0, 0.0), TILTS)
    faint = ~bright & (np.hypot(z, x) < 17)
    best = {}
    for term in ("weighted", "l2"):
        errors = []
        for strength in (2.0, 8.0):
            options = {"data_term": term, "strength": strength, "steps": "fast", "iterations": 300}
            found = run(Dataset((series,)), vacuum="zero", device=opencl, **options).volume.data[0]
            errors.append(rms(found[faint], truth[faint]))
        best[term] = min(errors)
    assert best["weighted"] < 0.9 * best["l2"]


def test_auto_takes_counts_for_counts(run: Run, dataset: Dataset) -> None:
    counts = dataset.select(["Al", "Yb"])
    auto, plain = run(counts, data_term="auto"), run(counts, data_term="kl")
    np.testing.assert_array_equal(auto.volume.data, plain.volume.data)


@pytest.mark.parametrize("data_term", ["weighted", "auto"])
def test_numpy_and_opencl_agree(run: Run, dataset: Dataset, opencl: str, data_term: str) -> None:
    options = {"data_term": data_term, "steps": "fast", "iterations": 12}
    expected, found = run(dataset, **options), run(dataset, device=opencl, **options)
    largest = expected.volume.data.max(axis=(1, 2, 3), keepdims=True)
    assert (np.abs(found.volume.data - expected.volume.data) <= 3e-4 * largest).all()
    ((_, one),), ((_, other),) = found.slabs, expected.slabs
    assert one.history[-1].gap == pytest.approx(other.history[-1].gap, rel=1e-2)


def test_the_gap_closes(run: Run, dataset: Dataset, opencl: str) -> None:
    result = run(dataset, data_term="auto", steps="fast", iterations=2000, tolerance=1e-3, device=opencl)
    ((_, outcome),) = result.slabs
    assert "converged" in outcome.reason


def test_the_unit_of_an_intensity_does_not_matter(run: Run, dataset: Dataset) -> None:
    one = dataset.select(["HAADF"])
    scaled = one.map(lambda series: series.replace(data=series.data * np.float32(64)))
    options = {"data_term": "weighted", "steps": "fast", "iterations": 20, "vacuum": "zero"}
    found, other = run(one, **options).volume.data, run(scaled, **options).volume.data
    np.testing.assert_allclose(other / 64, found, atol=2e-3 * found.max())
