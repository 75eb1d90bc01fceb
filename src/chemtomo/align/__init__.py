"""Estimators of alignments, and the ways to combine, link and apply them."""
