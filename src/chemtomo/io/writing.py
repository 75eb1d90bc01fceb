"""One `write` for volumes and one `write_dataset` for tilt series; every format does its own part."""

from __future__ import annotations

from os import PathLike

from chemtomo.data import Dataset, Volume
from chemtomo.errors import WriteError
from chemtomo.io.formats.target import Written
from chemtomo.io.outputs import check_output, endings, target_of

__all__ = ["write", "write_dataset"]


def write(volume: Volume, path: str | PathLike[str], *, overwrite: bool = False) -> Written:
    """Write a volume; an existing file is replaced only when all has been written.

    `chemtomo.io.read_volume` gives back the same volume from every format.

    Parameters
    ----------
    volume : Volume
        What to write.
    path : path
        The ending decides the format: ``.zarr`` one multiscale image in OME-Zarr; ``.ome.tif`` or ``.tif``
        OME-TIFF; ``.emd`` EMD as tomviz opens it; ``.hspy`` a HyperSpy file; ``.npz`` NumPy arrays;
        ``.mrc`` or ``.rec`` MRC, one file per channel, ``NAME_CHANNEL.mrc`` (``NAME.mrc`` for a single
        channel), with the recipe in ``NAME.chemtomo.json``.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    Written
        The files, a list of paths, with notes on what the format had no place for.

    Raises
    ------
    WriteError
        When it cannot be written there, or exists already and must not be replaced.
    """
    path = check_output(path, overwrite=overwrite)
    found = target_of(path, dataset=False, overwrite=overwrite)
    if found is None:  # check_output has refused it
        raise WriteError(f"{path}: expected a name that ends with {endings()}")
    form, target = found
    return form.write_volume(volume, target)


def write_dataset(dataset: Dataset, path: str | PathLike[str], *, overwrite: bool = False) -> Written:
    """Write tilt series; existing files are replaced only when all has been written.

    `chemtomo.io.read` gives back the same dataset from every format: values, tilts, pixel sizes, names,
    kinds, tilt axis, shifts, gains, alignment and provenance. The notes of the result say what a format
    cannot keep. Lazy series are read one projection after the other.

    Parameters
    ----------
    dataset : Dataset
        The signals.
    path : path
        For a folder, which is made where it is missing: one MRC file per signal, with its tilts in a
        ``.rawtlt`` file and the rest in a ``.chemtomo.json`` file beside it. Otherwise the ending decides
        the format. ``NAME.mrc`` (also ``.st``, ``.ali``): MRC, ``NAME_SIGNAL.mrc`` for several signals.
        ``.zarr``: OME-Zarr. ``.ome.tif`` or ``.tif``: OME-TIFF, with the tilts in a ``.rawtlt`` file too
        where all signals have the same. ``.emd``: EMD for tomviz; signals of another shape, tilts or pixel
        size go to files of their own. ``.hspy``: HyperSpy. ``.npz``: NumPy arrays.
    overwrite : bool
        Whether existing files may be replaced.

    Returns
    -------
    Written
        The files with the data, a list of paths, in the order of the signals, with notes on what the
        format had no place for.

    Raises
    ------
    WriteError
        When it cannot be written there, or exists already and must not be replaced.
    """
    path = check_output(path, overwrite=overwrite, folders=True)
    found = target_of(path, dataset=True, overwrite=overwrite)
    assert found is not None  # a path without an ending is a folder
    form, target = found
    return form.write_series(dataset.series, target)
