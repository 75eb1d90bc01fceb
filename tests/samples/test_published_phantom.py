"""The phantom of Huber et al. 2019, beside the published tilt series of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import rotate

from chemtomo.data import Dataset
from chemtomo.errors import ParameterError
from chemtomo.io import read
from chemtomo.samples import huber2019, huber2019_volume

# Signal of one slice and tilt of the published series, on average.
PUBLISHED = {"HAADF": 27735289.2, "Yb": 47.515, "Al": 4459.955, "Si": 194.632}
FILES = {"HAADF": "HAADF_lrsino.mrc", "Yb": "Yb_EDXsino.mrc", "Al": "Al_EDXsino.mrc", "Si": "Si_EDXsino.mrc"}


def test_has_the_signal_of_the_published_series() -> None:
    made = huber2019(2, noise=False)
    found = {one.name: float(np.sum(one.data, dtype=np.float64)) / (2 * 36) for one in made}
    assert found == pytest.approx(PUBLISHED, rel=0.10)


@pytest.fixture(scope="module")
def expected() -> Dataset:
    return huber2019(21, noise=False)


@pytest.mark.parametrize("name", FILES)
def test_lies_beside_the_published_series(name: str, data_folder: Path, expected: Dataset) -> None:
    """Slices of it are those that were published: in the same place, turned alike, as noisy."""
    folder = data_folder / "phantom"
    published = read(folder / FILES[name]).series[0]
    made = expected[name]
    assert np.array_equal(made.tilts_deg, published.tilts_deg)
    assert made.shape == (published.shape[0], 21, published.shape[2])
    for one in (0, 10, 20):
        seen, mean = (np.asarray(two.data[:, one], np.float64) for two in (published, made))
        if name == "HAADF":
            assert np.corrcoef(seen.ravel(), mean.ravel())[0, 1] > 0.9995
        bright = mean > 0.05 * mean.max()
        # What is left is noise of the counts and a difference in shape of a few per cent.
        chi_squared = float(((seen - mean)[bright] ** 2).sum() / mean[bright].sum())
        if name != "HAADF":
            assert 0.8 < chi_squared < 1.25


def test_every_slice_is_the_first_one_turned() -> None:
    volume = huber2019_volume(16)["HAADF"]
    turned = rotate(volume[:, 0], 1.5, reshape=False, order=1)
    back = rotate(volume[:, 0], -1.5, reshape=False, order=1)
    error = [float(np.linalg.norm(one - volume[:, 15])) for one in (turned, back)]
    assert min(error) < 0.5 * max(error)
    assert min(error) < 0.06 * float(np.linalg.norm(volume[:, 15]))


def test_the_noise_is_that_of_counts() -> None:
    expected, first, again = huber2019(2, noise=False), huber2019(2, seed=3), huber2019(2, seed=3)
    other = huber2019(2, seed=4)
    for name in PUBLISHED:
        mean, counts = (np.asarray(one[name].data, np.float64) for one in (expected, first))
        assert np.array_equal(counts, again[name].data)
        assert not np.array_equal(counts, other[name].data)
        seen = mean > 1e-3 * mean.max()
        assert ((counts - mean)[seen] ** 2).sum() / mean[seen].sum() == pytest.approx(1, abs=0.1)
        assert not counts[mean == 0].any()


def test_refuses_no_slices() -> None:
    with pytest.raises(ParameterError, match="found 0 slices"):
        huber2019_volume(0)
