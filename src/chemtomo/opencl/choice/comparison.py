"""Find the fastest of several OpenCL drivers of one CPU.

Which one it is depends on the processor. So each driver runs a small reconstruction, in a separate process,
because a failing driver may end its process. The times are kept in the user's cache folder until a driver or
ChemTomo changes its version. With one driver nothing is run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import platformdirs

from chemtomo.opencl.device import DeviceInfo, Trial
from chemtomo.opencl.drivers.pocl_toolchain import POCL
from chemtomo.version import VERSION

__all__ = ["compare", "fastest", "kept_trials"]

_PATIENCE_SECONDS = 60.0
_FAILURES_ARE_KEPT_SECONDS = 24 * 3600.0  # a missing compiler may be installed meanwhile
_ONE_AT_A_TIME = threading.Lock()


def fastest(drivers: Sequence[DeviceInfo]) -> DeviceInfo:
    """Return the driver whose trial was faster; PoCL where none succeeded.

    Parameters
    ----------
    drivers : sequence of DeviceInfo
        At least one; a CPU, as different drivers show it.
    """
    if len(drivers) == 1:
        return drivers[0]
    trials = compare(tuple(drivers))

    def time_of(device: DeviceInfo) -> tuple[float, bool]:
        seconds = trials[device].seconds
        return math.inf if seconds is None else seconds, device.platform != POCL

    return min(drivers, key=time_of)


def compare(drivers: tuple[DeviceInfo, ...]) -> dict[DeviceInfo, Trial]:
    """Return the trials of drivers, run once: a few seconds each, and never more than a minute.

    Parameters
    ----------
    drivers : tuple of DeviceInfo
        As for `fastest`.
    """
    with _ONE_AT_A_TIME:
        return _compare(drivers)


@cache
def _compare(drivers: tuple[DeviceInfo, ...]) -> dict[DeviceInfo, Trial]:
    names = [f"{one.platform}, {one.driver_version}, {one.name}, {one.compute_units}" for one in drivers]
    key = "; ".join([VERSION, *names])
    kept = _read(key, len(drivers))
    if kept is None:
        kept = [_run(device) for device in drivers]
        _write(key, kept)
    return dict(zip(drivers, kept, strict=True))


def kept_trials() -> Path:
    """Return the file with the times of earlier trials. Removing it is harmless."""
    return platformdirs.user_cache_path("chemtomo", appauthor=False) / "cpu-drivers.json"


def _run(device: DeviceInfo) -> Trial:
    # -P: modules are not imported from the current folder.
    command = [sys.executable, "-P", "-m", "chemtomo.opencl.choice.trial", str(device.number)]
    no_window = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # Windows would open a console
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
            timeout=_PATIENCE_SECONDS,
            creationflags=no_window,
        )
        if done.returncode == 0:
            return Trial(float(done.stdout.split()[-1]))
    except subprocess.TimeoutExpired:
        return Trial(None, f"not ready after {_PATIENCE_SECONDS:.0f} s")
    except (OSError, ValueError, IndexError) as error:
        return Trial(None, f"{type(error).__name__}: {error}")
    lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
    return Trial(None, lines[-1])


def _read(key: str, count: int) -> list[Trial] | None:
    """Return the stored trials of these drivers, if they are still valid."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        entry = json.loads(kept_trials().read_text(encoding="utf-8"))[key]
        trials = [
            Trial(one["seconds"] and float(one["seconds"]), str(one["error"])) for one in entry["trials"]
        ]
        failed = any(one.seconds is None for one in trials)
        if len(trials) == count and not (failed and time.time() - entry["at"] > _FAILURES_ARE_KEPT_SECONDS):
            return trials
    return None


def _write(key: str, trials: Sequence[Trial]) -> None:
    """Store trials for later processes; if they cannot be stored they are used in this one only."""
    path = kept_trials()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            entries = dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            entries = {}
        entries[key] = {"at": time.time(), "trials": [dataclasses.asdict(one) for one in trials]}
        temporary = path.with_suffix(".part")
        temporary.write_text(json.dumps(entries, indent=1, ensure_ascii=False), encoding="utf-8")
        temporary.replace(path)
