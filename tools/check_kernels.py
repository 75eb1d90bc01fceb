"""Run the kernels under oclgrind, which reports invalid accesses to memory and data races.

Usage: ``make check-kernels``. Oclgrind interprets kernels on a simulated GPU, so the layout for GPUs is
what runs. It reports and goes on; here every report is a failure, and so is a kernel that never ran.
Where oclgrind is not installed nothing is checked, and a line says so.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
KERNELS = ROOT / "src" / "chemtomo" / "opencl" / "kernels"
TESTS = [f"tests/opencl/test_{name}.py" for name in ("projector_contract", "classical", "data_term")]
TESTS.append("tests/opencl/test_backend_contract.py")
# The interpreter is slow: joint TGV in 3D of three channels, joint TV, and the classical methods, each
# at toy size.
CLASSICAL = "classical and 2-9 and not bounds0 and not bounds1 and not bounds3"
TOY = (
    "not numpy and not wide and not cpu and not whole and not 70 and "
    f"(3x9 or tv-2d-5x22 and (plain or preconditioned) or {CLASSICAL} or data_term or gpu-2-64 or mix "
    "or binned or weighted)"
)
INSIDE = "--inside-oclgrind"


def main() -> int:
    """Run the tests under oclgrind, and return 1 when it reported anything."""
    program = shutil.which("oclgrind")
    if program is None:
        print("check-kernels: skipped, found no oclgrind (Debian, Ubuntu: apt-get install oclgrind)")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "oclgrind.log"
        command = [program, "--data-races", "--log", str(log), sys.executable, __file__, INSIDE]
        status = subprocess.run(command, cwd=ROOT, env=environment(), check=False).returncode
        reports = reports_of(log.read_text(encoding="utf-8", errors="replace") if log.exists() else "")
    if reports:
        print(f"check-kernels: oclgrind reported {len(reports)} errors; expected none. The first:")
        print("\n\n".join(reports[:5]))
    if status != 0:
        print(f"check-kernels: the tests under oclgrind ended with status {status}; expected 0")
    if reports or status != 0:
        return 1
    print("check-kernels: oclgrind reported no invalid access and no data race")
    return 0


def environment() -> dict[str, str]:
    """Choose the simulated GPU and no window, and compile every program anew."""
    return os.environ | {
        "CHEMTOMO_DEVICE": "gpu",
        "QT_QPA_PLATFORM": "offscreen",
        "PYOPENCL_NO_CACHE": "1",
    }


def reports_of(log: str) -> list[str]:
    """Split what oclgrind wrote into its reports, which empty lines part."""
    return [part.strip("\n") for part in re.split(r"\n\s*\n", log) if part.strip()]


def run_tests() -> int:
    """Run the tests in this process, and return 1 when one failed or a kernel was left out."""
    import pytest

    from chemtomo.opencl import choose_device
    from chemtomo.opencl.queue import Queue

    device = choose_device()
    if device is None or device.kind != "gpu" or "oclgrind" not in device.name.lower():
        print(f"check-kernels: found the device {device}; expected the GPU that oclgrind simulates")
        return 1
    used: set[str] = set()
    kernel: Callable[..., Any] = Queue.kernel

    def recorded(self: Queue, program: str, name: str) -> Any:
        used.add(name)
        return kernel(self, program, name)

    Queue.kernel = recorded  # type: ignore[method-assign]
    options = ["-q", "-x", "--no-header", "-p", "no:cacheprovider", "-p", "no:xvfb", "-o", "addopts="]
    options += ["--durations=5", "--import-mode=importlib", "-W", "ignore::pytest.PytestConfigWarning"]
    if pytest.main([*options, *TESTS, "-k", TOY]) != 0:
        return 1
    left_out = names_of_kernels() - used
    if left_out:
        print(f"check-kernels: these kernels never ran: {', '.join(sorted(left_out))}; expected all to")
        return 1
    print(f"check-kernels: {len(used)} kernels ran")
    return 0


def names_of_kernels() -> set[str]:
    """Return the names of all kernels in the package."""
    text = "\n".join(file.read_text(encoding="utf-8") for file in KERNELS.glob("*.cl"))
    return set(re.findall(r"\bkernel\s+void\s+(\w+)", text.replace("__kernel", "kernel")))


if __name__ == "__main__":
    sys.exit(run_tests() if INSIDE in sys.argv else main())
