"""Editors of single values: Qt widgets that all are read, set and listened to in the same way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QHBoxLayout, QLineEdit, QSpinBox, QWidget
from superqt import QLabeledRangeSlider

from chemtomo.parameters import Range

__all__ = [
    "LEAST_FLOAT",
    "CheckEditor",
    "ChoiceEditor",
    "Editor",
    "FloatEditor",
    "IntegerEditor",
    "RangeEditor",
    "SuggestionEditor",
    "TextEditor",
]

_LARGEST_INTEGER = 2**31 - 1
_LARGEST_FLOAT = 1e9
# Qt would leave room for the longest number.
_NARROW = 90
_DECIMALS = 7
LEAST_FLOAT = 10.0**-_DECIMALS
"""The step of a `FloatEditor`."""


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


class ListEditor(TextEditor):
    """Names or numbers, separated by commas: the parameter model takes such text."""

    def get(self) -> Any:
        """Return the text; of an empty one an empty list, or ``None`` where the field may be absent."""
        text = self.text().strip()
        return text or (None if self._optional else ())

    def set(self, value: Any) -> None:
        """Show a list, or text as it was typed."""
        self.setText(value if isinstance(value, str) else ",".join(map(str, value or ())))


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
        self.setRange(lowest - (absent is not None) * LEAST_FLOAT, min(highest, _LARGEST_FLOAT))
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
