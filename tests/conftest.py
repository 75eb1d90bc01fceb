"""What all tests share: a reproducible hypothesis, a quiet Qt, and the way to the real data."""

import os
import shutil
import sys
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]

os.environ.setdefault("QT_API", "pyqt6")
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
    if not folder.is_dir():
        pytest.skip(
            f"no reference data: found no folder {folder}. "
            "Set CHEMTOMO_DATA to the folder that holds phantom/ and reference/"
        )
    return folder
