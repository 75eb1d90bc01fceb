"""One recipe over many data sets and settings, here or on a Dask cluster."""

from chemtomo.pipeline.many.job import Job, Outcome
from chemtomo.pipeline.many.plan import plan_jobs
from chemtomo.pipeline.many.running import run_jobs_job

__all__ = ["Job", "Outcome", "plan_jobs", "run_jobs_job"]
