"""Prepare projections by a recipe: an ordered list of operations, kept as JSON and done again at will."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationError, field_validator, model_validator

from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import ParameterError, ReadError
from chemtomo.pipeline.parameters import Parameters, Range
from chemtomo.pipeline.prepare_step import numbers_of, require_rising
from chemtomo.pipeline.prepare_steps import (
    AnyStep,
    Background,
    Bin,
    Brightness,
    Crop,
    DropTilts,
    HotPixels,
    SortTilts,
)
from chemtomo.preprocess.stacks import lazy_series
from chemtomo.progress import TaskProgress, finish

__all__ = ["PrepareParameters", "PrepareRecipe", "prepare", "prepare_job", "recipe_of"]


class PrepareRecipe(Parameters):
    """Operations in the order in which they are done."""

    version: Literal[1] = 1
    steps: tuple[AnyStep, ...] = ()

    def save(self, path: str | PathLike[str]) -> None:
        """Write it as JSON.

        Raises
        ------
        WriteError
            When the file cannot be written.
        """
        from chemtomo.io.atomic import write_json

        write_json(self.model_dump(mode="json"), Path(path))

    @classmethod
    def load(cls, path: str | PathLike[str]) -> PrepareRecipe:
        """Read what `save` wrote; a bare list of operations will do.

        Raises
        ------
        ReadError
            When the file cannot be read, or is no such recipe: the message says which step is wrong.
        """
        path = Path(path)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ReadError(f"{path}: cannot be read ({error.strerror or error})") from error
        except ValueError as error:
            raise ReadError(f"{path}: found no JSON ({error}); expected a list of operations") from error
        if isinstance(found, list):
            found = {"steps": found}
        try:
            return cls.model_validate(found)
        except ValidationError as error:
            raise ReadError(f"{path}: {_explained(error)}") from error


class PrepareParameters(Parameters):
    """The most common operations, for the command line. They are done in the order of this list."""

    hot_pixels: bool = Field(
        False, title=HotPixels.title, description="Replace hot and dead pixels by what their neighbours say."
    )
    drop_tilts: str = Field(
        "",
        title=DropTilts.title,
        description=str(DropTilts.model_fields["projections"].description),
    )
    largest_tilt: float | None = Field(
        None,
        ge=0,
        le=180,
        title="Largest tilt (°)",
        description=str(DropTilts.model_fields["largest_deg"].description),
    )
    sort_tilts: bool = Field(
        False, title=SortTilts.title, description="Put the projections into the order of their tilts."
    )
    crop_x: Range | None = Field(None, title="Columns x", description=str(Crop.model_fields["x"].description))
    crop_y: Range | None = Field(None, title="Rows y", description=str(Crop.model_fields["y"].description))
    background: Literal["none", "edges", "otsu", "offset"] = Field(
        "none",
        title=Background.title,
        description="Subtract the background of intensities; keep that of counts apart. edges: strips at "
        "both sides. otsu: outside of a mask. offset: a low percentile.",
    )
    bin: int = Field(1, ge=1, le=64, title=Bin.title, description=str(Bin.model_fields["factor"].description))
    brightness: Literal["none", "auto", "gain", "scale"] = Field(
        "none", title=Brightness.title, description=str(Brightness.model_fields["method"].description)
    )

    @field_validator("drop_tilts")
    @classmethod
    def _is_a_list(cls, value: str) -> str:
        numbers_of(value)
        return value

    @model_validator(mode="after")
    def _ranges_rise(self) -> PrepareParameters:
        require_rising(self, "crop_x", "crop_y")
        return self

    def steps(self) -> tuple[AnyStep, ...]:
        """Return the operations that were asked for."""
        wanted: list[AnyStep] = []
        if self.hot_pixels:
            wanted.append(HotPixels())
        if self.drop_tilts.strip() or self.largest_tilt is not None:
            wanted.append(DropTilts(projections=self.drop_tilts, largest_deg=self.largest_tilt))
        if self.sort_tilts:
            wanted.append(SortTilts())
        if self.crop_x is not None or self.crop_y is not None:
            wanted.append(Crop(x=self.crop_x, y=self.crop_y))
        if self.background != "none":
            wanted.append(Background(method=self.background))
        if self.bin > 1:
            wanted.append(Bin(factor=self.bin))
        if self.brightness != "none":
            wanted.append(Brightness(method=self.brightness))
        return tuple(wanted)


def prepare(
    dataset: Dataset,
    steps: PrepareRecipe | Sequence[AnyStep | Mapping[str, Any]],
    *,
    on_progress: Callable[[TaskProgress], None] | None = None,
) -> Dataset:
    """Do the operations one after the other.

    Parameters
    ----------
    dataset : Dataset
        It is not modified.
    steps : PrepareRecipe or sequence of steps
        What to do. A step is a model of `chemtomo.pipeline.prepare_steps`, or is written as in a recipe:
        ``{"operation": "bin", "factor": 2}``.
    on_progress : callable, optional
        Called with a `TaskProgress` now and then.

    Returns
    -------
    Dataset
        Each signal with one entry ``{"step": "prepare", "operation": ..., ...}`` in its provenance for
        every operation that was done to it. Lazy series stay lazy.

    Raises
    ------
    ParameterError
        When a step is unknown, or a parameter of it is out of bounds.
    ChemTomoError
        When an operation cannot be done: the message says to which signal.
    """
    return finish(prepare_job(dataset, steps), on_progress)


def prepare_job(
    dataset: Dataset,
    steps: PrepareRecipe | Sequence[AnyStep | Mapping[str, Any]],
    *,
    in_memory: bool = False,
) -> Generator[TaskProgress, None, Dataset]:
    """Do the operations one after the other, and yield the progress. See `prepare`.

    The operations are put together first; then every projection goes through all of them, so that
    there are never two stacks in memory for each operation.

    Parameters
    ----------
    dataset, steps
        See `prepare`.
    in_memory : bool
        Compute the values of lazy series too.
    """
    listed = steps.steps if isinstance(steps, PrepareRecipe) else _steps(steps)
    lazy_names = {one.name for one in dataset if one.is_lazy}
    done = dataset.map(lazy_series)
    for number, step in enumerate(listed):
        # Some operations look at the whole stack here.
        yield TaskProgress(number, len(listed), step.title)
        done = step.apply(done)
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
        made.append(series.replace(data=data, background=background))
    return Dataset(tuple(made))


def _steps(steps: Sequence[AnyStep | Mapping[str, Any]]) -> tuple[AnyStep, ...]:
    """Make the models of steps that are written as in JSON."""
    try:
        return PrepareRecipe.model_validate({"steps": list(steps)}).steps
    except ValidationError as error:
        raise ParameterError(_explained(error)) from error


def recipe_of(series: TiltSeries) -> PrepareRecipe:
    """Return the operations that prepared a series, from its provenance, to do them again.

    Raises
    ------
    ParameterError
        When the provenance is of another version and its operations are not known.
    """
    entries = [
        {name: value for name, value in entry.items() if name not in ("step", "did")}
        for entry in series.provenance
        if entry.get("step") == "prepare"
    ]
    try:
        return PrepareRecipe.model_validate({"steps": entries})
    except ValidationError as error:
        raise ParameterError(f"tilt series {series.name!r}: {_explained(error)}") from error


def _explained(error: ValidationError) -> str:
    first = error.errors()[0]
    message = str(first["msg"]).removeprefix("Value error, ")
    # Of a step its number is said, from 1, and not the name of the model that was tried.
    place = list(first["loc"])
    where = ""
    if place[:1] == ["steps"] and len(place) > 1:
        where = f"step {int(place[1]) + 1}"
        place = place[3:]
    name = ".".join(str(part) for part in place)
    found: Any = first["input"]
    return f"{' '.join(part for part in (where, name) if part) or 'recipe'}: {message}; found {found!r}"
