"""The lines that are to be mapped, or the components that were found, in a list."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTreeWidget, QTreeWidgetItem, QWidget

from chemtomo.spectra import EnergyWindow, Suggestion

__all__ = ["LineList"]

_NAME, _LINE, _ENERGY, _WHY = range(4)
_WINDOW = Qt.ItemDataRole.UserRole
_OLD_NAME = Qt.ItemDataRole.UserRole + 1
_ROWS_IN_SIGHT = 6


class LineList(QTreeWidget):
    """One row per line: a check mark, the map's name, the line, its energy and what speaks for it.

    Names are edited by a double click.

    Signals
    -------
    changed()
        Lines were added or removed, checked, or renamed.
    line_selected(str)
        Another row is the current one; the name of its line, or an empty text.
    renamed(str, str)
        The old and the new name of a map.
    """

    changed = Signal()
    line_selected = Signal(str)
    renamed = Signal(str, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setColumnCount(4)
        self.setHeaderLabels(["Map", "Line", "keV", "Why"])
        self.setRootIsDecorated(False)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        header = self.header()
        for column in (_NAME, _LINE, _ENERGY):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(_WHY, QHeaderView.ResizeMode.Stretch)
        self.setMinimumHeight(self.fontMetrics().height() * 2 * _ROWS_IN_SIGHT)
        self.itemChanged.connect(self._item_changed)
        self.currentItemChanged.connect(lambda item, before: self.line_selected.emit(self.current_line()))
        self.itemDoubleClicked.connect(self._double_clicked)

    def add(
        self, window: EnergyWindow, energy_keV: float, why: str, *, checked: bool, hint: str = ""
    ) -> None:
        """Add a line."""
        item = QTreeWidgetItem([window.name, window.line, f"{energy_keV:.3f}", why])
        item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEditable)
        item.setData(0, _WINDOW, window)
        item.setData(0, _OLD_NAME, window.name)
        item.setToolTip(_WHY, hint or why)
        item.setCheckState(0, Qt.CheckState.Checked if checked else Qt.CheckState.Unchecked)
        self.blockSignals(True)
        self.addTopLevelItem(item)
        self.blockSignals(False)
        self.changed.emit()

    def add_component(self, name: str, why: str) -> None:
        """Add a component, which has no line."""
        item = QTreeWidgetItem([name, "", "", why])
        item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
        item.setData(0, _OLD_NAME, name)
        self.blockSignals(True)
        self.addTopLevelItem(item)
        self.blockSignals(False)

    def add_suggestion(self, suggestion: Suggestion, window: EnergyWindow) -> None:
        """Add a suggested line; those that are mapped by default are checked."""
        why = f"{suggestion.significance:.0f} σ" + ("" if suggestion.is_certain else ", faint")
        hint = "\n".join((*suggestion.reasons, *suggestion.cautions))
        if suggestion.cautions:
            why += " · " + "; ".join(suggestion.cautions)
        self.add(window, suggestion.energy_keV, why, checked=suggestion.is_wanted, hint=hint)

    def names(self) -> list[str]:
        """Return the names of all rows."""
        return [item.text(_NAME) for item in self._items()]

    def lines(self) -> list[str]:
        """Return the lines of all rows."""
        return [item.text(_LINE) for item in self._items()]

    def checked_windows(self) -> tuple[EnergyWindow, ...]:
        """Return the windows of the checked lines, named as their rows."""
        return tuple(
            item.data(0, _WINDOW).replace(name=item.text(_NAME).strip() or item.text(_LINE))
            for item in self._items()
            if item.data(0, _WINDOW) is not None and item.checkState(0) == Qt.CheckState.Checked
        )

    def all_windows(self) -> tuple[EnergyWindow, ...]:
        """Return the windows of all lines."""
        return tuple(item.data(0, _WINDOW) for item in self._items() if item.data(0, _WINDOW) is not None)

    def current_line(self) -> str:
        """Return the line of the current row."""
        item = self.currentItem()
        return "" if item is None else item.text(_LINE)

    def current_row(self) -> int:
        """Return the number of the current row, or -1."""
        item = self.currentItem()
        return -1 if item is None else self.indexOfTopLevelItem(item)

    def current_window(self) -> EnergyWindow | None:
        """Return the window of the current row."""
        item = self.currentItem()
        return None if item is None else item.data(0, _WINDOW)

    def set_window(self, window: EnergyWindow) -> None:
        """Keep a window that was dragged."""
        for item in self._items():
            if item.text(_LINE) == window.line:
                self.blockSignals(True)
                item.setData(0, _WINDOW, window)
                self.blockSignals(False)

    def set_windows(self, windows: Sequence[EnergyWindow]) -> None:
        """Replace the windows of several lines."""
        for window in windows:
            self.set_window(window)

    def select_line(self, line: str) -> None:
        """Make the row of a line the current one."""
        for item in self._items():
            if item.text(_LINE) == line:
                self.setCurrentItem(item)

    def remove_current(self) -> None:
        """Remove the current row."""
        row = self.current_row()
        if row >= 0:
            self.takeTopLevelItem(row)
            self.changed.emit()

    def _items(self) -> list[QTreeWidgetItem]:
        return [self.topLevelItem(row) for row in range(self.topLevelItemCount())]

    def _double_clicked(self, item: QTreeWidgetItem, column: int) -> None:
        if column == _NAME:
            self.editItem(item, _NAME)

    def _item_changed(self, item: QTreeWidgetItem, column: int) -> None:
        old, new = item.data(0, _OLD_NAME), item.text(_NAME).strip()
        if column == _NAME and new and new != old:
            self.blockSignals(True)
            item.setData(0, _OLD_NAME, new)
            self.blockSignals(False)
            self.renamed.emit(old, new)
        self.changed.emit()
