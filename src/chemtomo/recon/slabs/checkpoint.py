"""The state of an unfinished reconstruction, from which it can continue after the program was ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from chemtomo.recon.method import SlabIteration
from chemtomo.recon.slabs.plan import Slab
from chemtomo.solvers.loop import Limits, Outcome, Reached

__all__ = ["CheckpointStore", "SlabCheckpoints", "Unfinished"]


@dataclasses.dataclass(frozen=True)
class Unfinished:
    """The state of an unfinished reconstruction.

    Attributes
    ----------
    limits : Limits
        Those of every slab.
    slab : Slab
        The one that is being iterated.
    reached : Reached
        How far it is.
    waiting : tuple of Slab
        Those that come after it.
    ended : tuple of (Slab, Outcome)
        Those before it.
    notes : tuple of str
        Changes that were necessary during the run.
    peak_bytes : int
        Device memory that was used.
    image : numpy.ndarray, shape (channel, z, y, x)
        The slices of the slabs that have ended.
    variables : callable
        Returns the variables of the iteration by their names, see `SlabIteration.variables`.
    """

    limits: Limits
    slab: Slab
    reached: Reached
    waiting: tuple[Slab, ...]
    ended: tuple[tuple[Slab, Outcome], ...]
    notes: tuple[str, ...]
    peak_bytes: int
    image: npt.NDArray[np.float32]
    variables: Callable[[], Mapping[str, npt.NDArray[Any]]]


class CheckpointStore(Protocol):
    """Where the state of one reconstruction is kept."""

    def find(self, limits: Limits) -> Unfinished | None:
        """Return the state from which to continue, or None to begin anew.

        Raises
        ------
        ReadError
            When what was kept cannot be read.
        ParameterError
            When it is the state of another reconstruction.
        """

    def due(self, iterations: int) -> bool:
        """Tell whether to write the state after so many iterations of a slab."""

    def keep(self, unfinished: Unfinished, iteration: SlabIteration) -> None:
        """Write a state in place of the previous one, with the variables of the iteration."""


class SlabCheckpoints:
    """Keeps the state of one slab whenever that is due: for `chemtomo.solvers.iterate`.

    Parameters
    ----------
    store : CheckpointStore
        Where.
    so_far : Unfinished
        The reconstruction at the start of the slab; its image takes all slabs.
    iteration : SlabIteration
        The iteration of the slab.
    land : callable
        Waits until the slabs before are in the image.
    """

    def __init__(
        self,
        store: CheckpointStore,
        so_far: Unfinished,
        iteration: SlabIteration,
        land: Callable[[], None],
    ) -> None:
        self._store = store
        self._so_far = so_far
        self._iteration = iteration
        self._land = land

    def __call__(self, reached: Reached) -> None:
        """Record an iteration, and write the state if it is due."""
        self._so_far = dataclasses.replace(self._so_far, reached=reached)
        if self._store.due(reached.iterations):
            self.keep()

    def keep(self) -> None:
        """Write the state after the last recorded iteration."""
        self._land()
        before = self._so_far.image[:, :, : self._so_far.slab.start]
        self._store.keep(dataclasses.replace(self._so_far, image=before), self._iteration)
