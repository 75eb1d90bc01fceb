"""Run a recipe: preprocess, reconstruct, and say what was done."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator
from typing import Any

from chemtomo.data import Dataset, Volume
from chemtomo.pipeline.parameters import PreprocessParameters, ReconstructParameters
from chemtomo.solvers import Progress

__all__ = ["Result", "run", "execute"]


@dataclasses.dataclass(frozen=True)
class Result:
    """A volume and the report on how it was made.

    Attributes
    ----------
    volume : Volume
        The reconstruction. Its ``provenance`` is the recipe.
    report : dict
        ``method, device, seconds, iterations, seconds_per_iteration, stopped, cancelled, history``,
        ready to be written as JSON.
    """

    volume: Volume
    report: dict[str, Any]


def run(
    dataset: Dataset,
    parameters: ReconstructParameters,
    preprocess: PreprocessParameters | None = None,
    *,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[Progress, None, Result]:
    """Reconstruct `dataset`, yielding after every iteration; the generator returns a `Result`."""


def execute(
    dataset: Dataset,
    parameters: ReconstructParameters,
    preprocess: PreprocessParameters | None = None,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Result:
    """Run to the end and return the `Result`; `on_progress` is called after every iteration."""
