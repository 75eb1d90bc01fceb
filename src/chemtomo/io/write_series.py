"""One `write_dataset` for tilt series; `chemtomo.io.read` gets them back."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from chemtomo.data import Dataset
from chemtomo.errors import WriteError
from chemtomo.io.atomic import replacing
from chemtomo.io.formats.emd import write as emd
from chemtomo.io.formats.grouping import alike
from chemtomo.io.formats.hyperspy import write as hspy
from chemtomo.io.formats.mrc import write as mrc
from chemtomo.io.formats.numpy import write as npz
from chemtomo.io.formats.ome_zarr import write as ome_zarr
from chemtomo.io.formats.tiff import write as ome_tiff
from chemtomo.io.outputs import DESCRIPTION_SUFFIX, Written, check_free, check_output, output_format
from chemtomo.io.storage.names import distinct, file_name

__all__ = ["write_dataset"]


def write_dataset(dataset: Dataset, path: str | PathLike[str], *, overwrite: bool = False) -> Written:
    """Write tilt series; what was there before is replaced when all has been written.

    `chemtomo.io.read` gives back the same dataset from every format: values, tilts, pixel sizes, names,
    kinds, tilt axis, shifts, gains, alignment and provenance. What a format cannot keep is in the
    notes of the result. Lazy series are read one projection after the other.

    Parameters
    ----------
    dataset : Dataset
        The signals.
    path : path
        A folder, which is made where it is missing, gets one MRC file a signal, with its tilts in a
        ``.rawtlt`` file and the rest in a ``.chemtomo.json`` file beside it. Otherwise the ending says
        how. ``NAME.mrc`` (also ``.st``, ``.ali``): MRC, ``NAME_SIGNAL.mrc`` where there are several.
        ``.zarr``: OME-Zarr. ``.ome.tif`` or ``.tif``: OME-TIFF, with the tilts in a ``.rawtlt``
        file too where all signals have the same. ``.emd``: EMD for tomviz; signals of other shape,
        tilts or pixel size go to files of their own. ``.hspy``: HyperSpy.
        ``.npz``: arrays of NumPy.
    overwrite : bool
        Whether existing files may be replaced.

    Returns
    -------
    Written
        The files with the data, a list of paths, in the order of the signals, with the notes on what the
        format had no place for.

    Raises
    ------
    WriteError
        When it cannot be written there, or is there already and must not be replaced.
    """
    path = check_output(path, overwrite=overwrite, folders=True)
    found = output_format(path)
    if found is None or (path.is_dir() and found[0] != "OME-Zarr"):
        return _write_mrc(dataset, path, None, overwrite)
    name, stem = found
    if name == "OME-Zarr":
        with replacing([path]) as (temporary,):
            ome_zarr.write_series(dataset.series, temporary, name=stem)
        return Written([path])
    if name == "MRC":
        return _write_mrc(dataset, path.parent, (stem, path.name[len(stem) :]), overwrite)
    if name == "OME-TIFF":
        return _write_tiff(dataset, path, stem, overwrite)
    if name == "EMD":
        return _write_emd(dataset, path, stem, overwrite)
    with replacing([path]) as (temporary,):
        notes = (npz if name == "NPZ" else hspy).write_series(dataset.series, temporary)
    return Written([path], notes)


def _write_mrc(dataset: Dataset, folder: Path, name: tuple[str, str] | None, overwrite: bool) -> Written:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"{folder}: cannot be made ({error.strerror or error})") from error
    stems = distinct(dataset.names, file_name)
    suffix = ".mrc"
    if name is not None:
        stem, suffix = name
        stems = [f"{stem}_{one}" for one in stems] if len(stems) > 1 else [stem]
    # Dots in a name are kept: the suffix is added, not changed.
    files = [
        [folder / f"{stem}{ending}" for ending in (suffix, ".rawtlt", DESCRIPTION_SUFFIX)] for stem in stems
    ]
    flat = [one for three in files for one in three]
    for one in flat:
        check_free(one, zarr=False, overwrite=overwrite)
    notes = []
    with replacing(flat) as temporaries:
        for index, series in enumerate(dataset):
            notes += mrc.write_series(
                series, *temporaries[3 * index : 3 * index + 3], where=str(files[index][0])
            )
    return Written([three[0] for three in files], notes)


def _write_tiff(dataset: Dataset, path: Path, stem: str, overwrite: bool) -> Written:
    same = len({one.tilts_deg.tobytes() for one in dataset}) == 1
    angles = path.with_name(f"{stem}.rawtlt")
    targets = [path, angles] if same else [path]
    if same:
        check_free(angles, zarr=False, overwrite=overwrite)
    with replacing(targets) as temporaries:
        notes = ome_tiff.write_series(dataset.series, temporaries[0], temporaries[1] if same else None)
    return Written([path], notes)


def _write_emd(dataset: Dataset, path: Path, stem: str, overwrite: bool) -> Written:
    groups = alike(dataset.series, same_type=False)
    files = [path]
    notes = []
    if len(groups) > 1:
        names = distinct((group[0].name for group in groups), file_name)
        files = [path.with_name(f"{stem}_{one}{path.suffix}") for one in names]
        notes.append(
            "the series differ in shape, tilts or pixel size; tomviz opens one group a file: there are "
            + ", ".join(one.name for one in files)
        )
    for one in files:
        check_free(one, zarr=False, overwrite=overwrite)
    with replacing(files) as temporaries:
        for group, temporary in zip(groups, temporaries, strict=True):
            notes += emd.write_series(group, temporary)
    return Written(files, notes)
