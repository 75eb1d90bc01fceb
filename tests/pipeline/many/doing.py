"""What workers of the tests do: runs, and some of them end their process. Workers import it by its name."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from chemtomo.pipeline.many import Outcome, PlannedRun
from chemtomo.pipeline.many.planned import planned_run_job
from chemtomo.pipeline.step import Made
from chemtomo.pipeline.steps import STEPS
from chemtomo.progress import finish


def do_or_die_once(run: PlannedRun, should_stop: Callable[[], bool]) -> Outcome:
    """End the process half-way through the first attempt at a data set with a file ``dies``."""
    trap = Path(run.path or "") / "dies"
    if not trap.exists():
        return finish(planned_run_job(run, should_stop))
    trap.unlink()
    for progress in planned_run_job(run, should_stop):
        if getattr(progress, "iteration", 0) == 2:
            os._exit(9)
    raise AssertionError("expected an iteration")


def die(run: PlannedRun, should_stop: Callable[[], bool]) -> Outcome:
    """End the process on one data set, and do the others."""
    if run.data == "s1":
        os._exit(9)
    return finish(planned_run_job(run, should_stop))


def tell_share(run: PlannedRun, should_stop: Callable[[], bool]) -> Outcome:
    """Do nothing, and say how many workers share the device, and how many threads they have."""
    names = ("CHEMTOMO_DEVICE_SHARED_BY", "POCL_MAX_PTHREAD_COUNT", "OMP_NUM_THREADS")
    return Outcome(run, "made", " ".join(os.environ.get(name, "") for name in names))


def wait_for_stop(run: PlannedRun, should_stop: Callable[[], bool]) -> Outcome:
    """Run until it is asked to stop."""
    Path(run.output).with_suffix(".started").touch()
    while not should_stop():
        time.sleep(0.05)
    return finish(planned_run_job(run, lambda: True))


def counting_alignments(run: PlannedRun, should_stop: Callable[[], bool]) -> Outcome:
    """Do a run, and leave a line in the folder of the cache for every alignment that is made."""
    align = STEPS["align"]

    def slow_and_counted(*arguments: Any) -> Generator[Any, None, Made]:
        assert run.cache is not None
        run.cache.folder.mkdir(exist_ok=True)
        with (run.cache.folder / "aligned").open("a", encoding="utf-8") as file:
            file.write("once\n")
        time.sleep(0.5)
        return (yield from align.job(*arguments))

    STEPS["align"] = dataclasses.replace(align, job=slow_and_counted)
    try:
        return finish(planned_run_job(run, should_stop))
    finally:
        STEPS["align"] = align
