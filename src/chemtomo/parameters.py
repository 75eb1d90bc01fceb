"""The base of all parameter models. A model is defined beside the function that uses it.

Command line options, forms in napari, entries of recipes and the tables of the documentation are made from
the models: default, bounds, title and help of a parameter are written once.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
import warnings
from collections.abc import Mapping
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic.fields import FieldInfo

from chemtomo.errors import ParameterError

__all__ = [
    "TRIED_TYPE",
    "OfTheData",
    "OnlyFor",
    "Parameters",
    "Range",
    "RecipeOnly",
    "Renamed",
    "explained",
    "former_spellings",
    "listed_numbers",
    "only_for",
    "validated",
]

Range = tuple[int, int]
"""From START up to but not including STOP; ``START:STOP`` as text."""

_RANGE = re.compile(r"\s*(\d+):(\d+)\s*")
TRIED_TYPE = re.compile(
    r"constrained-\w+|(literal|dict|list|tuple|function-\w+)\[.*\]|none|bool|int|float|str"
)
"""What pydantic calls the types of a union, in the place of an error."""
_LIST_OF_INTEGERS = tuple[int, ...]
_LIST_OF_NUMBERS = tuple[float, ...]
_LIST_OF_NAMES = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class OnlyFor:
    """Marks a field that has an effect only with some choices of other fields.

    Attributes
    ----------
    choices : dict of str to tuple
        The values that the other fields must have, by their names.
    """

    choices: dict[str, tuple[Any, ...]]


def only_for(**choices: Any) -> OnlyFor:
    """Mark a field: ``level: Annotated[float, only_for(method=("threshold", "constant"))]``."""
    return OnlyFor({name: one if isinstance(one, tuple) else (one,) for name, one in choices.items()})


@dataclasses.dataclass(frozen=True)
class Renamed:
    """Marks a field of which some values had another spelling: the former one works, with a warning.

    Attributes
    ----------
    spellings : dict of str to str
        The present spelling for every former one.
    """

    spellings: dict[str, str]


class RecipeOnly:
    """Marks a field that has neither an option nor a place in a form: the program writes it into recipes."""


class OfTheData:
    """Marks a field whose value holds for the data at hand only: forms do not keep it."""


class Parameters(BaseModel):
    """Base of the parameter models: immutable, and strict about unknown names.

    Fields of the type `Range`, and tuples of text or numbers, are also taken as text, as the command line
    gives it: ``"4:9"``, ``"Fe,Co"``, ``"3,7,40:45"``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _from_former_spelling(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str) or info.field_name is None:
            return value
        now = former_spellings(cls.model_fields[info.field_name]).get(value)
        if now is None:
            return value
        warnings.warn(f"{info.field_name}: {value!r} is now {now!r}", FutureWarning, stacklevel=2)
        return now

    @field_validator("*", mode="before")
    @classmethod
    def _from_text(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str) or info.field_name is None:
            return value
        kinds = _alternatives(cls.model_fields[info.field_name].annotation)
        if str in kinds:
            return value
        if Range in kinds and (found := _RANGE.fullmatch(value)):
            return int(found[1]), int(found[2])
        if _LIST_OF_NAMES in kinds:
            return tuple(name for one in value.split(",") if (name := one.strip()))
        if _LIST_OF_INTEGERS in kinds:
            return listed_numbers(value)
        if _LIST_OF_NUMBERS in kinds:
            return tuple(value.replace(",", " ").split())
        return value

    @model_validator(mode="after")
    def _ranges_rise(self) -> Self:
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if Range in _alternatives(field.annotation) and isinstance(value, tuple):
                start, stop = value
                if not 0 <= start < stop:
                    raise ValueError(f"{name}: found {start}:{stop}; expected 0 <= START < STOP")
        return self

    @classmethod
    def has_effect(cls, name: str, values: Mapping[str, Any]) -> bool:
        """Tell whether a field has an effect with the values that the other fields have."""
        for mark in cls.model_fields[name].metadata:
            if isinstance(mark, OnlyFor):
                return all(values[other] in wanted for other, wanted in mark.choices.items())
        return True

    @classmethod
    def offered(cls) -> dict[str, FieldInfo]:
        """Return the fields that users set, in order."""
        return {
            name: field
            for name, field in cls.model_fields.items()
            if not any(isinstance(mark, RecipeOnly) for mark in field.metadata)
        }

    def differing(self, *, effective: bool = False) -> dict[str, Any]:
        """Return the fields that differ from the defaults, as JSON and TOML know them.

        Parameters
        ----------
        effective : bool
            Leave out those that have no effect.
        """
        values = {name: getattr(self, name) for name in type(self).model_fields}
        changed = self.model_dump(mode="json", exclude_defaults=True)
        return {
            name: value
            for name, value in changed.items()
            if not effective or type(self).has_effect(name, values)
        }


def former_spellings(field: FieldInfo) -> dict[str, str]:
    """Return the present spelling for every former spelling of a value of a field."""
    return {
        former: now
        for mark in field.metadata
        if isinstance(mark, Renamed)
        for former, now in mark.spellings.items()
    }


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """Return the types of a union, or a type alone."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


_Model = TypeVar("_Model", bound=Parameters)


def listed_numbers(text: str) -> tuple[int, ...]:
    """Return the numbers that a text like ``3, 7, 40:45`` lists; a range does not include its end.

    Raises
    ------
    ParameterError
        When the text is not such a list.
    """
    numbers: list[int] = []
    for word in text.replace(",", " ").split():
        if not re.fullmatch(r"\d+(:\d+)?", word):
            raise ParameterError(f"found {word!r} among numbers; expected a list such as 3,7,40:45")
        first, _, end = word.partition(":")
        numbers += range(int(first), int(end)) if end else [int(first)]
    return tuple(dict.fromkeys(numbers))


def validated(model: type[_Model], values: Mapping[str, Any], where: str = "") -> _Model:
    """Return the model with these values.

    Raises
    ------
    ParameterError
        When one is unknown or not allowed: the message says which, what was found and what was expected.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        message = explained(error)
        raise ParameterError(f"{where}: {message}" if where else message) from error


def explained(error: ValidationError) -> str:
    """Return the first error of pydantic as one sentence."""
    first = error.errors()[0]
    message = str(first["msg"]).removeprefix("Value error, ")
    if not first["loc"]:  # the message of a validator of the whole model is complete
        return message
    # Where a field takes several types, pydantic adds which of them was tried.
    name = ".".join(str(part) for part in first["loc"] if not TRIED_TYPE.fullmatch(str(part)))
    return f"{name}: {message}; found {first['input']!r}"
