"""How far the objective can be above its minimum: the duality gap."""

from __future__ import annotations

import dataclasses

import numpy as np

from chemtomo.functionals.problem import Problem
from chemtomo.operators.base import FloatArray, float64_of_shape

__all__ = ["DualityGap", "duality_gap"]


@dataclasses.dataclass(frozen=True)
class DualityGap:
    """Two numbers between which the minimum of the objective lies.

    The upper bound always holds. The lower holds if a minimiser lies in the box for which it was
    computed (see `duality_gap`). Neither bounds the error of the image.

    Attributes
    ----------
    primal : float
        The objective at the iterate: the upper bound.
    dual : float
        The lower bound.
    """

    primal: float
    dual: float

    @property
    def absolute(self) -> float:
        """``primal - dual``."""
        return self.primal - self.dual

    @property
    def relative(self) -> float:
        """``(primal - dual) / primal``."""
        if self.primal == 0:
            return 0.0 if self.dual == 0 else float("inf")
        return self.absolute / self.primal


def duality_gap(
    problem: Problem,
    u: FloatArray,
    w: FloatArray | None,
    p: FloatArray,
    q: FloatArray | None,
    r: FloatArray,
    box: float = 1.2,
) -> DualityGap:
    """Compute the duality gap of the problem with bounded variables.

    The minimum over ``u >= 0`` and ``w`` of the Lagrange function

    ``<grad u - w, p> + <sym w, q> + <A u, r> - D*(r)``

    is minus infinity for all but exact dual solutions. With ``0 <= u_c <= box max u_c`` and
    ``|w_c| <= box max |w_c|`` for every channel (and component of ``w``) it is

    ``- D*(r) - sum_c box max u_c sum((grad^T p + A^T r)-) - sum_c box max |w_c| sum |sym^T q - p|``

    which bounds the minimum of the objective from below as long as a minimiser lies in that box.

    Parameters
    ----------
    problem : Problem
        What is minimised.
    u : numpy.ndarray, shape (channel, z, y, x)
        The iterate; its negative part is cut off.
    w : numpy.ndarray, shape (component, channel, z, y, x)
        The vector field; not used without the second order.
    p, q : numpy.ndarray, shape (component or pair, channel, z, y, x)
        Dual variables of ``grad u - w`` and ``sym w``; scaled into their balls. ``q`` is not used
        without the second order.
    r : numpy.ndarray, shape (channel, tilt, y, detector)
        Dual variable of the data term; moved into the domain of the conjugate.
    box : float
        How far the box reaches beyond the iterate.

    Returns
    -------
    DualityGap
        Objective and lower bound.

    Raises
    ------
    DataError
        When a shape is not as expected.
    """
    u64 = problem.feasible(u)
    regulariser = problem.total_generalized_variation
    p64 = regulariser.norm1.scale_into_ball(float64_of_shape("gap, p", p, problem.vector_shape))
    r64 = problem.discrepancy.project_domain(float64_of_shape("gap, r", r, problem.data.shape))

    slope_u = regulariser.gradient.adjoint(p64) + problem.projector.adjoint(r64) / problem.operator_norm
    bound_u = box * u64.max(axis=(1, 2, 3))
    dual = -problem.discrepancy.conjugate(r64)
    dual -= float(bound_u @ np.maximum(-slope_u, 0).sum(axis=(1, 2, 3)))

    if problem.second_order:
        w64 = float64_of_shape("gap, w", w, problem.vector_shape)
        q64 = regulariser.norm0.scale_into_ball(float64_of_shape("gap, q", q, problem.tensor_shape))
        slope_w = regulariser.symmetrized_gradient.adjoint(q64) - p64
        bound_w = box * np.abs(w64).max(axis=(0, 2, 3, 4))
        dual -= float(bound_w @ np.abs(slope_w).sum(axis=(0, 2, 3, 4)))
    return DualityGap(problem.objective(u, w), dual)
