"""The foot of a dock: start a job, see how far it is, cancel it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from napari.utils.notifications import show_error
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from chemtomo.progress import TaskProgress
from napari_chemtomo import worker

__all__ = ["JobPanel"]


class JobPanel(QWidget):
    """Buttons, a progress bar and a sentence; one job at a time.

    Parameters
    ----------
    run_text : str
        What the button for the dock's main job says. The dock connects it.

    Signals
    -------
    state_changed()
        A job began or ended.
    """

    state_changed = Signal()

    def __init__(self, run_text: str) -> None:
        super().__init__()
        self._task: worker.Task | None = None
        self.run_button = QPushButton(run_text)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setEnabled(False)
        self.reset_button = QPushButton("Reset")
        self.reset_button.setToolTip("Show the defaults of all parameters.")
        self.bar = QProgressBar()
        self.bar.setRange(0, 1)
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.cancel_button.clicked.connect(self.cancel)
        buttons = QHBoxLayout()
        for button in (self.run_button, self.cancel_button, self.reset_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(buttons)
        layout.addWidget(self.bar)
        layout.addWidget(self.status)

    @property
    def is_busy(self) -> bool:
        """Whether a job runs."""
        return self._task is not None

    def say(self, sentence: str) -> None:
        """Show a sentence."""
        self.status.setText(sentence)

    def say_error(self, error: Exception) -> None:
        """Show an error, as a notification of napari too."""
        show_error(str(error))
        self.status.setText(str(error))

    def start(
        self,
        make_job: Callable[[Callable[[], bool]], Generator[TaskProgress, None, Any]],
        on_result: Callable[[Any], None],
        doing: str,
    ) -> None:
        """Run a job in a thread, see `napari_chemtomo.worker.start_task`; `on_result` gets its result."""
        if self._task is not None:
            return
        self.status.setText(doing)
        self.bar.setRange(0, 0)
        self.cancel_button.setEnabled(True)
        self._task = worker.start_task(
            make_job,
            on_progress=self._show_progress,
            on_result=on_result,
            on_error=lambda error: self.status.setText(str(error)),
            on_finished=self._finish,
        )
        self.state_changed.emit()

    def cancel(self) -> None:
        """Ask the running job to stop."""
        if self._task is not None:
            self._task.cancel()
            self.cancel_button.setEnabled(False)
            self.status.setText("Stopping…")

    def _show_progress(self, progress: TaskProgress) -> None:
        self.bar.setRange(0, progress.total)
        self.bar.setValue(progress.done)

    def _finish(self) -> None:
        self._task = None
        self.bar.setRange(0, 1)
        self.bar.reset()
        self.cancel_button.setEnabled(False)
        self.state_changed.emit()
