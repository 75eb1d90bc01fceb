"""A driver that pip has installed is found, and the lists of the system and of the user stay."""

import os
import sys
from pathlib import Path

import pytest

from chemtomo.opencl.drivers.intel import announced, installed_library

VARIABLES = ("OCL_ICD_VENDORS", "OPENCL_VENDOR_PATH", "OCL_ICD_FILENAMES")
LINUX = ("linux", "../../libintelocl.so")
WINDOWS = ("win32", "../../Library/bin/intelocl64.dll")


@pytest.fixture(autouse=True)
def _no_list_of_the_user(monkeypatch):
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def nothing_installed(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", [str(tmp_path / "lib" / "python" / "site-packages")])


@pytest.fixture
def install(nothing_installed, tmp_path):
    """Lay a wheel out as pip does, its library outside of site-packages."""

    def unpack(path: str, *, exists: bool = True) -> Path:
        packages = tmp_path / "lib" / "python" / "site-packages"
        described = packages / "intel_opencl_rt-2026.2.0.dist-info"
        described.mkdir(parents=True)
        (described / "METADATA").write_text("Name: intel-opencl-rt\nVersion: 2026.2.0\n", encoding="utf-8")
        record = f"../../../etc/OpenCL/vendors/intel-cpu.icd,,\n{path}-gdb.py,,\n{path},,\n"
        (described / "RECORD").write_text(record, encoding="utf-8")
        library = (packages / path).resolve()
        library.parent.mkdir(parents=True, exist_ok=True)
        if exists:
            library.touch()
        return library

    return unpack


@pytest.fixture
def vendors(tmp_path):
    folder = tmp_path / "vendors"
    folder.mkdir()
    return folder


def drivers_of_the_loader():
    """What the loader reads: the lines of all files of the folder."""
    folder = Path(os.environ["OCL_ICD_VENDORS"])
    return [file.read_text(encoding="utf-8").strip() for file in sorted(folder.glob("*.icd"))]


@pytest.mark.parametrize(("system", "path"), [LINUX, WINDOWS])
def test_the_library_is_where_pip_put_it(install, system, path):
    assert installed_library(system) is None
    library = install(path)
    assert installed_library(system) == library
    assert installed_library("darwin") is None


@pytest.mark.parametrize(("system", "path"), [LINUX, WINDOWS])
def test_a_library_that_was_removed_is_none(install, system, path):
    install(path, exists=False)
    assert installed_library(system) is None


def test_the_loader_is_given_the_library_beside_the_drivers_of_the_system(install, vendors):
    library = install(LINUX[1])
    (vendors / "nvidia.icd").write_text("libnvidia-opencl.so.1\n", encoding="utf-8")
    (vendors / "mesa.icd").write_text("/usr/lib/libMesaOpenCL.so.1", encoding="utf-8")
    (vendors / "empty.icd").touch()
    (vendors / "not a list.txt").write_text("libother.so", encoding="utf-8")
    before = {path: path.read_bytes() for path in vendors.iterdir()}
    with announced("linux", [vendors, vendors / "not there"]):
        assert drivers_of_the_loader() == [
            str(library),
            "/usr/lib/libMesaOpenCL.so.1",
            "libnvidia-opencl.so.1",
        ]
        folder = Path(os.environ["OCL_ICD_VENDORS"])
    assert "OCL_ICD_VENDORS" not in os.environ
    assert not folder.exists()
    assert {path: path.read_bytes() for path in vendors.iterdir()} == before


def test_no_driver_is_in_the_list_twice(install, vendors):
    library = install(LINUX[1])
    (vendors / "a.icd").write_text(f"{library}\n", encoding="utf-8")
    (vendors / "b.icd").write_text(f"{library.parent}/../lib/{library.name}\n", encoding="utf-8")
    (vendors / "c.icd").write_text("libpocl.so\n", encoding="utf-8")
    (vendors / "d.icd").write_text("libpocl.so\n", encoding="utf-8")
    with announced("linux", [vendors]):
        assert sorted(Path(line).resolve().name for line in drivers_of_the_loader()) == [
            "libintelocl.so",
            "libpocl.so",
        ]


@pytest.mark.parametrize(
    ("system", "path", "variable"),
    [(*LINUX, "OCL_ICD_VENDORS"), (*LINUX, "OPENCL_VENDOR_PATH"), (*WINDOWS, "OCL_ICD_FILENAMES")],
)
def test_the_users_own_list_is_left_alone(install, monkeypatch, system, path, variable):
    install(path)
    monkeypatch.setenv(variable, "own")
    before = dict(os.environ)
    with announced(system):
        assert dict(os.environ) == before
    assert dict(os.environ) == before


def test_without_the_driver_nothing_is_changed(nothing_installed):
    before = dict(os.environ)
    for system in ("linux", "win32", "darwin"):
        with announced(system):
            assert dict(os.environ) == before


def test_windows_is_given_the_library_and_finds_its_neighbours(install, monkeypatch):
    library = install(WINDOWS[1])
    searched = []
    monkeypatch.setattr(os, "add_dll_directory", searched.append, raising=False)
    monkeypatch.setenv("PATH", "before")
    for _ in range(2):
        with announced("win32"):
            assert os.environ["OCL_ICD_FILENAMES"] == str(library)
        assert "OCL_ICD_FILENAMES" not in os.environ
        # The driver loads its compiler later, so this stays.
        assert os.environ["PATH"].split(os.pathsep) == [str(library.parent), "before"]
    assert set(searched) == {str(library.parent)}


def test_the_list_is_as_before_after_an_error(install, monkeypatch, vendors):
    install(LINUX[1])
    monkeypatch.setenv("OCL_ICD_VENDORS", "")
    with pytest.raises(RuntimeError), announced("linux", [vendors]):
        raise RuntimeError
    assert os.environ["OCL_ICD_VENDORS"] == ""
