"""Parameters, recipes and the runner: what the command line and napari share."""

from chemtomo.pipeline.parameters import Parameters, PreprocessParameters, ReconstructParameters
from chemtomo.pipeline.prepare import PrepareParameters, PrepareRecipe, prepare
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
