"""Joint multi-channel electron tomography: from tilt series of several signals to one volume.

>>> import chemtomo
>>> dataset = chemtomo.phantom()
>>> result = chemtomo.reconstruct(dataset, method="tgv", iterations=100)
>>> chemtomo.write(result.volume, "result.zarr")

`chemtomo.align` is the function that aligns a dataset. The estimators are in the package of the same name,
from which they are imported: ``from chemtomo.align import projection_matching``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

# The package of estimators is loaded before the function takes its name, so that no later import of the
# package can take the name back.
import chemtomo.align as _estimators
from chemtomo import data, errors, preprocess, spectra
from chemtomo.api import align, link, maps, reconstruct
from chemtomo.data import Alignment, Dataset, SpectrumSeries, TiltSeries, Volume
from chemtomo.operators import dot_test
from chemtomo.samples import phantom
from chemtomo.version import VERSION

if TYPE_CHECKING:
    from chemtomo import io, pipeline
    from chemtomo.io import from_hyperspy, read, read_spectra, read_volume, write_dataset
    from chemtomo.pipeline import Recipe
    from chemtomo.pipeline.jobs.prepare import prepare
    from chemtomo.pipeline.jobs.reconstruct import Result
    from chemtomo.pipeline.keeping.checkpoint import Checkpoint
    from chemtomo.pipeline.runner import run
    from chemtomo.pipeline.writing import write

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
    "data",
    "dot_test",
    "errors",
    "from_hyperspy",
    "io",
    "link",
    "maps",
    "phantom",
    "pipeline",
    "prepare",
    "preprocess",
    "read",
    "read_spectra",
    "read_volume",
    "reconstruct",
    "run",
    "spectra",
    "write",
    "write_dataset",
]

del _estimators


def __getattr__(name: str) -> Any:
    """Import the other names when they are first used: `chemtomo --help` does not wait for SciPy."""
    if name in ("io", "from_hyperspy", "read", "read_spectra", "read_volume", "write_dataset"):
        import chemtomo.io as files

        return files if name == "io" else getattr(files, name)
    if name in ("pipeline", "Checkpoint", "Recipe", "Result", "prepare", "run", "write"):
        import chemtomo.pipeline as package
        from chemtomo.pipeline.jobs.prepare import prepare
        from chemtomo.pipeline.jobs.reconstruct import Result
        from chemtomo.pipeline.keeping.checkpoint import Checkpoint
        from chemtomo.pipeline.runner import run
        from chemtomo.pipeline.writing import write

        found = (Checkpoint, package.Recipe, Result, prepare, run, write)
        return {"pipeline": package, **{one.__name__: one for one in found}}[name]
    raise AttributeError(f"module 'chemtomo' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return all names, also those that were not used yet: for completion."""
    return sorted({*globals(), *__all__})
