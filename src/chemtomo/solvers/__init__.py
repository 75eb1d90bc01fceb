"""The iteration loop, and apart from it the iterations that it drives."""

from chemtomo.solvers.loop import (
    Iteration,
    IterationRecord,
    Limits,
    Objective,
    Outcome,
    Progress,
    Reached,
    iterate,
)

__all__ = ["Iteration", "IterationRecord", "Limits", "Objective", "Outcome", "Progress", "Reached", "iterate"]
