"""The data of Huber et al. 2019, and what is known about its minimiser."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from chemtomo.data import Dataset, TiltSeries
from chemtomo.io import read
from chemtomo.preprocess import crop_detector, select_slices
from chemtomo.preprocess.values.intensity import PublishedScaling

NAMES = ("HAADF", "Yb", "Al", "Si")
MU = dict(zip(NAMES, (0.2, 0.0005, 0.004, 0.0005), strict=True))
MINIMUM = 2.94915  # of the objective on the reference slice; certified


def folder() -> Path | None:
    """Where the data is: beside the repository, or as the environment variable CHEMTOMO_DATA says."""
    given = os.environ.get("CHEMTOMO_DATA")
    found = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    return found if found.is_dir() else None


@functools.cache
def reference_slice(data: Path) -> Dataset:
    """One slice, preprocessed as published, 303 detector pixels."""
    sinograms = np.load(data / "reference" / "C_sino_CAZX_f32.npy")
    tilts = np.load(data / "reference" / "C_tilt_deg.npy")
    return Dataset(tuple(TiltSeries(name, one, tilts) for name, one in zip(NAMES, sinograms, strict=True)))


def reference_minimiser(data: Path) -> npt.NDArray[np.float32]:
    """The certified minimiser, (channel, z reversed, y, x) as the steps have it."""
    image = np.load(data / "reference" / "C_U_optimum_CZxy_f32.npy")
    return np.ascontiguousarray(image.transpose(0, 2, 1, 3))


@functools.cache
def phantom_slices(data: Path, start: int, stop: int) -> Dataset:
    """Some slices of the phantom, preprocessed as published."""
    files = [
        data / "phantom" / name
        for name in ("HAADF_lrsino.mrc", "Yb_EDXsino.mrc", "Al_EDXsino.mrc", "Si_EDXsino.mrc")
    ]
    prepared = PublishedScaling().apply(read(files))
    named = Dataset(tuple(series.replace(name=name) for series, name in zip(prepared, NAMES, strict=True)))
    return named.map(lambda series: crop_detector(select_slices(series, start, stop), 65, 368))
