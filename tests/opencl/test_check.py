"""The check of an installed package on a device."""

from __future__ import annotations

import pytest

from chemtomo.opencl import DeviceInfo, program
from chemtomo.opencl.check import main
from chemtomo.opencl.program import KERNEL_FILES
from chemtomo.opencl.projector import OpenCLProjector
from chemtomo.operators import FloatArray


def test_a_line_for_the_device_every_program_and_the_projector(
    device: DeviceInfo, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(device.number)]) == 0
    first, *programs, last = capsys.readouterr().out.splitlines()
    assert device.name in first
    assert [line.partition(":")[0] for line in programs] == list(KERNEL_FILES)
    assert last.startswith("projector: dot test")


@pytest.mark.parametrize("wanted", ["numpy", "no such device"])
def test_no_such_device(device: DeviceInfo, capsys: pytest.CaptureFixture[str], wanted: str) -> None:
    assert main([wanted]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("failed: ")
    assert wanted in said.err
    assert "expected" in said.err


def test_a_kernel_that_does_not_compile(
    device: DeviceInfo, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "kernel_source", lambda name: "__kernel void broken(")
    program._build.cache_clear()
    assert main([str(device.number)]) == 1
    assert "cannot compile the kernels 'projector'" in capsys.readouterr().err


def test_a_kernel_file_that_was_not_packed(
    device: DeviceInfo, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KERNEL_FILES, "missing", ("common", "missing"))
    assert main([str(device.number)]) == 1
    assert "missing.cl" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("factor_forward", "factor_adjoint", "message"), [(1, 1.01, "dot test"), (1.01, 1.01, "the reference by")]
)
def test_a_device_that_computes_wrongly(
    device: DeviceInfo,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    factor_forward: float,
    factor_adjoint: float,
    message: str,
) -> None:
    forward, adjoint = OpenCLProjector._forward, OpenCLProjector._adjoint

    def wrong_forward(self: OpenCLProjector, x: FloatArray, out: FloatArray) -> None:
        forward(self, x, out)
        out *= factor_forward

    def wrong_adjoint(self: OpenCLProjector, y: FloatArray, out: FloatArray) -> None:
        adjoint(self, y, out)
        out *= factor_adjoint

    monkeypatch.setattr(OpenCLProjector, "_forward", wrong_forward)
    monkeypatch.setattr(OpenCLProjector, "_adjoint", wrong_adjoint)
    assert main([str(device.number)]) == 1
    assert message in capsys.readouterr().err
