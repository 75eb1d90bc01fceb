from pathlib import Path

import numpy as np
import pytest

from chemtomo.errors import ReadError
from chemtomo.io.interpret.signal_kind import guess_kind, kind_from_name, summarise_values


def kind(name, values):
    found, note = guess_kind(name, summarise_values(np.asarray(values).reshape(1, 1, -1), Path("a.mrc")))
    assert note.startswith("taken for")
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.uint16, np.int16])
def test_small_whole_numbers_are_counts(dtype):
    assert kind("Al", np.array([0, 3, 44], dtype)) == "counts"


@pytest.mark.parametrize("values", [[0, 0.5, 3], [-1, 0, 3], [0, 3, 150122]])
def test_other_numbers_are_intensities(values):
    assert kind("Al", values) == "intensity"


def test_detector_images_are_intensities_whatever_their_numbers():
    assert kind("HAADF", np.array([0, 200, 255], np.uint8)) == "intensity"


def test_values_are_looked_at_in_all_projections():
    data = np.zeros((3, 4, 5), np.float32)
    data[0, 0, 0], data[2, 3, 4] = -7, 9.5
    found = summarise_values(data, Path("a.mrc"))
    assert (found.smallest, found.largest, found.whole) == (-7, 9.5, False)
    data[2, 1, 1] = np.nan
    with pytest.raises(ReadError, match=r"a.mrc: found nan at \(tilt, y, x\) = \(2, 1, 1\)"):
        summarise_values(data, Path("a.mrc"))


def stack(name, data, detectors=()):
    found, note = guess_kind(name, summarise_values(np.asarray(data), Path("a.mrc")), detectors)
    assert note.startswith("taken for")
    return found


def camera(low, high, dtype, seed=0):
    """Images with an offset whose values fill the range of a digitiser."""
    return np.random.default_rng(seed).integers(low, high + 1, (3, 40, 40)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.int32, np.float32])
@pytest.mark.parametrize(("low", "high"), [(87, 3921), (0, 3921), (0, 4095), (0, 1023), (0, 255), (20, 200)])
def test_images_of_a_camera_are_intensities_in_every_type(low, high, dtype):
    assert stack("tomo_01", camera(low, high, dtype)) == "intensity"


def test_eight_bits_that_are_stretched_or_smooth_are_intensities_and_sparse_ones_are_counts():
    y, x = np.mgrid[:40, :40]
    smooth = np.rint(100 + 100 * np.sin(x / 9) * np.cos(y / 7)).astype(np.uint8)[np.newaxis]
    assert smooth.min() == 0
    assert stack("run", smooth) == "intensity"
    assert stack("Al", camera(0, 255, np.uint8)) == "intensity"
    counts = np.random.default_rng(1).poisson(3 + 2 * np.sin(x / 9), (3, 40, 40))
    for dtype in (np.uint8, np.uint16, np.int32, np.float32):
        assert stack("run", counts.astype(dtype)) == "counts"


@pytest.mark.parametrize("rate", [0.05, 0.5, 5, 60])
@pytest.mark.parametrize("seed", range(3))
def test_poisson_counts_that_reach_zero_are_counts_whatever_the_sample(rate, seed):
    rng = np.random.default_rng(seed)
    expected = rate * np.repeat(np.repeat(rng.random((3, 5, 5)), 8, axis=1), 8, axis=2)
    counts = rng.poisson(expected).astype(np.uint16)
    counts[0, 0, 0] = 0
    assert stack("run", counts) == "counts"


@pytest.mark.parametrize("name", ["Al", "Fe Ka", "O-EDS", "EDX sum", "X-ray counts"])
def test_names_of_elements_and_x_rays_are_counts_beyond_small_numbers(name):
    assert stack(name, camera(1, 900, np.uint16)) == "counts"


@pytest.mark.parametrize("name", ["Ceta", "BM-Ceta", "Falcon", "CCD camera", "OneView", "HAADF", "DF4 STEM"])
def test_cameras_and_detectors_of_images_are_intensities_by_name(name):
    few = np.random.default_rng(0).poisson(2, (3, 40, 40))
    assert stack(name, few) == "intensity"
    assert stack("run", few, detectors=(name,)) == "intensity"


def test_the_quantity_of_a_file_comes_first():
    values = camera(0, 900, np.int32)
    assert kind_from_name("run", values, "X-rays (Counts)") == "counts"
    assert kind_from_name("run", values, "counts") == "counts"
    assert kind_from_name("run", values, "Intensity") == "intensity"
    assert kind_from_name("run", values - 5, "counts") == "intensity"
    assert kind_from_name("run", values, "Electrons (Counts)") is None
