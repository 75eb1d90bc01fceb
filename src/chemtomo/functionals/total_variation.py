"""Total variation, and total generalised variation of second order."""

from __future__ import annotations

from collections.abc import Sequence

from chemtomo.functionals.norms import Coupling, FrobeniusNorm, NuclearNorm, PointwiseNorm
from chemtomo.operators import Gradient, SymmetrizedGradient
from chemtomo.operators.base import FloatArray

__all__ = ["TotalGeneralizedVariation", "TotalVariation"]


class TotalVariation:
    """Total variation ``alpha1 sum |grad u|``.

    Parameters
    ----------
    shape : (int, int, int, int)
        Shape of the volume, (channel, z, y, x).
    dims : {2, 3}
        3 with the derivative across slices, 2 for every slice by itself.
    alpha1 : float
        Weight, positive.
    coupling : {"none", "frobenius", "nuclear"}
        How the channels share their edges: see `FrobeniusNorm` and `NuclearNorm`.

    Raises
    ------
    DataError, ParameterError
        See `Gradient` and `FrobeniusNorm`.
    """

    def __init__(self, shape: Sequence[int], dims: int, alpha1: float, coupling: Coupling) -> None:
        self.gradient = Gradient(shape, dims)
        self.norm1 = _first_order_norm(alpha1, coupling)

    def value(self, u: FloatArray) -> float:
        """``alpha1 sum |grad u|`` of a volume (channel, z, y, x)."""
        return self.norm1.value(self.gradient.forward(u))


class TotalGeneralizedVariation:
    """Second-order total generalised variation (Huber et al. 2019, equations 10 and 12).

    ``min over w: alpha1 sum |grad u - w| + alpha0 sum |sym w|``, given here as a function of ``u``
    and the vector field ``w``.

    Parameters
    ----------
    shape : (int, int, int, int)
        Shape of the volume, (channel, z, y, x).
    dims : {2, 3}
        3 with the derivatives across slices, 2 for every slice by itself.
    alpha0, alpha1 : float
        Weights of the second-order and the first-order term, positive.
    coupling : {"none", "frobenius", "nuclear"}
        How the channels share their edges: see `FrobeniusNorm` and `NuclearNorm`. With ``nuclear`` it is the
        first-order term that is nuclear, and the second is coupled by the Frobenius norm: an edge gives the
        Jacobian a direction, and a bend has none to share (Knoll et al. 2017 do the same).

    Raises
    ------
    DataError, ParameterError
        See `Gradient` and `FrobeniusNorm`.
    """

    def __init__(
        self, shape: Sequence[int], dims: int, alpha0: float, alpha1: float, coupling: Coupling
    ) -> None:
        self.gradient = Gradient(shape, dims)
        self.symmetrized_gradient = SymmetrizedGradient(shape, dims)
        self.norm0 = FrobeniusNorm(alpha0, coupling != "none")
        self.norm1 = _first_order_norm(alpha1, coupling)

    def terms(self, u: FloatArray, w: FloatArray) -> tuple[float, float]:
        """First-order and second-order term, with their weights."""
        first = self.norm1.value(self.gradient.forward(u) - w)
        second = self.norm0.value(self.symmetrized_gradient.forward(w))
        return first, second

    def value(self, u: FloatArray, w: FloatArray) -> float:
        """``alpha1 sum |grad u - w| + alpha0 sum |sym w|``, ``w`` (component, channel, z, y, x)."""
        return sum(self.terms(u, w))


def _first_order_norm(alpha1: float, coupling: Coupling) -> PointwiseNorm:
    return NuclearNorm(alpha1) if coupling == "nuclear" else FrobeniusNorm(alpha1, coupling == "frobenius")
