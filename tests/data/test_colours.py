import itertools
import re

import numpy as np
import pytest

from chemtomo.data.colours import GREY, PALETTE, channel_colours, is_structural


@pytest.mark.parametrize(
    "name", ["HAADF", "haadf", "HAADF_lrsino", "STEM-HAADF 2", "ADF", "BF", "LAADF", "x DF"]
)
def test_detector_images_are_known_by_name(name):
    assert is_structural(name)


@pytest.mark.parametrize("name", ["Al", "Si_EDXsino", "Cd", "Fe K", "BFO", "Adfx", "channel 0"])
def test_elements_are_not_taken_for_detector_images(name):
    assert not is_structural(name)


def test_grey_goes_to_the_detector_image_wherever_it_stands():
    assert channel_colours(["Yb", "HAADF", "Al"]) == (PALETTE[0], GREY, PALETTE[1])


def test_a_second_detector_image_differs_from_the_first():
    assert channel_colours(["HAADF", "BF"]) == (GREY, PALETTE[0])


def test_more_channels_than_colours():
    names = [f"channel {index}" for index in range(2 * len(PALETTE) + 1)]
    assert channel_colours(names) == (*PALETTE, *PALETTE, PALETTE[0])


def test_colours_are_bright_and_apart():
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in (*PALETTE, GREY))
    rgb = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in (*PALETTE, GREY)])
    assert rgb.max(axis=1).min() > 180
    assert min(np.linalg.norm(one - other) for one, other in itertools.combinations(rgb, 2)) > 80
