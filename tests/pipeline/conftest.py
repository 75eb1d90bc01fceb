"""A small simulated acquisition, and the device to try it on."""

from __future__ import annotations

import pytest

import chemtomo
from chemtomo.data import Dataset
from chemtomo.errors import DeviceError
from chemtomo.opencl import list_devices


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """Four signals, 9 tilts of 4 slices x 16 detector pixels."""
    return chemtomo.phantom((4, 16), tilts=9)


@pytest.fixture(scope="session")
def opencl() -> str:
    """Name that chooses the OpenCL device of this machine; the test is skipped where there is none."""
    try:
        devices = [device for device in list_devices() if device.default]
    except DeviceError as error:
        pytest.skip(f"this machine has no OpenCL: {error}")
    if not devices:
        pytest.skip("this machine has no OpenCL device; NumPy is too slow for this test")
    return str(devices[0].number)
