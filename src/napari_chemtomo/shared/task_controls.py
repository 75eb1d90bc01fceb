"""The lower edge of a dock with a long job: run, cancel, how far it is, how it ended."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from napari.utils.notifications import show_error
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from chemtomo.errors import ChemTomoError
from chemtomo.progress import TaskProgress
from napari_chemtomo.shared import worker

__all__ = ["TaskControls"]

Job = Generator[TaskProgress, None, Any]


class TaskControls(QWidget):
    """Buttons, progress bar and a sentence for one job at a time.

    Parameters
    ----------
    run_text : str
        What the button says that starts the job.
    reset : callable, optional
        What the button *Reset* does: show the defaults. Without it there is no such button.
    """

    run_clicked = Signal()
    """Emitted when the user wants to start; the answer is a call of `run`."""

    running_changed = Signal(bool)

    def __init__(self, run_text: str = "Run", reset: Callable[[], None] | None = None) -> None:
        super().__init__()
        self.run_button = QPushButton(run_text)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip(
            "Stop soon; what has been reached becomes the result where there is one."
        )
        self.cancel_button.setEnabled(False)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1)
        self.bar.setTextVisible(False)
        self.status = QLabel()
        self.status.setWordWrap(True)
        buttons = QHBoxLayout()
        buttons.addWidget(self.run_button)
        buttons.addWidget(self.cancel_button)
        if reset is not None:
            self.reset_button = QPushButton("Reset")
            self.reset_button.setToolTip("Show the defaults of all parameters.")
            self.reset_button.clicked.connect(reset)
            buttons.addWidget(self.reset_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(buttons)
        layout.addWidget(self.bar)
        layout.addWidget(self.status)
        self._task: worker.Task | None = None
        self._sentence = ""
        self.run_button.clicked.connect(self._ask)
        self.cancel_button.clicked.connect(self.cancel)

    def _ask(self) -> None:
        self.run_clicked.emit()

    @property
    def running(self) -> bool:
        """Whether a job is going on."""
        return self._task is not None

    def run(
        self,
        make_job: Callable[[Callable[[], bool]], Job],
        on_result: Callable[[Any], str],
    ) -> None:
        """Start a job in a thread.

        Parameters
        ----------
        make_job : callable
            See `napari_chemtomo.shared.worker.start_task`.
        on_result : callable
            Gets the result, and returns the sentence to show. It is not called for ``None``, which is
            what a cancelled job without a result returns.
        """
        if self.running:
            return
        self._sentence = "Cancelled; nothing was changed."

        def take(result: Any) -> None:
            if result is None:
                return
            try:
                self._sentence = on_result(result)
            except ChemTomoError as error:
                self._fail(error)
                show_error(str(error))

        self.bar.setRange(0, 0)
        self.status.setText("Starting…")
        self.run_button.setEnabled(False)
        self.cancel_button.setEnabled(True)
        self._task = worker.start_task(
            make_job, on_progress=self._show, on_result=take, on_error=self._fail, on_finished=self._end
        )
        self.running_changed.emit(True)

    def cancel(self) -> None:
        """Ask the job to stop."""
        if self._task is not None:
            self._task.cancel()
            self.cancel_button.setEnabled(False)
            self.status.setText("Stopping…")

    def say(self, sentence: str) -> None:
        """Show a sentence; that of a job which ends comes in its place."""
        self.status.setText(sentence)

    def refuse(self, error: Exception) -> None:
        """Say why a job cannot be started."""
        show_error(str(error))
        self.status.setText(str(error))

    def _show(self, progress: TaskProgress) -> None:
        self.bar.setRange(0, max(progress.total, 1))
        self.bar.setValue(progress.done)
        if self.cancel_button.isEnabled():
            self.status.setText(progress.message)

    def _fail(self, error: Exception) -> None:
        self._sentence = str(error)

    def _end(self) -> None:
        self._task = None
        self.bar.setRange(0, 1)
        self.bar.setValue(0)
        self.run_button.setEnabled(True)
        self.cancel_button.setEnabled(False)
        self.status.setText(self._sentence)
        self.running_changed.emit(False)
