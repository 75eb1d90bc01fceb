"""A disk that is full at any moment of writing: one plain error, and nothing is left."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

NAMES = ["v.mrc", "v.emd", "v.hspy", "v.ome.tif", "v.npz", "v.zarr"]

# In a process of its own, which must not die of a signal.
_CODE = """
import resource, signal, sys
import numpy as np
from pathlib import Path
from chemtomo.data import Dataset, TiltSeries, Volume
from chemtomo.errors import WriteError
from chemtomo.io import write, write_dataset
path, kind, limit = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
data = np.random.default_rng(0).random((2, 16, 64, 64)).astype(np.float32)
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    if kind == "volume":
        write(Volume(data, ("HAADF", "Al")), path, overwrite=True)
    else:
        tilts = np.arange(16.0)
        series = [TiltSeries(name, one, tilts) for name, one in zip(("HAADF", "Al"), data)]
        write_dataset(Dataset(tuple(series)), path, overwrite=True)
except WriteError as error:
    print(error)
    sys.exit(1)
"""


def _write(path: Path, kind: str, limit: int = 0) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", _CODE, str(path), kind, str(limit)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 300 KiB, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"cannot mount a small disk: {error}")
    if done.returncode:
        pytest.skip(f"cannot mount a small disk: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("kind", ["volume", "series"])
@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_is_told_and_nothing_is_left(small_disk, name, kind):
    old = small_disk / "other.txt"
    old.write_text("kept")
    done = _write(small_disk / name, kind)
    assert (done.returncode, done.stderr) == (1, "")
    assert "cannot be written: no space left" in done.stdout
    assert [one.name for one in small_disk.iterdir()] == ["other.txt"]
    assert old.read_text() == "kept"


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of the size of files")
@pytest.mark.parametrize("limit", [1, 900, 5_000, 30_000, 60_000])
@pytest.mark.parametrize("kind", ["volume", "series"])
@pytest.mark.parametrize("name", NAMES)
def test_a_refusal_of_the_system_at_any_byte_is_an_error(tmp_path, name, kind, limit):
    """The system refuses to write beyond a size of any file, wherever in the file that is."""
    done = _write(tmp_path / name, kind, limit)
    assert done.returncode in (0, 1), (done.returncode, done.stderr)
    if done.returncode:
        assert "cannot be written" in done.stdout
        assert list(tmp_path.iterdir()) == []


def test_values_are_whole_where_there_is_room(tmp_path):
    from chemtomo.io import read_volume

    assert _write(tmp_path / "v.hspy", "volume").returncode == 0
    data = np.random.default_rng(0).random((2, 16, 64, 64)).astype(np.float32)
    np.testing.assert_array_equal(read_volume(tmp_path / "v.hspy").data, data)
