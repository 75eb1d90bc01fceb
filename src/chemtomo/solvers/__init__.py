"""The iteration loop, and apart from it the steps that it drives."""

from chemtomo.solvers.loop import (
    IterationRecord,
    Limits,
    Objective,
    Outcome,
    Progress,
    Step,
    iterate,
)

__all__ = ["IterationRecord", "Limits", "Objective", "Outcome", "Progress", "Step", "iterate"]
