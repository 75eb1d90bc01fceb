"""Where a writer writes: names of the files, and their way into place when all are complete."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from chemtomo.errors import WriteError
from chemtomo.io.atomic import replacing
from chemtomo.io.storage.names import file_name, unique_names

__all__ = ["Target", "Written", "check_free", "is_zarr"]


class Written(list[Path]):
    """The files that were written.

    Attributes
    ----------
    notes : tuple of str
        What the format had no place for, and so was lost.
    """

    def __init__(self, paths: Sequence[Path], notes: Sequence[str] = ()) -> None:
        super().__init__(paths)
        self.notes: tuple[str, ...] = tuple(notes)


@dataclasses.dataclass(frozen=True)
class Target:
    """What a user asked to write to.

    Attributes
    ----------
    folder : pathlib.Path
        The folder of the files.
    stem : str or None
        The name without its ending; None for a folder of files that are named by their signals.
    suffix : str
        The ending, as it was spelled.
    overwrite : bool
        Whether existing files may be replaced.
    """

    folder: Path
    stem: str | None
    suffix: str
    overwrite: bool = False

    @property
    def path(self) -> Path:
        """The file, where there is only one."""
        return self.folder if self.stem is None else self.beside(self.stem)

    def beside(self, stem: str, suffix: str | None = None) -> Path:
        """Return a file in the folder. Dots in `stem` stay: the ending is added, not changed."""
        return self.folder / f"{stem}{self.suffix if suffix is None else suffix}"

    def stems(self, names: Sequence[str]) -> list[str]:
        """Return a stem per signal: that of the target for one signal, ``NAME_SIGNAL`` for several."""
        own = unique_names(names, file_name)
        if self.stem is None:
            return own
        return [f"{self.stem}_{one}" for one in own] if len(own) > 1 else [self.stem]

    @contextlib.contextmanager
    def writing(self, files: Sequence[Path], *, folders: bool = False) -> Iterator[list[Path]]:
        """Give temporary paths in place of `files`, and move all into place when the block ends well.

        Raises
        ------
        WriteError
            When one may not be replaced, or cannot be written.
        """
        for one in files:
            check_free(one, zarr=folders, overwrite=self.overwrite)
        if self.stem is None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise WriteError(f"{self.folder}: cannot be made ({error.strerror or error})") from error
        with replacing(files) as temporaries:
            yield temporaries


def check_free(path: Path, *, zarr: bool, overwrite: bool) -> None:
    """Raise `WriteError` when something is at `path` that may not be replaced."""
    if not path.exists():
        return
    if zarr and not is_zarr(path):
        raise WriteError(f"{path}: exists and is not a Zarr image; expected another name")
    if not zarr and path.is_dir():
        raise WriteError(f"{path}: found a folder; expected a file to write")
    if not overwrite:
        raise WriteError(
            f"{path}: exists already; expected another name, or --overwrite (overwrite=True in Python)"
        )


def is_zarr(path: Path) -> bool:
    """Tell whether a folder is a Zarr group or array, of whatever name."""
    return any((path / name).is_file() for name in (".zgroup", ".zarray", "zarr.json"))
