"""Projections in larger pixels, against the projections in small ones."""

from __future__ import annotations

import numpy as np
import pytest

from chemtomo.errors import DataError
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import BinnedProjector, Projector, as_matrix

GEOMETRY = ParallelBeam([-70.0, -8, 45], 12, (7, 9))


def test_a_pixel_is_the_sum_of_its_cell_over_the_edge() -> None:
    volume = np.random.default_rng(0).random((3, 7, 6, 9))
    fine = Projector(GEOMETRY, 3, 6).forward(volume)
    binned = BinnedProjector(GEOMETRY, 3, 6, (1, 2, 3)).forward(volume)
    np.testing.assert_array_equal(binned[0], fine[0])
    for channel, k in ((1, 2), (2, 3)):
        for y in range(6):
            for x in range(12):
                first = y % k == 0 and x % k == 0
                expected = fine[channel, :, y : y + k, x : x + k].sum(axis=(1, 2)) / k if first else 0
                np.testing.assert_allclose(binned[channel, :, y, x], expected, atol=1e-13)


def test_the_norm_does_not_grow() -> None:
    fine, binned = (as_matrix(BinnedProjector(GEOMETRY, 1, 2, (k,))) for k in (1, 2))
    difference = fine.T @ fine - binned.T @ binned
    assert np.linalg.eigvalsh(difference).min() > -1e-12


@pytest.mark.parametrize(
    ("factors", "message"),
    [((2, 4), "cells of 4 pixels for 6 slices"), ((0, 1), "cells of 0"), ((1,), "1 factors for 2 channels")],
)
def test_cells_must_fit(factors: tuple[int, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        BinnedProjector(GEOMETRY, 2, 6, factors)
