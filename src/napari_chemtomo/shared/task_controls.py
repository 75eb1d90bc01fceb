"""The lower edge of a dock with long jobs: run, cancel, how far the job is, how it ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from chemtomo.progress import TaskProgress
from napari_chemtomo.shared.jobs import Job
from napari_chemtomo.shared.session import session_of

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["TaskControls"]

_LINES = 2


class TaskControls(QWidget):
    """Buttons, progress bar and a sentence for one job at a time.

    The job belongs to the viewer: controls that are made while it runs show it, and can cancel it.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    name : str
        The dock. All controls of this name in a viewer show the same job.
    run_text : str
        What the button says that starts the job.
    reset : callable, optional
        What the button *Reset* does: show the defaults. Without it there is no such button.
    cancel_help : str
        What the button *Cancel* does.
    """

    run_clicked = Signal()
    """Emitted when the user wants to start; the answer is `Session.start`."""

    running_changed = Signal(bool)

    progressed = Signal(object)

    ended = Signal(object)
    """Emitted at the end of a job, with its result or ``None``."""

    def __init__(
        self,
        viewer: Viewer,
        name: str,
        run_text: str = "Run",
        reset: Callable[[], None] | None = None,
        cancel_help: str = "Stop. Nothing is changed.",
    ) -> None:
        super().__init__()
        self._name = name
        self._session = session_of(viewer)
        self._job: Job | None = None
        self.run_button = QPushButton(run_text)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip(cancel_help)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1)
        self.bar.setTextVisible(False)
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.status.setAlignment(Qt.AlignmentFlag.AlignTop)
        # Room for two lines, so that the dock does not move when a sentence needs them.
        self.status.setMinimumHeight(_LINES * self.status.fontMetrics().lineSpacing())
        buttons = QHBoxLayout()
        buttons.addWidget(self.run_button)
        buttons.addWidget(self.cancel_button)
        if reset is not None:
            self.reset_button = QPushButton("Reset")
            self.reset_button.setToolTip("Show the defaults of all parameters.")
            self.reset_button.clicked.connect(lambda checked: reset())
            buttons.addWidget(self.reset_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(buttons)
        layout.addWidget(self.bar)
        layout.addWidget(self.status)
        self.run_button.clicked.connect(lambda checked: self.run_clicked.emit())
        self.cancel_button.clicked.connect(self.cancel)
        self._session.started.connect(self._attach)
        self._show_running(False)
        self._attach(name)

    @property
    def running(self) -> bool:
        """Whether a job is going on."""
        return self._job is not None

    def run(self, *arguments: Any, **named: Any) -> None:
        """Start a job, unless one is going on; see `Job`."""
        if not self.running:
            self._session.start(self._name, Job(*arguments, **named))

    def cancel(self) -> None:
        """Ask the job to stop."""
        if self._job is not None:
            self._job.cancel()
            self.cancel_button.setEnabled(False)
            self.status.setText("Stopping…")

    def say(self, sentence: str) -> None:
        """Show a sentence; that of a job which ends comes in its place."""
        self.status.setText(sentence)

    def refuse(self, error: Exception) -> None:
        """Say why a job cannot be started."""
        show_error(str(error))
        self.status.setText(str(error))

    def _attach(self, name: str) -> None:
        """Show the job of the viewer that has this name."""
        if name != self._name or (job := self._session.job(name)) is None:
            return
        self._job = job
        self._show_running(True)
        self._show(job.progress)
        job.progressed.connect(self._show)
        job.ended.connect(self._end)
        self.running_changed.emit(True)

    def _show_running(self, running: bool) -> None:
        self.run_button.setEnabled(not running)
        self.cancel_button.setEnabled(running and self._job is not None and not self._job.cancelled)

    def _show(self, progress: TaskProgress) -> None:
        self.bar.setRange(0, progress.total)  # that of a job that does not know how long it takes is busy
        self.bar.setValue(progress.done)
        if self.cancel_button.isEnabled():
            self.status.setText(progress.message)
        self.progressed.emit(progress)

    def _end(self, result: Any) -> None:
        job, self._job = self._job, None
        assert job is not None
        # Full where the job is done, also where it needed fewer steps than it was allowed.
        self.bar.setRange(0, 1)
        self.bar.setValue(int(job.succeeded))
        self._show_running(False)
        self.status.setText(job.sentence)
        self.ended.emit(result)
        self.running_changed.emit(False)
