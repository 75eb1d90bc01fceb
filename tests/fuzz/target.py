"""One damaged file through all that reads files: what comes of it."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from chemtomo.errors import ChemTomoError
from chemtomo.io import contents, is_volume, read_spectra, read_volume

__all__ = ["try_file"]


def try_file(path: Path, damaged: Path) -> list[tuple[str, str]]:
    """Open a file as whatever it may be, and look at the first image.

    Parameters
    ----------
    path : pathlib.Path
        What is opened.
    damaged : pathlib.Path
        What was damaged: the same, or a file that belongs to it.

    Returns
    -------
    list of (str, str)
        What happened in each way of opening: ``read``, ``refused``, ``nameless`` for a refusal that does not
        name the file, or ``crash``; and what was said.
    """
    outcomes = []
    for attempt in (_dataset, _spectra, _volume):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                attempt(path)
            outcomes.append(("read", ""))
        except ChemTomoError as error:
            said = str(error)
            named = path.name in said or damaged.name in said
            outcomes.append(("refused" if named else "nameless", said[:300]))
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            import traceback

            where = traceback.extract_tb(error.__traceback__)[-1]
            said = f"{type(error).__name__}: {error} at {Path(where.filename).name}:{where.lineno}"
            outcomes.append(("crash", said[:300]))
    return outcomes


def _dataset(path: Path) -> None:
    for series in contents(path).series:
        # The shape, the tilts and a value: what the first look in napari needs.
        assert np.isfinite(series.tilts_deg).all()
        assert np.isfinite(next(series.projections())).all()


def _spectra(path: Path) -> None:
    series = read_spectra([path])
    np.asarray(series.data[0])


def _volume(path: Path) -> None:
    is_volume(path)
    volume = read_volume(path)
    assert volume.data.ndim == 4
