"""Editors of values for which magicgui has none: short numbers, ranges, lists, words instead of a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from magicgui.types import Undefined
from magicgui.widgets import ComboBox, Widget
from magicgui.widgets.bases import ValuedContainerWidget
from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import QAbstractSlider, QAbstractSpinBox, QComboBox, QDoubleSpinBox, QLineEdit, QWidget
from superqt import QLabeledRangeSlider

from chemtomo.parameters import listed_numbers

__all__ = [
    "LEAST_FLOAT",
    "FloatEdit",
    "ListEdit",
    "RangeEdit",
    "SuggestionEdit",
    "TiltListEdit",
    "WordsEdit",
    "keep_from_wheel",
]

_LARGEST_FLOAT = 1e9
# Qt would leave room for the longest number.
_NARROW = 70
_DECIMALS = 7
_SAME_TILT_DEG = 0.05
LEAST_FLOAT = 10.0**-_DECIMALS
"""The step of a `FloatEdit`."""


class _WheelFilter(QObject):
    """Leaves the wheel to the form around an editor."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (the name is Qt's)
        """Take the wheel from the editor."""
        if event.type() == QEvent.Type.Wheel:
            event.ignore()  # whoever is around it scrolls
            return True
        return False


def keep_from_wheel(widget: QWidget) -> None:
    """Let the wheel scroll past all editors in a widget, whose values it would change."""
    wheel = _WheelFilter(widget)
    for kind in (QAbstractSpinBox, QComboBox, QAbstractSlider):
        for editor in [*widget.findChildren(kind), *([widget] if isinstance(widget, kind) else [])]:
            editor.installEventFilter(wheel)


class _QtEdit(ValuedContainerWidget[Any]):
    """A value in a Qt widget that has a signal `edited`, `get` and `set`."""

    def __init__(self, editor: Any, value: Any, **options: Any) -> None:
        self.editor = editor
        super().__init__(layout="horizontal", labels=False, **options)
        self.margins = (0, 0, 0, 0)
        self.native.layout().addWidget(editor)
        if value is not Undefined:
            self.value = value
        editor.edited.connect(self._tell)

    def get_value(self) -> Any:
        """Return the value, as the parameter model takes it."""
        return self.editor.get()

    def set_value(self, value: Any) -> None:
        """Show a value."""
        self.editor.set(value)

    def _tell(self, *arguments: Any) -> None:
        self.changed.emit(self.value)


class FloatEdit(_QtEdit):
    """A number, written without needless zeros, between bounds that are included."""

    def __init__(
        self,
        value: Any = Undefined,
        *,
        min: float = -_LARGEST_FLOAT,  # noqa: A002 (the name is magicgui's)
        max: float = _LARGEST_FLOAT,  # noqa: A002
        step: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(_ShortNumber(min, max, step), value, **options)


class RangeEdit(_QtEdit):
    """A range ``(start, stop)`` on a slider with numbers."""

    def __init__(self, value: Any = Undefined, **options: Any) -> None:
        super().__init__(_RangeSlider(), value, **options)
        self._untouched = value is Undefined
        self.changed.connect(self._touched)

    def set_bounds(self, size: int) -> None:
        """Let the range go from 0 to `size`. What the user chose stays, also beyond it."""
        untouched = self._untouched
        if untouched:
            self.editor.setRange(0, size)
            self.value = (0, size)
            self._untouched = True
        else:
            self.editor.setMaximum(max(size, self.value[1]))

    def _touched(self, value: Any) -> None:
        self._untouched = False


class ListEdit(_QtEdit):
    """Names or numbers, separated by commas: the parameter model takes such text."""

    def __init__(self, value: Any = Undefined, *, nullable: bool = False, **options: Any) -> None:
        super().__init__(_ListLine(absent=None if nullable else ()), value, **options)


class TiltListEdit(_QtEdit):
    """Numbers of projections, shown and typed as their tilts in degrees."""

    def __init__(self, value: Any = Undefined, **options: Any) -> None:
        super().__init__(_TiltLine(), value, **options)

    def set_tilts(self, tilts_deg: Sequence[float]) -> None:
        """Say which tilts the projections have; the projections stay."""
        if self.editor.tilts_deg != tuple(tilts_deg):
            with self.changed.blocked():
                projections = self.value
                self.editor.tilts_deg = tuple(tilts_deg)
                self.value = projections


class SuggestionEdit(_QtEdit):
    """A text, with suggestions that may be added to."""

    def __init__(self, suggestions: Iterable[str], value: str = "", **options: Any) -> None:
        super().__init__(_Suggestions(suggestions), value, **options)


class WordsEdit(ValuedContainerWidget[Any]):
    """One of several words, or a value of another kind in an editor of its own.

    Parameters
    ----------
    value : object
        The value at first.
    words : mapping
        What stands for a value that the editor has not, by its word: ``{"all": None}``.
    kind : str
        The word for a value in the editor: ``"range"``.
    editor : Widget
        The editor.
    """

    def __init__(
        self, value: Any = None, *, words: Mapping[str, Any], kind: str, editor: Widget, **options: Any
    ) -> None:
        self._words = dict(words)
        self._kind = kind
        self.editor = editor
        self.choice = ComboBox(choices=[*words, kind], tooltip=options.get("tooltip"))
        super().__init__(widgets=[self.choice, editor], layout="horizontal", labels=False, **options)
        self.margins = (0, 0, 0, 0)
        self.native.layout().setStretch(1, 1)
        self.value = value
        self.choice.changed.connect(self._chosen)
        editor.changed.connect(self._tell)
        self._show_editor()

    def get_value(self) -> Any:
        """Return the value of the chosen word, or that of the editor."""
        word = self.choice.value
        return self.editor.value if word == self._kind else self._words[word]

    def set_value(self, value: Any) -> None:
        """Show the word for a value, or the value in the editor."""
        word = next((word for word, one in self._words.items() if one == value), self._kind)
        if word == self._kind:
            self.editor.value = value
        self.choice.value = word

    def _chosen(self, word: str) -> None:
        self._show_editor()
        self._tell()

    def _tell(self, value: Any = None) -> None:
        self.changed.emit(self.value)

    def _show_editor(self) -> None:
        self.editor.visible = self.choice.value == self._kind


class _ShortNumber(QDoubleSpinBox):
    edited = Signal()

    def __init__(self, lowest: float, highest: float, step: float | None) -> None:
        super().__init__()
        self.setDecimals(_DECIMALS)
        self.setRange(max(lowest, -_LARGEST_FLOAT), min(highest, _LARGEST_FLOAT))
        self.setMinimumWidth(_NARROW)
        if step is None:
            self.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
        else:
            self.setSingleStep(step)
        self.valueChanged.connect(lambda value: self.edited.emit())

    def textFromValue(self, value: float) -> str:  # noqa: N802 (the name is Qt's)
        """Write a number."""
        text = super().textFromValue(value)
        point = self.locale().decimalPoint()
        return text.rstrip("0").rstrip(point) if point in text else text

    def get(self) -> float:
        return self.value()

    def set(self, value: float) -> None:
        self.setValue(value)


class _RangeSlider(QLabeledRangeSlider):
    edited = Signal()

    def __init__(self) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.setEdgeLabelMode(QLabeledRangeSlider.EdgeLabelMode.NoLabel)
        self.setMinimumSize(_NARROW, 40)
        self.setRange(0, 1)
        self.setValue((0, 1))
        self.valueChanged.connect(lambda value: self.edited.emit())

    def get(self) -> tuple[int, int]:
        start, stop = self.value()
        return int(start), int(stop)

    def set(self, value: tuple[int, int]) -> None:
        self.setMaximum(max(self.maximum(), value[1]))
        self.setValue(value)


class _ListLine(QLineEdit):
    edited = Signal()

    def __init__(self, absent: Any) -> None:
        super().__init__()
        self._absent = absent
        self.textChanged.connect(lambda text: self.edited.emit())

    def get(self) -> Any:
        return self.text().strip() or self._absent

    def set(self, value: Any) -> None:
        self.setText(value if isinstance(value, str) else ",".join(map(str, value or ())))


class _TiltLine(QLineEdit):
    edited = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.tilts_deg: tuple[float, ...] = ()
        self.textChanged.connect(lambda text: self.edited.emit())

    def get(self) -> Any:
        if not self.tilts_deg:
            return listed_numbers(self.text())
        words = self.text().replace(",", " ").replace("°", " ").split()
        return tuple(dict.fromkeys(self._projection(word) for word in words))

    def _projection(self, word: str) -> Any:
        """Return the number of the projection at a tilt. The model refuses what is no tilt."""
        try:
            distances = [abs(tilt - float(word)) for tilt in self.tilts_deg]
        except ValueError:
            return f"no projection at {word}°"
        nearest = min(distances)
        return distances.index(nearest) if nearest < _SAME_TILT_DEG else f"no projection at {word}°"

    def set(self, value: Any) -> None:
        if self.tilts_deg and not isinstance(value, str):
            number = len(self.tilts_deg)
            value = [f"{self.tilts_deg[one]:g}" if one < number else str(one) for one in value]
        self.setText(value if isinstance(value, str) else ", ".join(map(str, value or ())))


class _Suggestions(QComboBox):
    edited = Signal()

    def __init__(self, suggestions: Iterable[str]) -> None:
        super().__init__()
        self.setEditable(True)
        self.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(12)
        self.addItems(list(suggestions))
        self.editTextChanged.connect(lambda text: self.edited.emit())

    def suggest(self, more: Iterable[str]) -> None:
        """Add suggestions; the text stays as it is."""
        self.addItems([one for one in more if self.findText(one) < 0])

    def get(self) -> str:
        return self.currentText().strip()

    def set(self, value: str) -> None:
        self.setEditText(value)
