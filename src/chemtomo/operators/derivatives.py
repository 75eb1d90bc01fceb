"""Finite differences: the gradient of a volume and the symmetrised gradient of a vector field."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chemtomo.errors import DataError
from chemtomo.operators.base import FloatArray, LinearOperator

__all__ = ["Gradient", "SymmetrizedGradient", "component_axes", "component_pairs"]


def component_axes(dims: int) -> tuple[int, ...]:
    """Axes of a volume (channel, z, y, x) along which the components of a gradient are taken.

    ``(z, y, x)`` in three dimensions, ``(z, x)`` in two (every slice by itself).
    """
    if dims not in (2, 3):
        raise DataError(f"derivatives: found {dims} dimensions; expected 2 or 3")
    return (1, 2, 3) if dims == 3 else (1, 3)


def component_pairs(dims: int) -> tuple[tuple[int, int], ...]:
    """Pairs of components of a symmetric matrix, the diagonal first.

    ``zz, yy, xx, zy, zx, yx`` in three dimensions, ``zz, xx, zx`` in two.
    """
    n = len(component_axes(dims))
    diagonal = [(i, i) for i in range(n)]
    return tuple(diagonal + [(i, j) for i in range(n) for j in range(i + 1, n)])


def forward_difference(u: FloatArray, axis: int) -> FloatArray:
    """``u[i + 1] - u[i]`` along `axis`, 0 at the last index."""
    difference = np.zeros_like(u)
    difference[_at(axis, None, -1)] = u[_at(axis, 1, None)] - u[_at(axis, None, -1)]
    return difference


def backward_difference(u: FloatArray, axis: int) -> FloatArray:
    """``u[i] - u[i - 1]`` along `axis`, 0 at the first index."""
    difference = np.zeros_like(u)
    difference[_at(axis, 1, None)] = u[_at(axis, 1, None)] - u[_at(axis, None, -1)]
    return difference


def forward_difference_transposed(p: FloatArray, axis: int) -> FloatArray:
    """Transpose of `forward_difference`: ``p[i - 1] - p[i]``, with the last ``p`` left out."""
    result = np.zeros_like(p)
    result[_at(axis, 1, None)] += p[_at(axis, None, -1)]
    result[_at(axis, None, -1)] -= p[_at(axis, None, -1)]
    return result


def backward_difference_transposed(p: FloatArray, axis: int) -> FloatArray:
    """Transpose of `backward_difference`: ``p[i] - p[i + 1]``, with the first ``p`` left out."""
    result = np.zeros_like(p)
    result[_at(axis, 1, None)] += p[_at(axis, 1, None)]
    result[_at(axis, None, -1)] -= p[_at(axis, 1, None)]
    return result


def _at(axis: int, start: int | None, stop: int | None) -> tuple[slice, ...]:
    return (slice(None),) * axis + (slice(start, stop),)


class Gradient(LinearOperator):
    """Gradient by forward differences, 0 at the last index (Huber et al. 2019).

    Takes a volume (channel, z, y, x) to (component, channel, z, y, x), with the components
    ``(z, y, x)`` in three dimensions and ``(z, x)`` in two.

    Parameters
    ----------
    shape : (int, int, int, int)
        Shape of the volume, (channel, z, y, x).
    dims : {2, 3}
        3 with the derivative across slices, 2 for every slice by itself.

    Raises
    ------
    DataError
        When the shape does not have four axes, or `dims` is neither 2 nor 3.
    """

    def __init__(self, shape: Sequence[int], dims: int) -> None:
        self.axes = component_axes(dims)
        self.domain_shape = _volume_shape(shape)
        self.range_shape = (len(self.axes), *self.domain_shape)

    def _forward(self, x: FloatArray, out: FloatArray) -> None:
        for component, axis in enumerate(self.axes):
            out[component] = forward_difference(x, axis)

    def _adjoint(self, y: FloatArray, out: FloatArray) -> None:
        out[...] = 0
        for component, axis in enumerate(self.axes):
            out += forward_difference_transposed(y[component], axis)


class SymmetrizedGradient(LinearOperator):
    """Symmetrised gradient by backward differences, 0 at the first index (Huber et al. 2019).

    Takes a vector field (component, channel, z, y, x) to (pair, channel, z, y, x), with the pairs
    ``zz, yy, xx, zy, zx, yx`` in three dimensions and ``zz, xx, zx`` in two. An entry off the
    diagonal stands for two of the symmetric matrix, and is stored times sqrt(2):
    ``(d_i w_j + d_j w_i) / sqrt(2)``. So the Euclidean norm of the stored entries is the Frobenius
    norm of the matrix, and the adjoint is the plain transpose.

    Parameters
    ----------
    shape : (int, int, int, int)
        Shape of the volume, (channel, z, y, x).
    dims : {2, 3}
        3 with the derivative across slices, 2 for every slice by itself.

    Raises
    ------
    DataError
        When the shape does not have four axes, or `dims` is neither 2 nor 3.
    """

    def __init__(self, shape: Sequence[int], dims: int) -> None:
        self.axes = component_axes(dims)
        self.pairs = component_pairs(dims)
        volume_shape = _volume_shape(shape)
        self.domain_shape = (len(self.axes), *volume_shape)
        self.range_shape = (len(self.pairs), *volume_shape)

    def _forward(self, x: FloatArray, out: FloatArray) -> None:
        for pair, (i, j) in enumerate(self.pairs):
            if i == j:
                out[pair] = backward_difference(x[i], self.axes[i])
            else:
                out[pair] = backward_difference(x[j], self.axes[i])
                out[pair] += backward_difference(x[i], self.axes[j])
                out[pair] *= x.dtype.type(np.sqrt(0.5))

    def _adjoint(self, y: FloatArray, out: FloatArray) -> None:
        out[...] = 0
        for pair, (i, j) in enumerate(self.pairs):
            if i == j:
                out[i] += backward_difference_transposed(y[pair], self.axes[i])
            else:
                scaled = y[pair] * y.dtype.type(np.sqrt(0.5))
                out[j] += backward_difference_transposed(scaled, self.axes[i])
                out[i] += backward_difference_transposed(scaled, self.axes[j])


def _volume_shape(shape: Sequence[int]) -> tuple[int, ...]:
    if len(shape) != 4 or min(shape) < 1:
        raise DataError(
            f"derivatives: found the shape {tuple(shape)}; expected (channel, z, y, x), none empty"
        )
    return tuple(int(n) for n in shape)
