"""The commands that print the recipe of a result, and run one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chemtomo.cli.commands.many import expanded, grid_of, run_many
from chemtomo.cli.common import AcceptChangedOption, InputsOption, OverwriteOption, Results, tell_written
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
from chemtomo.cli.progress import watch

__all__ = ["recipe", "run", "script"]

_Result = Annotated[
    list[Path],
    typer.Argument(help="A volume or tilt series that ChemTomo wrote, or a recipe.", metavar="RESULT"),
]


def recipe(
    result: _Result,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE.toml", help="Write it there.")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Print the recipe of a result as TOML: its inputs, and the steps that made it.

    The paths in it are relative to the folder of FILE.toml, or else to the current one.
    """
    from chemtomo.pipeline.writing import recipe_in

    if output is not None:
        Results(result, overwrite=overwrite).check(None, output)
    found = recipe_in(result)
    if output is None:
        typer.echo(found.to_toml(), nl=False)
        return
    found.save(output)
    typer.echo(f"Wrote {output}")


def script(result: _Result) -> None:
    """Print the recipe of a result as a Python script that gives the same result."""
    from chemtomo.pipeline.recipes.script import to_script
    from chemtomo.pipeline.writing import recipe_in

    typer.echo(to_script(recipe_in(result)), nl=False)


def run(
    file: Annotated[Path, typer.Argument(help="A recipe, or a result that holds one.", metavar="RECIPE")],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Where to write the result: a name as in 'chemtomo convert'. With --each or --grid a "
            "folder, or a pattern such as 'out/{data}_{reconstruct.strength}.ome.tif'.",
        ),
    ],
    more: Annotated[
        list[Path] | None, typer.Argument(help="Further data sets, after --each.", metavar="FOLDER")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="STEP.PARAMETER=VALUE",
            help="Change a parameter, as in reconstruct.strength=2; may be given several times.",
        ),
    ] = None,
    slices: Annotated[
        str | None,
        typer.Option("--slices", metavar="START:STOP", help="Reconstruct these slices only."),
    ] = None,
    inputs: InputsOption = None,
    accept_changed_inputs: AcceptChangedOption = False,
    overwrite: OverwriteOption = False,
    each: Annotated[
        list[Path] | None,
        typer.Option(
            "--each",
            metavar="FOLDER...",
            help="Run the recipe on each of these data sets: folders with files of the same names, or files "
            "where the recipe has a single one.",
        ),
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "--grid",
            metavar="STEP.PARAMETER=VALUE,VALUE...",
            help="Run the recipe with each of these values, as in reconstruct.strength=0.5,1,2; given "
            "several times, with all combinations.",
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            "--workers", min=0, metavar="N", help="Run this many at a time, in processes on this computer."
        ),
    ] = 0,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler", metavar="ADDRESS", help="Run on the workers of this Dask scheduler instead."
        ),
    ] = None,
    slabs: Annotated[
        int | None,
        typer.Option(
            "--slabs",
            min=1,
            metavar="N",
            help="Reconstruct one large volume in N slabs of slices, on the workers of --workers or "
            "--scheduler.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Write the outcome of each run as JSON."),
    ] = None,
    cache: CacheOption = None,
    cache_size: CacheSizeOption = 10.0,
    checkpoint: CheckpointOption = None,
    resume: ResumeOption = False,
    checkpoint_minutes: CheckpointMinutesOption = 5.0,
    checkpoint_iterations: CheckpointIterationsOption = None,
) -> None:
    """Run a recipe: the same inputs and steps give the same result.

    On the same device it is equal to the last bit. Ctrl-C stops the iteration and writes the last iterate.

    With --each or --grid it is run many times. Existing results of the same steps on the same values
    are not made again; a failed run does not end the others.
    """
    from chemtomo.pipeline.many import plan_runs
    from chemtomo.pipeline.recipes.inputs import in_folder
    from chemtomo.pipeline.recipes.recipe import with_settings
    from chemtomo.pipeline.runner import run_recipe_job
    from chemtomo.pipeline.writing import recipe_in, write
    from chemtomo.progress import finish

    found = recipe_in([file])
    found = with_settings(found, [*map(_setting, settings or ()), *_slices(slices)])
    if more and not each:
        raise typer.BadParameter(f"found {more[0]} after the recipe; expected --each before data sets")
    if each and inputs is not None:
        raise typer.BadParameter("found --inputs and --each; expected one of the two")
    if slabs is not None and (each or grid):
        raise typer.BadParameter("found --slabs with --each or --grid; expected one volume")
    store = cache_of(cache, cache_size)
    if each or grid or slabs or workers or scheduler is not None or report is not None:
        if checkpoint is not None:
            raise typer.BadParameter("found --checkpoint for several results; expected it for a single one")
        data_sets = expanded([*(each or ()), *(more or ())])
        runs = plan_runs(
            found if inputs is None else in_folder(found, inputs),
            output,
            data_sets=data_sets,
            grid=grid_of(grid or ()),
            name=file.stem,
            overwrite=overwrite,
            accept_changed=accept_changed_inputs,
            cache=store,
        )
        run_many(
            found,
            runs,
            workers=workers,
            scheduler=scheduler,
            report=report,
            inputs=[file, *data_sets],
            slabs=slabs,
        )
        return
    gives_volume = any(one.step == "reconstruct" for one in found.steps)
    if inputs is not None:
        found = in_folder(found, inputs)
    paths = [path for one in found.inputs for path in one.paths if Path(path).exists()]
    results = Results([file, *paths], overwrite=overwrite)
    results.check(output, volume=gives_volume, renewed=[checkpoint])
    kept = checkpoint_of(checkpoint, resume, checkpoint_minutes, checkpoint_iterations)
    with watch(1) as watching:
        job = run_recipe_job(
            found,
            accept_changed=accept_changed_inputs,
            should_stop=watching.should_stop,
            store=store,
            checkpoint=kept,
        )
        state = finish(job, watching.on_progress)
    made = state.volume if state.volume is not None else state.require_series("run")
    written = results.write(
        lambda path, replace: write(made, path, overwrite=replace, made_from=state.made_from), output
    )
    tell_written(written)
    end_checkpoint(kept, state)
    tell_cache_problem(store)
    results.finish()


def _setting(text: str) -> tuple[str, str]:
    place, sign, value = text.partition("=")
    if not sign or "." not in place:
        raise typer.BadParameter(f"--set: found {text!r}; expected STEP.PARAMETER=VALUE")
    return place, value


def _slices(text: str | None) -> list[tuple[str, str]]:
    return [] if text is None else [("reconstruct.slices", text)]
