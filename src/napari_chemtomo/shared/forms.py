"""Forms that magicgui makes of the parameter models.

Labels, help, choices, bounds and defaults are those of the model: nothing is said twice.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from magicgui.type_map import TypeMap
from magicgui.widgets import CheckBox, ComboBox, Container, SpinBox, Widget
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QHBoxLayout, QLabel, QWidget
from superqt import QCollapsible

from chemtomo.errors import ParameterError
from chemtomo.parameters import OfTheData, Parameters, Range
from napari_chemtomo.shared.editors import (
    LEAST_FLOAT,
    FloatEdit,
    ListEdit,
    RangeEdit,
    WordsEdit,
    keep_from_wheel,
)
from napari_chemtomo.shared.plain_names import plain_name

__all__ = ["AlignedLabels", "ParameterForm"]

_LARGEST_INTEGER = 2**31 - 1
# A copy, so that the forms of other plugins stay as they are.
_EDITORS = TypeMap.global_instance().copy()
for _type, _editor in {
    bool: CheckBox,  # before the numbers, of which Python takes it for one
    Range: RangeEdit,
    tuple[int, ...]: ListEdit,
    tuple[float, ...]: ListEdit,
    tuple[str, ...]: ListEdit,
    int: SpinBox,
    float: FloatEdit,
}.items():
    _EDITORS.register_type(_type, widget_type=_editor)
_KINDS = {Range: "Range", int: "Number", float: "Number", str: "Text"}


class ParameterForm(Container[Widget]):
    """The editors of one parameter model, each an attribute by the name of its field.

    Parameters
    ----------
    model : type of Parameters
        The model.
    exclude : iterable of str
        Fields that are edited elsewhere.
    basic : iterable of str, optional
        Fields that are always in sight; the others are under *Advanced*. All by default.
    last : iterable of str
        Fields that come after the others.
    editors : mapping, optional
        Editors to use instead of those that fit the fields' types.
    """

    def __init__(
        self,
        model: type[Parameters],
        *,
        exclude: Iterable[str] = (),
        basic: Iterable[str] | None = None,
        last: Iterable[str] = (),
        editors: Mapping[str, Widget] | None = None,
    ) -> None:
        self.fields: dict[str, Any] = {}
        self.model = model
        offered = model.offered()
        names = [name for name in offered if name not in exclude]
        names.sort(key=lambda name: name in last)
        given = dict(editors or {})
        made = {name: given[name] if name in given else _editor_of(name, offered[name]) for name in names}
        shown = names if basic is None else [name for name in basic if name in made]
        advanced = [name for name in names if name not in shown]
        super().__init__()
        self.fields = made
        self._hidden: set[str] = set()
        self.margins = (0, 0, 0, 0)
        self.extend([made[name] for name in shown])
        if advanced:
            self.advanced = QCollapsible("Advanced")
            self.advanced.setToolTip("Parameters that are seldom changed.")
            self._advanced: Container[Widget] = Container()
            self._advanced.margins = (0, 0, 0, 0)
            self._advanced.extend([made[name] for name in advanced])
            self._advanced.changed.connect(lambda: self.changed.emit(self))
            self.advanced.addWidget(self._advanced.native)
            self.native.layout().addWidget(self.advanced)
        keep_from_wheel(self.native)
        self._labels = AlignedLabels(self.native)
        self.changed.connect(self._show_effective)
        self._show_effective()

    def __getattr__(self, name: str) -> Any:
        """Return the editor of a field."""
        fields = self.__dict__.get("fields", {})
        return fields[name] if name in fields else super().__getattr__(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The fields of the form."""
        return tuple(self.fields)

    def values(self) -> dict[str, Any]:
        """Return what the editors show."""
        return {name: editor.value for name, editor in self.fields.items()}

    def kept_values(self) -> dict[str, Any]:
        """Return the values that mean the same for other data."""
        fields = self.model.model_fields
        return {
            name: value
            for name, value in self.values().items()
            if not any(isinstance(mark, OfTheData) for mark in fields[name].metadata)
        }

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Show values; those of fields that are not in the form are passed over."""
        for name, value in values.items():
            if name in self.fields:
                self.fields[name].value = value

    def set_bounds(self, name: str, size: int) -> None:
        """Say how far the range of a field can go."""
        if name in self.fields:
            self.fields[name].editor.set_bounds(size)

    def reset(self) -> None:
        """Show the defaults of the model."""
        self.set_values(
            {name: one.get_default(call_default_factory=True) for name, one in self.model.offered().items()}
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

    def _show_effective(self) -> None:
        """Hide the fields that have no effect with the choices of the form."""
        values = {name: one.default for name, one in self.model.model_fields.items()} | self.values()
        for name, editor in self.fields.items():
            wanted = self.model.has_effect(name, values)
            if wanted == (name in self._hidden):
                editor.visible = wanted
                (self._hidden.remove if wanted else self._hidden.add)(name)


class AlignedLabels(QObject):
    """Gives the labels of a form one width once it is shown: only then its font is known."""

    def __init__(self, form: QWidget) -> None:
        super().__init__(form)
        form.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (the name is Qt's)
        """Look whether the form is shown."""
        if event.type() == QEvent.Type.Show:
            rows = [row for row in watched.findChildren(QWidget) if isinstance(row.layout(), QHBoxLayout)]
            labels = [row.layout().itemAt(0).widget() for row in rows]
            labels = [label for label in labels if isinstance(label, QLabel)]
            widest = max((label.sizeHint().width() for label in labels), default=0)
            for label in labels:
                label.setFixedWidth(widest)
        return False


def _editor_of(name: str, field: FieldInfo) -> Any:
    """Return the editor that fits the type of a field, with its default."""
    default = field.get_default(call_default_factory=True)
    options = {"name": name, "label": field.title or name, "tooltip": field.description or ""}
    kinds = _alternatives(field.annotation)
    choices = [
        choice
        for kind in kinds
        if typing.get_origin(kind) is typing.Literal
        for choice in typing.get_args(kind)
    ]
    others = [
        kind for kind in kinds if kind is not type(None) and typing.get_origin(kind) is not typing.Literal
    ]
    if not others:
        return ComboBox(value=default, choices=[(plain_name(one), one) for one in choices], **options)
    (kind,) = others
    limits = [*field.metadata]
    if typing.get_origin(kind) is typing.Annotated:
        kind, *more = typing.get_args(kind)
        limits += more
    optional = type(None) in kinds
    is_list = typing.get_origin(kind) is tuple and kind != Range
    if is_list or (kind is str and optional and not choices):
        return ListEdit(value=default, nullable=optional, **options)
    words = {plain_name(one): one for one in choices}
    if optional:
        words = {"All" if kind == Range else "Not set": None} | words
    typed = {} if default in words.values() else {"value": default}
    if not words:
        return _EDITORS.create_widget(annotation=kind, options={**options, **_bounds(kind, limits), **typed})
    inner = _EDITORS.create_widget(annotation=kind, options={**_bounds(kind, limits), **typed})
    return WordsEdit(value=default, words=words, kind=_KINDS[kind], editor=inner, **options)


def _alternatives(kind: Any) -> tuple[Any, ...]:
    """Return the alternatives of a union, or a type alone."""
    return typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)


def _bounds(kind: Any, limits: Iterable[Any]) -> dict[str, float]:
    """Return the smallest and largest value of a number, as its editor takes them."""
    if kind not in (int, float):
        return {}
    largest = _LARGEST_INTEGER if kind is int else float("inf")
    least = 1 if kind is int else LEAST_FLOAT
    lowest, highest = -largest, largest
    for one in limits:
        lowest = max(lowest, getattr(one, "ge", lowest), getattr(one, "gt", lowest - least) + least)
        highest = min(highest, getattr(one, "le", highest), getattr(one, "lt", highest + least) - least)
    return {"min": lowest, "max": highest}
