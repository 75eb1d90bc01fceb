"""The device of this machine, and both memory layouts on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from chemtomo.opencl import DeviceInfo, choose_device
from chemtomo.opencl.layout import Layout


@pytest.fixture(scope="session")
def device(opencl: str) -> DeviceInfo:
    """The device that a user of this machine would get."""
    found = choose_device()
    if found is None:
        pytest.skip("CHEMTOMO_DEVICE chooses numpy; expected an OpenCL device, to test kernels on it")
    return found


@pytest.fixture
def lie_as_on(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make all buffers lie as on a device of another kind, so that its kernels run on this one."""
    choose = Layout.for_device

    def set_kind(kind: str) -> None:
        def for_device(channels: int, slices: int, device: DeviceInfo, **options: Any) -> Layout:
            return choose(channels, slices, dataclasses.replace(device, kind=kind), **options)

        monkeypatch.setattr(Layout, "for_device", for_device)

    return set_kind
