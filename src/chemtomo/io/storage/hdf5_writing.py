"""HDF5 on a disk that may be full: the first error is told, and the library is closed in peace.

HDF5 writes much when a file is closed, and ends the whole process when the system refuses it then.
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
    """A file for h5py that remembers the first refusal and from then on pretends to write."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "r+" if path.exists() else "w+")
        self.path = path
        self.refused: OSError | None = None

    def __fspath__(self) -> str:
        return str(self.path)

    def write(self, content: Any) -> int:
        """Write all of `content`, or take note of why not."""
        view = memoryview(content).cast("B")
        done = 0
        while done < len(view) and self.refused is None:
            try:
                done += super().write(view[done:]) or 0
            except OSError as error:
                self.refused = error
        return len(view)

    def readinto(self, buffer: Any) -> int:
        """Read; after a refusal, zeros where there is nothing."""
        view = memoryview(buffer).cast("B")
        done = super().readinto(view) or 0
        if self.refused is not None and done < len(view):
            view[done:] = bytes(len(view) - done)
            return len(view)
        return done

    def truncate(self, size: int | None = None) -> int:
        """Set the size of the file, or take note of why not."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.refused = self.refused or error
            return size or 0


@contextlib.contextmanager
def hdf5_target(path: Path) -> Iterator[Any]:
    """Give what `h5py.File` takes in place of the name of a file to write, new or to be added to.

    Raises
    ------
    OSError
        What the operating system refused first, when the block ends.
    """
    target = _Target(path)
    try:
        try:
            yield target
        except Exception:
            # What HDF5 says then follows from it.
            if target.refused is None:
                raise
    finally:
        with contextlib.suppress(OSError):
            target.close()
    if target.refused is not None:
        raise OSError(target.refused.errno or errno.EIO, target.refused.strerror) from target.refused
