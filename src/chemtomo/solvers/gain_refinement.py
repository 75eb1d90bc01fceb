"""Gains of the projections, refined while the image is found."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from chemtomo.functionals import best_gains, with_gains
from chemtomo.solvers.backend import Backend

__all__ = ["GainRefinement"]

_FIRST = 20
_EVERY = 10
_SETTLED = 1e-4


class GainRefinement:
    """Takes turns with a primal-dual iteration: the image with the gains as they are, then the gains.

    Each is a convex problem, both together are not. The factors of a channel have the mean 1, because the
    image can take any common one. Step sizes depend on the operators only, and stay a bound; the duality gap
    is that of the problem with the gains as they are. Once all gains change by less than 1e-4 they are left
    alone, so that the iteration has an end.

    Parameters
    ----------
    backend : Backend
        Problem and image.
    factors : numpy.ndarray, shape (channel, tilt), optional
        Gains that were found before, relative to those of the problem. They are taken, and kept.
    """

    def __init__(self, backend: Backend, factors: npt.NDArray[np.float64] | None = None) -> None:
        self._backend = backend
        self._given = backend.problem
        self.settled = factors is not None
        self.factors = np.ones(self._given.data.shape[:2])
        if factors is not None:
            self.restore(factors, settled=True)

    def restore(self, factors: npt.NDArray[np.float64], settled: bool) -> None:
        """Take gains relative to those of the problem, shape (channel, tilt)."""
        self.factors = np.array(factors, dtype=np.float64)
        self.settled = settled
        self._backend.change_data(with_gains(self._given, self.factors))

    def after(self, iterations: int) -> None:
        """Refine the gains, if it is their turn after so many iterations."""
        if self.settled or iterations < _FIRST or iterations % _EVERY:
            return
        problem = self._backend.problem
        change = best_gains(problem, self._backend.projections())
        found = self.factors * change
        recorded = problem.recorded
        for channel, has in enumerate(recorded):
            found[channel, has] /= found[channel, has].mean()
            found[channel, ~has] = 1
        moved = float(np.abs(found / self.factors - 1)[recorded].max())
        self.restore(found, settled=moved < _SETTLED)
