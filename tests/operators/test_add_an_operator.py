"""The operator that the documentation adds keeps the contract of all operators, and its own laws."""

import re
from pathlib import Path

import numpy as np
import pytest
import tests.operators.test_operator_contract as contract

from chemtomo.errors import DataError
from chemtomo.operators import as_matrix

PAGE = Path(__file__).parents[2] / "docs" / "add-an-operator.md"
SHAPE = (2, 3, 2, 7)


@pytest.fixture(scope="module")
def page():
    if not PAGE.is_file():
        pytest.skip("the documentation is not there (sdist)")
    made: dict = {"__name__": "page"}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), made)
    return made


@pytest.fixture(params=[1, 3, 7])
def operator(page, request):
    return page["DetectorBlur"](SHAPE, np.random.default_rng(0).random(request.param))


@pytest.mark.parametrize("direction", ["forward", "adjoint"])
def test_it_keeps_the_contract(operator, direction):
    for dtype, bound in ((np.float64, 1e-12), (np.float32, 1e-6)):
        contract.test_dot_test(operator, dtype, bound, 0)
        contract.test_shape_and_type_of_the_result(operator, direction, dtype)
        contract.test_out_is_filled_and_returned(operator, direction, dtype)
    contract.test_adjoint_is_the_transposed_matrix(operator)
    contract.test_inputs_are_untouched_and_may_be_read_only(operator, direction)
    contract.test_memory_order_does_not_matter(operator, direction)
    contract.test_wrong_shape_names_both_sides(operator, direction)


def test_it_is_the_convolution(operator):
    """NumPy's own, row by row, as a matrix of one row."""
    rows = np.random.default_rng(1).random(SHAPE)
    expected = np.apply_along_axis(np.convolve, -1, rows, operator.kernel, mode="same")
    np.testing.assert_allclose(operator.forward(rows), expected, atol=1e-14)


def test_a_kernel_of_1_changes_nothing(page):
    rows = np.random.default_rng(2).random(SHAPE)
    np.testing.assert_array_equal(page["DetectorBlur"](SHAPE, np.array([0.0, 1.0, 0.0])).forward(rows), rows)


def test_the_blurred_projector_is_the_product_of_the_matrices(page):
    product = as_matrix(page["blur"]) @ as_matrix(page["projector"])
    np.testing.assert_allclose(as_matrix(page["BlurredProjector"]()), product, atol=1e-13)


@pytest.mark.parametrize("size", [2, 9])
def test_a_kernel_that_does_not_fit_is_refused(page, size):
    with pytest.raises(DataError, match=rf"found a kernel of shape \({size},\); expected an odd number"):
        page["DetectorBlur"](SHAPE, np.ones(size))
