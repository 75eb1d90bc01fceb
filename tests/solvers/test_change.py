"""The change of the image that the stopping rule asks for, whatever the unit of the image."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from chemtomo.solvers.primal_dual import PrimalDualIteration


class Growing(PrimalDualIteration):
    """Its image after the k-th iteration is ``limit (1 - 1 / (k + 1))``, in a part of the last channel."""

    def __init__(self, limit: float) -> None:
        self.image = np.zeros((2, 3, 3, 3), np.float32)
        backend: Any = SimpleNamespace(volume=self.image.copy, finish=lambda: None)
        super().__init__(backend)
        self._limit = limit

    def _update(self, backend: object) -> None:
        self.image[1, 1:] = self._limit * (1 - 1 / (self._done + 2))


@pytest.mark.parametrize("limit", [1.0, 1e-12, 3e6, 1e-30, 1e30])
def test_the_change_is_that_since_half_of_the_iterations_or_longer(limit: float) -> None:
    """Asked every 5 iterations; never below the change since k / 2, at most about twice as large."""
    steps = Growing(limit)
    known = 0
    for k in range(1, 201):
        steps.advance()
        if k % 5 == 0:
            change = steps.change()
            if change is not None:
                since_half = (1 / (k / 2 + 1) - 1 / (k + 1)) / (1 - 1 / (k + 1))
                assert 0.95 * since_half <= change <= 2.5 * since_half
                known += 1
    assert known > 30


def test_the_change_is_unknown_at_first_and_zero_for_an_image_of_zeros() -> None:
    steps = Growing(0.0)
    steps.advance()
    assert steps.change() is None
    for _ in range(9):
        steps.advance()
    assert steps.change() == 0
