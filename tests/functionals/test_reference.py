"""The published objective at published iterates: projector, data term and regulariser on real data.

The reference stores slices with the axes (x, y) and projects with ``theta = tilt + 90 degrees``:
``s = -sin(tilt) (x - c) + cos(tilt) (y - c) + c``. So its ``y`` is our ``x``, and its ``x`` is our
``z`` mirrored. As the differences of the regulariser are not symmetric under mirroring, its value
is compared without mirroring, with the tilts negated instead.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tests.problems import PUBLISHED_MU, PUBLISHED_NORM, published_problem


@pytest.fixture(scope="module")
def folder(data_folder: Path) -> Path:
    return data_folder / "reference"


def load_volume(folder: Path, name: str) -> npt.NDArray[np.float64]:
    """One slice, from (..., slice, x, y) to (..., z, y, x) with our names, in normalised units."""
    return PUBLISHED_NORM * np.moveaxis(np.load(folder / name).astype(np.float64), -3, -2)


def published(folder: Path, iteration: int) -> npt.NDArray[np.float64]:
    """Objective, the weighted data term of every channel, first-order and second-order term."""
    table = np.load(folder / "C_objs.npy")
    return table[table[:, 0] == iteration][0, 1:]


@pytest.mark.parametrize("iteration", [100, 500])
def test_data_terms_of_the_published_iterates(folder: Path, iteration: int) -> None:
    u = load_volume(folder, f"C_U_it{iteration}_CZxy_f32.npy")[:, ::-1]
    found = PUBLISHED_MU * published_problem(folder, 1).data_terms(u)
    np.testing.assert_allclose(found, published(folder, iteration)[1:5], rtol=1e-6)


def test_all_terms_of_the_last_published_iterate(folder: Path) -> None:
    problem = published_problem(folder, -1)
    u = load_volume(folder, "C_U_it6000_CZxy_f32.npy")
    w = load_volume(folder, "C_w_it6000_3CZxy_f32.npy")[:2]
    expected = published(folder, 6000)
    np.testing.assert_allclose(PUBLISHED_MU * problem.data_terms(u), expected[1:5], rtol=1e-6)
    np.testing.assert_allclose(problem.regulariser_terms(u, w), PUBLISHED_NORM**2 * expected[5:], rtol=1e-8)
    assert problem.objective(u, w) == pytest.approx(PUBLISHED_NORM**2 * expected[0], rel=1e-7)
