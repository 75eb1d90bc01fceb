"""Forms made from the parameter models.

Labels, help, choices, bounds and defaults are those of the model: nothing is said twice.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFormLayout, QLabel

from chemtomo.errors import ParameterError
from chemtomo.parameters import Parameters, Range
from napari_chemtomo.shared.editors import (
    LEAST_FLOAT,
    CheckEditor,
    ChoiceEditor,
    Editor,
    FloatEditor,
    IntegerEditor,
    ListEditor,
    RangeEditor,
    TextEditor,
)

__all__ = ["ParameterForm"]


class ParameterForm(QObject):
    """The editors of one parameter model.

    Parameters
    ----------
    model : type of Parameters
        The model.
    exclude : iterable of str
        Fields that are edited elsewhere.
    editors : mapping, optional
        Editors to use instead of those that fit the fields' types.
    """

    changed = Signal()

    def __init__(
        self,
        model: type[Parameters],
        *,
        exclude: Iterable[str] = (),
        editors: Mapping[str, Editor] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.editors: dict[str, Any] = {}
        self._labels: dict[str, QLabel] = {}
        for name, field in model.offered().items():
            if name in exclude:
                continue
            editor = (editors or {}).get(name) or _editor(field)
            editor.setToolTip(field.description or "")
            editor.changed.connect(self.changed)
            self.editors[name] = editor
            label = QLabel(field.title or name)
            label.setToolTip(field.description or "")
            self._labels[name] = label
        self.reset()

    @property
    def names(self) -> tuple[str, ...]:
        """The fields of the form, in the order of the model."""
        return tuple(self.editors)

    def place(self, names: Iterable[str], layout: QFormLayout) -> None:
        """Add the rows of some fields to a layout."""
        for name in names:
            layout.addRow(self._labels[name], self.editors[name])

    def enable(self, name: str, enabled: bool) -> None:
        """Let a field be edited, or grey it out because it has no effect."""
        self.editors[name].setEnabled(enabled)
        self._labels[name].setEnabled(enabled)

    def enable_effective(self, **others: Any) -> None:
        """Grey out the fields that have no effect with the choices of the form and of `others`."""
        values = {**self.values(), **others}
        for name in self.editors:
            self.enable(name, self.model.has_effect(name, values))

    def values(self) -> dict[str, Any]:
        """Return what the editors show."""
        return {name: editor.get() for name, editor in self.editors.items()}

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Show values; those of fields that are not in the form are passed over."""
        for name, value in values.items():
            if name in self.editors:
                self.editors[name].set(value)

    def reset(self) -> None:
        """Show the defaults of the model."""
        self.set_values(
            {
                name: field.get_default(call_default_factory=True)
                for name, field in self.model.offered().items()
            }
        )

    def parameters(self, **others: Any) -> Any:
        """Return the model with the values of the form and of `others`.

        Raises
        ------
        ParameterError
            When a value is not allowed: the message gives the field's title and what is wrong.
        """
        try:
            return self.model(**self.values(), **others)
        except ValidationError as error:
            raise ParameterError("; ".join(self._explain(one) for one in error.errors())) from error

    def _explain(self, error: Mapping[str, Any]) -> str:
        message = str(error["msg"]).removeprefix("Value error, ")
        where = error["loc"]
        if not where:
            return message
        field = self.model.model_fields.get(str(where[0]))
        title = field.title if field is not None and field.title else str(where[0])
        return f"{title}: {message}, found {error['input']!r}"


def _editor(field: FieldInfo) -> Any:
    """Return the editor that fits the type of a field."""
    options = _options(field.annotation)
    optional = type(None) in options
    options = tuple(one for one in options if one is not type(None))
    absent = "not set" if optional else None
    if Range in options:
        words: dict[str, Any] = {"all": None} if optional else {}
        return RangeEditor(words | {str(one): one for kind in options for one in _choices(kind)})
    kind, *others = options
    if not others and _choices(kind):
        return ChoiceEditor(_choices(kind))
    if not others and kind is bool and not optional:
        return CheckEditor()
    if not others and kind is int:
        return IntegerEditor(*_bounds(field, 1.0), absent=absent)
    if not others and kind is float:
        return FloatEditor(*_bounds(field, LEAST_FLOAT), absent=absent)
    if not others and typing.get_origin(kind) is tuple:
        return ListEditor(optional=optional)
    if not others and kind is str:
        return TextEditor(optional=optional)
    raise TypeError(f"found a parameter of type {field.annotation}; expected one that a form can show")


def _options(kind: Any) -> tuple[Any, ...]:
    """Return the alternatives of a union, or a type alone."""
    return typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)


def _choices(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()


def _bounds(field: FieldInfo, least: float) -> tuple[float, float]:
    """Return the smallest and largest value of a field; `least` is the step off an excluded bound."""
    lowest, highest = -float("inf"), float("inf")
    for one in field.metadata:
        lowest = max(lowest, getattr(one, "ge", lowest), getattr(one, "gt", lowest - least) + least)
        highest = min(highest, getattr(one, "le", highest), getattr(one, "lt", highest + least) - least)
    return lowest, highest
