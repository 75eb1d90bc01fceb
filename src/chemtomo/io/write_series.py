"""Write tilt series so that `chemtomo.io.read` gets them back."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from chemtomo.data import Dataset
from chemtomo.errors import WriteError
from chemtomo.io import mrc
from chemtomo.io.angles import format_angles
from chemtomo.io.atomic import replacing
from chemtomo.io.names import file_name

__all__ = ["write_dataset"]


def write_dataset(dataset: Dataset, folder: str | PathLike[str]) -> list[Path]:
    """Write every signal as an MRC file with its tilts in a ``.rawtlt`` file beside it.

    The files are named by the signals. `chemtomo.io.read` gives back the same names, values, tilts,
    pixel size (to six digits), kind and position of the tilt axis.

    Parameters
    ----------
    dataset : Dataset
        The signals.
    folder : path
        Where to write. It is made if it does not exist; files of the same names are replaced.

    Returns
    -------
    list of pathlib.Path
        The MRC files, in the order of the signals.

    Raises
    ------
    WriteError
        When a signal has a name that no file can have, or the files cannot be written.
    """
    folder = Path(folder)
    for name in dataset.names:
        if file_name(name) != name:
            raise WriteError(
                f"{folder}: the signal {name!r} cannot be the name of a file; expected for example "
                f"{file_name(name)!r}"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"{folder}: cannot be made ({error.strerror or error})") from error
    # Dots in a name are kept: the suffix is added, not changed.
    stacks = [folder / f"{name}.mrc" for name in dataset.names]
    angles = [folder / f"{name}.rawtlt" for name in dataset.names]
    with replacing([*stacks, *angles]) as temporaries:
        for series, stack, angle in zip(
            dataset, temporaries[: len(stacks)], temporaries[len(stacks) :], strict=True
        ):
            mrc.write_stack(stack, series.data, series.pixel_size_nm, label=mrc.series_label(series))
            angle.write_text(format_angles(series.tilts_deg), encoding="ascii")
    return stacks
