from pathlib import Path

import numpy as np
import pytest

from chemtomo.errors import ReadError
from chemtomo.io.signal_kind import guess_kind, summarise


def kind(name, values):
    found, note = guess_kind(name, summarise(np.asarray(values).reshape(1, 1, -1), Path("a.mrc")))
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
    found = summarise(data, Path("a.mrc"))
    assert (found.smallest, found.largest, found.whole) == (-7, 9.5, False)
    data[2, 1, 1] = np.nan
    with pytest.raises(ReadError, match=r"a.mrc: found nan at \(tilt, y, x\) = \(2, 1, 1\)"):
        summarise(data, Path("a.mrc"))
