"""Plan runs from a recipe, data sets and settings: which results are made, and their names."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from chemtomo.errors import ParameterError
from chemtomo.io.outputs import output_format
from chemtomo.pipeline.keeping.cache import Cache
from chemtomo.pipeline.many.planned import PlannedRun
from chemtomo.pipeline.recipes.recipe import Recipe, with_settings

__all__ = ["plan_runs"]

_PLACE = re.compile(r"\{([^{}]*)\}")
_NOT_IN_NAMES = re.compile(r"[^\w.,=+-]+")
_DATA = "data"


def plan_runs(
    recipe: Recipe,
    output: str | os.PathLike[str],
    *,
    data_sets: Sequence[str | os.PathLike[str]] = (),
    grid: Mapping[str, Sequence[Any]] | None = None,
    name: str = "result",
    overwrite: bool = False,
    accept_changed: bool = False,
    cache: Cache | None = None,
) -> tuple[PlannedRun, ...]:
    """Plan one run for every data set and every combination of settings.

    Nothing is read: a data set that is missing or broken fails when its run is done.

    Parameters
    ----------
    recipe : Recipe
        What to do.
    output : path
        A folder, in which results get names like ``DATASET_strength=2.zarr``; or a pattern such as
        ``out/{data}_{reconstruct.strength}.ome.tif``.
    data_sets : sequence of path, optional
        Folders that hold files with the names of those of the recipe; or, where the recipe has a single
        file, files. The files of the recipe itself if there are none.
    grid : mapping of str to sequence, optional
        The values of each parameter: ``{"reconstruct.strength": [0.5, 1, 2]}``.
    name : str
        Value of ``{data}`` where there are no data sets.
    overwrite : bool
        Whether results of other inputs or steps may be replaced.
    accept_changed : bool
        Continue although the values of an input differ from those of the recipe.
    cache : Cache, optional
        Where results of steps are kept, so that steps common to several runs are done once.

    Returns
    -------
    tuple of PlannedRun
        Data set by data set.

    Raises
    ------
    ParameterError
        When a setting is unknown or out of bounds, or when two results would have the same name.
    """
    grid = {place: tuple(values) for place, values in (grid or {}).items()}
    for place, values in grid.items():
        if not values:
            raise ParameterError(f"{place}: found no values; expected at least one")
    settings = [tuple(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    changed = [with_settings(recipe, one).to_json() for one in settings]
    pattern = _pattern(Path(output), list(grid))
    paths = [str(Path(one).absolute()) for one in data_sets]
    named = list(zip(paths, _names(paths), strict=True)) if paths else [(None, name)]
    runs = []
    for path, of in named:
        for setting, made in zip(settings, changed, strict=True):
            texts = {place: str(value) for place, value in setting}
            runs.append(
                PlannedRun(
                    data=of,
                    path=path,
                    settings=texts,
                    recipe=made,
                    output=str(Path(_filled(pattern, {_DATA: of, **texts})).absolute()),
                    overwrite=overwrite,
                    accept_changed=accept_changed,
                    cache=cache,
                )
            )
    _require_distinct(runs)
    return tuple(runs)


def _pattern(output: Path, places: Sequence[str]) -> str:
    if output_format(output) is None:
        if "{" in str(output):
            raise ParameterError(
                f"{output}: found a pattern without the ending of a format; expected one, as {{data}}.zarr"
            )
        described = "".join(f"_{place.partition('.')[2]}={{{place}}}" for place in places)
        return str(output / f"{{{_DATA}}}{described}.zarr")
    known = [_DATA, *places]
    for found in _PLACE.findall(str(output)):
        if found not in known:
            expected = ", ".join(f"{{{one}}}" for one in known)
            raise ParameterError(f"{output}: found {{{found}}}; expected one of {expected}")
    return str(output)


def _filled(pattern: str, texts: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda found: _NOT_IN_NAMES.sub("-", texts[found[1]]), pattern)


def _names(paths: Sequence[str]) -> Iterator[str]:
    """Name data sets by the last parts of their paths, as many as distinguish them."""
    stems = [Path(path).with_name((output_format(Path(path)) or ("", Path(path).name))[1]) for path in paths]
    for stem in stems:
        for count in range(1, len(stem.parts) + 1):
            tail = stem.parts[-count:]
            if sum(other.parts[-count:] == tail for other in stems) == 1:
                break
        yield "_".join(part.strip("\\/:") for part in tail)


def _require_distinct(runs: Sequence[PlannedRun]) -> None:
    seen: dict[str, PlannedRun] = {}
    for run in runs:
        other = seen.setdefault(os.path.normcase(run.output), run)
        if other is not run:
            raise ParameterError(
                f"{run.output}: found two results with this name, of {other.title} and of {run.title}; "
                "expected a pattern that tells them apart, and each data set once"
            )
