"""Files in Zip archives, as instruments and repositories provide them, unpacked until the program ends."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from chemtomo.errors import ReadError

__all__ = ["ARCHIVE_SUFFIX", "unpack"]

ARCHIVE_SUFFIX = ".zip"

# More than a day of acquisition; an archive that claims more is damaged or malicious.
_LARGEST_BYTES = 64 << 30
_MAX_FILES = 20_000


def unpack(path: Path) -> Path:
    """Unpack an archive and return the folder, which has the name of the archive.

    It is a temporary folder that is removed when the program ends. An archive is unpacked once, unless it
    changes.

    Raises
    ------
    ReadError
        When it is not a Zip archive, is damaged or encrypted, or does not fit on the disk.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise ReadError(f"{path}: cannot be read ({error.strerror or error})") from error
    return _unpacked(path.resolve(), state.st_size, state.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _unpacked(path: Path, size: int, changed: int) -> Path:
    temporary = Path(tempfile.mkdtemp(prefix="chemtomo-"))
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    folder = temporary / path.name
    folder.mkdir()
    try:
        with zipfile.ZipFile(path) as archive:
            members = [one for one in archive.infolist() if not one.is_dir()]
            _require_safe_contents(path, members, shutil.disk_usage(temporary).free)
            for member in members:
                archive.extract(member, folder)
    except ReadError:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    except Exception as error:
        # zipfile raises a dozen kinds for damaged archives: of its own, of zlib, struct, NotImplementedError
        shutil.rmtree(temporary, ignore_errors=True)
        raise ReadError(f"{path}: found a damaged archive ({error}); expected a Zip archive") from error
    return folder


def _require_safe_contents(path: Path, members: list[zipfile.ZipInfo], free: int) -> None:
    total = sum(one.file_size for one in members)
    if len(members) > _MAX_FILES or total > min(_LARGEST_BYTES, free):
        raise ReadError(
            f"{path}: found {len(members)} files of {total / 2**30:.1f} GiB in the archive; expected at most "
            f"{_MAX_FILES} files and {min(_LARGEST_BYTES, free) / 2**30:.1f} GiB, what there is room for"
        )
    for one in members:
        inside = PurePosixPath(one.filename.replace("\\", "/"))
        if inside.is_absolute() or ".." in inside.parts:
            raise ReadError(f"{path}: found {one.filename!r} in the archive; expected names inside of it")
        if one.flag_bits & 1:
            raise ReadError(f"{path}: found {one.filename!r} encrypted; expected files that can be read")
