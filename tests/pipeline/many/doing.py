"""What workers of the tests do: jobs, and some of them end their process. Workers import it by its name."""

from __future__ import annotations

import os
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
    for _ in do_job_job(job, should_stop):
        pass_by = os.environ.get("CHEMTOMO_DEVICE_SHARED_BY")
        assert pass_by == "2"
        os._exit(9)
    raise AssertionError("expected a job with progress")


def die(job: Job, should_stop: Callable[[], bool]) -> Outcome:
    """End the process on one data set, and do the others."""
    if job.data == "s1":
        os._exit(9)
    return finish(do_job_job(job, should_stop))


def wait_for_stop(job: Job, should_stop: Callable[[], bool]) -> Outcome:
    """Run until it is asked to stop."""
    import time

    Path(job.output).with_suffix(".started").touch()
    while not should_stop():
        time.sleep(0.05)
    return finish(do_job_job(job, lambda: True))
