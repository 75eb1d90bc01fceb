"""Write beside the target and move into place: a failed write leaves what was there before."""

from __future__ import annotations

import contextlib
import errno
import json
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from chemtomo.errors import WriteError

__all__ = ["replacing", "write_json"]

_DISK_FULL_ERRORS = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}
_DISK_BLOCK_BYTES = 1 << 12
_REMOVAL_TRIES, _REMOVAL_PAUSE_S = 50, 0.02


@contextlib.contextmanager
def replacing(targets: Sequence[Path]) -> Iterator[list[Path]]:
    """Provide temporary paths to write to, and move all into place when the block succeeds.

    Files and folders alike. When the block or a move fails, the targets are as they were before
    and the temporary files are gone.

    Parameters
    ----------
    targets : sequence of pathlib.Path
        What to write or replace. The folders that hold them must exist.

    Yields
    ------
    list of pathlib.Path
        One path per target, which does not exist yet.

    Raises
    ------
    WriteError
        When the operating system refuses; the message names the target.
    """
    for target in targets:
        if not target.parent.is_dir():
            raise WriteError(f"{target}: there is no folder {target.parent}; expected one to write to")
    token = uuid.uuid4().hex[:8]
    temporaries = [target.with_name(f".{target.name}.{token}.part") for target in targets]
    try:
        yield temporaries
        _move_into_place(temporaries, targets, token)
    except WriteError:
        raise
    except OSError as error:
        where = ", ".join(map(str, targets))
        raise WriteError(f"{where}: cannot be written: {_reason(error, targets)}") from error
    finally:
        for temporary in temporaries:
            _remove(temporary)


def _reason(error: OSError, targets: Sequence[Path]) -> str:
    """Return the reason of a failed write. NumPy reports only how much of an array it could write."""
    full = error.errno in _DISK_FULL_ERRORS
    if error.errno is None:
        with contextlib.suppress(OSError):
            full = shutil.disk_usage(targets[0].parent).free < _DISK_BLOCK_BYTES
    return "no space left" if full else str(error.strerror or error)


def write_json(value: Any, path: Path, *, strict: bool = False) -> None:
    """Write or replace a JSON file; `strict` refuses NaN, which is not JSON.

    Raises
    ------
    WriteError
        When the operating system refuses.
    """
    with replacing([path]) as (temporary,):
        text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=not strict)
        temporary.write_text(text + "\n", encoding="utf-8")


def _move_into_place(temporaries: Sequence[Path], targets: Sequence[Path], token: str) -> None:
    if len(targets) == 1 and temporaries[0].is_file() and not targets[0].is_dir():
        temporaries[0].replace(
            targets[0]
        )  # at once: there is always a whole file, the old one or the new one
        return
    asides: list[tuple[Path, Path]] = []
    placed: list[Path] = []
    try:
        for temporary, target in zip(temporaries, targets, strict=True):
            if target.exists():
                aside = target.with_name(f".{target.name}.{token}.old")
                target.rename(aside)
                asides.append((aside, target))
            temporary.rename(target)
            placed.append(target)
    except BaseException:
        for target in placed:
            _remove(target)
        for aside, target in asides:
            aside.rename(target)
        raise
    for aside, _ in asides:
        _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir():
        # Zarr writes in threads, which may go on for a moment when one of them has failed.
        for _ in range(_REMOVAL_TRIES):
            shutil.rmtree(path, ignore_errors=True)
            time.sleep(_REMOVAL_PAUSE_S)
            if not path.exists():
                break
    else:
        path.unlink(missing_ok=True)
