"""Volumes in slabs of slices: the plan, the transfers, and the state of an unfinished run."""
