"""The step: a parameter model, its input and output, and the job that does it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Mapping
from typing import Any, Literal

from chemtomo.data import Alignment, Dataset, SpectrumSeries, Volume
from chemtomo.errors import ParameterError
from chemtomo.parameters import Parameters

__all__ = ["Kind", "Made", "ShouldStop", "State", "Step"]

Kind = Literal["spectra", "series", "alignment", "volume", "table"]
"""Kinds of inputs and outputs of steps."""

ShouldStop = Callable[[], bool] | None


@dataclasses.dataclass(frozen=True)
class State:
    """The data after some steps.

    Attributes
    ----------
    spectra : tuple of SpectrumSeries
        The spectra among the inputs.
    series : Dataset, optional
        The tilt series, as the last step left them.
    alignment : Alignment, optional
        Alignment of the reference, as it was found; each series has its own.
    volume : Volume, optional
        The reconstruction.
    table : dict of str to list, optional
        Columns of numbers or text by their names.
    reports : tuple of (str, dict)
        Names and reports of the steps, as JSON values.
    made_from : str
        SHA-256 of the inputs and of the steps so far, see `Recipe.made_from`; empty if it is not known,
        and after a step that was stopped.
    """

    spectra: tuple[SpectrumSeries, ...] = ()
    series: Dataset | None = None
    alignment: Alignment | None = None
    volume: Volume | None = None
    table: dict[str, list[Any]] | None = None
    reports: tuple[tuple[str, dict[str, Any]], ...] = ()
    made_from: str = ""

    def require_series(self, step: str) -> Dataset:
        """Return the tilt series, or raise `ParameterError` in the name of a step."""
        if self.series is None:
            raise ParameterError(f"{step}: found no tilt series; expected some, from files or from maps")
        return self.series


@dataclasses.dataclass(frozen=True)
class Made:
    """The result of a step.

    Attributes
    ----------
    state : State
        The data after the step.
    instead : tuple of (str, Parameters), optional
        The steps that repeat it, where those are not the step itself.
    complete : bool
        Whether the step came to its end. What was stopped early is not kept, nor found again by what it was
        made from.
    """

    state: State
    instead: tuple[tuple[str, Parameters], ...] | None = None
    complete: bool = True


@dataclasses.dataclass(frozen=True)
class Step:
    """One row of the registry.

    Attributes
    ----------
    name : str
        In recipes and on the command line.
    title : str
        Title for users.
    model : type of Parameters
        Its parameters; the class is defined beside the function that uses it.
    takes, gives : Kind
        Its input and output.
    job : callable
        A pure generator: gets the state, the parameters and ``should_stop``, yields its progress and returns
        `Made`. It has no other effect.
    by_projection : bool
        Whether it works projection by projection: consecutive steps of this kind are done in one pass.
    resumable : bool
        Whether its job also takes a `chemtomo.pipeline.keeping.checkpoint.Checkpoint`, as ``checkpoint``.
    """

    name: str
    title: str
    model: type[Parameters]
    takes: Kind
    gives: Kind
    job: Callable[..., Generator[Any, None, Made]]
    by_projection: bool = False
    resumable: bool = False

    def parameters(self, values: Mapping[str, Any]) -> Parameters:
        """Return the model with these values.

        Raises
        ------
        ParameterError
            When one is unknown or not allowed.
        """
        from chemtomo.parameters import validated

        return validated(self.model, values, self.name)
