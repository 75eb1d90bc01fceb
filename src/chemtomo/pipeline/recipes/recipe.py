"""Recipes: the inputs and steps of a result, stored as TOML."""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, Literal

from pydantic import Field

from chemtomo.errors import ParameterError, ReadError
from chemtomo.parameters import Parameters, validated
from chemtomo.pipeline.recipes.toml import to_toml
from chemtomo.pipeline.steps import step_named

__all__ = ["VERSION", "Entry", "Input", "Recipe", "Signal", "with_settings"]

VERSION = 1
"""Version of the format of recipes."""

_KEYS = ("version", "program", "device", "made_from", "inputs", "steps")


class Signal(Parameters):
    """One tilt series of an input."""

    name: str
    found: str | None = Field(None, description="Its name in the files, where that differs.")
    sha256: str = Field(
        "", description="SHA-256 of its values, see `chemtomo.data.fingerprint.series_digest`."
    )


class Input(Parameters):
    """What is read by one call, or simulated."""

    kind: Literal["series", "spectra", "sample", "memory"] = "series"
    paths: tuple[str, ...] = ()
    format: str | None = None
    tilts: str | tuple[float, ...] | None = None
    tilts_unit: Literal["deg", "rad"] | None = None
    signal: str | None = Field(None, description="Name of the spectra, where files have several.")
    sample: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    sha256: str = Field("", description="SHA-256 of the files of spectra.")
    signals: tuple[Signal, ...] = ()

    def where(self) -> str:
        """Describe the input, for messages."""
        return ", ".join(self.paths) or self.sample or "data in memory"

    def with_paths(self, change: Any) -> Input:
        """Return the input with `change` applied to every path, also that of a file of tilts."""
        changes: dict[str, Any] = {"paths": tuple(change(path) for path in self.paths)}
        # Other texts are tilts themselves; a file of tilts has an absolute path.
        if isinstance(self.tilts, str) and ("/" in self.tilts or "\\" in self.tilts):
            moved = change(self.tilts)
            changes["tilts"] = moved if "/" in moved or "\\" in moved else f"./{moved}"
        return self.model_copy(update=changes)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One step of a recipe.

    Attributes
    ----------
    step : str
        Its name.
    parameters : Parameters
        The model of the step.
    """

    step: str
    parameters: Parameters

    @classmethod
    def of(cls, step: str, values: Mapping[str, Any], where: str = "") -> Entry:
        """Return a step with these parameters.

        Raises
        ------
        ParameterError
            When there is no such step, or a parameter is unknown or not allowed.
        """
        try:
            return cls(step, step_named(step).parameters(values))
        except ParameterError as error:
            raise ParameterError(f"{where}: {error}" if where else str(error)) from error

    def to_json(self) -> dict[str, Any]:
        """Return its name, and the parameters that differ from the defaults."""
        return {"step": self.step, **self.parameters.differing()}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Inputs and steps.

    Attributes
    ----------
    inputs : tuple of Input
        In the order in which they are read; their paths are absolute, except in files.
    steps : tuple of Entry
        In the order in which they are done.
    program, device : str
        Version of the program and device with which the result was made.
    made_from : str
        SHA-256 of the values of the inputs and of the requested steps. Runs over many data sets recognise
        existing results by it, see `chemtomo.pipeline.many`.
    """

    inputs: tuple[Input, ...] = ()
    steps: tuple[Entry, ...] = ()
    program: str = ""
    device: str = ""
    made_from: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as JSON values, for the description of a result."""
        described = [one.model_dump(mode="json", exclude_defaults=True) for one in self.inputs]
        return {
            "version": VERSION,
            "program": self.program,
            "device": self.device,
            **({"made_from": self.made_from} if self.made_from else {}),
            "inputs": described,
            "steps": [one.to_json() for one in self.steps],
        }

    @classmethod
    def from_json(cls, found: Any, where: str = "recipe") -> Recipe:
        """Return the recipe that `to_json` described.

        Raises
        ------
        ReadError
            When it is of another version, or has an unknown key, step or parameter; the message starts with
            `where`.
        """
        if not isinstance(found, Mapping):
            raise ReadError(f"{where}: found {type(found).__name__}; expected a recipe")
        version = found.get("version")
        if not isinstance(version, int) or version > VERSION or version < 1:
            by = f", of the program {found['program']}" if found.get("program") else ""
            raise ReadError(f"{where}: found a recipe of version {version!r}{by}; expected {VERSION} at most")
        unknown = [key for key in found if key not in _KEYS]
        if unknown:
            raise ReadError(
                f"{where}: found the keys {', '.join(map(repr, unknown))}; expected {', '.join(_KEYS)}"
            )
        try:
            inputs = tuple(
                validated(Input, _mapping(one, f"input {number}"), f"input {number}")
                for number, one in enumerate(_list(found, "inputs"), start=1)
            )
            steps = []
            for number, one in enumerate(_list(found, "steps"), start=1):
                values = dict(_mapping(one, f"step {number}"))
                steps.append(Entry.of(values.pop("step", None), values, f"step {number}"))
        except ParameterError as error:
            raise ReadError(f"{where}: {error}") from error
        texts = (str(found.get(key, "")) for key in ("program", "device", "made_from"))
        return cls(inputs, tuple(steps), *texts)

    def to_toml(self, folder: Path | None = None) -> str:
        """Return the recipe as TOML, with paths relative to `folder`, by default the current one."""
        base = Path.cwd() if folder is None else folder.resolve()
        moved = dataclasses.replace(
            self, inputs=tuple(one.with_paths(lambda path: _relative(path, base)) for one in self.inputs)
        )
        return to_toml(moved.to_json())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as TOML; an interrupted write leaves the old file.

        Raises
        ------
        WriteError
            When the file cannot be written.
        """
        from chemtomo.io.atomic import replacing

        target = Path(path)
        text = self.to_toml(target.parent)
        with replacing([target]) as (temporary,):
            temporary.write_text(text, encoding="utf-8")

    @classmethod
    def from_toml(cls, text: str, folder: Path | None = None, where: str = "recipe") -> Recipe:
        """Return the recipe that `to_toml` wrote; paths are relative to `folder`.

        Raises
        ------
        ReadError
            When it is no such recipe; the message starts with `where`.
        """
        try:
            found = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise ReadError(f"{where}: found no TOML ({error}); expected a recipe") from error
        recipe = cls.from_json(found, where)
        base = Path.cwd() if folder is None else folder.resolve()
        inputs = tuple(one.with_paths(lambda path: os.path.normpath(base / path)) for one in recipe.inputs)
        return dataclasses.replace(recipe, inputs=inputs)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Recipe:
        """Read a file.

        Raises
        ------
        ReadError
            When it cannot be read, or is no recipe.
        """
        target = Path(path)
        try:
            text = target.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ReadError(
                f"{target}: cannot be read ({getattr(error, 'strerror', None) or error})"
            ) from error
        return cls.from_toml(text, target.parent, str(target))


def with_settings(recipe: Recipe, settings: Sequence[tuple[str, Any]]) -> Recipe:
    """Return a recipe with parameters changed.

    Parameters
    ----------
    recipe : Recipe
        It is not modified.
    settings : sequence of (str, value)
        Names such as ``reconstruct.strength`` or, inside a table, ``reconstruct.mu.Al``, and values, which
        may be text.

    Raises
    ------
    ParameterError
        When the recipe has no such step or more than one, or the step no such parameter.
    """
    steps = list(recipe.steps)
    for place, value in settings:
        name, _, field = place.partition(".")
        field, _, inner = field.partition(".")
        at = [index for index, one in enumerate(steps) if one.step == name]
        if len(at) != 1 or not field:
            have = ", ".join(one.step for one in steps)
            raise ParameterError(
                f"{place}: found {len(at)} steps {name!r} among {have}; expected one, as STEP.PARAMETER"
            )
        old = steps[at[0]].parameters
        values = {key: getattr(old, key) for key in type(old).model_fields}
        if field not in values:
            raise ParameterError(
                f"{place}: {name} has no {field!r}; expected one of {', '.join(type(old).offered())}"
            )
        values[field] = {**values[field], inner: value} if inner else value
        steps[at[0]] = Entry(name, validated(type(old), values, name))
    return dataclasses.replace(recipe, steps=tuple(steps), made_from="")


def _relative(path: str, base: Path) -> str:
    try:
        return PurePath(os.path.relpath(path, base)).as_posix()
    except ValueError:  # on another drive
        return path


def _list(found: Mapping[str, Any], key: str) -> list[Any]:
    value = found.get(key, [])
    if not isinstance(value, list):
        raise ParameterError(f"{key}: found {value!r}; expected a list of tables")
    return value


def _mapping(one: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(one, Mapping):
        raise ParameterError(f"{where}: found {one!r}; expected a table")
    return one
