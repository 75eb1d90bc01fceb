"""Read lists of operations from recipes, to apply them to other series."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any

from chemtomo.errors import ParameterError, ReadError
from chemtomo.pipeline.jobs.prepare import operation_of
from chemtomo.pipeline.recipes.recipe import Recipe
from chemtomo.preprocess.operation import Operation

__all__ = ["load_operations"]


def load_operations(path: str | PathLike[str]) -> tuple[Operation, ...]:
    """Return the operations of a recipe; its inputs and other steps are ignored.

    Parameters
    ----------
    path : path
        A recipe in TOML, or a list of operations in JSON as version 0.1 wrote it.

    Raises
    ------
    ReadError
        When it cannot be read, or is no such file: the message says which step is wrong.
    """
    path = Path(path)
    if path.suffix.lower() != ".json":
        steps = [one.parameters for one in Recipe.load(path).steps]
        return tuple(one for one in steps if isinstance(one, Operation))
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReadError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise ReadError(f"{path}: found no JSON ({error}); expected a list of operations") from error
    if isinstance(found, dict):
        if found.get("version") != 1:
            raise ReadError(f"{path}: version: found {found.get('version')!r}; expected 1")
        found = found.get("steps")
    if not isinstance(found, list):
        raise ReadError(f"{path}: found {type(found).__name__}; expected a list of operations")
    try:
        return tuple(operation_of(one, f"step {number}") for number, one in enumerate(found, start=1))
    except ParameterError as error:
        raise ReadError(f"{path}: {error}") from error
