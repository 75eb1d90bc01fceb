"""Which device is chosen, and what is said when there is none."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from tests.opencl.devices import ACCELERATOR, CPU, GPU, DeviceList, raw_device

from chemtomo.errors import DeviceError
from chemtomo.opencl import choose_device, list_devices
from chemtomo.opencl import device as device_module

SMALL_CPU = raw_device("Weaver 4", CPU, units=4)
LARGE_CPU = raw_device("Weaver 64", CPU, units=64)
SHARED_GPU = raw_device("Loom integrated", GPU, units=24, shared=True)
OWN_GPU = raw_device("Loom discrete", GPU, units=16)
CARD = raw_device("Spindle", ACCELERATOR, units=99)


def name_of(wanted: str | None) -> str:
    found = choose_device(wanted)
    assert found is not None
    return found.name


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ([SMALL_CPU, LARGE_CPU], "Weaver 64"),
        ([LARGE_CPU, SHARED_GPU], "Loom integrated"),
        ([LARGE_CPU, SHARED_GPU, OWN_GPU], "Loom discrete"),
        ([OWN_GPU, raw_device("Loom large", GPU, units=80)], "Loom large"),
        ([CARD, SMALL_CPU], "Weaver 4"),
    ],
)
def test_auto_is_the_fastest_gpu_or_else_cpu(
    computer: DeviceList, devices: list[SimpleNamespace], expected: str
) -> None:
    computer(*devices)
    assert name_of(None) == name_of("auto") == name_of("Auto") == name_of("") == name_of("  ") == expected
    assert [device.name for device in list_devices() if device.default] == [expected]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("gpu", "Loom discrete"),
        ("CPU", "Weaver 64"),
        ("0", "Weaver 4"),
        ("3", "Loom discrete"),
        ("integr", "Loom integrated"),
        ("weaver", "Weaver 64"),
        (" Spindle ", "Spindle"),
    ],
)
def test_kind_number_or_part_of_the_name(computer: DeviceList, wanted: str, expected: str) -> None:
    computer(SMALL_CPU, LARGE_CPU, SHARED_GPU, OWN_GPU, CARD)
    assert name_of(wanted) == expected


def test_a_number_is_no_part_of_a_name(computer: DeviceList) -> None:
    computer(SMALL_CPU, LARGE_CPU)
    with pytest.raises(DeviceError, match="no device fits '4'; expected"):
        choose_device("4")


def test_devices_are_described(computer: DeviceList) -> None:
    computer(SMALL_CPU, OWN_GPU, CARD)
    first, second, third = list_devices()
    assert [first.number, second.number, third.number] == [0, 1, 2]
    assert [first.kind, second.kind, third.kind] == ["cpu", "gpu", "other"]
    assert (first.name, first.platform) == ("Weaver 4", "some platform")
    assert (first.memory_bytes, first.compute_units) == (2**33, 4)


def test_numpy_only_by_its_name(computer: DeviceList) -> None:
    computer(SMALL_CPU)
    assert choose_device("numpy") is None
    assert choose_device(" NumPy ") is None
    assert choose_device() is not None


@pytest.mark.parametrize(
    ("variable", "expected"), [("1", "Weaver 64"), ("loom", "Loom discrete"), (" ", "Loom discrete")]
)
def test_the_environment_variable_decides_what_auto_is(
    computer: DeviceList, monkeypatch: pytest.MonkeyPatch, variable: str, expected: str
) -> None:
    computer(SMALL_CPU, LARGE_CPU, OWN_GPU)
    monkeypatch.setenv("CHEMTOMO_DEVICE", variable)
    assert name_of(None) == name_of("auto") == expected
    assert name_of("0") == "Weaver 4"


def test_the_environment_variable_may_choose_the_reference(
    computer: DeviceList, monkeypatch: pytest.MonkeyPatch
) -> None:
    computer(SMALL_CPU)
    monkeypatch.setenv("CHEMTOMO_DEVICE", "numpy")
    assert choose_device() is None
    assert name_of("cpu") == "Weaver 4"


@pytest.mark.parametrize("wanted", ["gpu", "7", "Loom", "auto, please"])
def test_what_is_not_there_is_an_error_that_lists_what_is(computer: DeviceList, wanted: str) -> None:
    computer(SMALL_CPU, CARD)
    with pytest.raises(DeviceError) as error:
        choose_device(wanted)
    assert repr(wanted) in str(error.value)
    assert "0: Weaver 4 (cpu); 1: Spindle (other)" in str(error.value)


def test_auto_is_never_something_unknown(computer: DeviceList) -> None:
    computer(CARD)
    assert not list_devices()[0].default
    with pytest.raises(DeviceError, match="no device fits 'auto'"):
        choose_device()
    assert name_of("spindle") == "Spindle"


@pytest.mark.parametrize("wanted", [None, "auto", "gpu", "cpu", "0"])
@pytest.mark.parametrize("loader", [False, True])
def test_no_device_is_an_error_that_says_what_to_install(
    computer: DeviceList, wanted: str | None, loader: bool
) -> None:
    computer(loader=loader)
    assert list_devices() == []
    with pytest.raises(DeviceError) as error:
        choose_device(wanted)
    assert "no OpenCL device was found; expected a GPU or a CPU" in str(error.value)
    assert "pip install pocl-binary-distribution" in str(error.value)
    assert "--device numpy" in str(error.value)
    assert choose_device("numpy") is None


def test_a_driver_that_fails_does_not_hide_the_others(computer: DeviceList) -> None:
    computer("a driver without its hardware", SMALL_CPU)
    assert [device.name for device in list_devices()] == ["Weaver 4"]


def test_a_device_that_is_switched_off_is_not_listed(computer: DeviceList) -> None:
    computer(raw_device("Loom, out of order", GPU, available=False), SMALL_CPU)
    assert name_of("auto") == "Weaver 4"


@pytest.mark.parametrize("wanted", [None, "cpu"])
def test_without_pyopencl_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, wanted: str | None
) -> None:
    monkeypatch.delenv("CHEMTOMO_DEVICE", raising=False)
    monkeypatch.setitem(sys.modules, "pyopencl", None)  # makes its import fail
    device_module._found.cache_clear()
    with pytest.raises(DeviceError, match=r"OpenCL cannot be loaded \(.*pyopencl.*\)\. Install the driver"):
        choose_device(wanted)
    assert choose_device("numpy") is None


def test_the_devices_of_this_computer_are_numbered(device: Any) -> None:
    devices = list_devices()
    assert device in devices
    assert [info.number for info in devices] == list(range(len(devices)))
    assert sum(info.default for info in devices) <= 1
    assert all(choose_device(str(info.number)) == info for info in devices)
