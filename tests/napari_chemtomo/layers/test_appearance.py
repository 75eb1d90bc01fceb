"""Channels can be told apart at first sight."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chemtomo.samples import phantom_volume
from napari_chemtomo.layers.appearance import image_opacities, intensity_limits, volume_appearance


@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=1, max_dims=4, max_side=4),
        elements=st.floats(-1e6, 1e6, width=32) | st.just(np.nan),
    )
)
def test_limits_are_finite_and_in_order_for_any_data(data):
    low, high = intensity_limits(data)
    assert np.isfinite([low, high]).all()
    assert low < high
    assert low <= 0


def test_limits_are_not_lost_in_an_empty_background():
    data = np.zeros((50, 50, 50), np.float32)
    data[10:12, 10:12, 10:12] = np.linspace(5, 6, 8).reshape(2, 2, 2)
    low, high = intensity_limits(data)
    assert low == 0
    assert 5 < high <= 6


def test_limits_scale_with_the_data():
    data = np.random.default_rng(0).random((10, 10)).astype(np.float32)
    assert intensity_limits(8 * data) == pytest.approx([8 * limit for limit in intensity_limits(data)])


@pytest.mark.parametrize(
    ("names", "dimmed"),
    [
        (("HAADF",), (False,)),
        (("HAADF", "BF"), (False, False)),
        (("HAADF", "Al"), (True, False)),
        (("Al", "Si"), (False, False)),
    ],
)
def test_grey_is_dimmed_beside_colours(names, dimmed):
    assert tuple(opacity < 1 for opacity in image_opacities(names)) == dimmed


def test_what_is_rare_is_a_surface_in_the_haze_of_what_is_everywhere():
    volume = phantom_volume()
    looks = dict(zip(volume.names, volume_appearance(volume.names, volume.data), strict=True))

    assert {name: look["rendering"] for name, look in looks.items()} == {
        "HAADF": "attenuated_mip",
        "Yb": "iso",
        "Si": "iso",
        "Al": "attenuated_mip",
    }
    assert looks["HAADF"]["opacity"] < looks["Al"]["opacity"] < looks["Yb"]["opacity"] == 1
    for look in looks.values():
        low, high = look["contrast_limits"]
        assert low < look["iso_threshold"] < high


def test_a_channel_alone_is_bright():
    (look,) = volume_appearance(["HAADF"], np.ones((1, 2, 2, 2), np.float32))
    assert look["opacity"] == 1
    assert look["rendering"] == "attenuated_mip"
