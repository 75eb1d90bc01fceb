"""Projection matching: every projection against the reconstruction from all others."""
