import numpy as np
import pytest

from chemtomo.data import Volume
from chemtomo.errors import DataError


def test_channels_by_name():
    data = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    volume = Volume(data, ("A", "B"))
    assert volume.shape == (3, 4, 5)
    assert np.shares_memory(volume["B"], data)
    assert (volume["B"] == data[1]).all()
    with pytest.raises(DataError, match=r"'C'.*A, B"):
        volume["C"]


@pytest.mark.parametrize(
    ("shape", "names", "size", "said"),
    [
        ((2, 3, 4), ("A", "B"), 1.0, "four axes"),
        ((2, 3, 0, 4), ("A", "B"), 1.0, "none empty"),
        ((2, 3, 3, 4), ("A",), 1.0, "2 channels and 1 names"),
        ((2, 3, 3, 4), ("A", "A"), 1.0, "different names"),
        ((1, 3, 3, 4), ("A",), -1.0, "-1.0 nm"),
    ],
)
def test_refuses_what_does_not_fit(shape, names, size, said):
    with pytest.raises(DataError, match=said):
        Volume(np.zeros(shape, np.float32), names, size)
