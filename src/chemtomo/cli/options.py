"""Options of the command line made from parameter models."""

from __future__ import annotations

import enum
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import pydantic
import typer
from pydantic import PositiveFloat
from pydantic.fields import FieldInfo
from rich.markup import escape

from chemtomo.errors import ParameterError
from chemtomo.parameters import TRIED_TYPE, Parameters, Range, former_spellings
from chemtomo.preprocess.operation import Operation
from chemtomo.preprocess.operations import OPERATIONS

__all__ = ["OperationOptions", "with_model_options"]

_RANGE = re.compile(r"\d+:\d+")


def with_model_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the parameters of `command` that are models by one option for every field.

    The name, default and help of an option are those of the field: ``report_every`` becomes
    ``--report-every``. A range is given as ``START:STOP``, and a dictionary by repeating
    ``NAME=VALUE``. The command gets the validated models; a value that they refuse is a usage error.
    """
    hints = typing.get_type_hints(command, include_extras=True)
    # Lists of operations come from `chemtomo.cli.operation_options`.
    lists = {
        name: mark
        for name, hint in hints.items()
        for mark in getattr(hint, "__metadata__", ())
        if isinstance(mark, OperationOptions)
    }
    models = {
        name: hint for name, hint in hints.items() if isinstance(hint, type) and issubclass(hint, Parameters)
    }
    # Typer reads the options of a command from its signature: this one gets that of the command, with the
    # options of the models in place of the models.
    parameters = [
        one.replace(annotation=hints[one.name], kind=inspect.Parameter.KEYWORD_ONLY)
        for one in inspect.signature(command).parameters.values()
        if one.name not in models and one.name not in lists
    ]
    for model in models.values():
        parameters += [option_of(model, name, field) for name, field in model.offered().items()]
    for mark in lists.values():
        parameters += mark.options()

    def run(**values: Any) -> None:
        made = {}
        for name, model in models.items():
            given = {field: values.pop(field) for field in model.offered()}
            made[name] = validated_model(model, given)
        chosen = {name: mark.taken(values) for name, mark in lists.items()}
        command(**values, **made, **chosen)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


class OperationOptions:
    """Marks a parameter of a command that gets the chosen operations, in the order of `names`.

    Each operation has an option with its name, which takes its main parameter if there is one, and
    one option for every other parameter: ``--background otsu --background-clear``.

    Parameters
    ----------
    names : iterable of str
        The operations.
    older : mapping of str to (str, str), optional
        Former options, which work with a warning: for each the operation and its parameter.
    """

    def __init__(self, names: Iterable[str], older: Mapping[str, tuple[str, str]] | None = None) -> None:
        self._names = tuple(names)
        self._older = dict(older or {})

    def options(self) -> list[inspect.Parameter]:
        """Return the options of all operations."""
        found = []
        for name in self._names:
            model = OPERATIONS[name]
            if model.main is None and model.by_itself:
                summary = (model.__doc__ or "").splitlines()[0]
                found.append(_plain_option(name, bool, _flag(name), summary, model.title))
            found += [self._field_option(model, field) for field in model.offered()]
        for old, (name, field) in self._older.items():
            kind, _ = command_line_type(old, OPERATIONS[name].model_fields[field].annotation)
            found.append(_plain_option(old, kind, _flag(old), "", "", hidden=True))
        return found

    def taken(self, values: dict[str, Any]) -> tuple[Operation, ...]:
        """Remove the values of these options from `values`, and return the operations."""
        given: dict[str, dict[str, Any]] = {}
        for old, (name, field) in self._older.items():
            value = values.pop(old)
            if value is not None:
                new = _flag(_parameter_name(OPERATIONS[name], field))
                typer.echo(f"Warning: {_flag(old)} is now {new}", err=True)
                given.setdefault(name, {})[field] = value
        made = []
        for name in self._names:
            model = OPERATIONS[name]
            chosen = given.get(name, {})
            wanted = bool(chosen)
            if model.main is None and model.by_itself:
                wanted = bool(values.pop(name)) or wanted
            for field in model.offered():
                value = values.pop(_parameter_name(model, field))
                if value is not None:
                    wanted, chosen[field] = True, value
            if wanted:
                operation = validated_model(model, chosen, name)
                assert isinstance(operation, Operation)
                made.append(operation)
        return tuple(made)

    def _field_option(self, model: type[Operation], field: str) -> inspect.Parameter:
        info = model.model_fields[field]
        name = _parameter_name(model, field)
        kind, metavar = command_line_type(name, info.annotation)
        default = info.get_default(call_default_factory=True)
        shown = "" if default in (None, (), False) else str(default)
        text = escape(info.description or "")
        return _plain_option(name, kind, _flag(name), text, model.title, metavar=metavar, shown=shown)


def _parameter_name(model: type[Operation], field: str) -> str:
    return model.operation if field == model.main else f"{model.operation}_{field}"


def _plain_option(
    name: str, kind: Any, flag: str, text: str, panel: str, *, metavar: str | None = None,
    shown: str = "", hidden: bool = False,
) -> inspect.Parameter:  # fmt: skip
    option = typer.Option(
        None,
        flag,
        help=text,
        metavar=metavar,
        show_default=shown or False,
        hidden=hidden,
        rich_help_panel=panel or None,
    )
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=kind | None)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def option_of(model: type[Parameters], name: str, field: FieldInfo) -> inspect.Parameter:
    """Return the option of one field of a model."""
    kind, metavar = command_line_type(name, field.annotation)
    parser = None
    default = field.get_default(call_default_factory=True)
    if isinstance(default, dict):
        default = [f"{key}={value}" for key, value in default.items()]
    elif default == ():
        default = None
    elif isinstance(default, tuple):
        default = ":".join(map(str, default))
    elif isinstance(kind, type) and issubclass(kind, enum.Enum):
        default = str(default)
    former = former_spellings(field)
    if former:
        choices = typing.get_args(field.annotation)
        kind, parser, metavar = str, _word_parser(choices, former), f"[{'|'.join(choices)}]"
    flags = _flag(name) if kind is not bool else f"{_flag(name)}/{_flag('no_' + name)}"
    option = typer.Option(
        default,
        flags,
        parser=parser,
        help=escape(field.description or ""),
        metavar=metavar,
        show_default=default not in (None, []),
        rich_help_panel=f"{model.__name__.removesuffix('Parameters')} options",
    )
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=kind)


def _word_parser(choices: tuple[str, ...], former: Mapping[str, str]) -> Callable[[str], str]:
    """Return a parser of choices that also lets former spellings pass, which the model replaces."""

    def parse(word: str) -> str:
        if word not in choices and word not in former:
            raise typer.BadParameter(f"found {word!r}; expected {', '.join(choices)}")
        return word

    return parse


def command_line_type(name: str, annotation: Any) -> tuple[Any, str | None]:
    """Return the type that typer parses, and its name in the help."""
    origin = typing.get_origin(annotation)
    if origin is Literal:
        choices = {str(value): str(value) for value in typing.get_args(annotation)}
        return enum.Enum(name, choices), None
    if _has_pairs(annotation):
        return list[str], "|".join(["NAME=VALUE", *_words(annotation)])
    if annotation == Range:
        return str, "START:STOP"
    if origin is tuple:
        return str, "A,B,..." if typing.get_args(annotation)[0] is str else "N,N,..."
    if origin in (typing.Union, types.UnionType):
        members = [one for one in typing.get_args(annotation) if one is not type(None)]
        optional = len(members) < len(typing.get_args(annotation))
        if len(members) == 1:
            kind, metavar = command_line_type(name, members[0])
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
    kind = typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind
    return "START:STOP" if kind == Range else str(kind.__name__).upper()


def validated_model(model: type[Parameters], given: dict[str, Any], operation: str = "") -> Parameters:
    """Return the model with the given values; a value that it refuses is a usage error."""

    def option(field: str) -> str:
        return _flag(_parameter_name(OPERATIONS[operation], field) if operation else field)

    converted = {
        name: _convert(option(name), model.model_fields[name].annotation, value)
        for name, value in given.items()
        if value is not None
    }
    try:
        return model(**converted)
    except ParameterError as error:
        raise typer.BadParameter(str(error)) from error
    except pydantic.ValidationError as error:
        # A field that takes a number or a word has an error for each; the word is not what was tried.
        found = error.errors()
        told = [one for one in found if one["type"] != "literal_error" or not _tried_else(one, found)]
        raise typer.BadParameter("; ".join(_explain(one, option) for one in told)) from error


def _convert(flag: str, annotation: Any, value: Any) -> Any:
    """Convert a parsed value to that of the model."""
    if isinstance(value, enum.Enum):
        return next(one for one in typing.get_args(annotation) if str(one) == value.value)
    words = _words(annotation)
    if _has_pairs(annotation):
        return value[0] if len(value) == 1 and value[0] in words else _pairs(flag, value)
    if isinstance(value, str) and Range in (annotation, *typing.get_args(annotation)):
        if _RANGE.fullmatch(value):
            return tuple(map(int, value.split(":")))
        if value not in words:
            expected = ", ".join([*words, "START:STOP"])
            raise typer.BadParameter(f"{flag}: found {value!r}; expected {expected}")
    if isinstance(value, str) and words and PositiveFloat in typing.get_args(annotation):
        try:
            return value if value in words else float(value)
        except ValueError:
            expected = ", ".join([*words, "a number"])
            raise typer.BadParameter(f"{flag}: found {value!r}; expected {expected}") from None
    return value


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """Return the types of a union, or a type alone."""
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if union else (annotation,)


def _has_pairs(annotation: Any) -> bool:
    return any(typing.get_origin(one) is dict for one in _alternatives(annotation))


def _words(annotation: Any) -> list[str]:
    """Return the words that a union allows beside other values."""
    return [
        str(word)
        for one in _alternatives(annotation)
        if typing.get_origin(one) is Literal and one is not annotation
        for word in typing.get_args(one)
    ]


def _pairs(flag: str, words: list[str]) -> dict[str, float]:
    pairs: dict[str, float] = {}
    for word in words:
        key, _, number = word.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            key = ""
        if not key:
            raise typer.BadParameter(f"{flag}: found {word!r}; expected NAME=VALUE with a number")
        if key in pairs:
            raise typer.BadParameter(f"{flag}: found {key!r} twice; expected each name once")
        pairs[key] = value
    return pairs


def _tried_else(error: Any, errors: Iterable[Any]) -> bool:
    """Whether the same field has an error of another type of value."""
    return any(one["loc"][:1] == error["loc"][:1] and one["type"] != error["type"] for one in errors)


def _explain(error: Any, flag: Callable[[str], str]) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:
        return message
    field, *inside = (str(one) for one in error["loc"] if not TRIED_TYPE.fullmatch(str(one)))
    where = flag(field) + "".join(f" {one}" for one in inside)
    return f"{where}: found {error['input']!r}; {message[:1].lower()}{message[1:]}"
