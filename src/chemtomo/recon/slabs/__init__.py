"""Volumes in slabs of slices: the plan, transfers beside the computation, and the state of an unfinished run."""
