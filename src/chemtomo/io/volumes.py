"""One `write` for volumes, and `read_volume` to get them back."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any

from chemtomo.data import Volume
from chemtomo.errors import ReadError, WriteError
from chemtomo.io import mrc, ome_zarr_image
from chemtomo.io.atomic import replacing
from chemtomo.io.names import file_name

__all__ = ["check_output", "read_volume", "write"]


def check_output(path: str | PathLike[str]) -> Path:
    """Check, before any work is done, that a volume can be written to `path`.

    Raises
    ------
    WriteError
        When the ending is unknown, the folder is missing, or something is there that is no volume.
    """
    path = Path(path)
    if path.suffix.lower() not in (".zarr", ".mrc"):
        found = path.suffix or "no ending"
        raise WriteError(f"{path}: found {found}; expected a name that ends with .zarr or .mrc")
    if not path.parent.is_dir():
        raise WriteError(f"{path}: there is no folder {path.parent}; expected one to write to")
    if path.suffix.lower() == ".zarr" and path.exists() and not ome_zarr_image.is_zarr(path):
        raise WriteError(f"{path}: exists and is not a Zarr image; expected another name")
    if path.suffix.lower() == ".mrc" and path.is_dir():
        raise WriteError(f"{path}: found a folder; expected a file to write")
    return path


def write(volume: Volume, path: str | PathLike[str]) -> list[Path]:
    """Write a volume; what was there before is replaced when all has been written.

    Parameters
    ----------
    volume : Volume
        What to write.
    path : path
        ``NAME.zarr``: one multichannel image in OME-Zarr, see
        `chemtomo.io.ome_zarr_image.write_image`. ``NAME.mrc``: one file a channel,
        ``NAME_CHANNEL.mrc``, and the recipe in ``NAME.recipe.json``.

    Returns
    -------
    list of pathlib.Path
        What was written.

    Raises
    ------
    WriteError
        When it cannot be written there.
    """
    path = check_output(path)
    recipe = _plain(volume.provenance)
    if path.suffix.lower() == ".zarr":
        with replacing([path]) as (temporary,):
            ome_zarr_image.write_image(volume, temporary, name=path.name.split(".")[0], recipe=recipe)
        return [path]
    targets = _channel_files(volume, path)
    z, y, x = (index * volume.voxel_size_nm for index in volume.origin_px)
    with replacing([*targets, path.with_suffix(".recipe.json")]) as temporaries:
        for channel, name, temporary in zip(volume.data, volume.names, temporaries[:-1], strict=True):
            label = f"ChemTomo {name}".encode("ascii", "replace").decode("ascii")[:80]
            mrc.write_stack(
                temporary, channel, volume.voxel_size_nm, label=label, volume=True, origin_nm=(z, y, x)
            )
        temporaries[-1].write_text(json.dumps(recipe, indent=1) + "\n", encoding="utf-8")
    return [*targets, path.with_suffix(".recipe.json")]


def read_volume(path: str | PathLike[str]) -> Volume:
    """Read a volume from an OME-Zarr image, such as `write` makes.

    Raises
    ------
    ReadError
        When it is not an OME-Zarr image with the axes (c, z, y, x).
    """
    path = Path(path)
    if not path.exists():
        raise ReadError(f"{path}: no such file")
    return ome_zarr_image.read_image(path)


def _channel_files(volume: Volume, path: Path) -> list[Path]:
    names: list[str] = []
    for index, name in enumerate(volume.names):
        stem = f"{path.stem}_{file_name(name)}"
        names.append(stem if stem not in names else f"{stem}_{index}")
    return [path.with_name(f"{name}.mrc") for name in names]


def _plain(value: Any) -> Any:
    """Return `value` as JSON knows it: numbers of NumPy, paths and tuples become plain ones."""

    def convert(one: Any) -> Any:
        return one.tolist() if hasattr(one, "tolist") else str(one)

    return json.loads(json.dumps(value, default=convert))
