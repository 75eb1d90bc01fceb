"""Call a library so that what it warns of becomes notes, and is not printed."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable
from typing import TypeVar

__all__ = ["quietly"]

_Result = TypeVar("_Result")
_LONGEST = 200
# The list of warnings belongs to the whole process: one thread after the other.
_ALONE = threading.RLock()


def quietly(function: Callable[[], _Result], logger: str) -> tuple[_Result, tuple[str, ...]]:
    """Call `function`, and return its result with what the library warned of meanwhile.

    Parameters
    ----------
    function : callable
        Without arguments.
    logger : str
        Name of the library's logger. Its messages are collected, and not printed.
    """
    with _ALONE:
        return _quietly(function, logger)


def _quietly(function: Callable[[], _Result], logger: str) -> tuple[_Result, tuple[str, ...]]:
    kept = _Collector()
    log = logging.getLogger(logger)
    propagate = log.propagate
    log.addHandler(kept)
    log.propagate = False
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = function()
    finally:
        log.removeHandler(kept)
        log.propagate = propagate
    said = [str(one.message) for one in caught if not issubclass(one.category, DeprecationWarning)]
    notes = (" ".join(text.split())[:_LONGEST] for text in (*said, *kept.messages))
    return result, tuple(dict.fromkeys(f"{logger}: {text}" for text in notes))


class _Collector(logging.Handler):
    """Keeps messages instead of writing them."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message of `record`."""
        self.messages.append(record.getMessage())
