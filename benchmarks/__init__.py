"""Measurements of speed, each against a peer in the same run: ``python -m benchmarks --help``."""
