"""What all operations that prepare projections have in common: parameters, channels, and a record."""

from __future__ import annotations

import abc
from typing import ClassVar

from pydantic import Field

from chemtomo.data import Dataset, TiltSeries
from chemtomo.data.records import recorded
from chemtomo.parameters import Parameters

__all__ = ["Operation", "SeriesOperation"]


class Operation(Parameters, abc.ABC):
    """Base of the operations. Each is a model of its parameters, beside the function that it calls."""

    operation: ClassVar[str]
    """The name in recipes and on the command line."""

    title: ClassVar[str]
    """The name in napari."""

    whole_stack: ClassVar[bool] = False
    """Whether it has to look at all projections before it can prepare one."""

    by_itself: ClassVar[bool] = True
    """Whether it does something with all parameters at their defaults."""

    main: ClassVar[str | None] = None
    """The field that the option of the operation's own name sets: ``--bin 2``."""

    channels: tuple[str, ...] | None = Field(
        None,
        title="Channels",
        description="Names of the signals to which it is done. All if not given.",
    )

    @abc.abstractmethod
    def apply(self, dataset: Dataset) -> Dataset:
        """Return the dataset with the chosen signals prepared, and this operation in their provenance.

        Raises
        ------
        ChemTomoError
            When a signal is not there, or the operation cannot be done to one.
        """

    def chosen(self, dataset: Dataset) -> tuple[str, ...]:
        """Return the full names of the signals to which it is done.

        Raises
        ------
        ParameterError
            When one is not there.
        """
        if self.channels is None:
            return dataset.names
        return tuple(dataset.resolve(name) for name in self.channels)

    def _recorded(self, before: TiltSeries, after: TiltSeries) -> TiltSeries:
        """Put one record, from which it can be done again, in place of what the functions left."""
        did = after.provenance[len(before.provenance) :]
        return recorded(before, after, self.operation, self.differing(), did=list(did))


class SeriesOperation(Operation):
    """Base of the operations that treat every signal by itself."""

    def apply(self, dataset: Dataset) -> Dataset:
        """Prepare each of the chosen signals. See `Operation.apply`."""
        chosen = set(self.chosen(dataset))
        return dataset.map(lambda one: self._recorded(one, self._prepare(one)) if one.name in chosen else one)

    @abc.abstractmethod
    def _prepare(self, series: TiltSeries) -> TiltSeries: ...
