"""Memory and time to map a spectral tilt series that is larger than memory.

``python -m benchmarks.spectral_memory [--gigabytes 20] [--folder FOLDER]`` writes a HyperSpy file of that
size (compressed: it takes a fraction on the disk), maps four elements of it in a process of its own, checks
the counts, and prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from rsciio.hspy import file_writer

from chemtomo.io import read_spectra
from chemtomo.progress import finish
from chemtomo.spectra import element_maps_job, kramers_shapes, line_shape, line_windows

ELEMENTS = ("Fe", "Co", "Cu", "O")
CHANNELS, STEP_KEV, EDGE = 2048, 0.01, 64
BLOCKS_IN_A_ROW, KINDS = 5, 4


def block_of_spectra(kind: int) -> np.ndarray:
    """Return counts as sparse as those of EDX, shape (EDGE, EDGE, CHANNELS), uint16."""
    energies = STEP_KEV * np.arange(CHANNELS)
    mean = 40.0 * kramers_shapes(energies)[2]
    for shell in ("Fe_K", "Co_K", "Cu_K", "O_K"):
        mean = mean + 10.0 * line_shape(*shell.split("_"), energies)
    rng = np.random.default_rng(kind)
    return rng.poisson(mean, (EDGE, EDGE, CHANNELS)).astype(np.uint16)


def write_series(path: Path, tilts: int) -> int:
    """Write a HyperSpy file with repeated blocks, compressed once each; return its size in memory."""
    width = EDGE * BLOCKS_IN_A_ROW
    shape = (tilts, width, width, CHANNELS)
    _write_frame(path, shape)
    compressed = [zlib.compress(block_of_spectra(kind).tobytes(), 1) for kind in range(KINDS)]
    with h5py.File(path, "r+") as file:
        (experiment,) = file["Experiments"].values()
        del experiment["data"]
        data = experiment.create_dataset(
            "data", shape, np.uint16, chunks=(1, EDGE, EDGE, CHANNELS), compression="gzip", compression_opts=1
        )
        for tilt in range(tilts):
            for number in range(BLOCKS_IN_A_ROW**2):
                row, column = divmod(number, BLOCKS_IN_A_ROW)
                kind = (tilt + number) % KINDS
                data.id.write_direct_chunk((tilt, row * EDGE, column * EDGE, 0), compressed[kind])
        for number, size in enumerate(shape):
            experiment[f"axis-{number}"].attrs["size"] = size
    return int(np.prod(shape, dtype=np.int64)) * 2


def expected_counts(tilts: int, windows: list[list[float]]) -> list[int]:
    """Return the counts of the whole series in windows."""
    energies = STEP_KEV * np.arange(CHANNELS)
    sums = np.stack([block_of_spectra(kind).sum(axis=(0, 1), dtype=np.int64) for kind in range(KINDS)])
    times = np.zeros(KINDS, np.int64)
    for tilt in range(tilts):
        for number in range(BLOCKS_IN_A_ROW**2):
            times[(tilt + number) % KINDS] += 1
    total = times @ sums
    return [int(total[(energies >= low) & (energies < high)].sum()) for low, high in windows]


def map_file(path: Path, method: str) -> dict[str, Any]:
    """Open and map a file, and say what that took; run in a process of its own."""
    start = time.perf_counter()
    series = read_spectra(path)
    opened = time.perf_counter() - start
    before = _peak_bytes()
    windows = line_windows(series, ELEMENTS)
    made = finish(element_maps_job(series, windows, method="fit" if method == "fit" else "window"))
    assert made is not None
    return {
        "opened_seconds": opened,
        "mapped_seconds": time.perf_counter() - start - opened,
        "peak_after_opening_bytes": before,
        "peak_bytes": _peak_bytes(),
        "shape": list(series.shape),
        "lazy": series.is_lazy,
        "windows_keV": [[one.low_keV, one.high_keV] for one in windows],
        "counts": [int(one.data.sum(dtype=np.int64)) for one in made],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=20.0)
    parser.add_argument("--folder", type=Path, default=None, help="where to write the file; it is removed")
    parser.add_argument("--method", choices=("window", "fit"), default="window")
    parser.add_argument("--map", type=Path, default=None, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.map is not None:
        print(json.dumps(map_file(chosen.map, chosen.method)))
        return 0
    one_tilt = (EDGE * BLOCKS_IN_A_ROW) ** 2 * CHANNELS * 2
    tilts = max(2, round(chosen.gigabytes * 1e9 / one_tilt))
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        path = Path(folder) / "large.hspy"
        size = write_series(path, tilts)
        on_disk = path.stat().st_size
        command = [sys.executable, "-m", "benchmarks.spectral_memory", "--map", str(path)]
        found = subprocess.run(
            [*command, "--method", chosen.method], capture_output=True, text=True, check=False
        )
        if found.returncode:
            print(found.stderr, file=sys.stderr)
            return 1
        result = json.loads(found.stdout.splitlines()[-1])
    right = result["counts"] == expected_counts(tilts, result["windows_keV"])
    document = {
        "benchmark": "spectral_memory",
        "method": chosen.method,
        "bytes_in_memory": size,
        "bytes_on_disk": on_disk,
        **result,
        "counts_are_right": right,
        "below_2_GB": result["peak_bytes"] < 2e9,
    }
    print(json.dumps(document, indent=1))
    return 0 if right else 1


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _write_frame(path: Path, shape: tuple[int, ...]) -> None:
    """Write a HyperSpy file of a single spectrum with the axes of the series."""
    axes = [
        {
            "_type": "UniformDataAxis",
            "name": name,
            "units": unit,
            "size": size,
            "scale": scale,
            "offset": offset,
            "navigate": name != "Energy",
        }
        for name, unit, size, scale, offset in (
            ("tilt", "degree", 1, 120.0 / (shape[0] - 1), -60.0),
            ("y", "nm", 1, 2.0, 0.0),
            ("x", "nm", 1, 2.0, 0.0),
            ("Energy", "keV", CHANNELS, STEP_KEV, 0.0),
        )
    ]
    signal: dict[str, Any] = {
        "data": np.zeros((1, 1, 1, CHANNELS), np.uint16),
        "axes": axes,
        "metadata": {"General": {"title": "EDX"}, "Signal": {"signal_type": "EDS_TEM"}},
        "original_metadata": {},
        "attributes": {"_lazy": False},
        "package_info": {},
        "models": {},
        "tmp_parameters": {},
        "learning_results": {},
    }
    file_writer(str(path), signal)


if __name__ == "__main__":
    sys.exit(main())
