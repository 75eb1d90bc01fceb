"""The command that makes a volume from tilt series."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from chemtomo.cli.choice import show_choice
from chemtomo.cli.common import OverwriteOption, Results, TiltsOption, TiltsUnitOption, tell_written
from chemtomo.cli.keeping import (
    CacheOption,
    CacheSizeOption,
    CheckpointIterationsOption,
    CheckpointMinutesOption,
    CheckpointOption,
    ResumeOption,
    cache_of,
    checkpoint_of,
    end_checkpoint,
    tell_cache_problem,
)
from chemtomo.cli.options import OperationOptions, with_model_options
from chemtomo.cli.progress import watch
from chemtomo.data import Alignment
from chemtomo.preprocess.operation import Operation
from chemtomo.preprocess.values.intensity import PublishedScaling
from chemtomo.recon.parameters import ReconstructParameters

__all__ = ["reconstruct"]


# Number of iterations after which the total time is estimated.
_MEASURED_ITERATIONS = 3
# Until version 0.1 the scaling of Huber et al. 2019 was --preprocess paper.
_OLDER = {
    "percentile_low": ("published_scaling", "percentile_low"),
    "percentile_high": ("published_scaling", "percentile_high"),
    "threshold": ("published_scaling", "threshold"),
}


@with_model_options
def reconstruct(
    files: Annotated[
        list[Path],
        typer.Argument(help="Tilt series of one sample, aligned or with --alignment.", metavar="FILES"),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="NAME.zarr: one OME-Zarr image. NAME.ome.tif, NAME.emd (tomviz) or NAME.hspy (HyperSpy): "
            "one file. NAME.mrc: one file per channel.",
        ),
    ],
    operations: Annotated[tuple[Operation, ...], OperationOptions(["published_scaling"], _OLDER)],
    parameters: ReconstructParameters,
    tilts: TiltsOption = None,
    tilts_unit: TiltsUnitOption = None,
    alignment: Annotated[
        Path | None,
        typer.Option(
            "--alignment",
            metavar="FILE",
            help="An alignment that 'chemtomo align' saved. It is linked to every channel by tilts and pixel "
            "size; shifts along the detector go into the geometry, so that counts stay counts.",
        ),
    ] = None,
    preprocess: Annotated[Literal["none", "paper"] | None, typer.Option("--preprocess", hidden=True)] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="FILE", help="Write time, device and the history of the objective as JSON."
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    cache: CacheOption = None,
    cache_size: CacheSizeOption = 10.0,
    checkpoint: CheckpointOption = None,
    resume: ResumeOption = False,
    checkpoint_minutes: CheckpointMinutesOption = 5.0,
    checkpoint_iterations: CheckpointIterationsOption = None,
) -> None:
    """Reconstruct tilt series of one sample, all channels together, into one volume.

    Ctrl-C stops the iteration and writes the last iterate; a second Ctrl-C, or one before the first
    iteration, aborts and writes nothing.
    """
    from chemtomo.io import read
    from chemtomo.io.atomic import write_json
    from chemtomo.pipeline import State
    from chemtomo.pipeline.jobs.align import alignment_table
    from chemtomo.pipeline.recipes.recipe import Entry
    from chemtomo.pipeline.runner import run_steps_job, with_key
    from chemtomo.pipeline.writing import write
    from chemtomo.preprocess.values.filters import FILTERED_NOTE
    from chemtomo.progress import finish
    from chemtomo.recon.weights import by_full_name

    results = Results([*files, tilts, alignment], overwrite=overwrite)
    results.check(output, volume=True, renewed=[report, checkpoint])
    store = cache_of(cache, cache_size)
    kept = checkpoint_of(checkpoint, resume, checkpoint_minutes, checkpoint_iterations)
    dataset = read(files, tilts=tilts, tilts_unit=tilts_unit)
    for series in dataset:
        if FILTERED_NOTE in series.notes:
            typer.echo(f"Note: {series.name}: {FILTERED_NOTE}", err=True)
    steps = []
    if alignment is not None:
        steps.append(
            Entry.of(
                "use_alignment", {"alignment": alignment_table(Alignment.load(alignment))}, str(alignment)
            )
        )
    operations = _with_older_spelling(operations, preprocess)
    if operations and (steps or any(one.alignment is not None for one in dataset)):
        steps.append(Entry.of("apply_alignment", {}))
    steps += [Entry(one.operation, one) for one in operations]
    # Before any work is done.
    results.check(output, names=dataset.names, volume=True)
    if not isinstance(parameters.mu, str):
        parameters = parameters.model_copy(update={"mu": by_full_name(dataset, parameters.mu)})
    with watch(parameters.iterations) as watching:
        steps.append(Entry("reconstruct", parameters))
        before = with_key(State(series=dataset))
        job = run_steps_job(before, steps, should_stop=watching.should_stop, store=store, checkpoint=kept)
        state = finish(job, _telling_the_plan(watching.on_progress))
    volume = state.volume
    assert volume is not None
    _, made = state.reports[-1]
    written = results.write(
        lambda path, replace: write(volume, path, overwrite=replace, made_from=state.made_from), output
    )
    tell_written(written)
    end_checkpoint(kept, state)
    tell_cache_problem(store)
    if report is not None:
        results.write(lambda path, _: write_json(made, path), report)
        typer.echo(f"Wrote {report}")
    if "auto" in made:
        show_choice(made["auto"])
    for note in made["memory"]["notes"]:
        typer.echo(note)
    slabs = f" of {len(made['slabs'])} slabs together" if "slabs" in made else ""
    typer.echo(
        f"{made['method']} on {made['device']}: {made['iterations']} iterations{slabs} "
        f"in {made['seconds']:.1f} s; {made['stopped']}"
    )
    results.finish()


def _telling_the_plan(show: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return a function that shows the progress, and the plan before the run or after its first iterations.

    The first iteration is not timed, because kernels are compiled in it.
    """
    from chemtomo.progress import TaskProgress
    from chemtomo.recon.reconstruction import Plan

    first: Any = None
    told = False

    def on_progress(progress: Any) -> None:
        nonlocal first, told
        if isinstance(progress, Plan):
            show(TaskProgress(progress.done, progress.total, "Reconstructing"))
            if progress.seconds is not None:
                told = True
                typer.echo(progress.message, err=True)
            return
        show(progress)
        if told or not getattr(progress, "plan", ""):
            return
        if first is None:
            first = progress
        since = progress.iteration - first.iteration
        if since >= _MEASURED_ITERATIONS:
            told = True
            seconds = (progress.seconds - first.seconds) / since * progress.iterations + first.seconds
            typer.echo(f"{progress.plan}; at most about {seconds:.0f} s", err=True)

    return on_progress


def _with_older_spelling(
    operations: tuple[Operation, ...], preprocess: Literal["none", "paper"] | None
) -> tuple[Operation, ...]:
    if preprocess is None:
        return operations
    typer.echo("Warning: --preprocess paper is now --published-scaling", err=True)
    if preprocess == "none":
        return ()
    return operations or (PublishedScaling(),)
