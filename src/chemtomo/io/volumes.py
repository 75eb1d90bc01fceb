"""One `write` for volumes; see `chemtomo.io.read_volumes` for the way back."""

from __future__ import annotations

from os import PathLike

from chemtomo.data import Volume
from chemtomo.errors import WriteError
from chemtomo.io.atomic import replacing
from chemtomo.io.formats.emd import write as emd
from chemtomo.io.formats.hyperspy import write as hspy
from chemtomo.io.formats.mrc import write as mrc
from chemtomo.io.formats.numpy import write as npz
from chemtomo.io.formats.ome_zarr import write as ome_zarr
from chemtomo.io.formats.tiff import write as ome_tiff
from chemtomo.io.outputs import (
    DESCRIPTION_SUFFIX,
    Written,
    check_free,
    check_output,
    endings,
    output_format,
)
from chemtomo.io.storage.names import distinct, file_name

__all__ = ["write"]

_ONE_FILE = {
    "OME-TIFF": ome_tiff.write_volume,
    "EMD": emd.write_volume,
    "HSPY": hspy.write_volume,
    "NPZ": npz.write_volume,
}


def write(volume: Volume, path: str | PathLike[str], *, overwrite: bool = False) -> Written:
    """Write a volume; what was there before is replaced when all has been written.

    `chemtomo.io.read_volume` gives back the same volume from every format.

    Parameters
    ----------
    volume : Volume
        What to write.
    path : path
        The ending says how: ``.zarr`` one multiscale image in OME-Zarr; ``.ome.tif`` or ``.tif``
        OME-TIFF; ``.emd`` EMD as tomviz opens it; ``.hspy`` a file for HyperSpy; ``.npz`` arrays of
        NumPy; ``.mrc`` or ``.rec`` MRC, one file a channel, ``NAME_CHANNEL.mrc`` (``NAME.mrc`` where
        there is one channel), with the recipe in ``NAME.chemtomo.json``.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    Written
        The files, a list of paths, with the notes on what the format had no place for.

    Raises
    ------
    WriteError
        When it cannot be written there, or is there already and must not be replaced.
    """
    path = check_output(path, overwrite=overwrite)
    found = output_format(path)
    if found is None:  # check_output has refused it
        raise WriteError(f"{path}: expected a name that ends with {endings()}")
    name, stem = found
    if name == "OME-Zarr":
        with replacing([path]) as (temporary,):
            ome_zarr.write_volume(volume, temporary, name=stem)
        return Written([path])
    if name != "MRC":
        with replacing([path]) as (temporary,):
            notes = _ONE_FILE[name](volume, temporary)
        return Written([path], notes)
    suffix = path.name[len(stem) :]
    files = [path]
    if len(volume.names) > 1:
        files = [path.with_name(f"{stem}_{one}{suffix}") for one in distinct(volume.names, file_name)]
    description = path.with_name(stem + DESCRIPTION_SUFFIX)
    for one in (*files, description):
        check_free(one, zarr=False, overwrite=overwrite)
    with replacing([*files, description]) as temporaries:
        notes = mrc.write_volume(volume, temporaries[:-1], temporaries[-1], names=[one.name for one in files])
    return Written([*files, description], notes)
