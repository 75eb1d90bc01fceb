"""``python -m benchmarks.kill_and_resume``: reconstructions that are killed at random moments, and go on.

Each is a program of its own that is ended by SIGKILL at a random moment between its start and the end of an
undisturbed run, and then started again until it ends by itself. It prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import chemtomo
from benchmarks.measure import rounded


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill reconstructions at random moments, and resume them.")
    parser.add_argument("--device", default="auto", help="auto, gpu, cpu, numpy, or a name")
    parser.add_argument("--runs", type=int, default=10, help="how many are killed")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--memory", help="device memory in GiB: less makes slabs")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(rounded(measured(Path(folder), chosen)), indent=1))


def measured(folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    files = chemtomo.write_dataset(chemtomo.phantom((24, 48), tilts=31), folder / "series.zarr")
    command = [sys.executable, "-m", "chemtomo", "reconstruct", *map(str, files), "--device", chosen.device,
               "--dims", "3", "--iterations", "150", "--tolerance", "0", "--overwrite"]  # fmt: skip
    if chosen.memory is not None:
        command += ["--memory", chosen.memory]
    began = time.monotonic()
    whole = ended([*command, *results(folder, "whole")], folder / "whole.json")
    seconds = time.monotonic() - began
    moments = np.random.default_rng(chosen.seed).uniform(0, seconds, chosen.runs)
    volume = chemtomo.read_volume(folder / "whole.zarr").data
    runs = []
    for number, moment in enumerate(moments.tolist()):
        name, state = f"run{number}", folder / f"state{number}"
        keep = ["--checkpoint", str(state), "--resume", "--checkpoint-iterations", "5"]
        process = subprocess.Popen(
            [*command, *results(folder, name), *keep], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        killed = process.returncode != 0
        kept = state.exists()
        found = whole
        if killed:
            found = ended([*command, *results(folder, name), *keep], folder / f"{name}.json")
        objective, expected = last_objectives(found), last_objectives(whole)
        runs.append(
            {
                "seconds": moment,
                "killed": killed,
                "checkpoint": kept,
                "largest_relative_difference": float(np.max(np.abs(objective / expected - 1))),
                "same_bits": bool((chemtomo.read_volume(folder / f"{name}.zarr").data == volume).all()),
            }
        )
    return {"benchmark": "kill_and_resume", "device": whole["device"], "seconds": seconds,
            "slabs": len(whole.get("slabs", [0])), "runs": runs}  # fmt: skip


def results(folder: Path, name: str) -> list[str]:
    return ["--output", str(folder / f"{name}.zarr"), "--report", str(folder / f"{name}.json")]


def ended(command: list[str], report: Path) -> dict[str, Any]:
    """Run a command to its end and return its report."""
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return found


def last_objectives(report: dict[str, Any]) -> np.ndarray:
    """Return the last objective of every slab."""
    last = {line.get("slab", 0): line["objective"] for line in report["history"]}
    return np.array([last[slab] for slab in sorted(last)])


if __name__ == "__main__":
    main()
