"""What all operations that prepare projections have in common."""

from __future__ import annotations

import abc
import re
from typing import ClassVar

from pydantic import Field

from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import ParameterError
from chemtomo.pipeline.parameters import Parameters

__all__ = ["PrepareStep", "SeriesStep", "numbers_of", "require_rising"]

_NUMBERS = re.compile(r"\d+(:\d+)?")


class PrepareStep(Parameters, abc.ABC):
    """Base of the operations."""

    title: ClassVar[str]
    """What people call it."""

    whole_stack: ClassVar[bool] = False
    """Whether it has to look at all projections before it can prepare one."""

    channels: str | None = Field(
        None, title="Channels", description="Names of the signals, separated by commas. All if not given."
    )

    @abc.abstractmethod
    def apply(self, dataset: Dataset) -> Dataset:
        """Return the dataset with the chosen signals prepared, and this step in their provenance.

        Raises
        ------
        ChemTomoError
            When a signal is not there, or the step cannot be done to one.
        """

    def _chosen(self, dataset: Dataset) -> tuple[str, ...]:
        if self.channels is None:
            return dataset.names
        names = [name.strip() for name in self.channels.split(",") if name.strip()]
        return tuple(dataset.resolve(name) for name in names)

    def _recorded(self, before: TiltSeries, after: TiltSeries) -> TiltSeries:
        """Put one entry, from which the step can be done again, in place of what the functions left."""
        did = after.provenance[len(before.provenance) :]
        entry = {"step": "prepare", **self.model_dump(mode="json"), "did": list(did)}
        return after.replace(provenance=(*before.provenance, entry))


class SeriesStep(PrepareStep):
    """Base of the operations that treat every signal by itself."""

    def apply(self, dataset: Dataset) -> Dataset:
        """Prepare each of the chosen signals. See `PrepareStep.apply`."""
        chosen = set(self._chosen(dataset))
        return dataset.map(lambda one: self._recorded(one, self._prepare(one)) if one.name in chosen else one)

    @abc.abstractmethod
    def _prepare(self, series: TiltSeries) -> TiltSeries: ...


def numbers_of(text: str) -> tuple[int, ...]:
    """Return the numbers that a text like ``3, 7, 40:45`` lists; a range is without its end.

    Raises
    ------
    ParameterError
        When it is no such list.
    """
    numbers: list[int] = []
    for word in text.replace(",", " ").split():
        if not _NUMBERS.fullmatch(word):
            raise ParameterError(f"found {word!r} among numbers; expected a list such as 3,7,40:45")
        first, _, end = word.partition(":")
        numbers += range(int(first), int(end)) if end else [int(first)]
    return tuple(dict.fromkeys(numbers))


def require_rising(parameters: Parameters, *names: str) -> None:
    """Raise `ParameterError` when a field with one of these names is a range that does not rise."""
    for name in names:
        value = getattr(parameters, name)
        if value is not None and not 0 <= value[0] < value[1]:
            raise ParameterError(f"{name}: found {value[0]}:{value[1]}; expected 0 <= START < STOP")
