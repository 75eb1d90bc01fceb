"""Data terms, regularisers and the problem made of them, in NumPy: the specification."""

from chemtomo.functionals.data_terms import (
    DataTerm,
    DataTermName,
    KullbackLeibler,
    SeparateDataTerms,
    SquaredL2,
)
from chemtomo.functionals.gains import best_gains, with_gains
from chemtomo.functionals.gap import DualityGap, duality_gap
from chemtomo.functionals.norms import Coupling, FrobeniusNorm, NuclearNorm
from chemtomo.functionals.problem import Problem
from chemtomo.functionals.total_variation import TotalGeneralizedVariation, TotalVariation

__all__ = [
    "Coupling",
    "DataTerm",
    "DataTermName",
    "DualityGap",
    "FrobeniusNorm",
    "KullbackLeibler",
    "NuclearNorm",
    "Problem",
    "SeparateDataTerms",
    "SquaredL2",
    "TotalGeneralizedVariation",
    "TotalVariation",
    "best_gains",
    "duality_gap",
    "with_gains",
]
