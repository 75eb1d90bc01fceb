"""Residuals of a volume, against data whose model and noise are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from chemtomo.data import Dataset, TiltSeries, Volume
from chemtomo.errors import DataError
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector
from chemtomo.recon.parameters import ReconstructParameters
from chemtomo.recon.reconstruction import frame_of
from chemtomo.trust.residuals import Residuals, coupling_warning, residuals

EDGE, SLICES = 33, 6
TILTS = np.linspace(-75.0, 75.0, 25)
SETTINGS = ReconstructParameters(field="sample")


def _truth(level: float) -> Volume:
    z, x = np.indices((EDGE, EDGE)) - (EDGE - 1) / 2
    disc = (np.hypot(z - 2, x + 3) < 9).astype(np.float32)
    image = np.repeat(level * disc[:, np.newaxis], SLICES, axis=1)
    return Volume(image[np.newaxis], ("Fe",), 1.0)


def _expected(volume: Volume) -> np.ndarray:
    geometry = ParallelBeam(-TILTS, EDGE, (EDGE, EDGE))
    image = np.ascontiguousarray(volume.data[:, ::-1])
    return np.asarray(Projector(geometry, 1, SLICES).forward(image)[0], np.float64)


def _series(values: np.ndarray, **changes) -> Dataset:
    return Dataset((TiltSeries("Fe", values.astype(np.float32), TILTS, kind="counts", **changes),))


@pytest.mark.parametrize("level", [0.02, 0.3, 20.0])
def test_the_truth_leaves_nothing_but_noise(level: float) -> None:
    truth = _truth(level)
    counts = np.random.default_rng(4).poisson(_expected(truth))
    (found,) = residuals(frame_of(_series(counts), SETTINGS), truth)
    assert found.mean_chi_squared == pytest.approx(1, abs=0.1)
    assert found.reprojection == pytest.approx(_expected(truth), abs=1e-3 * level)
    assert found.bad_tilts_deg == ()


def test_gains_and_background_are_part_of_the_model() -> None:
    truth = _truth(1.0)
    rng = np.random.default_rng(5)
    gains = rng.uniform(0.5, 1.5, TILTS.size)
    background = rng.uniform(0.5, 1.0, (TILTS.size, SLICES, EDGE))
    counts = rng.poisson(gains[:, None, None] * _expected(truth) + background)
    dataset = _series(counts, gains=gains, background=background.astype(np.float32))
    (found,) = residuals(frame_of(dataset, SETTINGS), truth)
    assert found.mean_chi_squared == pytest.approx(1, abs=0.1)


def test_a_bad_projection_is_named() -> None:
    truth = _truth(5.0)
    counts = np.random.default_rng(6).poisson(_expected(truth))
    counts[7] = np.roll(counts[7], 3, axis=-1)
    (found,) = residuals(frame_of(_series(counts), SETTINGS), truth)
    assert found.bad_tilts_deg == (TILTS[7],)


def test_pixels_that_are_not_valid_do_not_count() -> None:
    truth = _truth(5.0)
    counts = np.random.default_rng(6).poisson(_expected(truth))
    valid = np.ones(counts.shape, bool)
    valid[7] = False
    counts[7] = 1000
    (found,) = residuals(frame_of(_series(counts, valid=valid), SETTINGS), truth)
    assert found.pixels[7] == 0
    assert np.isnan(found.chi_squared[7])
    assert not found.residual[7].any()
    assert found.mean_chi_squared == pytest.approx(1, abs=0.1)


def test_noise_of_intensities_is_measured() -> None:
    truth = _truth(1.0)
    noisy = _expected(truth) + np.random.default_rng(7).normal(0, 0.4, (TILTS.size, SLICES, EDGE))
    dataset = Dataset((TiltSeries("Fe", noisy.astype(np.float32), TILTS),))
    (found,) = residuals(frame_of(dataset, SETTINGS), truth)
    assert found.mean_chi_squared == pytest.approx(1, abs=0.15)


def test_rays_that_leave_the_volume_do_not_count() -> None:
    """In a wide field the volume that is kept does not hold what is beside it."""
    truth = _truth(5.0)
    counts = np.random.default_rng(8).poisson(_expected(truth)) + 3
    wide = ReconstructParameters(field="wide", thickness=24.0)
    (found,) = residuals(frame_of(_series(counts), wide), truth)
    (sample,) = residuals(frame_of(_series(counts), SETTINGS), truth)
    middle = TILTS.size // 2
    assert found.pixels[middle] == pytest.approx(EDGE * SLICES, rel=0.1)
    assert found.pixels[0] < 0.2 * EDGE * SLICES
    assert sample.pixels[0] > 0.5 * EDGE * SLICES


def test_a_volume_of_other_data_is_refused() -> None:
    truth = _truth(1.0)
    dataset = _series(_expected(truth))
    with pytest.raises(DataError, match="residuals: found a volume"):
        residuals(frame_of(dataset, SETTINGS), dataclasses.replace(truth, data=truth.data[:, :, 1:]))
    with pytest.raises(DataError, match="residuals: found a volume of Co"):
        residuals(frame_of(dataset, SETTINGS), dataclasses.replace(truth, names=("Co",)))


def _with_chi_squared(value: float) -> Residuals:
    image = np.zeros((3, 10, 100), np.float32)
    pixels = np.full(3, 1000)
    return Residuals(
        "Fe",
        TILTS[:3],
        image,
        image,
        np.full(3, value),
        pixels,
        np.ones_like(image),
        np.ones((3, 1, 100), bool),
        (0, 10),
        (0, 100),
        "that of counts",
    )


def test_coupling_is_blamed_only_for_what_it_costs() -> None:
    assert coupling_warning(_with_chi_squared(1.02), _with_chi_squared(0.9)) is None
    assert coupling_warning(_with_chi_squared(1.5), _with_chi_squared(1.45)) is None
    warning = coupling_warning(_with_chi_squared(1.5), _with_chi_squared(1.0))
    assert warning is not None
    assert "Fe" in warning
    assert "1.5" in warning


@pytest.mark.parametrize("kind", ["counts", "intensity"])
def test_larger_pixels_are_compared_as_they_are(kind: str) -> None:
    """A signal with pixels of 3 x 3 has its own rows, columns and noise."""
    truth = _truth(2.0)
    expected = _expected(truth)
    fine = TiltSeries("Co", expected.astype(np.float32), TILTS)
    cells = expected.reshape(TILTS.size, SLICES // 3, 3, EDGE // 3, 3)
    rng = np.random.default_rng(9)
    values = rng.poisson(cells.sum(axis=(2, 4))) if kind == "counts" else cells.mean(axis=(2, 4))
    coarse = TiltSeries("Fe", values.astype(np.float32), TILTS, kind=kind, pixel_size_nm=3.0)  # type: ignore[arg-type]
    both = Volume(np.concatenate([truth.data, truth.data]), ("Co", "Fe"), 1.0)
    _, found = residuals(frame_of(Dataset((fine, coarse)), SETTINGS), both)
    assert found.reprojection.shape == values.shape
    if kind == "counts":
        assert found.mean_chi_squared == pytest.approx(1, abs=0.15)
    else:
        assert found.reprojection == pytest.approx(values, abs=1e-3)
