"""Runs of a method that begin where another one ended, on data that differ a little."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.recon.method import SlabIteration
from chemtomo.recon.slabs.checkpoint import Unfinished
from chemtomo.solvers.loop import Limits, Reached

__all__ = ["WarmStart"]


class WarmStart:
    """Keeps the state of a run in memory, for later ones: a `CheckpointStore`.

    Only for a volume in one slab: with several, later runs begin at zero.

    Parameters
    ----------
    every : int
        Keep the state every so many iterations.
    """

    def __init__(self, every: int = 20) -> None:
        self._every = every
        self._state: Unfinished | None = None
        self._keeping = True

    @property
    def is_ready(self) -> bool:
        """Whether later runs begin at a state."""
        return self._state is not None

    def freeze(self) -> None:
        """Keep the state as it is: later runs begin at it and do not change it."""
        self._keeping = False

    def find(self, limits: Limits) -> Unfinished | None:
        """Return the state from which to go on, as the start of a run."""
        if self._state is None:
            return None
        return dataclasses.replace(self._state, limits=limits)

    def due(self, iterations: int) -> bool:
        """Tell whether to keep the state after so many iterations."""
        return self._keeping and iterations % self._every == 0

    def keep(self, unfinished: Unfinished, iteration: SlabIteration) -> None:
        """Keep a state in place of the one before."""
        if unfinished.waiting or unfinished.ended:
            self._state, self._keeping = None, False
            return
        variables: dict[str, npt.NDArray[Any]] = {
            name: np.array(values) for name, values in iteration.variables()
        }
        self._state = dataclasses.replace(
            unfinished, reached=Reached(), variables=lambda: variables, image=unfinished.image[:, :, :0]
        )
