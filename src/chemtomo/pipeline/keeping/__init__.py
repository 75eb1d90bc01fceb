"""Checkpoints of unfinished reconstructions, and the cache of results of steps."""
