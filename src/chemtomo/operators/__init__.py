"""The linear operators of the reconstruction model in NumPy: the specification of the fast ones."""

from chemtomo.operators.base import FloatArray, LinearOperator
from chemtomo.operators.binning import BinnedProjector
from chemtomo.operators.checks import as_matrix, dot_test
from chemtomo.operators.derivatives import Gradient, SymmetrizedGradient
from chemtomo.operators.projector import Projector, inverse_of_sums

__all__ = [
    "BinnedProjector",
    "FloatArray",
    "Gradient",
    "LinearOperator",
    "Projector",
    "SymmetrizedGradient",
    "as_matrix",
    "dot_test",
    "inverse_of_sums",
]
