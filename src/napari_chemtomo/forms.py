"""Forms made from the parameter models.

Labels, help, choices, bounds and defaults are those of the model: nothing is said twice.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSpinBox,
    QWidget,
)
from superqt import QLabeledRangeSlider

from chemtomo.errors import ParameterError
from chemtomo.pipeline.parameters import Parameters, Range

__all__ = [
    "ChoiceEditor",
    "Editor",
    "FloatEditor",
    "ParameterForm",
    "RangeEditor",
    "SuggestionEditor",
]

_LARGEST_INTEGER = 2**31 - 1
_LARGEST_FLOAT = 1e9
# Qt would leave room for the longest number.
_NARROW = 90
_DECIMALS = 7
_LEAST_FLOAT = 10.0**-_DECIMALS


class Editor(Protocol):
    """A Qt widget with one value of a parameter."""

    changed: Any
    """Signal without arguments."""

    def get(self) -> Any:
        """Return the value, as the model takes it."""

    def set(self, value: Any) -> None:
        """Show a value."""


class ChoiceEditor(QComboBox):
    """One of several values."""

    changed = Signal()

    def __init__(self, choices: Iterable[Any]) -> None:
        super().__init__()
        for choice in choices:
            self.addItem(str(choice), choice)
        self.currentIndexChanged.connect(lambda index: self.changed.emit())

    def get(self) -> Any:
        """Return the chosen value."""
        return self.currentData()

    def set(self, value: Any) -> None:
        """Choose a value."""
        self.setCurrentIndex(self.findData(value))


class SuggestionEditor(QComboBox):
    """A text, with suggestions that may be added to."""

    changed = Signal()

    def __init__(self, suggestions: Iterable[str]) -> None:
        super().__init__()
        self.setEditable(True)
        self.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(12)
        self.addItems(list(suggestions))
        self.editTextChanged.connect(lambda text: self.changed.emit())

    def suggest(self, more: Iterable[str]) -> None:
        """Add suggestions; the text stays as it is."""
        self.addItems([one for one in more if self.findText(one) < 0])

    def get(self) -> str:
        """Return the text."""
        return self.currentText().strip()

    def set(self, value: str) -> None:
        """Show a text."""
        self.setEditText(value)


class TextEditor(QLineEdit):
    """A text; an empty one is ``None`` where the field may be absent."""

    changed = Signal()

    def __init__(self, *, optional: bool = False) -> None:
        super().__init__()
        self._optional = optional
        self.textChanged.connect(lambda text: self.changed.emit())

    def get(self) -> str | None:
        """Return the text."""
        text = self.text().strip()
        return None if self._optional and not text else text

    def set(self, value: str | None) -> None:
        """Show a text."""
        self.setText(value or "")


class CheckEditor(QCheckBox):
    """Yes or no."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.toggled.connect(lambda checked: self.changed.emit())

    def get(self) -> bool:
        """Return whether it is checked."""
        return self.isChecked()

    def set(self, value: bool) -> None:
        """Check it or not."""
        self.setChecked(value)


class IntegerEditor(QSpinBox):
    """A whole number.

    Parameters
    ----------
    lowest, highest : float
        Bounds, included.
    absent : str, optional
        What to show, one step below the lowest number, for ``None``.
    """

    changed = Signal()

    def __init__(self, lowest: float, highest: float, *, absent: str | None = None) -> None:
        super().__init__()
        lowest = max(lowest, -_LARGEST_INTEGER)
        self.setRange(int(lowest) - (absent is not None), int(min(highest, _LARGEST_INTEGER)))
        self.setSpecialValueText(absent or "")
        self.setMinimumWidth(_NARROW)
        self.setStepType(QSpinBox.StepType.AdaptiveDecimalStepType)
        self.valueChanged.connect(lambda value: self.changed.emit())

    def get(self) -> int | None:
        """Return the number."""
        return None if self.specialValueText() and self.value() == self.minimum() else self.value()

    def set(self, value: int | None) -> None:
        """Show a number."""
        self.setValue(self.minimum() if value is None else value)


class FloatEditor(QDoubleSpinBox):
    """A number, written without needless zeros.

    Parameters
    ----------
    lowest, highest : float
        Bounds, included.
    absent : str, optional
        What to show, one step below the lowest number, for ``None``.
    """

    changed = Signal()

    def __init__(self, lowest: float, highest: float, *, absent: str | None = None) -> None:
        super().__init__()
        self.setDecimals(_DECIMALS)
        lowest = max(lowest, -_LARGEST_FLOAT)
        self.setRange(lowest - (absent is not None) * _LEAST_FLOAT, min(highest, _LARGEST_FLOAT))
        self.setSpecialValueText(absent or "")
        self.setMinimumWidth(_NARROW)
        self.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
        self.valueChanged.connect(lambda value: self.changed.emit())

    def textFromValue(self, value: float) -> str:  # noqa: N802 (the name is Qt's)
        """Write a number."""
        text = super().textFromValue(value)
        point = self.locale().decimalPoint()
        return text.rstrip("0").rstrip(point) if point in text else text

    def get(self) -> float | None:
        """Return the number."""
        return None if self.specialValueText() and self.value() == self.minimum() else self.value()

    def set(self, value: float | None) -> None:
        """Show a number."""
        self.setValue(self.minimum() if value is None else value)


class RangeEditor(QWidget):
    """A range ``(start, stop)`` on a slider with numbers, or one of several words instead.

    Parameters
    ----------
    words : mapping
        What stands for a value that is no range, by its text: ``{"all": None}``.
    """

    changed = Signal()

    def __init__(self, words: Mapping[str, Any]) -> None:
        super().__init__()
        self.choice = ChoiceEditor([])
        for text, value in words.items():
            self.choice.addItem(text, value)
        self.choice.addItem("range", Range)
        self.slider = QLabeledRangeSlider(Qt.Orientation.Horizontal)
        self.slider.setEdgeLabelMode(QLabeledRangeSlider.EdgeLabelMode.NoLabel)
        self.slider.setMinimumSize(_NARROW, 40)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.choice)
        layout.addWidget(self.slider, stretch=1)
        self.slider.setRange(0, 1)
        self.slider.setValue((0, 1))
        self.choice.changed.connect(self._show_slider)
        self.choice.changed.connect(self.changed)
        self.slider.valueChanged.connect(lambda value: self.changed.emit())
        self._show_slider()

    def set_bounds(self, size: int) -> None:
        """Let the range go from 0 to `size`; one that was the whole stays the whole."""
        whole = self.slider.value() == (self.slider.minimum(), self.slider.maximum())
        self.slider.setRange(0, size)
        if whole:
            self.slider.setValue((0, size))

    def get(self) -> Any:
        """Return ``(start, stop)``, or the value of the chosen word."""
        found = self.choice.get()
        if found is not Range:
            return found
        start, stop = self.slider.value()
        return int(start), int(stop)

    def set(self, value: Any) -> None:
        """Show a range, or the word for another value."""
        if isinstance(value, tuple):
            self.slider.setMaximum(max(self.slider.maximum(), value[1]))
            self.slider.setValue(value)
            self.choice.setCurrentIndex(self.choice.count() - 1)
        else:
            self.choice.set(value)

    def _show_slider(self) -> None:
        self.slider.setVisible(self.choice.get() is Range)


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
        for name, field in model.model_fields.items():
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
                for name, field in self.model.model_fields.items()
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
        return FloatEditor(*_bounds(field, _LEAST_FLOAT), absent=absent)
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
