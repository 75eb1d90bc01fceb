"""What all tests share: a reproducible hypothesis, a quiet Qt, the way to the real data, and the device."""

import os
import shutil
import sys
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]

os.environ.setdefault("QT_API", "pyqt6")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Tests that run beside each other share the processor: each takes its part of it, and no more.
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    threads = str(max(1, (os.cpu_count() or 1) // workers))
    for name in ("POCL_MAX_PTHREAD_COUNT", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, threads)
if (
    sys.platform == "linux"
    and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    and shutil.which("Xvfb") is None
):
    # Without any display Qt ends the process; offscreen it runs all but the tests that draw in 3D.
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

hypothesis.settings.register_profile(
    "chemtomo",
    derandomize=True,  # the same examples every time
    deadline=None,  # the first call compiles a kernel
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    print_blob=True,
)
hypothesis.settings.load_profile("chemtomo")


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of the published reference data; the test is skipped where it is absent."""
    given = os.environ.get("CHEMTOMO_DATA")
    folder = Path(given) if given else ROOT.parent / "shared" / "data"
    if not folder.is_dir() or not any(folder.iterdir()):
        what = "nothing in the folder" if folder.is_dir() else "no folder"
        pytest.skip(
            f"no reference data: found {what} {folder}. "
            "Set CHEMTOMO_DATA to the folder that holds phantom/ and reference/"
        )
    return folder


@pytest.fixture(scope="session")
def opencl() -> str:
    """Name that chooses the OpenCL device of this machine; the test is skipped where there is none."""
    from chemtomo.errors import DeviceError
    from chemtomo.opencl import list_devices

    try:
        devices = [device for device in list_devices() if device.default]
    except DeviceError as error:
        pytest.skip(f"this machine has no OpenCL: {error}")
    if not devices:
        pytest.skip("this machine has no OpenCL device; expected one for this test")
    return str(devices[0].number)
