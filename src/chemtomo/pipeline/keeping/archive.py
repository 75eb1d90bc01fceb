"""A file with a description and arrays, stored exactly, and written atomically."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from chemtomo.errors import ReadError
from chemtomo.io.atomic import replacing

__all__ = ["Archive", "write_archive"]

_DESCRIPTION = "description.json"
_BROKEN = (OSError, zipfile.BadZipFile, KeyError, ValueError, EOFError, NotImplementedError)


def write_archive(
    path: Path, description: Mapping[str, Any], arrays: Iterable[tuple[str, npt.NDArray[Any]]]
) -> None:
    """Write or replace a file; one array is in memory at a time.

    It is an uncompressed ZIP of NPY files, which `numpy.load` reads too, with a checksum for each.

    Raises
    ------
    WriteError
        When the operating system refuses.
    """
    with replacing([path]) as (temporary,), zipfile.ZipFile(temporary, "x", zipfile.ZIP_STORED) as file:
        file.writestr(_DESCRIPTION, json.dumps(description))
        for name, array in arrays:
            with file.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)


class Archive(Mapping[str, npt.NDArray[Any]]):
    """A file of `write_archive`: the arrays by their names, each read on demand.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Raises
    ------
    ReadError
        When it cannot be read, or later when an array is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = zipfile.ZipFile(path)
            self.description: dict[str, Any] = json.loads(self._file.read(_DESCRIPTION))
        except _BROKEN as error:
            raise self._damaged(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        if f"{name}.npy" not in self._file.namelist():
            raise KeyError(name)
        try:
            with self._file.open(f"{name}.npy") as entry:
                array: npt.NDArray[Any] = np.lib.format.read_array(entry, allow_pickle=False)
                entry.read()  # the checksum is compared at the end
        except _BROKEN as error:
            raise self._damaged(error) from error
        return array

    def __iter__(self) -> Iterator[str]:
        return (name.removesuffix(".npy") for name in self._file.namelist() if name != _DESCRIPTION)

    def __len__(self) -> int:
        return len(self._file.namelist()) - 1

    def _damaged(self, error: Exception) -> ReadError:
        return ReadError(f"{self._path}: cannot be read as a file that ChemTomo kept: {error}")
