"""Estimators of alignments, and the ways to combine, link and apply them."""

from chemtomo.align.apply import aligned_view, apply
from chemtomo.align.compose import compose
from chemtomo.align.current import current, require_fitting

__all__ = ["aligned_view", "apply", "compose", "current", "require_fitting"]
