"""Call a library that reads files so that whatever it does becomes a result with notes, or a `ReadError`."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from chemtomo.errors import DataError, ReadError

__all__ = ["guarded", "quietly"]

_Result = TypeVar("_Result")
_LONGEST = 200


@contextmanager
def guarded(path: Path, what: str) -> Iterator[None]:
    """Turn everything that goes wrong inside into a `ReadError` that names the file.

    Libraries meet broken files with errors of any class: `struct.error`, `KeyError`, `MemoryError`.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    what : str
        What it was read as, with its article, for example ``"a DM3 file"``.
    """
    try:
        yield
    except ReadError:
        raise
    except DataError as error:
        raise ReadError(f"{path}: {error}") from error
    except FileNotFoundError as error:
        raise ReadError(f"{path}: no such file, or one that belongs to it is missing ({error})") from error
    except Exception as error:  # of a library, for a file that nobody has seen before
        said = " ".join(str(error).split())[:_LONGEST]
        found = type(error).__name__ + (f": {said}" if said else "")
        raise ReadError(f"{path}: cannot be read as {what} ({found}); it may be damaged") from error


def quietly(function: Callable[[], _Result], logger: str) -> tuple[_Result, tuple[str, ...]]:
    """Call `function`, and return its result with what the library warned of meanwhile.

    Parameters
    ----------
    function : callable
        Without arguments.
    logger : str
        Name of the library's logger. Its messages are collected, and not printed.
    """
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
