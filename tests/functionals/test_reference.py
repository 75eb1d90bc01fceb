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

from chemtomo.functionals import Problem
from chemtomo.geometry import ParallelBeam

NORM = 102.17180639615766
MU = np.array([0.2, 0.0005, 0.004, 0.0005])


@pytest.fixture(scope="module")
def folder(data_folder: Path) -> Path:
    return data_folder / "reference"


def load_problem(folder: Path, sign: int) -> Problem:
    tilts = sign * np.load(folder / "C_tilt_deg.npy")
    return Problem(
        geometry=ParallelBeam(tilts, 303, (303, 303)),
        data=np.load(folder / "C_sino_CAZX_f32.npy"),
        weights=MU * NORM**2,
        alpha0=4.0,
        alpha1=1.0,
        dims=2,
        data_term="kl",
        coupling="frobenius",
        second_order=True,
        operator_norm=NORM,
    )


def load_volume(folder: Path, name: str) -> npt.NDArray[np.float64]:
    """One slice, from (..., slice, x, y) to (..., z, y, x) with our names, in normalised units."""
    return NORM * np.moveaxis(np.load(folder / name).astype(np.float64), -3, -2)


def published(folder: Path, iteration: int) -> npt.NDArray[np.float64]:
    """Objective, the weighted data term of every channel, first-order and second-order term."""
    table = np.load(folder / "C_objs.npy")
    return table[table[:, 0] == iteration][0, 1:]


@pytest.mark.parametrize("iteration", [100, 500])
def test_data_terms_of_the_published_iterates(folder: Path, iteration: int) -> None:
    u = load_volume(folder, f"C_U_it{iteration}_CZxy_f32.npy")[:, ::-1]
    found = MU * load_problem(folder, 1).data_terms(u)
    np.testing.assert_allclose(found, published(folder, iteration)[1:5], rtol=1e-6)


def test_all_terms_of_the_last_published_iterate(folder: Path) -> None:
    problem = load_problem(folder, -1)
    u = load_volume(folder, "C_U_it6000_CZxy_f32.npy")
    w = load_volume(folder, "C_w_it6000_3CZxy_f32.npy")[:2]
    expected = published(folder, 6000)
    np.testing.assert_allclose(MU * problem.data_terms(u), expected[1:5], rtol=1e-6)
    np.testing.assert_allclose(problem.regulariser_terms(u, w), NORM**2 * expected[5:], rtol=1e-8)
    assert problem.objective(u, w) == pytest.approx(NORM**2 * expected[0], rel=1e-7)
