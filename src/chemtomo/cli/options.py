"""Options of the command line made from parameter models."""

from __future__ import annotations

import enum
import inspect
import re
import types
import typing
from collections.abc import Callable
from typing import Any, Literal

import pydantic
import typer
from pydantic.fields import FieldInfo
from rich.markup import escape

from chemtomo.pipeline.parameters import Parameters, Range

__all__ = ["with_model_options"]

_RANGE = re.compile(r"\d+:\d+")


def with_model_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the parameters of `command` that are models by one option for every field.

    The name, default and help of an option are those of the field: ``report_every`` becomes
    ``--report-every``. A range is given as ``START:STOP``, and a dictionary by repeating
    ``NAME=VALUE``. The command gets the models, validated; what they refuse is a usage error.
    """
    hints = typing.get_type_hints(command, include_extras=True)
    models = {
        name: hint for name, hint in hints.items() if isinstance(hint, type) and issubclass(hint, Parameters)
    }
    parameters = [
        one.replace(annotation=hints[one.name], kind=inspect.Parameter.KEYWORD_ONLY)
        for one in inspect.signature(command).parameters.values()
        if one.name not in models
    ]
    for model in models.values():
        parameters += [_option(model, name, field) for name, field in model.model_fields.items()]

    def run(**values: Any) -> None:
        made = {}
        for name, model in models.items():
            given = {field: values.pop(field) for field in model.model_fields}
            made[name] = _validate(model, given)
        command(**values, **made)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _option(model: type[Parameters], name: str, field: FieldInfo) -> inspect.Parameter:
    kind, metavar = _command_line_type(name, field.annotation)
    default = field.get_default(call_default_factory=True)
    if isinstance(default, dict):
        default = [f"{key}={value}" for key, value in default.items()]
    elif isinstance(default, tuple):
        default = ":".join(map(str, default))
    elif isinstance(kind, type) and issubclass(kind, enum.Enum):
        default = str(default)
    flags = _flag(name) if kind is not bool else f"{_flag(name)}/{_flag('no_' + name)}"
    option = typer.Option(
        default,
        flags,
        help=escape(field.description or ""),
        metavar=metavar,
        show_default=default not in (None, []),
        rich_help_panel=f"{model.__name__.removesuffix('Parameters')} options",
    )
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=kind)


def _command_line_type(name: str, annotation: Any) -> tuple[Any, str | None]:
    """Return the type that typer shall parse, and how the help names it."""
    origin = typing.get_origin(annotation)
    if origin is Literal:
        choices = {str(value): str(value) for value in typing.get_args(annotation)}
        return enum.Enum(name, choices), None
    if origin is dict:
        return list[str], "NAME=VALUE"
    if annotation == Range:
        return str, "START:STOP"
    if origin in (typing.Union, types.UnionType):
        members = [one for one in typing.get_args(annotation) if one is not type(None)]
        optional = len(members) < len(typing.get_args(annotation))
        if len(members) == 1:
            kind, metavar = _command_line_type(name, members[0])
        else:
            words = [
                str(value)
                for one in members
                for value in (typing.get_args(one) if typing.get_origin(one) is Literal else [_word(one)])
            ]
            kind, metavar = str, "|".join(words)
        return (kind | None if optional else kind), metavar
    return annotation, None


def _word(kind: Any) -> str:
    return "START:STOP" if kind == Range else str(kind.__name__).upper()


def _validate(model: type[Parameters], given: dict[str, Any]) -> Parameters:
    converted = {
        name: _convert(name, model.model_fields[name].annotation, value)
        for name, value in given.items()
        if value is not None
    }
    try:
        return model(**converted)
    except pydantic.ValidationError as error:
        raise typer.BadParameter("; ".join(_explain(one) for one in error.errors())) from error


def _convert(name: str, annotation: Any, value: Any) -> Any:
    """Turn what typer parsed into what the model takes."""
    if isinstance(value, enum.Enum):
        return next(one for one in typing.get_args(annotation) if str(one) == value.value)
    if typing.get_origin(annotation) is dict:
        return _pairs(name, value)
    if isinstance(value, str) and Range in (annotation, *typing.get_args(annotation)):
        words = [
            word
            for one in typing.get_args(annotation)
            if typing.get_origin(one) is Literal
            for word in typing.get_args(one)
        ]
        if _RANGE.fullmatch(value):
            return tuple(map(int, value.split(":")))
        if value not in words:
            expected = ", ".join([*words, "START:STOP"])
            raise typer.BadParameter(f"{_flag(name)}: found {value!r}; expected {expected}")
    return value


def _pairs(name: str, words: list[str]) -> dict[str, float]:
    pairs: dict[str, float] = {}
    for word in words:
        key, _, number = word.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            key = ""
        if not key:
            raise typer.BadParameter(f"{_flag(name)}: found {word!r}; expected NAME=VALUE with a number")
        if key in pairs:
            raise typer.BadParameter(f"{_flag(name)}: found {key!r} twice; expected each name once")
        pairs[key] = value
    return pairs


def _explain(error: Any) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:
        return message
    option, *inside = (str(one) for one in error["loc"])
    where = _flag(option) + "".join(f" {one}" for one in inside)
    return f"{where}: found {error['input']!r}; {message[:1].lower()}{message[1:]}"
