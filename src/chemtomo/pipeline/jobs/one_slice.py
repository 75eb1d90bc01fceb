"""One slice with several settings, or after several iterations."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from chemtomo.data import Dataset
from chemtomo.errors import ParameterError
from chemtomo.parameters import validated
from chemtomo.pipeline.jobs.reconstruct import measured
from chemtomo.progress import TaskProgress, blocking
from chemtomo.recon.parameters import ReconstructParameters
from chemtomo.trust import one_slice
from chemtomo.trust.one_slice import Convergence, Sweep

__all__ = ["SweptSlice", "convergence", "convergence_job", "settings_of", "sweep", "sweep_job"]

_ShouldStop = Callable[[], bool] | None


@dataclasses.dataclass(frozen=True, eq=False)
class SweptSlice:
    """A slice with every setting of a grid.

    Attributes
    ----------
    settings : tuple of dict
        The values of every setting, by the names of the parameters.
    found : Sweep
        The slices and their held-out scores, in the same order.
    """

    settings: tuple[dict[str, Any], ...]
    found: Sweep


def settings_of(
    parameters: ReconstructParameters, grid: Mapping[str, Sequence[Any]]
) -> list[tuple[dict[str, Any], ReconstructParameters]]:
    """Return every combination of the values of a grid, with its parameters.

    Parameters
    ----------
    parameters : ReconstructParameters
        What is not in the grid.
    grid : mapping of str to sequence
        Values, which may be text, by the names of parameters, or ``mu.Al`` for the weight of a channel.

    Raises
    ------
    ParameterError
        When a parameter or a value is not allowed.
    """
    fields = ReconstructParameters.offered()
    made = []
    for values in itertools.product(*grid.values()):
        setting = dict(zip(grid, values, strict=True))
        changed = {name: getattr(parameters, name) for name in type(parameters).model_fields}
        for name, value in setting.items():
            field, _, inner = name.partition(".")
            if field not in fields:
                raise ParameterError(f"found no parameter {name!r}; expected one of {', '.join(fields)}")
            changed[field] = {**changed[field], inner: value} if inner else value
        made.append((setting, validated(ReconstructParameters, changed, "sweep")))
    return made


def sweep_job(
    dataset: Dataset,
    parameters: ReconstructParameters,
    grid: Mapping[str, Sequence[Any]],
    y: int | None = None,
    *,
    should_stop: _ShouldStop = None,
) -> Generator[TaskProgress, None, SweptSlice]:
    """Reconstruct one slice with every setting of a grid, and score each by held-out data.

    Parameters
    ----------
    dataset : Dataset
        As for a reconstruction. It is not modified.
    parameters : ReconstructParameters
        What is not in the grid.
    grid : mapping of str to sequence
        See `settings_of`: ``{"strength": [0.5, 1, 2]}``.
    y : int, optional
        The slice, that in the middle by default.
    should_stop : callable, optional
        Asked before every iteration.

    Yields
    ------
    TaskProgress
        After every reconstruction.

    Returns
    -------
    SweptSlice
        The slices and scores; the stack is for a layer with a slider.

    Raises
    ------
    ChemTomoError
        When data, parameters or device do not fit together.
    """
    made = settings_of(parameters, grid)
    job = one_slice.sweep_job(
        dataset,
        lambda some: measured(some, parameters)[0],
        [settings for _, settings in made],
        y,
        should_stop=should_stop,
    )
    found = yield from job
    return SweptSlice(tuple(setting for setting, _ in made), found)


def convergence_job(
    dataset: Dataset,
    parameters: ReconstructParameters,
    y: int | None = None,
    *,
    should_stop: _ShouldStop = None,
) -> Generator[TaskProgress, None, Convergence]:
    """Reconstruct one slice, and keep what it was after every report: see `chemtomo.trust.one_slice`.

    Parameters
    ----------
    dataset : Dataset
        As for a reconstruction. It is not modified.
    parameters : ReconstructParameters
        Of an iterative method; ``report_every`` says how often.
    y : int, optional
        The slice, that in the middle by default.
    should_stop : callable, optional
        Asked before every iteration.

    Yields
    ------
    TaskProgress
        After every report.

    Raises
    ------
    ChemTomoError
        When data, parameters or device do not fit together.
    """
    prepared, _ = measured(dataset, parameters)
    return (yield from one_slice.convergence_job(prepared, parameters, y, should_stop=should_stop))


sweep = blocking(sweep_job)
convergence = blocking(convergence_job)
