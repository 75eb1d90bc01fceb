"""Checks for any linear operator."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from chemtomo.operators.base import LinearOperator

__all__ = ["as_matrix", "dot_test"]


def dot_test(operator: LinearOperator, *, seed: int = 0, dtype: npt.DTypeLike = np.float64) -> float:
    """Measure how well the adjoint of an operator is its transpose.

    Parameters
    ----------
    operator : LinearOperator
        The operator ``A``.
    seed : int
        Seed of the random vectors ``x`` and ``y``.
    dtype : dtype
        Type of the vectors, float32 or float64. The products are summed in float64.

    Returns
    -------
    float
        ``|<A x, y> - <x, A^T y>| / max(|A x| |y|, |x| |A^T y|)``: about the rounding error of `dtype`
        times a small number if the adjoint is exact; 0 if both products vanish.
    """
    generator = np.random.default_rng(seed)
    x = generator.standard_normal(operator.domain_shape).astype(dtype)
    y = generator.standard_normal(operator.range_shape).astype(dtype)
    image = operator.forward(x).astype(np.float64)
    back_image = operator.adjoint(y).astype(np.float64)
    difference = abs(np.vdot(image, y) - np.vdot(x, back_image))
    scale = max(np.linalg.norm(image) * np.linalg.norm(y), np.linalg.norm(x) * np.linalg.norm(back_image))
    return float(difference / scale) if scale > 0 else float(difference)


def as_matrix(operator: LinearOperator) -> npt.NDArray[np.float64]:
    """Write a small operator as a dense matrix, by applying it to every unit vector.

    Returns
    -------
    numpy.ndarray, shape (size of the range, size of the domain)
        The matrix that acts on flattened arrays, float64.
    """
    units = np.eye(int(np.prod(operator.domain_shape)))
    columns = [operator.forward(unit.reshape(operator.domain_shape)).ravel() for unit in units]
    return np.stack(columns, axis=1).astype(np.float64)
