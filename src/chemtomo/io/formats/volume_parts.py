"""What the readers of volumes share: sizes that fit the file, voxel sizes, names of channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chemtomo.errors import ReadError
from chemtomo.io.interpret.pixel_size import pixel_size

__all__ = ["channel_names", "require_fits_file", "voxel_size_nm"]

_SMALL_BYTES = 1 << 26
_LARGEST_COMPRESSION = 2000


def require_fits_file(path: Path, shape: Sequence[int], dtype: Any) -> None:
    """Refuse an array that claims to be much larger than its file, even when that is compressed well.

    Raises
    ------
    ReadError
        When it is, or has no values.
    """
    values = math.prod(int(size) for size in shape)
    size = values * np.dtype(dtype).itemsize
    files = [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else [path]
    on_disk = sum(one.stat().st_size for one in files)
    if values <= 0 or size > max(_SMALL_BYTES, _LARGEST_COMPRESSION * on_disk):
        raise ReadError(
            f"{path}: claims {size} bytes of values in {on_disk} bytes; expected a volume that fits its file"
        )


def voxel_size_nm(size: float, unit: str) -> float:
    """Return the edge of a voxel in nanometres; 1 where the file does not say it, or in no unit of length."""
    found, _ = pixel_size((size, unit), (size, unit))
    return 1.0 if found is None else found


def channel_names(path: Path, count: int) -> list[str]:
    """Return names for channels that the file does not name."""
    stem = path.name.split(".")[0]
    return [stem] if count == 1 else [f"channel {index}" for index in range(count)]
