"""Uncertainty by replicas: against what other noise really does."""

from __future__ import annotations

import numpy as np
import pytest

from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import ParameterError
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector
from chemtomo.progress import finish
from chemtomo.recon.parameters import ReconstructParameters
from chemtomo.recon.reconstruction import frame_of, reconstruct
from chemtomo.solvers import Limits
from chemtomo.trust.residuals import residuals
from chemtomo.trust.uncertainty import Uncertainty, replica, uncertainty_job
from chemtomo.trust.warm_start import WarmStart

EDGE, SLICES = 24, 3
TILTS = np.arange(-90.0, 90.0, 12.0)
SETTINGS = ReconstructParameters(
    field="sample", crop="none", iterations=60, tolerance=0.0, device="numpy", method="tv", dims=2
)


def _expected(level: float = 6.0) -> np.ndarray:
    z, x = np.indices((EDGE, EDGE)) - (EDGE - 1) / 2
    disc = np.clip(7.5 - np.hypot(z - 1, x + 2), 0, 1) * level
    image = np.repeat(disc[:, np.newaxis], SLICES, axis=1)[np.newaxis].astype(np.float32)
    return np.asarray(Projector(ParallelBeam(-TILTS, EDGE, (EDGE, EDGE)), 1, SLICES).forward(image)[0])


def _series(seed: int, kind: str = "counts") -> Dataset:
    rng = np.random.default_rng(seed)
    values = (
        rng.poisson(_expected()) if kind == "counts" else _expected() + rng.normal(0, 2, _expected().shape)
    )
    return Dataset((TiltSeries("Fe", values.astype(np.float32), TILTS, kind=kind),))  # type: ignore[arg-type]


def _uncertainty(seed: int, replicas: int, **changes: object) -> Uncertainty:
    job = uncertainty_job(_series(seed), SETTINGS.model_copy(update=changes), replicas, seed=seed)
    return finish(job, None)


def test_the_deviation_is_what_other_noise_does() -> None:
    """Noise alone: the spread of reconstructions of really independent data."""
    limits = Limits(SETTINGS.iterations, SETTINGS.iterations)
    runs = [finish(reconstruct(_series(seed), SETTINGS, limits), None).volume["Fe"] for seed in range(10, 22)]
    found = _uncertainty(1, 12)
    inside = runs[0] > 0.2 * runs[0].max()
    true = np.std(runs, axis=0, ddof=1)[inside]
    said = found.deviation["Fe"][inside]
    assert np.sqrt((said**2).mean()) == pytest.approx(np.sqrt((true**2).mean()), rel=0.4)
    error = np.abs(found.volume["Fe"] - np.mean(runs, axis=0))[inside]
    assert 0.0 < (error > 2 * said).mean() < 0.2


def test_a_method_that_depends_on_its_iterations_takes_all_of_them() -> None:
    found = _uncertainty(1, 2, method="sirt", iterations=15)
    assert found.iterations == 15


def test_equal_seeds_give_equal_numbers() -> None:
    first, again = (_uncertainty(3, 2, iterations=10) for _ in range(2))
    assert np.array_equal(first.deviation.data, again.deviation.data)


def test_few_replicas_are_refused() -> None:
    with pytest.raises(ParameterError, match="found 1 replicas"):
        _uncertainty(1, 1)


@pytest.mark.parametrize("kind", ["counts", "intensity"])
def test_replicas_have_the_noise_of_the_data(kind: str) -> None:
    dataset = _series(2, kind)
    limits = Limits(SETTINGS.iterations, SETTINGS.iterations)
    settings = SETTINGS.model_copy(update={"data_term": "kl" if kind == "counts" else "l2"})
    volume = finish(reconstruct(dataset, settings, limits), None).volume
    compared = residuals(frame_of(dataset, settings), volume)
    made = [replica(dataset, compared, np.random.default_rng(seed)) for seed in range(40)]
    values = np.stack([np.asarray(one.series[0].data, np.float64) for one in made])
    seen = compared[0].reprojection > 1
    assert values.mean(axis=0)[seen].mean() == pytest.approx(compared[0].reprojection[seen].mean(), rel=0.02)
    spread = values.var(axis=0, ddof=1)[seen].mean()
    assert spread == pytest.approx(compared[0].variance[seen].mean(), rel=0.1)
    assert made[0].series[0].kind == kind


def test_a_run_goes_on_from_the_state_of_another() -> None:
    """Begun at its own end, a run is where the longer one is."""
    dataset = _series(4)
    warm = WarmStart(every=20)
    frame = frame_of(dataset, SETTINGS)
    finish(reconstruct(dataset, SETTINGS, Limits(60, 60), None, warm, frame), None)
    assert warm.is_ready
    warm.freeze()
    again = finish(reconstruct(dataset, SETTINGS, Limits(20, 20), None, warm, frame), None).volume
    twice = finish(reconstruct(dataset, SETTINGS, Limits(20, 20), None, warm, frame), None).volume
    cold = finish(reconstruct(dataset, SETTINGS, Limits(20, 20)), None).volume
    whole = finish(reconstruct(dataset, SETTINGS, Limits(60, 60)), None).volume
    assert np.array_equal(again.data, twice.data)
    assert np.abs(again.data - whole.data).max() < 0.1 * np.abs(cold.data - whole.data).max()
