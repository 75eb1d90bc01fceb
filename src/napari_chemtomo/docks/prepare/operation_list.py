"""The list of operations of the dock *Prepare*, with a form for the parameters of the one that is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from chemtomo.errors import ParameterError
from chemtomo.preprocess.operation import Operation
from chemtomo.preprocess.operations import OPERATIONS
from chemtomo.preprocess.selection.tilts import DropTilts, SortTilts
from napari_chemtomo.shared.editors import RangeEdit, TiltListEdit
from napari_chemtomo.shared.forms import ParameterForm

__all__ = ["OperationList"]


class _Page(QWidget):
    """The parameters of one operation, and what it does."""

    def __init__(self, kind: type[Operation], step: Operation | None) -> None:
        super().__init__()
        self.kind = kind
        # What the list sets, and a field that most leave alone, come last.
        self.tilts: TiltListEdit | None = None
        if kind is DropTilts:
            help_text = kind.model_fields["projections"].description
            self.tilts = TiltListEdit((), name="projections", label="Tilts (°)", tooltip=help_text)
        editors = {} if self.tilts is None else {"projections": self.tilts}
        self.form = ParameterForm(kind, last=("channels",), editors=editors)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        about = QLabel((kind.__doc__ or "").strip())
        about.setWordWrap(True)
        layout.addWidget(about)
        layout.addWidget(self.form.native)
        if step is not None:
            self.form.set_values(step.model_dump())

    def set_projections(self, width: int, height: int, tilts_deg: tuple[float, ...]) -> None:
        """Let the ranges go over the projections, and name these by their tilts."""
        if self.tilts is not None:
            self.tilts.set_tilts(tilts_deg)
        for name, size in (("x", width), ("y", height)):
            if isinstance(getattr(self.form.fields.get(name), "editor", None), RangeEdit):
                self.form.set_bounds(name, size)

    def step(self) -> Any:
        try:
            return self.form.parameters()
        except ParameterError as error:
            raise ParameterError(f"{self.kind.title}: {error}") from error


class OperationList(QWidget):
    """Operations in order: add, switch off, move, remove; the chosen one shows its parameters."""

    changed = Signal()
    """Emitted when an operation, its place or a parameter has changed."""

    def __init__(self) -> None:
        super().__init__()
        self._said: tuple[int, int, tuple[float, ...]] | None = None
        self._first: tuple[Operation, ...] = ()
        self.list = QListWidget()
        self.list.setMinimumHeight(90)
        self.list.setMaximumHeight(150)
        self.list.setToolTip("Done from top to bottom. Unchecked operations are left out.")
        self.add_button = QPushButton("Add")
        self.add_button.setToolTip("Add an operation at the end.")
        self.menu = QMenu(self.add_button)
        self.menu.setToolTipsVisible(True)
        for name, kind in OPERATIONS.items():
            action = self.menu.addAction(kind.title)
            action.setToolTip((kind.__doc__ or "").strip())
            action.triggered.connect(lambda checked=False, name=name: self.add(OPERATIONS[name]()))
        self.add_button.setMenu(self.menu)
        self.up_button, self.down_button, self.remove_button = (
            QPushButton(text) for text in ("Up", "Down", "Remove")
        )
        self.up_button.setToolTip("Do the chosen operation earlier.")
        self.down_button.setToolTip("Do the chosen operation later.")
        self.remove_button.setToolTip("Remove the chosen operation.")
        self.pages = QStackedWidget()
        buttons = QHBoxLayout()
        for button in (self.add_button, self.up_button, self.down_button, self.remove_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.list)
        layout.addLayout(buttons)
        layout.addWidget(self.pages)
        self.list.currentRowChanged.connect(self._show_page)
        self.list.itemChanged.connect(lambda item: self._tell())
        self.up_button.clicked.connect(lambda: self._move(-1))
        self.down_button.clicked.connect(lambda: self._move(1))
        self.remove_button.clicked.connect(self._remove)
        self._show_page(-1)

    def add(self, step: Operation, *, at: int | None = None, enabled: bool = True) -> None:
        """Put an operation into the list, at its end by default, and choose it."""
        page = _Page(type(step), step)
        page.form.changed.connect(self._tell)
        item = QListWidgetItem(step.title)
        item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
        item.setCheckState(Qt.CheckState.Checked if enabled else Qt.CheckState.Unchecked)
        row = self.list.count() if at is None else at
        self.pages.insertWidget(row, page)
        self.list.insertItem(row, item)
        self.list.setCurrentRow(row)
        self._show_page(row)
        self._tell()

    def _tell(self) -> None:
        self._tell_projections()
        self.changed.emit()

    def drop(self, projections: Sequence[int]) -> None:
        """Leave these projections out, before all else, so that their numbers are those of the series."""
        first = self.pages.widget(0)
        numbers = tuple(sorted(projections))
        if isinstance(first, _Page) and first.kind is DropTilts:
            first.form.set_values({"projections": numbers})
            self.list.item(0).setCheckState(Qt.CheckState.Checked)
            self.list.setCurrentRow(0)
        else:
            self.add(DropTilts(projections=numbers), at=0)

    def put_first(self, operations: Sequence[Operation]) -> None:
        """Do these before all else, in place of those that were put first before, if they still are."""
        while self.list.count() and self._page(0).step() in self._first:
            self._take(0)
        for at, operation in enumerate(operations):
            self.add(operation, at=at)
        self._first = tuple(operations)

    def steps(self) -> tuple[Operation, ...]:
        """Return the operations that are switched on.

        Raises
        ------
        ParameterError
            When a parameter is not allowed: the message names the operation and the parameter.
        """
        return tuple(self._page(row).step() for row in range(self.list.count()) if self._is_on(row))

    def set_steps(self, steps: Sequence[Operation]) -> None:
        """Show these operations instead of those in the list."""
        while self.list.count():
            self._take(0)
        for step in steps:
            self.add(step)
        self._tell()

    def set_projections(self, width: int, height: int, tilts_deg: Sequence[float]) -> None:
        """Say how large the projections are, and at which tilts."""
        said = (width, height, tuple(tilts_deg))
        if self._said != said:
            self._said = said
            self._tell_projections()

    def _tell_projections(self) -> None:
        """Say to every operation what the ones before it leave."""
        if self._said is None:
            return
        width, height, tilts = self._said
        for row in range(self.pages.count()):
            page = self._page(row)
            page.set_projections(width, height, tilts)
            if self._is_on(row) and page.kind is SortTilts:
                tilts = tuple(sorted(tilts))
            elif self._is_on(row) and page.tilts is not None:
                dropped = page.tilts.value
                tilts = tuple(tilt for number, tilt in enumerate(tilts) if number not in dropped)

    def form(self, row: int) -> ParameterForm:
        """Return the form of an operation."""
        return self._page(row).form

    def _page(self, row: int) -> Any:
        return self.pages.widget(row)

    def _is_on(self, row: int) -> bool:
        return bool(self.list.item(row).checkState() == Qt.CheckState.Checked)

    def _show_page(self, row: int) -> None:
        self.pages.setVisible(row >= 0)
        self.pages.setCurrentIndex(row)
        # The place of a page that is larger is left to the others.
        for index in range(self.pages.count()):
            page = self.pages.widget(index)
            policy = page.sizePolicy()
            ignored = policy.Policy.Ignored if index != row else policy.Policy.Preferred
            page.setSizePolicy(policy.Policy.Preferred, ignored)
        self.up_button.setEnabled(row > 0)
        self.down_button.setEnabled(0 <= row < self.list.count() - 1)
        self.remove_button.setEnabled(row >= 0)

    def _move(self, by: int) -> None:
        row = self.list.currentRow()
        item, page = self.list.takeItem(row), self.pages.widget(row)
        self.pages.removeWidget(page)
        self.pages.insertWidget(row + by, page)
        self.list.insertItem(row + by, item)
        self.list.setCurrentRow(row + by)
        self._show_page(row + by)
        self._tell()

    def _remove(self) -> None:
        self._take(self.list.currentRow())
        self._show_page(self.list.currentRow())
        self._tell()

    def _take(self, row: int) -> None:
        page = self.pages.widget(row)
        self.pages.removeWidget(page)
        page.deleteLater()
        self.list.takeItem(row)
