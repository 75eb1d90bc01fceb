"""The interface of all linear operators."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.errors import DataError

__all__ = ["FloatArray", "LinearOperator", "float64_of_shape", "require_shape"]

FloatArray = npt.NDArray[np.floating[Any]]


def require_shape(where: str, array: npt.NDArray[Any], expected: tuple[int, ...]) -> None:
    """Raise `DataError`, naming both sides, unless `array` has the shape `expected`."""
    if array.shape != expected:
        raise DataError(f"{where}: found an array of shape {array.shape}; expected {expected}")


def float64_of_shape(
    where: str, array: npt.NDArray[Any] | None, expected: tuple[int, ...]
) -> npt.NDArray[np.float64]:
    """Copy `array` to float64, or raise `DataError` where it is missing or has another shape."""
    if array is None:
        raise DataError(f"{where}: found no array; expected one of shape {expected}")
    require_shape(where, array, expected)
    return array.astype(np.float64)


class LinearOperator(abc.ABC):
    """A linear map between arrays of fixed shapes, with its exact adjoint.

    Inner products are the plain sums of products, so the adjoint is the transpose. The inputs are
    never modified, and the result has the type of the input: float32 or float64.

    A subclass gives the two shapes and writes `_forward` and `_adjoint`, each of which overwrites
    all of `out`.

    Attributes
    ----------
    domain_shape, range_shape : tuple of int
        Shapes of the arrays that `forward` takes and returns.
    """

    domain_shape: tuple[int, ...]
    range_shape: tuple[int, ...]

    def forward(self, x: FloatArray, out: FloatArray | None = None) -> FloatArray:
        """Apply the operator.

        Parameters
        ----------
        x : numpy.ndarray, shape `domain_shape`
            float32 or float64.
        out : numpy.ndarray, shape `range_shape`, optional
            Where to write the result; of the type of `x`.

        Returns
        -------
        numpy.ndarray, shape `range_shape`
            The result: `out`, where it is given.

        Raises
        ------
        DataError
            When a shape or type is not as expected, or `out` overlaps `x`.
        """
        out = self._prepare("forward", x, self.domain_shape, self.range_shape, out)
        self._forward(x, out)
        return out

    def adjoint(self, y: FloatArray, out: FloatArray | None = None) -> FloatArray:
        """Apply the transpose: as `forward`, with domain and range exchanged."""
        out = self._prepare("adjoint", y, self.range_shape, self.domain_shape, out)
        self._adjoint(y, out)
        return out

    @abc.abstractmethod
    def _forward(self, x: FloatArray, out: FloatArray) -> None:
        """Write the operator applied to `x` into `out`."""

    @abc.abstractmethod
    def _adjoint(self, y: FloatArray, out: FloatArray) -> None:
        """Write the transpose applied to `y` into `out`."""

    def _prepare(
        self,
        direction: str,
        given: FloatArray,
        given_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        out: FloatArray | None,
    ) -> FloatArray:
        where = f"{type(self).__name__}.{direction}"
        require_shape(where, given, given_shape)
        if given.dtype not in (np.float32, np.float64):
            raise DataError(f"{where}: found an array of {given.dtype}; expected float32 or float64")
        if out is None:
            return np.empty(out_shape, given.dtype)
        require_shape(f"{where}, out", out, out_shape)
        if out.dtype != given.dtype:
            raise DataError(
                f"{where}, out: found an array of {out.dtype}; expected {given.dtype}, as the input"
            )
        if np.may_share_memory(given, out):
            raise DataError(f"{where}, out: shares memory with the input; expected another array")
        return out
