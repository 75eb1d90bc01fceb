"""A machine without a linker gets an error, and keeps its process."""

import os
import subprocess
import sys

import pytest

from chemtomo.opencl.device import found_devices
from chemtomo.opencl.drivers.pocl_toolchain import POCL, require_linker

pytest.importorskip("pyopencl")


def has_pocl() -> bool:
    return any(device.platform == POCL for device in found_devices())


needs_pocl = pytest.mark.skipif(
    sys.platform != "linux" or not has_pocl(), reason="only PoCL on Linux calls the system's linker"
)


def test_other_platforms_need_no_linker():
    require_linker("NVIDIA CUDA")


@needs_pocl
def test_a_linker_that_is_there_is_accepted():
    require_linker(POCL)


@needs_pocl
def test_a_missing_linker_is_an_error_that_says_what_to_install(tmp_path):
    (tmp_path / "empty").mkdir()
    environment = os.environ | {
        "PATH": str(tmp_path / "empty"),
        "POCL_CACHE_DIR": str(tmp_path / "cache"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    code = (
        "from chemtomo.errors import DeviceError\n"
        "from chemtomo.opencl import choose_device\n"
        "from chemtomo.opencl.device import context_of\n"
        "try:\n"
        f"    context_of(choose_device({POCL!r}))\n"
        "except DeviceError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "cannot link kernels" in done.stdout
    assert "gcc" in done.stdout
