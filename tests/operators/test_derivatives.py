"""Gradient and symmetrised gradient, by their laws and against small matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chemtomo.errors import DataError
from chemtomo.operators import FloatArray, Gradient, SymmetrizedGradient, as_matrix

DIMS = pytest.mark.parametrize("dims", [2, 3])
H = np.sqrt(0.5)


def coordinates(shape: tuple[int, ...], dims: int) -> list[FloatArray]:
    """Coordinate of every pixel of a volume (channel, z, y, x) along the axes of the components."""
    grid = np.indices(shape).astype(np.float64)
    return [grid[axis] for axis in ((1, 2, 3) if dims == 3 else (1, 3))]


def test_gradient_along_a_line() -> None:
    expected = [[-1, 1, 0], [0, -1, 1], [0, 0, 0]]
    along_x = as_matrix(Gradient((1, 1, 1, 3), 2))
    np.testing.assert_array_equal(along_x, np.vstack([np.zeros((3, 3)), expected]))
    along_y = as_matrix(Gradient((1, 1, 3, 1), 3))
    zeros = np.zeros((3, 3))
    np.testing.assert_array_equal(along_y, np.vstack([zeros, expected, zeros]))


def test_symmetrised_gradient_of_four_pixels() -> None:
    """2 x 2 pixels (z, x), components z then x; pairs zz, xx, zx; written by hand."""
    expected = np.zeros((3, 4, 2, 4))
    zz, xx, zx = 0, 1, 2
    z, x = 0, 1
    # pixels 0 1 / 2 3: backward differences along z at 2 and 3, along x at 1 and 3
    for pixel, before in ((2, 0), (3, 1)):
        expected[zz, pixel, z, [pixel, before]] = 1, -1
        expected[zx, pixel, x, [pixel, before]] = H, -H
    for pixel, before in ((1, 0), (3, 2)):
        expected[xx, pixel, x, [pixel, before]] = 1, -1
        expected[zx, pixel, z, [pixel, before]] = H, -H
    found = as_matrix(SymmetrizedGradient((1, 2, 1, 2), 2))
    np.testing.assert_allclose(found, expected.reshape(12, 8), atol=1e-15)


@DIMS
def test_gradient_of_a_linear_function_is_constant(dims: int) -> None:
    shape = (2, 4, 3, 5)
    slopes = [0.5, -2.0, 3.0][:dims]
    positions = coordinates(shape, dims)
    u = 7.0 + sum(slope * position for slope, position in zip(slopes, positions, strict=True))
    gradient = Gradient(shape, dims).forward(u)
    for component, slope, position in zip(gradient, slopes, positions, strict=True):
        last = position == position.max()
        np.testing.assert_allclose(component, np.where(last, 0, slope), atol=1e-14)


@DIMS
def test_two_dimensions_leave_the_slices_apart(dims: int) -> None:
    u = np.random.default_rng(0).random((2, 4, 3, 5))
    gradient = Gradient(u.shape, dims).forward(u)
    alone = Gradient((2, 4, 1, 5), dims).forward(u[:, :, 1:2])
    z_and_x = [0, -1]
    np.testing.assert_array_equal(gradient[z_and_x][..., 1:2, :], alone[z_and_x])


@DIMS
def test_channels_are_apart(dims: int) -> None:
    field = np.random.default_rng(0).random((dims, 3, 4, 2, 5))
    together = SymmetrizedGradient(field.shape[1:], dims).forward(field)
    alone = SymmetrizedGradient((1, 4, 2, 5), dims).forward(field[:, 1:2])
    np.testing.assert_array_equal(together[:, 1:2], alone)


@DIMS
@settings(max_examples=25)
@given(data=st.data())
def test_a_rigid_displacement_has_no_symmetrised_gradient(dims: int, data: st.DataObject) -> None:
    """w = shift + A position with A skew: nothing is strained away from the first indices."""
    numbers = st.floats(-5, 5)
    shift = [data.draw(numbers) for _ in range(dims)]
    skew = np.zeros((dims, dims))
    for i in range(dims):
        for j in range(i):
            skew[i, j] = data.draw(numbers)
            skew[j, i] = -skew[i, j]
    shape = (1, 4, 3, 5)
    positions = np.stack(coordinates(shape, dims))
    w = np.reshape(shift, (-1, 1, 1, 1, 1)) + np.tensordot(skew, positions, 1)
    strain = SymmetrizedGradient(shape, dims).forward(w)
    inner = strain[:, :, 1:, 1:, 1:] if dims == 3 else strain[:, :, 1:, :, 1:]
    np.testing.assert_allclose(inner, 0, atol=1e-13)


@DIMS
def test_a_linear_displacement_has_the_frobenius_norm_of_its_strain(dims: int) -> None:
    """With the scaled off-diagonals the plain norm is that of the symmetric matrix."""
    jacobian = np.random.default_rng(3).standard_normal((dims, dims))
    shape = (1, 4, 3, 5)
    w = np.tensordot(jacobian, np.stack(coordinates(shape, dims)), 1)
    strain = SymmetrizedGradient(shape, dims).forward(w)
    expected = np.linalg.norm((jacobian + jacobian.T) / 2)
    assert np.linalg.norm(strain[:, 0, -1, -1, -1]) == pytest.approx(expected)


def test_order_of_the_pairs() -> None:
    """Diagonal first, then zy, zx, yx: found by one component growing along one axis."""
    shape = (1, 3, 3, 3)
    operator = SymmetrizedGradient(shape, 3)
    positions = coordinates(shape, 3)
    expected_pair = [[0, 3, 4], [3, 1, 5], [4, 5, 2]]
    for component, axis in np.ndindex(3, 3):
        w = np.zeros((3, *shape))
        w[component] = positions[axis]
        strain = operator.forward(w)[:, 0, -1, -1, -1]
        expected = np.zeros(6)
        expected[expected_pair[component][axis]] = 1 if component == axis else H
        np.testing.assert_allclose(strain, expected)


@DIMS
def test_norms_stay_below_the_bounds_of_the_step_sizes(dims: int) -> None:
    """|grad|^2 <= 4 dims and |sym|^2 <= 4 dims, on which published step sizes rest."""
    shape = (1, 5, 4, 5) if dims == 3 else (1, 8, 1, 9)
    for operator in (Gradient(shape, dims), SymmetrizedGradient(shape, dims)):
        squared = np.linalg.norm(as_matrix(operator), 2) ** 2
        assert 2 * dims < squared <= 4 * dims


@pytest.mark.parametrize("operator", [Gradient, SymmetrizedGradient])
def test_bad_shapes_and_dimensions(operator: type[Gradient | SymmetrizedGradient]) -> None:
    with pytest.raises(DataError, match=r"found the shape \(3, 4, 5\); expected \(channel, z, y, x\)"):
        operator((3, 4, 5), 3)
    with pytest.raises(DataError, match="found 4 dimensions; expected 2 or 3"):
        operator((1, 3, 4, 5), 4)
