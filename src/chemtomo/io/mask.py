"""Masks of pixels in files: an image or a stack of any format that can be read."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.errors import ReadError
from chemtomo.io.formats.registry import find

__all__ = ["read_mask"]


def read_mask(path: str | PathLike[str]) -> npt.NDArray[np.bool_]:
    """Read which pixels are marked: those that are not 0.

    Parameters
    ----------
    path : path
        An image, or a stack with one image a tilt, as napari saves a layer of labels.

    Returns
    -------
    numpy.ndarray of bool, shape (tilt, y, x) or (y, x)

    Raises
    ------
    ReadError
        When the file cannot be read, or holds no image or several.
    """
    path = Path(path)
    found = find(path)
    if {one.data.shape for one in found} == {(1, *found[0].data.shape[-2:])}:
        # (tilt, 1, y, x), as napari saves what was painted over a tilt series
        return np.concatenate([_marked(one.data) for one in found])
    if len(found) != 1 or found[0].kind == "spectrum image":
        kinds = ", ".join(f"{one.kind} {one.name!r}" for one in found)
        raise ReadError(f"{path}: found {kinds}; expected one image or stack with the pixels that are masked")
    return _marked(found[0].data)


def _marked(values: Any) -> npt.NDArray[np.bool_]:
    marked: npt.NDArray[np.bool_] = np.asarray(values) != 0
    return marked
