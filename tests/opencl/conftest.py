"""The device of this machine, and both memory layouts on it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from chemtomo.errors import DeviceError
from chemtomo.opencl import DeviceInfo, choose_device
from chemtomo.opencl.layout import Layout


@pytest.fixture(scope="session")
def device() -> DeviceInfo:
    """The device that a user of this machine would get."""
    try:
        found = choose_device()
    except DeviceError as error:
        pytest.skip(f"this machine has no OpenCL device: {error}")
    if found is None:
        pytest.skip("CHEMTOMO_DEVICE chooses numpy; expected an OpenCL device, to test kernels on it")
    return found


@pytest.fixture(params=["cpu", "gpu"])
def layout_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make all buffers lie as on a CPU and then as on a GPU, whatever the device is."""
    choose = Layout.for_device

    def for_device(channels: int, slices: int, device: DeviceInfo, **options: Any) -> Layout:
        return choose(channels, slices, dataclasses.replace(device, kind=request.param), **options)

    monkeypatch.setattr(Layout, "for_device", for_device)
    return str(request.param)
