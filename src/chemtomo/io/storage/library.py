"""Call libraries so that their warnings become notes instead of being printed."""

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
"""The packages that read files for us, and the names of their loggers."""

_Result = TypeVar("_Result")
_MAX_LENGTH = 200
_NOTED = "chemtomo_noted"
_OWN_PACKAGES = ("chemtomo", "napari_chemtomo")
# Warning filters and log handlers belong to the whole process: one thread at a time.
_LIBRARY_LOCK = threading.RLock()


def collect_warnings(
    function: Callable[[], _Result], library: str = "", *, wait: bool = True
) -> tuple[_Result, tuple[str, ...]]:
    """Call `function`, and return its result and the warnings of libraries in the meantime.

    Nothing is printed: neither log messages, whatever their handlers, nor warnings, nor output to standard
    output. A warning that this program itself causes is passed on.

    Parameters
    ----------
    function : callable
        A function without arguments.
    library : str
        Named before a warning that comes from none of `LIBRARIES`.
    wait : bool
        Whether to wait for another thread that does the same. Lazy reads must not wait: the other thread may
        be waiting for their values. It then collects the warnings of both.
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
    """Return to which of some packages a file belongs; an empty text for none."""
    return next((part for part in reversed(PurePath(file).parts[:-1]) if part in names), "")


class _Collector(logging.Handler):
    """Keeps the warnings of libraries; as a filter, it also keeps them from whoever would hear them."""

    def __init__(self, said: list[str]) -> None:
        super().__init__()
        self._said = said

    def filter(self, record: logging.LogRecord) -> bool:
        """Take a record of a library, and let those of others pass."""
        library = record.name.partition(".")[0]
        if library not in LIBRARIES:
            return True
        if record.levelno >= logging.WARNING and not hasattr(record, _NOTED):
            setattr(record, _NOTED, True)  # several handlers may hear it, also of a call around this one
            self._said.append(f"{library}: {record.getMessage()}")
        return False


@contextlib.contextmanager
def _logging_captured(said: list[str]) -> Iterator[None]:
    """Keep log messages of libraries from all handlers.

    The loggers of libraries get a filter. A logger that is made in the meantime, when a module is
    imported, has none, so the handlers that hear it get one too, such as that of RosettaSciIO, which prints.
    The collector comes first everywhere: a call within another one hears what it causes itself.
    """
    collector = _Collector(said)
    known = logging.root.manager.loggerDict
    loggers = [one for one in map(known.get, list(known)) if isinstance(one, logging.Logger)]
    above = [logging.root, *map(logging.getLogger, LIBRARIES)]
    filtered: list[logging.Filterer] = [one for one in loggers if one.name.partition(".")[0] in LIBRARIES]
    filtered += [handler for logger in above for handler in logger.handlers]
    for one in filtered:
        one.filters.insert(0, collector)
    for logger in above[1:]:
        logger.handlers.insert(0, collector)
    try:
        yield
    finally:
        for logger in above[1:]:
            logger.removeHandler(collector)
        for one in filtered:
            one.removeFilter(collector)
