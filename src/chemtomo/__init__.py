"""Joint multi-channel electron tomography: from tilt series of several signals to one volume.

>>> import chemtomo
>>> dataset = chemtomo.phantom()
>>> result = chemtomo.reconstruct(dataset, method="tgv", iterations=100)
>>> chemtomo.write(result.volume, "result.zarr")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import chemtomo.align as _package_of_estimators
from chemtomo.api import align, link, maps, reconstruct
from chemtomo.version import VERSION

if TYPE_CHECKING:
    from chemtomo.data import Alignment, Dataset, SpectrumSeries, TiltSeries, Volume
    from chemtomo.io import from_hyperspy, read, read_spectra, read_volume, write_dataset
    from chemtomo.operators import dot_test
    from chemtomo.pipeline import Recipe
    from chemtomo.pipeline.jobs.prepare import prepare
    from chemtomo.pipeline.jobs.reconstruct import Result
    from chemtomo.pipeline.keeping.checkpoint import Checkpoint
    from chemtomo.pipeline.runner import run
    from chemtomo.pipeline.writing import write
    from chemtomo.samples import phantom

__version__ = VERSION

__all__ = [
    "Alignment",
    "Checkpoint",
    "Dataset",
    "Recipe",
    "Result",
    "SpectrumSeries",
    "TiltSeries",
    "Volume",
    "__version__",
    "align",
    "dot_test",
    "from_hyperspy",
    "link",
    "maps",
    "phantom",
    "prepare",
    "read",
    "read_spectra",
    "read_volume",
    "reconstruct",
    "run",
    "write",
    "write_dataset",
]

# The package of this name is loaded before the function takes the name: it does not lose it later.
del _package_of_estimators

# Names are imported when they are first used, so that `chemtomo --help` does not wait for SciPy.
_HOMES = {
    "Alignment": "chemtomo.data",
    "Checkpoint": "chemtomo.pipeline.keeping.checkpoint",
    "Dataset": "chemtomo.data",
    "SpectrumSeries": "chemtomo.data",
    "TiltSeries": "chemtomo.data",
    "Volume": "chemtomo.data",
    "Recipe": "chemtomo.pipeline",
    "Result": "chemtomo.pipeline.jobs.reconstruct",
    "prepare": "chemtomo.pipeline.jobs.prepare",
    "run": "chemtomo.pipeline.runner",
    "dot_test": "chemtomo.operators",
    "from_hyperspy": "chemtomo.io",
    "phantom": "chemtomo.samples",
    "read": "chemtomo.io",
    "read_spectra": "chemtomo.io",
    "read_volume": "chemtomo.io",
    "write": "chemtomo.pipeline.writing",
    "write_dataset": "chemtomo.io",
}

# `import chemtomo` is enough for `chemtomo.preprocess.crop(...)`.
_PACKAGES = ("data", "errors", "io", "pipeline", "preprocess", "spectra")


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _PACKAGES:
        return import_module(f"chemtomo.{name}")
    raise AttributeError(f"module 'chemtomo' has no attribute {name!r}")
