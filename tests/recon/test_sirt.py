"""SIRT from a dataset to a volume: what it conserves, and that it finds a known specimen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from chemtomo.data import Dataset, TiltSeries
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector
from chemtomo.recon import Reconstructed
from chemtomo.recon.sirt import inverse_sums

Run = Callable[..., Reconstructed]


@pytest.fixture(scope="module")
def well_sampled(truth: np.ndarray) -> Dataset:
    """Projections without noise, over the whole range of tilts."""
    tilts = np.arange(-90.0, 90, 4)
    projections = Projector(ParallelBeam(tilts, 16, (16, 16)), *truth.shape[::2]).forward(truth)
    return Dataset(
        tuple(TiltSeries(name, data, tilts) for name, data in zip("abc", projections, strict=True))
    )


@pytest.mark.parametrize("nonnegative", [True, False])
@pytest.mark.parametrize("crop", ["none", "auto"])
def test_numpy_and_opencl_agree(
    run: Run, dataset: Dataset, opencl: str, nonnegative: bool, crop: str
) -> None:
    common = {"method": "sirt", "nonnegative": nonnegative, "crop": crop, "iterations": 15}
    expected, found = run(dataset, **common), run(dataset, device=opencl, **common)
    np.testing.assert_allclose(
        found.volume.data, expected.volume.data, rtol=0, atol=1e-5 * expected.volume.data.max()
    )
    assert (found.volume.data.min() < 0) != nonnegative
    objectives = [result.slabs[0][1].history[-1].objective for result in (found, expected)]
    assert objectives[0] == pytest.approx(objectives[1], rel=1e-4)


@pytest.mark.parametrize("device", ["numpy", "opencl"], indirect=True)
def test_a_known_specimen_is_found(run: Run, well_sampled: Dataset, truth: np.ndarray, device: str) -> None:
    result = run(well_sampled, method="sirt", iterations=200, report_every=20, device=device)
    for found, expected in zip(result.volume.data, truth, strict=True):
        assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.97
        assert np.linalg.norm(found - expected) < 0.2 * np.linalg.norm(expected)
    (outcome,) = (outcome for _, outcome in result.slabs)
    assert (np.diff([record.objective for record in outcome.history]) < 0).all()
    assert (np.diff([record.data for record in outcome.history], axis=0) < 0).all()
    assert outcome.history[-1].objective == pytest.approx(sum(outcome.history[-1].data))


@pytest.mark.parametrize("nonnegative", [True, False])
def test_mass_is_conserved(run: Run, well_sampled: Dataset, nonnegative: bool) -> None:
    """Every projection of a specimen that is all on the detector has its mass."""
    result = run(well_sampled, method="sirt", iterations=60, nonnegative=nonnegative)
    mass = [series.data.sum(axis=(1, 2)).mean() for series in well_sampled]
    assert result.volume.data.sum(axis=(1, 2, 3)) == pytest.approx(mass, rel=0.02)


def test_channels_are_alone(run: Run, dataset: Dataset) -> None:
    together = run(dataset, method="sirt").volume
    for name in dataset.names:
        alone = run(dataset.select([name]), method="sirt").volume
        np.testing.assert_allclose(together[name], alone[name], atol=1e-5 * alone[name].max())


def test_the_image_follows_the_unit(run: Run, dataset: Dataset) -> None:
    haadf = dataset.select(["HAADF"])
    changed = haadf.map(lambda series: series.replace(data=-3e3 * series.data))
    expected = run(haadf, method="sirt", nonnegative=False).volume.data
    found = run(changed, method="sirt", nonnegative=False).volume.data
    np.testing.assert_allclose(found, -3e3 * expected, rtol=0, atol=0.03 * expected.max())


def test_rays_and_pixels_that_meet_nothing_stay_out() -> None:
    """A detector far wider than the slice, and a slice far wider than the detector."""
    for detector, shape in ((31, (5, 5)), (5, (31, 31))):
        geometry = ParallelBeam([0, 20, 45], detector, shape)
        matrix = Projector(geometry, 1, 1).matrix
        rows, columns = inverse_sums(geometry, np.ones((1, 3)))
        assert np.isfinite(rows).all()
        assert np.isfinite(columns).all()
        # 1 where the sum counts, 0 where the ray or pixel meets hardly anything
        for product in (rows.ravel() * matrix.sum(axis=1), columns.ravel() * matrix.sum(axis=0)):
            assert set(np.round(product, 5)) <= {0.0, 1.0}
            assert 1.0 in np.round(product, 5)
