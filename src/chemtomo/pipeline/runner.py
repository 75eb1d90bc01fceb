"""Run a recipe: align, preprocess, reconstruct, and say what was done."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Mapping
from typing import Any

import numpy as np
from pydantic import ValidationError

from chemtomo.data import Dataset, TiltSeries, Volume
from chemtomo.errors import ParameterError
from chemtomo.pipeline.parameters import Parameters, PreprocessParameters, ReconstructParameters
from chemtomo.pipeline.preview import in_full_resolution_units, preview_of
from chemtomo.pipeline.recipe import make_recipe, make_report
from chemtomo.preprocess import paper
from chemtomo.progress import finish
from chemtomo.recon import reconstruct as reconstruct_dataset
from chemtomo.solvers import Limits, Progress

__all__ = ["Result", "execute", "reconstruct", "run"]


@dataclasses.dataclass(frozen=True)
class Result:
    """A volume and the report on how it was made.

    Attributes
    ----------
    volume : Volume
        The reconstruction. Its ``provenance`` is the recipe.
    report : dict
        ``method, device, seconds, iterations, seconds_per_iteration, stopped, cancelled, history``,
        ``memory`` and, if there are several, ``slabs``, ready to be written as JSON.
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
    """Reconstruct a dataset, one iteration at a time.

    A series with an alignment is aligned first (`chemtomo.align.apply`), so that whatever comes later sees
    the tilt axis where it is.

    Parameters
    ----------
    dataset : Dataset
        Signals with the same rows, columns, pixel size and tilt axis once they are aligned. Their tilts
        may differ. It is not modified.
    parameters : ReconstructParameters
        Method and weights.
    preprocess : PreprocessParameters, optional
        What happens to the projections before; nothing by default.
    should_stop : callable, optional
        Asked before every iteration; ``True`` ends the run with the iterate as it is.

    Yields
    ------
    Progress
        After every iteration. Its slices are in the units and the frame of the result, numbered
        from 0 within the slices that are reconstructed.

    Returns
    -------
    Result
        The volume and the report.

    Raises
    ------
    ChemTomoError
        When data, parameters or device do not fit together, or an iterate is not finite.
    """
    steps: list[tuple[str, Parameters | Mapping[str, Any]]] = []
    prepared = dataset.map(_align)
    alignments = {one.name: one.alignment.to_json() for one in dataset if one.alignment is not None}
    if alignments:
        steps.append(("align", {"alignments": alignments}))
    if preprocess is not None:
        steps.append(("preprocess", preprocess))
        prepared = _preprocess(prepared, preprocess)
    steps.append(("reconstruct", parameters))
    settings = parameters
    binned = prepared
    if parameters.preview:
        binned, settings = preview_of(prepared, parameters)
    if settings.slices is None:
        # All of it is needed in memory anyway, and by several passes: so it is read, or computed, once.
        binned = binned.map(_read)
    limits = Limits(settings.iterations, settings.report_every, settings.tolerance or None)
    if parameters.preview and limits.tolerance is not None:
        limits = dataclasses.replace(limits, tolerance=10 * limits.tolerance, change_tolerance=0.1)
    reconstructed = yield from reconstruct_dataset(binned, settings, limits, should_stop)
    volume = reconstructed.volume
    if parameters.preview:
        volume = in_full_resolution_units(volume, prepared)
    recipe = make_recipe(dataset, steps, reconstructed.device)
    return Result(dataclasses.replace(volume, provenance=recipe), make_report(settings, reconstructed))


def execute(
    dataset: Dataset,
    parameters: ReconstructParameters,
    preprocess: PreprocessParameters | None = None,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Result:
    """Run to the end and return the `Result`; `on_progress` is called after every iteration. See `run`."""
    return finish(run(dataset, parameters, preprocess, should_stop=should_stop), on_progress)


def _align(series: TiltSeries) -> TiltSeries:
    if series.alignment is None:
        return series
    from chemtomo.align import apply  # seldom needed

    return apply(series)


def _read(series: TiltSeries) -> TiltSeries:
    if not series.is_lazy:
        return series
    background = None if series.background is None else np.asarray(series.background)
    return series.replace(data=series.values(), background=background)


def _preprocess(dataset: Dataset, parameters: PreprocessParameters) -> Dataset:
    if parameters.preprocess == "none":
        return dataset
    return paper(
        dataset,
        percentile_low=parameters.percentile_low,
        percentile_high=parameters.percentile_high,
        threshold_level=parameters.threshold,
    )


def reconstruct(
    dataset: Dataset,
    *,
    preprocess: PreprocessParameters | str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    **parameters: Any,
) -> Result:
    """Reconstruct a dataset: the whole path in one call.

    Parameters
    ----------
    dataset : Dataset
        See `run`. It is not modified.
    preprocess : PreprocessParameters or str, optional
        ``"paper"`` for the published preprocessing; nothing by default.
    on_progress : callable, optional
        Called with a `Progress` after every iteration.
    should_stop : callable, optional
        Asked before every iteration; ``True`` ends the run with the iterate as it is.
    **parameters
        The fields of `ReconstructParameters`, for example ``method="tgv", iterations=200``.

    Returns
    -------
    Result
        The volume and the report.

    Raises
    ------
    ParameterError
        When a parameter is unknown or out of bounds.
    ChemTomoError
        See `run`.
    """
    try:
        chosen = ReconstructParameters(**parameters)
        if isinstance(preprocess, str):
            preprocess = PreprocessParameters.model_validate({"preprocess": preprocess})
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        if first["loc"]:  # else the model itself says what it found
            name = ".".join(str(part) for part in first["loc"])
            message = f"{name}: {message}; found {first['input']!r}"
        raise ParameterError(message) from error
    return execute(dataset, chosen, preprocess, on_progress=on_progress, should_stop=should_stop)
