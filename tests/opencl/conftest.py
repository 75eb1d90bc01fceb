"""The device of this machine, both memory layouts on it, and backends on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.opencl.backends import Case, MakeBackend, problem_of
from tests.opencl.devices import CPU, GPU, DeviceList, DriverError

from chemtomo.opencl import DeviceInfo, choose_device
from chemtomo.opencl import device as device_module
from chemtomo.opencl.choice import comparison
from chemtomo.opencl.choice.choosing import ENVIRONMENT_VARIABLE
from chemtomo.opencl.layout import Layout
from chemtomo.solvers.backend import Backend
from chemtomo.solvers.numpy_backend import NumpyBackend


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


@pytest.fixture
def computer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[DeviceList]:
    """Give this computer another list of devices, one platform each; a string is a driver that fails."""

    def set_devices(*devices: SimpleNamespace | str, loader: bool = True) -> None:
        def platform_of(found: SimpleNamespace | str) -> SimpleNamespace:
            def get_devices() -> list[SimpleNamespace]:
                if isinstance(found, str):
                    raise DriverError(found)
                return [found]

            return SimpleNamespace(get_devices=get_devices)

        def get_platforms() -> list[SimpleNamespace]:
            if not loader:
                raise DriverError("PLATFORM_NOT_FOUND_KHR")
            return [platform_of(found) for found in devices]

        opencl = SimpleNamespace(
            Error=DriverError, get_platforms=get_platforms, device_type=SimpleNamespace(GPU=GPU, CPU=CPU)
        )
        monkeypatch.setattr(device_module, "_opencl", lambda: opencl)
        device_module._found.cache_clear()

    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setattr(comparison, "kept_trials", lambda: tmp_path / "cache" / "trials.json")
    device_module._found.cache_clear()
    comparison._compare.cache_clear()
    yield set_devices
    device_module._found.cache_clear()
    comparison._compare.cache_clear()


@pytest.fixture
def opencl_of(device: Any, lie_as_on: Callable[[str], None]) -> Callable[[Case], Backend]:
    """The problem of a case on the device of this machine, lying in memory as the case wants."""
    from chemtomo.opencl.variational import OpenCLBackend

    def of_case(case: Case) -> Backend:
        lie_as_on(case.layout)
        return OpenCLBackend(problem_of(case), device)

    return of_case


@pytest.fixture(params=["numpy", "opencl"])
def backend_of(request: pytest.FixtureRequest) -> MakeBackend:
    """The class of the backend."""
    if request.param == "numpy":
        return NumpyBackend
    device = request.getfixturevalue("device")
    from chemtomo.opencl.variational import OpenCLBackend

    return lambda problem: OpenCLBackend(problem, device)
