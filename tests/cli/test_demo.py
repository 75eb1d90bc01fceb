"""The demo, with and without a display."""

import subprocess
import sys

import pytest

from chemtomo.cli.commands import simulated
from chemtomo.io import read_volume


@pytest.fixture
def small_demo(monkeypatch, tmp_path):
    monkeypatch.setattr(simulated, "_DEMO_SHAPE", (6, 24))
    monkeypatch.setattr(simulated, "_DEMO_ITERATIONS", 3)
    monkeypatch.setattr(simulated, "_DEMO_SIRT_ITERATIONS", 3)
    monkeypatch.setenv("CHEMTOMO_DEVICE", "numpy")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_demo_without_a_display_writes_volume_and_picture(run, small_demo):
    status, out, _ = run("demo")
    assert status == 0
    assert "demo-output/demo.png" in out.replace("\\", "/")
    volume = read_volume(small_demo / "demo-output" / "demo.zarr")
    assert volume.names == ("HAADF", "Yb", "Si", "Al")
    assert (small_demo / "demo-output" / "demo.png").stat().st_size > 10_000
    assert out.count("%") == 8  # errors of four signals, alone and jointly


def test_demo_with_a_display_opens_the_viewer(run, small_demo, monkeypatch):
    shown = []

    def viewer(command, **options):
        shown.append((command[1:-1], read_volume(command[-1])))
        return subprocess.CompletedProcess(command, 0, stderr="")

    monkeypatch.setattr(subprocess, "run", viewer)
    monkeypatch.setenv("DISPLAY", ":7")
    assert run("demo")[0] == 0
    ((program, volume),) = shown
    assert program == ["-m", "napari_chemtomo.demo"]
    assert volume.names == ("HAADF", "Yb", "Si", "Al")
    assert list(small_demo.iterdir()) == []


def test_demo_writes_where_it_is_told_and_opens_nothing(run, small_demo, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":7")
    monkeypatch.setattr(simulated, "_show_in_napari", lambda _: pytest.fail("a window was opened"))
    assert run("demo", "--output", small_demo / "here")[0] == 0
    assert (small_demo / "here" / "demo.png").exists()


def test_demo_without_napari_falls_back_to_files(run, small_demo, monkeypatch):
    missing = "Traceback ...\nModuleNotFoundError: No module named 'napari'\n"
    monkeypatch.setattr(
        subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1, stderr=missing)
    )
    monkeypatch.setenv("DISPLAY", ":7")
    status, _, err = run("demo")
    assert status == 0
    assert "No viewer: ModuleNotFoundError: No module named 'napari'" in err
    assert (small_demo / "demo-output" / "demo.png").exists()


def test_demo_reports_a_device_that_is_not_there(run, small_demo, monkeypatch):
    monkeypatch.setenv("CHEMTOMO_DEVICE", "abacus")
    status, _, err = run("demo")
    assert status == 1
    (line,) = err.splitlines()
    assert line.startswith("Error: ")
    assert "abacus" in line
