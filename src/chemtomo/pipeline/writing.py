"""Write results with their recipes, and read the recipe of a result."""

from __future__ import annotations

import dataclasses
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from chemtomo.data import Dataset, Volume
from chemtomo.errors import ReadError
from chemtomo.pipeline.recipes.history import recipe_of, with_recipe
from chemtomo.pipeline.recipes.recipe import Recipe

if TYPE_CHECKING:
    from chemtomo.io import Written

__all__ = ["recipe_in", "write", "write_series"]


def write_series(
    dataset: Dataset, path: str | PathLike[str], *, overwrite: bool = False, made_from: str = ""
) -> Written:
    """Write tilt series that hold the recipe by which they were made; see `chemtomo.io.write_dataset`."""
    from chemtomo.io import write_dataset

    return write_dataset(with_recipe(dataset, made_from=made_from), path, overwrite=overwrite)


def write(
    result: Volume | Dataset, path: str | PathLike[str], *, overwrite: bool = False, made_from: str = ""
) -> Written:
    """Write a volume, or tilt series, with the recipe by which it was made.

    Parameters
    ----------
    result : Volume or Dataset
        What to write.
    path : path
        Its ending gives the format, see `chemtomo.io.write` and `chemtomo.io.write_dataset`.
    overwrite : bool
        Whether an existing file may be replaced.
    made_from : str
        Key of the inputs and steps, for the recipe; see `Recipe.made_from`.

    Returns
    -------
    Written
        The files, with notes on what the format had no place for.

    Raises
    ------
    WriteError
        When the file cannot be written, or exists and must not be replaced.
    """
    from chemtomo import io

    if isinstance(result, Volume):
        if made_from:
            recipe = {**result.provenance, "made_from": made_from}
            result = dataclasses.replace(result, provenance=recipe)
        return io.write(result, path, overwrite=overwrite)
    return write_series(result, path, overwrite=overwrite, made_from=made_from)


def recipe_in(paths: list[Path]) -> Recipe:
    """Return the recipe of a result: a volume, or tilt series.

    Raises
    ------
    ReadError
        When it cannot be read, or holds no recipe.
    """
    from chemtomo.io import is_volume, read, read_volume

    if len(paths) == 1 and paths[0].suffix.lower() == ".toml":
        return Recipe.load(paths[0])
    if len(paths) == 1 and is_volume(paths[0]):
        found = read_volume(paths[0]).provenance
        if not found:
            raise ReadError(f"{paths[0]}: found a volume without a recipe; expected one that ChemTomo made")
        return Recipe.from_json(found, str(paths[0]))
    return recipe_of(read(paths))
