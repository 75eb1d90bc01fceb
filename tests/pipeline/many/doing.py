"""What workers of the tests do: jobs, and some of them end their process. Workers import it by its name."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from chemtomo.pipeline.many import Job, Outcome
from chemtomo.pipeline.many.job import do_job_job
from chemtomo.progress import finish


def do_or_die_once(job: Job, should_stop: Callable[[], bool]) -> Outcome:
    """End the process half-way through the first attempt at a data set with a file ``dies``."""
    trap = Path(job.path or "") / "dies"
    if not trap.exists():
        return finish(do_job_job(job, should_stop))
    trap.unlink()
    for progress in do_job_job(job, should_stop):
        if getattr(progress, "iteration", 0) == 2:
            os._exit(9)
    raise AssertionError("expected an iteration")


def die(job: Job, should_stop: Callable[[], bool]) -> Outcome:
    """End the process on one data set, and do the others."""
    if job.data == "s1":
        os._exit(9)
    return finish(do_job_job(job, should_stop))


def tell_share(job: Job, should_stop: Callable[[], bool]) -> Outcome:
    """Do nothing, and say how many workers share the device, and how many threads they have."""
    names = ("CHEMTOMO_DEVICE_SHARED_BY", "POCL_MAX_PTHREAD_COUNT", "OMP_NUM_THREADS")
    return Outcome(job, "made", " ".join(os.environ.get(name, "") for name in names))


def wait_for_stop(job: Job, should_stop: Callable[[], bool]) -> Outcome:
    """Run until it is asked to stop."""
    Path(job.output).with_suffix(".started").touch()
    while not should_stop():
        time.sleep(0.05)
    return finish(do_job_job(job, lambda: True))
