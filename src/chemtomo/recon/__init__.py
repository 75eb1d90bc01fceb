"""Reconstruction: from projections to volumes."""
