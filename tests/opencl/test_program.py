"""Every program compiles as it stands, and is compiled once."""

from __future__ import annotations

import importlib.resources
from pathlib import PurePath

import pytest

from chemtomo.errors import DeviceError
from chemtomo.opencl import DeviceInfo
from chemtomo.opencl.layout import Layout
from chemtomo.opencl.program import KERNEL_FILES, build, kernel_source


@pytest.mark.parametrize("name", KERNEL_FILES)
def test_compiles_with_its_defaults(name: str, device: DeviceInfo) -> None:
    kernels = build(name, device, {}).kernel_names
    assert kernels
    assert all(f" {kernel}(" in kernel_source(name) for kernel in kernels.split(";"))


def test_every_kernel_file_belongs_to_a_program() -> None:
    folder = importlib.resources.files("chemtomo.opencl") / "kernels"
    there = {PurePath(file.name).stem for file in folder.iterdir() if file.name.endswith(".cl")}
    assert there == {part for parts in KERNEL_FILES.values() for part in parts}


def test_the_same_program_is_compiled_once(device: DeviceInfo) -> None:
    constants = Layout.for_device(2, 3, device).defines()
    program = build("projector", device, constants)
    assert build("projector", device, dict(reversed(constants.items()))) is program
    assert build("projector", device, constants | {"BLOCK": 2 * constants["BLOCK"]}) is not program


@pytest.mark.parametrize(
    ("name", "constant", "used"),
    [
        ("projector", "DIMS", False),
        ("projector", "VECTORS", True),
        ("data_term", "COUPLED", False),
        ("data_term", "KULLBACK_LEIBLER", True),
        ("total_variation", "POSITIVITY_DUAL", True),
        ("objective", "POSITIVITY_DUAL", False),
        ("objective", "SECOND_ORDER", True),
    ],
)
def test_only_constants_that_are_used_ask_for_another_program(
    name: str, constant: str, used: bool, device: DeviceInfo
) -> None:
    given = {
        "DIMS": 3,
        "COUPLED": 1,
        "SECOND_ORDER": 1,
        "KULLBACK_LEIBLER": 1,
        "POSITIVITY_DUAL": 1,
        "VECTORS": 2,
    }
    other = given | {constant: given[constant] - 1}
    assert (build(name, device, given) is not build(name, device, other)) == used


def test_the_two_programs_of_one_file_differ(device: DeviceInfo) -> None:
    assert kernel_source("objective") == kernel_source("feasible_objective")
    assert build("objective", device, {}) is not build("feasible_objective", device, {})


def test_a_constant_that_no_device_can_compile_is_an_error(device: DeviceInfo) -> None:
    with pytest.raises(DeviceError) as error:
        build("projector", device, {"WIDTH": 5})
    assert device.name in str(error.value)
    assert "cannot compile the kernels 'projector'" in str(error.value)
    assert "float5" in str(error.value)  # the words of the compiler
