"""Joint multi-channel electron tomography: from tilt series of several signals to one volume.

>>> import chemtomo
>>> dataset = chemtomo.phantom()
>>> result = chemtomo.reconstruct(dataset, method="tgv", iterations=100)
>>> chemtomo.write(result.volume, "result.zarr")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chemtomo.version import VERSION

if TYPE_CHECKING:
    from chemtomo.data import Alignment, Dataset, SpectrumSeries, TiltSeries, Volume
    from chemtomo.io import read, read_spectra, read_volume, write, write_dataset
    from chemtomo.operators import dot_test
    from chemtomo.pipeline import Result, reconstruct
    from chemtomo.pipeline.maps import map_elements
    from chemtomo.pipeline.prepare import PrepareRecipe, prepare
    from chemtomo.samples import phantom

__version__ = VERSION

__all__ = [
    "Alignment",
    "Dataset",
    "PrepareRecipe",
    "Result",
    "SpectrumSeries",
    "TiltSeries",
    "Volume",
    "__version__",
    "dot_test",
    "map_elements",
    "phantom",
    "prepare",
    "read",
    "read_spectra",
    "read_volume",
    "reconstruct",
    "write",
    "write_dataset",
]

# Names are imported when they are first used, so that `chemtomo --help` does not wait for SciPy.
_HOMES = {
    "Alignment": "chemtomo.data",
    "Dataset": "chemtomo.data",
    "SpectrumSeries": "chemtomo.data",
    "TiltSeries": "chemtomo.data",
    "Volume": "chemtomo.data",
    "PrepareRecipe": "chemtomo.pipeline.prepare",
    "Result": "chemtomo.pipeline",
    "prepare": "chemtomo.pipeline.prepare",
    "reconstruct": "chemtomo.pipeline",
    "dot_test": "chemtomo.operators",
    "phantom": "chemtomo.samples",
    "read": "chemtomo.io",
    "read_spectra": "chemtomo.io",
    "read_volume": "chemtomo.io",
    "write": "chemtomo.io",
    "write_dataset": "chemtomo.io",
    "map_elements": "chemtomo.pipeline.maps",
}

# `import chemtomo` is enough for `chemtomo.preprocess.crop(...)`.
_PACKAGES = ("align", "data", "errors", "io", "pipeline", "preprocess", "spectra")


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _PACKAGES:
        return import_module(f"chemtomo.{name}")
    raise AttributeError(f"module 'chemtomo' has no attribute {name!r}")
