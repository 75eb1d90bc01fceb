"""One recipe over many data sets and settings, here or on a Dask cluster."""

from chemtomo.pipeline.many.plan import plan_runs
from chemtomo.pipeline.many.planned import Outcome, PlannedRun
from chemtomo.pipeline.many.running import run_many_job
from chemtomo.pipeline.many.slabs import run_in_slabs_job

__all__ = ["Outcome", "PlannedRun", "plan_runs", "run_in_slabs_job", "run_many_job"]
