"""The right to do something, which one of several processes and threads has at a time."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import IO, Self

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["Turn"]


class Turn:
    """A lock on a file. It ends with the process that has it, however that ends.

    Parameters
    ----------
    path : pathlib.Path
        The file; it is there only while somebody has the turn.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def take(self) -> bool:
        """Take the turn; ``False`` while another one has it. Where nothing can be locked, all may have it."""
        if self._file is not None:
            return True
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = self._path.open("ab")
        except OSError:
            return True
        try:
            if sys.platform == "win32":
                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.close()
            return False
        except OSError:  # a file system without locks
            file.close()
            return True
        self._file = file
        if not self._is_there(file):  # whoever had the turn has removed it meanwhile
            self._end()
            return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None:
            return
        # Removed while it is locked; Windows removes no file that is open.
        if sys.platform == "win32":
            self._end()
        with contextlib.suppress(OSError):
            self._path.unlink()
        self._end()

    def _end(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _is_there(self, file: IO[bytes]) -> bool:
        with contextlib.suppress(OSError):
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        return False
