"""Do operations on projections: all of them, one projection after the other."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import numpy as np

from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import ParameterError
from chemtomo.parameters import validated
from chemtomo.preprocess.operation import Operation
from chemtomo.preprocess.operations import OPERATIONS
from chemtomo.preprocess.stacks import lazy_series
from chemtomo.progress import TaskProgress, finish

__all__ = ["AnyOperation", "operation_of", "prepare", "prepare_job"]

AnyOperation = Operation | Mapping[str, Any]
"""A model, or its fields with the name: ``{"step": "bin", "factor": 2}``."""


def prepare(
    dataset: Dataset,
    steps: Sequence[AnyOperation],
    *,
    on_progress: Callable[[TaskProgress], None] | None = None,
) -> Dataset:
    """Do operations one after the other.

    Parameters
    ----------
    dataset : Dataset
        It is not modified.
    steps : sequence of operations
        What to do. An operation is a model of `chemtomo.preprocess.operations`, or is written as in a
        recipe: ``{"step": "bin", "factor": 2}``.
    on_progress : callable, optional
        Called with a `TaskProgress` regularly.

    Returns
    -------
    Dataset
        Each signal with one record ``{"step": "bin", ...}`` in its provenance for every operation that
        was done to it. Lazy series stay lazy.

    Raises
    ------
    ParameterError
        When an operation is unknown, or a parameter of it is out of bounds.
    ChemTomoError
        When an operation cannot be done: the message says to which signal.
    """
    return finish(prepare_job(dataset, steps), on_progress)


def prepare_job(
    dataset: Dataset, steps: Sequence[AnyOperation], *, in_memory: bool = False
) -> Generator[TaskProgress, None, Dataset]:
    """Do operations one after the other, and yield the progress. See `prepare`.

    The operations are chained; then every projection goes through all of them, so that no stack in
    between is in memory.

    Parameters
    ----------
    dataset, steps
        See `prepare`.
    in_memory : bool
        Compute the values of lazy series too.
    """
    listed = [operation_of(one, f"step {number}") for number, one in enumerate(steps, start=1)]
    lazy_names = {one.name for one in dataset if one.is_lazy}
    done = dataset.map(lazy_series)
    for number, operation in enumerate(listed):
        # Some operations read the whole stack here.
        yield TaskProgress(number, len(listed), operation.title)
        done = operation.apply(done)
    made: list[TiltSeries] = []
    total = sum(series.shape[0] for series in done)
    finished = 0
    for series in done:
        if series.name in lazy_names and not in_memory:
            made.append(series)
            finished += series.shape[0]
            continue
        data = np.empty(series.shape, dtype=series.data.dtype)
        background = None if series.background is None else np.empty(series.shape, series.background.dtype)
        for tilt in range(series.shape[0]):
            data[tilt] = series.data[tilt]
            if background is not None:
                background[tilt] = series.background[tilt]
            finished += 1
            yield TaskProgress(finished, total, series.name)
        valid = None if series.valid is None else np.asarray(series.valid)
        made.append(series.replace(data=data, background=background, valid=valid, origin=series.origin))
    return Dataset(tuple(made))


def operation_of(written: AnyOperation, where: str = "") -> Operation:
    """Return the model of an operation that may be written as in a recipe.

    Raises
    ------
    ParameterError
        When it is unknown, or a parameter is out of bounds; the message starts with `where`.
    """
    if isinstance(written, Operation):
        return written
    start = f"{where}: " if where else ""
    if not isinstance(written, Mapping):
        raise ParameterError(f"{start}found {written!r}; expected an operation such as {{'step': 'bin'}}")
    # Files of version 0.1 have the key "operation".
    values = dict(written)
    name = values.pop("step", values.pop("operation", None))
    if name not in OPERATIONS:
        raise ParameterError(f"{start}found the operation {name!r}; expected one of {', '.join(OPERATIONS)}")
    return validated(OPERATIONS[name], values, f"{where} ({name})" if where else str(name))
