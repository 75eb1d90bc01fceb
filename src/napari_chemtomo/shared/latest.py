"""Previews: questions that are answered in a thread, of which only the newest counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chemtomo.errors import ChemTomoError
from napari_chemtomo.shared.jobs import as_task_error

__all__ = ["Latest"]


class Latest:
    """Answers questions in a thread, one at a time; of those that wait only the newest is answered.

    Parameters
    ----------
    answer : callable
        Gets the question, and a function that returns the newer one that waits, or None. Runs in the thread.
    on_answer : callable
        Gets the question and the answer, in the viewer's thread.
    on_error : callable
        Gets the question and a `ChemTomoError`, in the viewer's thread.
    """

    def __init__(
        self,
        answer: Callable[[Any, Callable[[], Any]], Any],
        on_answer: Callable[[Any, Any], None],
        on_error: Callable[[Any, ChemTomoError], None],
    ) -> None:
        self._answer = answer
        self._on_answer = on_answer
        self._on_error = on_error
        self._waiting: list[Any] = []
        self._running = False

    @property
    def busy(self) -> bool:
        """Whether a question is being answered or waits."""
        return self._running or bool(self._waiting)

    def ask(self, question: Any) -> None:
        """Ask; a question that waits is forgotten."""
        self._waiting = [question]
        if not self._running:
            self._start()

    def forget(self) -> None:
        """Forget the question that waits."""
        self._waiting = []

    def _start(self) -> None:
        from napari.qt.threading import create_worker

        question = self._waiting.pop()
        self._running = True
        create_worker(
            self._answered,
            question,
            _connect={"returned": lambda found: self._done(question, found)},
        )

    def _answered(self, question: Any) -> Any:
        # An error goes with the answer: napari would raise one in the viewer's thread.
        try:
            return self._answer(question, self._newer), None
        except Exception as error:  # noqa: BLE001 - the viewer shall say what it was, whatever it was
            return None, as_task_error(error)

    def _newer(self) -> Any:
        waiting = self._waiting
        return waiting[0] if waiting else None

    def _done(self, question: Any, found: tuple[Any, ChemTomoError | None]) -> None:
        self._running = False
        answer, error = found
        if error is None:
            self._on_answer(question, answer)
        else:
            self._on_error(question, error)
        if self._waiting and not self._running:
            self._start()
