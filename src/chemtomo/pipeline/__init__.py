"""Steps, recipes and the runner: what command line, Python and napari share."""

from __future__ import annotations

from chemtomo.pipeline.recipes.recipe import Entry, Input, Recipe, Signal
from chemtomo.pipeline.step import Made, State, Step
from chemtomo.pipeline.steps import STEPS
from chemtomo.recon.parameters import ReconstructParameters

__all__ = ["STEPS", "Entry", "Input", "Made", "Recipe", "ReconstructParameters", "Signal", "State", "Step"]
