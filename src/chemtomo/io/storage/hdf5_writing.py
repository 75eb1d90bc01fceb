"""Write HDF5 to a disk that may be full: report the first error and let the library close its file.

HDF5 writes a lot when a file is closed, and ends the whole process if the system refuses that.
"""

from __future__ import annotations

import contextlib
import errno
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["hdf5_target"]


class _Target(io.FileIO):
    """A file for h5py that remembers the first failed write and from then on pretends to write."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "r+" if path.exists() else "w+")
        self.path = path
        self.refused: OSError | None = None

    def __fspath__(self) -> str:
        return str(self.path)

    def write(self, content: Any) -> int:
        """Write all of `content`, or remember the error."""
        view = memoryview(content).cast("B")
        done = 0
        while done < len(view) and self.refused is None:
            try:
                done += super().write(view[done:]) or 0
            except OSError as error:
                self.refused = error
        return len(view)

    def readinto(self, buffer: Any) -> int:
        """Read; after a failed write, return zeros for what is missing."""
        view = memoryview(buffer).cast("B")
        done = super().readinto(view) or 0
        if self.refused is not None and done < len(view):
            view[done:] = bytes(len(view) - done)
            return len(view)
        return done

    def truncate(self, size: int | None = None) -> int:
        """Set the size of the file, or remember the error."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.refused = self.refused or error
            return size or 0


@contextlib.contextmanager
def hdf5_target(path: Path) -> Iterator[Any]:
    """Provide a file object for `h5py.File` to write to, a new file or one to extend.

    Raises
    ------
    OSError
        The first error of the operating system, when the block ends.
    """
    target = _Target(path)
    try:
        try:
            yield target
        except Exception:
            # Further errors of HDF5 follow from the first.
            if target.refused is None:
                raise
    finally:
        with contextlib.suppress(OSError):
            target.close()
    if target.refused is not None:
        raise OSError(target.refused.errno or errno.EIO, target.refused.strerror) from target.refused
