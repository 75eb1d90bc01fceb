"""A small simulated acquisition, and the device to try it on."""

from __future__ import annotations

import pytest

import chemtomo
from chemtomo.data import Dataset


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """Four signals, 9 tilts of 4 slices x 16 detector pixels."""
    return chemtomo.phantom((4, 16), tilts=9)
