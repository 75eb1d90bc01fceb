"""Call a library so that what it warns of becomes notes, and is not printed."""

from __future__ import annotations

import contextlib
import io
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import TypeVar

__all__ = ["LIBRARIES", "collect_warnings"]

LIBRARIES = ("dask", "h5py", "hyperspy", "mrcfile", "numba", "numcodecs", "rsciio", "tifffile", "zarr")
"""The packages that read files for us; their loggers have these names, and those below."""

_Result = TypeVar("_Result")
_MAX_LENGTH = 200
_OWN_PACKAGES = ("chemtomo", "napari_chemtomo")
# Warnings and handlers of messages belong to the whole process: one thread after the other.
_LIBRARY_LOCK = threading.RLock()


def collect_warnings(
    function: Callable[[], _Result], library: str = "", *, wait: bool = True
) -> tuple[_Result, tuple[str, ...]]:
    """Call `function`, and return its result with what libraries warned of meanwhile.

    Nothing that they say is printed: neither messages to their loggers, whoever listens to these, nor
    warnings, nor what is printed to standard output. A warning that this program itself causes is passed on.

    Parameters
    ----------
    function : callable
        Without arguments.
    library : str
        Who is named before a warning whose place belongs to none of `LIBRARIES`.
    wait : bool
        Whether to wait for another thread that does the same. Values that are read when they are needed
        must not: the other thread may be waiting for them. It keeps the messages of this one too.
    """
    if not _LIBRARY_LOCK.acquire(blocking=wait):
        return function(), ()
    try:
        return _with_lock_held(function, library)
    finally:
        _LIBRARY_LOCK.release()


def _with_lock_held(function: Callable[[], _Result], library: str) -> tuple[_Result, tuple[str, ...]]:
    said: list[str] = []
    with _logging_captured(said), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with contextlib.redirect_stdout(io.StringIO()):
            result = function()
    for one in caught:
        if _package(one.filename, _OWN_PACKAGES):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    warned = [
        f"{_package(one.filename, LIBRARIES) or library or 'a library'}: {one.message}"
        for one in caught
        if not _package(one.filename, _OWN_PACKAGES) and not issubclass(one.category, DeprecationWarning)
    ]
    return result, tuple(dict.fromkeys(" ".join(text.split())[:_MAX_LENGTH] for text in (*warned, *said)))


def _package(file: str, names: tuple[str, ...]) -> str:
    """Return which of some packages a file belongs to; nothing for none."""
    return next((part for part in reversed(PurePath(file).parts[:-1]) if part in names), "")


@contextlib.contextmanager
def _logging_captured(said: list[str]) -> Iterator[None]:
    """Keep the messages of libraries from all handlers: also of those that they set up meanwhile.

    A handler of our own beside theirs would not do: RosettaSciIO prints to standard output as soon as it
    is imported.
    """
    hand_on = logging.Logger.callHandlers

    def keep(logger: logging.Logger, record: logging.LogRecord) -> None:
        library = record.name.partition(".")[0]
        if library not in LIBRARIES:
            hand_on(logger, record)
        elif record.levelno >= logging.WARNING:
            said.append(f"{library}: {record.getMessage()}")

    logging.Logger.callHandlers = keep  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        logging.Logger.callHandlers = hand_on  # type: ignore[method-assign]
