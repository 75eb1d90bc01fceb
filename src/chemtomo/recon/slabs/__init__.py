"""Reconstruction in slabs of slices: plan, transfers, and checkpoints."""
