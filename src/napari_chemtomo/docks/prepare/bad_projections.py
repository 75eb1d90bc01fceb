"""The scores of projections on a plot and in a table, and those that the user decides to drop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_chemtomo.shared.plots import ACCENT, make_plot, pyqtgraph

if TYPE_CHECKING:
    from chemtomo.preprocess import ProjectionScores

__all__ = ["BadProjections"]

_COLOURS = {"blur": "#4aa3ff", "jump": "#b06cff", "contrast": "#36c98f"}


class BadProjections(QWidget):
    """Scores of the projections of one series, with a proposal that the user accepts or changes."""

    accepted = Signal(tuple)
    """Emitted with the numbers of the projections to drop."""

    chosen = Signal(int)
    """Emitted with the number of a projection that the user wants to see."""

    def __init__(self) -> None:
        super().__init__()
        self.scores: ProjectionScores | None = None
        self.plot = make_plot("Tilt (°)", "Score", height=170)
        self._legend = self.plot.addLegend(offset=(-5, 5), labelTextSize="8pt")
        self.table = QTableWidget(0, 4)
        self.table.setHorizontalHeaderLabels(["Drop", "Tilt (°)", "Score", "Why"])
        self.table.verticalHeader().setVisible(False)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setMinimumHeight(130)
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.table.horizontalHeader().setStretchLastSection(True)
        self.about = QLabel()
        self.about.setWordWrap(True)
        self.accept_button = QPushButton("Drop the checked projections")
        self.accept_button.setToolTip("Put 'Drop tilts' with these projections at the top of the operations.")
        row = QHBoxLayout()
        row.addWidget(self.accept_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.plot)
        layout.addWidget(self.about)
        layout.addWidget(self.table)
        layout.addLayout(row)
        self.accept_button.clicked.connect(lambda: self.accepted.emit(self.checked()))
        self.table.currentCellChanged.connect(lambda row, *others: self._look(row))
        self.table.itemChanged.connect(lambda item: self._count())

    def show_scores(self, scores: ProjectionScores) -> None:
        """Show the scores of a series; what is proposed is checked."""
        self.scores = scores
        self._draw(scores)
        self.table.blockSignals(True)
        self.table.setRowCount(0)
        self.table.setRowCount(len(scores.combined))
        # The worst first: the proposed ones, and those that come near.
        worst = sorted(
            range(len(scores.combined)), key=lambda one: (one not in scores.proposed, -scores.combined[one])
        )
        for row, number in enumerate(worst):
            check = QTableWidgetItem()
            check.setData(Qt.ItemDataRole.UserRole, number)
            check.setFlags(check.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            proposed = number in scores.proposed
            check.setCheckState(Qt.CheckState.Checked if proposed else Qt.CheckState.Unchecked)
            self.table.setItem(row, 0, check)
            texts = (
                f"{scores.tilts_deg[number]:g}",
                f"{scores.combined[number]:.1f}",
                ", ".join(scores.reasons.get(number, ())),
            )
            for column, text in enumerate(texts, start=1):
                self.table.setItem(row, column, QTableWidgetItem(text))
        self.table.blockSignals(False)
        self._count()

    def checked(self) -> tuple[int, ...]:
        """Return the numbers of the checked projections, rising."""
        items = [self.table.item(row, 0) for row in range(self.table.rowCount())]
        return tuple(
            sorted(
                int(item.data(Qt.ItemDataRole.UserRole))
                for item in items
                if item is not None and item.checkState() == Qt.CheckState.Checked
            )
        )

    def _draw(self, scores: ProjectionScores) -> None:
        library = pyqtgraph()
        self.plot.clear()
        order = np.argsort(scores.tilts_deg)
        tilts = scores.tilts_deg[order]
        for name, colour in _COLOURS.items():
            self.plot.plot(
                tilts, getattr(scores, name)[order], pen=library.mkPen(colour, width=1.5), name=name
            )
        dashed = library.mkPen(ACCENT, style=Qt.PenStyle.DashLine)
        self.plot.addItem(library.InfiniteLine(scores.limit, angle=0, pen=dashed))
        points = library.ScatterPlotItem(
            scores.tilts_deg,
            scores.combined,
            size=7,
            data=np.arange(len(scores.combined)),
            pen=None,
            brush=[
                library.mkBrush(ACCENT if number in scores.proposed else "#8888aa80")
                for number in range(len(scores.combined))
            ],
        )
        points.sigClicked.connect(lambda item, clicked, *others: self._clicked(clicked))
        self.plot.addItem(points)
        self.plot.autoRange()

    def _clicked(self, points: Any) -> None:
        if len(points):
            self.chosen.emit(int(points[0].data()))

    def _look(self, row: int) -> None:
        item = self.table.item(row, 0) if row >= 0 else None
        if item is not None:
            self.chosen.emit(int(item.data(Qt.ItemDataRole.UserRole)))

    def _count(self) -> None:
        if self.scores is None:
            return
        checked = len(self.checked())
        proposed = len(self.scores.proposed)
        self.about.setText(
            f"{self.scores.name}: {proposed} of {len(self.scores.combined)} projections proposed. "
            "Look at each before you drop it: click its row or its point."
        )
        self.accept_button.setText(f"Drop the checked projections ({checked})")
        self.accept_button.setEnabled(checked > 0)
