"""Parameters, recipes and the runner: what the command line and napari share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chemtomo.pipeline.parameters import Parameters, PreprocessParameters, ReconstructParameters
from chemtomo.pipeline.prepare import PrepareParameters, PrepareRecipe, prepare

if TYPE_CHECKING:
    from chemtomo.pipeline.runner import Result, execute, reconstruct, run

__all__ = [
    "Parameters",
    "PrepareParameters",
    "PrepareRecipe",
    "PreprocessParameters",
    "ReconstructParameters",
    "Result",
    "execute",
    "prepare",
    "reconstruct",
    "run",
]

# The runner needs SciPy; the command line takes its options from here and must not wait for that.
_OF_THE_RUNNER = ("Result", "execute", "reconstruct", "run")


def __getattr__(name: str) -> Any:
    if name in _OF_THE_RUNNER:
        from chemtomo.pipeline import runner

        return getattr(runner, name)
    raise AttributeError(f"module 'chemtomo.pipeline' has no attribute {name!r}")
