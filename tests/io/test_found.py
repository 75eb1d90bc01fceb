"""What a reader finds fits its kind."""

import numpy as np
import pytest

from chemtomo.data import EnergyAxis
from chemtomo.errors import DataError
from chemtomo.io.found import Found


def test_images_have_one_tilt_and_stacks_one_for_each_image():
    assert Found("HAADF", np.ones((2, 3)), "image", tilts_deg=np.float32(1.5)).tilts_deg == 1.5
    stack = Found("HAADF", np.ones((2, 3, 4)), "stack", tilts_deg=np.array([1, 2]))
    assert stack.has_tilt_axis
    np.testing.assert_array_equal(stack.tilts_deg, [1.0, 2.0])


def test_spectra_may_have_a_tilt_axis():
    axis = EnergyAxis(0, 0.01)
    assert not Found("EDX", np.ones((2, 3, 4)), "spectrum image", energy=axis).has_tilt_axis
    assert Found("EDX", np.ones((1, 2, 3, 4)), "spectrum image", energy=axis).has_tilt_axis


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": np.ones(3), "kind": "image"}, r"expected \(y, x\)"),
        ({"data": np.ones((2, 0)), "kind": "image"}, "no empty axis"),
        ({"data": np.ones((2, 3, 4)), "kind": "stack", "tilts_deg": 0.0}, r"expected \(2,\)"),
        ({"data": np.ones((2, 3)), "kind": "image", "tilts_deg": np.nan}, "not finite"),
        ({"data": np.ones((2, 3, 4)), "kind": "spectrum image"}, "energy axis"),
        ({"data": np.ones((2, 3)), "kind": "image", "energy": EnergyAxis(0, 1)}, "energy axis"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        Found("x", **arguments)
