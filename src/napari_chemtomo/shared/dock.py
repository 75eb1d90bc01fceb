"""The body of a dock: a container of magicgui that a script drives by names."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import Container, Widget
from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLayout, QScrollArea, QVBoxLayout, QWidget

from napari_chemtomo.shared.forms import ParameterForm

__all__ = ["Dock", "row"]

Part = QWidget | QLayout | Widget


class Dock(Container[Widget]):
    """The body of a dock.

    ``dock.strength.value = 2`` sets a parameter, and ``dock.run()`` does what its button does. A parameter
    whose name a widget has itself, as ``width``, is ``dock["width"]``.
    """

    def __init__(self) -> None:
        self._forms: tuple[ParameterForm, ...] = ()
        super().__init__(labels=False)
        self.margins = (4, 4, 4, 4)
        self.visibility = _Visibility(self.native)

    def __getattr__(self, name: str) -> Any:
        """Return the editor of a parameter."""
        for form in self.__dict__.get("_forms", ()):
            if name in form.fields:
                return form.fields[name]
        return super().__getattr__(name)

    def __getitem__(self, key: Any) -> Any:
        """Return the editor of a parameter."""
        return self.__getattr__(key) if isinstance(key, str) else super().__getitem__(key)

    def lay_out(self, *parts: Part, forms: tuple[ParameterForm, ...], foot: tuple[Part, ...] = ()) -> None:
        """Put parts below one another, in a scroll area, and those of the foot under it.

        The parameters of the forms become attributes of the dock.
        """
        self._forms = forms
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in parts:
            _add(layout, part)
        layout.addStretch(1)
        scroll = _VerticalScrollArea()
        scroll.setWidget(content)
        outer = self.native.layout()
        outer.addWidget(scroll, stretch=1)
        for part in foot:
            _add(outer, part)


def row(*parts: Part) -> QHBoxLayout:
    """Return a layout with parts beside one another."""
    layout = QHBoxLayout()
    for part in parts:
        _add(layout, part)
    return layout


def _add(layout: Any, part: Part) -> None:
    if isinstance(part, QLayout):
        layout.addLayout(part)
    else:
        layout.addWidget(part.native if isinstance(part, Widget) else part)


class _Visibility(QObject):
    """Tells when a widget is shown and when it is hidden."""

    changed = Signal()

    def __init__(self, watched: QWidget) -> None:
        super().__init__(watched)
        self.hidden = False
        watched.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (the name is Qt's)
        """Look at what happens to the widget."""
        if event.type() in (QEvent.Type.Show, QEvent.Type.Hide):
            self.hidden = event.type() == QEvent.Type.Hide
            self.changed.emit()
        return False


class _VerticalScrollArea(QScrollArea):
    """A scroll area that is never narrower than what it shows."""

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (the name is Qt's)
        """Grow when the content's layout has changed."""
        if event.type() == QEvent.Type.LayoutRequest and watched is self.widget():
            bar = self.verticalScrollBar().sizeHint().width()
            self.setMinimumWidth(self.widget().minimumSizeHint().width() + bar)
        return super().eventFilter(watched, event)
