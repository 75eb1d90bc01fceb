"""What every operator promises, for every operator."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from chemtomo.errors import DataError
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import (
    BinnedProjector,
    FloatArray,
    Gradient,
    LinearOperator,
    Projector,
    SymmetrizedGradient,
    as_matrix,
    dot_test,
)

SHAPE = (2, 4, 3, 5)

OPERATORS = {
    "projector": Projector(ParallelBeam([-61.5, 0, 20, 45, 90, 200], 7, (4, 5)), 2, 3),
    "projector, narrow": Projector(ParallelBeam([3, 77], 3, (4, 5), 0.3, (2.2, 1.1)), 1, 2),
    "projector, shifted": Projector(
        ParallelBeam([-70, 10, 10, 90], 9, (4, 5), detector_shifts=[1.3, -2.6, 0, 4.25]), 2, 3
    ),
    "projector, binned": BinnedProjector(ParallelBeam([-61.5, 0, 33], 12, (4, 5)), 3, 6, (2, 1, 3)),
    "gradient 2": Gradient(SHAPE, 2),
    "gradient 3": Gradient(SHAPE, 3),
    "gradient, one pixel": Gradient((1, 1, 1, 1), 3),
    "symmetrised gradient 2": SymmetrizedGradient(SHAPE, 2),
    "symmetrised gradient 3": SymmetrizedGradient(SHAPE, 3),
}

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@pytest.fixture(params=OPERATORS.values(), ids=OPERATORS.keys())
def operator(request: pytest.FixtureRequest) -> LinearOperator:
    return request.param


@pytest.fixture(params=["forward", "adjoint"])
def direction(request: pytest.FixtureRequest) -> str:
    return request.param


def shapes(operator: LinearOperator, direction: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shapes of what goes in and what comes out."""
    domain, range_ = operator.domain_shape, operator.range_shape
    return (domain, range_) if direction == "forward" else (range_, domain)


def random_input(shape: tuple[int, ...], dtype: npt.DTypeLike) -> FloatArray:
    return np.random.default_rng(1).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize(("dtype", "bound"), [(np.float64, 1e-12), (np.float32, 1e-6)])
@pytest.mark.parametrize("seed", range(3))
def test_dot_test(operator: LinearOperator, dtype: npt.DTypeLike, bound: float, seed: int) -> None:
    assert dot_test(operator, seed=seed, dtype=dtype) < bound


def test_adjoint_is_the_transposed_matrix(operator: LinearOperator) -> None:
    y = random_input(operator.range_shape, np.float64)
    expected = as_matrix(operator).T @ y.ravel()
    np.testing.assert_allclose(operator.adjoint(y).ravel(), expected, atol=1e-13)


@DTYPES
def test_shape_and_type_of_the_result(operator: LinearOperator, direction: str, dtype: npt.DTypeLike) -> None:
    given, expected = shapes(operator, direction)
    result = getattr(operator, direction)(random_input(given, dtype))
    assert result.shape == expected
    assert result.dtype == dtype


@DTYPES
def test_out_is_filled_and_returned(operator: LinearOperator, direction: str, dtype: npt.DTypeLike) -> None:
    given, expected = shapes(operator, direction)
    x = random_input(given, dtype)
    out = np.full(expected, np.nan, dtype)
    assert getattr(operator, direction)(x, out=out) is out
    np.testing.assert_array_equal(out, getattr(operator, direction)(x))


def test_inputs_are_untouched_and_may_be_read_only(operator: LinearOperator, direction: str) -> None:
    x = random_input(shapes(operator, direction)[0], np.float64)
    before = x.copy()
    x.setflags(write=False)
    getattr(operator, direction)(x)
    np.testing.assert_array_equal(x, before)


def test_memory_order_does_not_matter(operator: LinearOperator, direction: str) -> None:
    x = random_input(shapes(operator, direction)[0], np.float64)
    expected = getattr(operator, direction)(x)
    np.testing.assert_array_equal(getattr(operator, direction)(np.asfortranarray(x)), expected)


def test_float32_agrees_with_float64(operator: LinearOperator, direction: str) -> None:
    x = random_input(shapes(operator, direction)[0], np.float32)
    exact = getattr(operator, direction)(x.astype(np.float64))
    np.testing.assert_allclose(getattr(operator, direction)(x), exact, atol=1e-5)


def test_wrong_shape_names_both_sides(operator: LinearOperator, direction: str) -> None:
    given, expected = shapes(operator, direction)
    apply = getattr(operator, direction)
    wrong = (*given[:-1], given[-1] + 1)
    with pytest.raises(DataError) as error:
        apply(np.zeros(wrong))
    assert str(wrong) in str(error.value)
    assert str(given) in str(error.value)
    with pytest.raises(DataError, match="out: found an array of shape"):
        apply(np.zeros(given), out=np.zeros((*expected, 1)))


def test_wrong_type_names_both_sides(operator: LinearOperator, direction: str) -> None:
    given, expected = shapes(operator, direction)
    apply = getattr(operator, direction)
    with pytest.raises(DataError, match="found an array of int64; expected float32 or float64"):
        apply(np.zeros(given, np.int64))
    with pytest.raises(DataError, match="found an array of float64; expected float32"):
        apply(np.zeros(given, np.float32), out=np.zeros(expected))


def test_out_must_not_be_the_input() -> None:
    field = np.zeros((3, *SHAPE))
    with pytest.raises(DataError, match="shares memory"):
        Gradient(SHAPE, 3).forward(field[0], out=field)


class NotItsTranspose(LinearOperator):
    """An operator whose adjoint is a little wrong."""

    domain_shape = range_shape = (5,)

    def _forward(self, x: FloatArray, out: FloatArray) -> None:
        out[:] = x

    def _adjoint(self, y: FloatArray, out: FloatArray) -> None:
        out[:] = y
        out[0] *= 1.001


class Zero(LinearOperator):
    """Everything to nothing."""

    domain_shape, range_shape = (5,), (3,)

    def _forward(self, x: FloatArray, out: FloatArray) -> None:
        out[:] = 0

    _adjoint = _forward


def test_dot_test_finds_a_wrong_adjoint_and_bears_zero() -> None:
    assert dot_test(NotItsTranspose()) > 1e-5
    assert dot_test(Zero()) == 0
