"""The registry of steps: one row each."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from typing import Any

from chemtomo.align.parameters import AlignParameters, ApplyAlignment, UseAlignment
from chemtomo.data import Alignment, Dataset
from chemtomo.errors import ParameterError
from chemtomo.pipeline.jobs.prepare import prepare_job
from chemtomo.pipeline.keeping.checkpoint import Checkpoint
from chemtomo.pipeline.step import Made, ShouldStop, State, Step
from chemtomo.preprocess.operation import Operation
from chemtomo.preprocess.operations import OPERATIONS
from chemtomo.progress import TaskProgress
from chemtomo.recon.parameters import ReconstructParameters
from chemtomo.spectra.parameters import MapParameters

__all__ = ["STEPS", "step_named"]

_Job = Generator[Any, None, Made]


def _maps(state: State, parameters: MapParameters, should_stop: ShouldStop, **known: Any) -> _Job:
    from chemtomo.pipeline.jobs.maps import make_maps_job

    if not state.spectra:
        raise ParameterError("maps: found no spectra among the inputs; expected a spectrum image")
    made: list[Any] = [] if state.series is None else list(state.series)
    for spectra in state.spectra:
        found = yield from make_maps_job(spectra, parameters, should_stop=should_stop, **known)
        if found is None:
            raise ParameterError("maps: stopped before the end; expected all maps")
        made += found
    return Made(_with(state, series=Dataset(tuple(made))))


def _operation(state: State, parameters: Operation, should_stop: ShouldStop) -> _Job:
    dataset = yield from prepare_job(state.require_series(parameters.operation), [parameters])
    return Made(_with(state, series=dataset))


def _align(state: State, parameters: AlignParameters, should_stop: ShouldStop) -> _Job:
    from chemtomo.pipeline.jobs.align import exact_alignments, run_alignment

    stopped = False

    def watched() -> bool:
        nonlocal stopped
        stopped = stopped or (should_stop is not None and should_stop())
        return stopped

    found = yield from run_alignment(state.require_series("align"), parameters, should_stop=watched)
    made = _with(state, series=found.dataset, alignment=found.alignment, report=("align", found.report))
    # A search that was stopped is recorded by the alignment that it found.
    numbers = (("use_alignment", exact_alignments(found.dataset)),) if stopped else None
    return Made(made, numbers, complete=not stopped)


def _use_alignment(state: State, parameters: UseAlignment, should_stop: ShouldStop) -> _Job:
    from chemtomo.pipeline.jobs.align import link_dataset

    dataset = state.require_series("use_alignment")
    yield TaskProgress(0, 1, "Linking the alignment")
    if parameters.alignment:
        dataset = link_dataset(dataset, Alignment.from_json(parameters.alignment, "use_alignment"))
    own = {dataset.resolve(name): table for name, table in parameters.alignments.items()}
    dataset = dataset.map(
        lambda one: (
            one.replace(alignment=Alignment.from_json(own[one.name], f"use_alignment {one.name}"))
            if one.name in own
            else one
        )
    )
    return Made(_with(state, series=dataset))


def _apply_alignment(state: State, parameters: ApplyAlignment, should_stop: ShouldStop) -> _Job:
    from chemtomo.align import aligned_view, apply

    yield TaskProgress(0, 1, "Applying the alignment")
    dataset = state.require_series("apply_alignment")
    return Made(_with(state, series=dataset.map(aligned_view if parameters.all_shifts else apply)))


def _reconstruct(
    state: State,
    parameters: ReconstructParameters,
    should_stop: ShouldStop,
    checkpoint: Checkpoint | None = None,
) -> _Job:
    from chemtomo.pipeline.jobs.reconstruct import reconstruct_job, repeated_by

    dataset = state.require_series("reconstruct")
    result = yield from reconstruct_job(dataset, parameters, should_stop=should_stop, checkpoint=checkpoint)
    made = _with(state, volume=result.volume, report=("reconstruct", result.report))
    repeated = (("reconstruct", repeated_by(parameters, result.report)),)
    return Made(made, repeated, complete=not result.report["cancelled"])


def _with(state: State, *, report: tuple[str, dict[str, Any]] | None = None, **changes: Any) -> State:
    reports = state.reports if report is None else (*state.reports, report)
    return dataclasses.replace(state, reports=reports, **changes)


_STEPS = (
    Step("maps", "Element maps", MapParameters, "spectra", "series", _maps),
    *(
        Step(name, model.title, model, "series", "series", _operation, by_projection=True)
        for name, model in OPERATIONS.items()
    ),
    Step("align", "Align", AlignParameters, "series", "alignment", _align),
    Step("use_alignment", "Use an alignment", UseAlignment, "series", "alignment", _use_alignment),
    Step("apply_alignment", "Apply the alignment", ApplyAlignment, "series", "series", _apply_alignment),
    Step(
        "reconstruct", "Reconstruct", ReconstructParameters, "series", "volume", _reconstruct, resumable=True
    ),
)

STEPS: dict[str, Step] = {step.name: step for step in _STEPS}
"""The steps by their names, in the order in which they usually come."""


def step_named(name: object) -> Step:
    """Return a step.

    Raises
    ------
    ParameterError
        When there is none of this name.
    """
    if not isinstance(name, str) or name not in STEPS:
        raise ParameterError(f"found the step {name!r}; expected one of {', '.join(STEPS)}")
    return STEPS[name]
