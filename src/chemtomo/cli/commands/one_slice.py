"""The commands that look at one slice: with several settings, and on its way."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chemtomo.cli.common import OverwriteOption, Results, TiltsOption, TiltsUnitOption
from chemtomo.cli.options import with_model_options
from chemtomo.cli.progress import show_tasks
from chemtomo.recon.parameters import ReconstructParameters

__all__ = ["convergence", "sweep"]

_Files = Annotated[
    list[Path], typer.Argument(help="Tilt series of one sample, aligned or holding an alignment.")
]
_Picture = Annotated[Path, typer.Option("--output", "-o", metavar="FILE.png", help="Picture to write.")]
_Slice = Annotated[
    int | None, typer.Option("--slice", min=0, metavar="Y", help="The slice; that in the middle by default.")
]
_Stack = Annotated[
    Path | None,
    typer.Option(
        "--stack",
        metavar="OUT",
        help="Write the slices as a volume (NAME.zarr or the like), whose y is the number.",
    ),
]


@with_model_options
def sweep(
    files: _Files,
    output: _Picture,
    grid: Annotated[
        list[str],
        typer.Option(
            "--grid",
            metavar="PARAMETER=VALUE,VALUE...",
            help="Values of a parameter: strength=0.5,1,2 or mu.Al=1,2; several times for all combinations.",
        ),
    ],
    parameters: ReconstructParameters,
    y: _Slice = None,
    stack: _Stack = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write settings and scores as JSON.")
    ] = None,
    tilts: TiltsOption = None,
    tilts_unit: TiltsUnitOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Reconstruct one slice with several settings, side by side in a picture.

    Below each is how far data that were held out are from their prediction, above the best setting.
    """
    from chemtomo.cli.slices import draw_sweep, stack_of
    from chemtomo.io import read, write
    from chemtomo.io.atomic import write_json
    from chemtomo.pipeline.jobs.one_slice import sweep_job
    from chemtomo.progress import finish

    results = Results([*files, tilts], overwrite=overwrite)
    results.check(stack, output, volume=True, renewed=[report])
    values = _grid_of(grid)
    dataset = read(files, tilts=tilts, tilts_unit=tilts_unit)
    with show_tasks() as show:
        made = finish(sweep_job(dataset, parameters, values, y), show)
    found = made.found
    labels = [", ".join(f"{name} {value}" for name, value in one.items()) for one in made.settings]
    typer.echo(f"Wrote {results.write(lambda path, _: draw_sweep(found, labels, path), output)}")
    if stack is not None:
        volume = stack_of(found.slices, found.names, found.pixel_size_nm)
        for path in results.write(lambda path, replace: write(volume, path, overwrite=replace), stack):
            typer.echo(f"Wrote {path}")
    scores = [
        {
            "setting": setting,
            "misfit": dict(zip(found.names, misfit.tolist(), strict=True)),
            "error": dict(zip(found.names, error.tolist(), strict=True)),
        }
        for setting, misfit, error in zip(made.settings, found.misfits, found.errors, strict=True)
    ]
    if report is not None:
        results.write(lambda path, _: write_json({"slice": found.y, "settings": scores}, path), report)
        typer.echo(f"Wrote {report}")
    typer.echo("Misfit of held-out data above the best setting, and its error:")
    for label, misfit, error in zip(labels, found.misfits, found.errors, strict=True):
        told = ", ".join(
            f"{name} {value:.0f} ± {about:.0f}"
            for name, value, about in zip(found.names, misfit, error, strict=True)
        )
        typer.echo(f"{label}: {told}")
    results.finish()


@with_model_options
def convergence(
    files: _Files,
    output: _Picture,
    parameters: ReconstructParameters,
    y: _Slice = None,
    stack: _Stack = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--table",
            metavar="FILE.csv",
            help="Write iteration, seconds, objective, gap and the relative residual of every channel.",
        ),
    ] = None,
    tilts: TiltsOption = None,
    tilts_unit: TiltsUnitOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Reconstruct one slice, and show its iterates, residuals, objective and duality gap in a picture."""
    from chemtomo.cli.slices import draw_convergence, stack_of, write_table
    from chemtomo.io import read, write
    from chemtomo.pipeline.jobs.one_slice import convergence_job
    from chemtomo.progress import finish

    results = Results([*files, tilts], overwrite=overwrite)
    results.check(stack, output, table, volume=True)
    dataset = read(files, tilts=tilts, tilts_unit=tilts_unit)
    with show_tasks() as show:
        found = finish(convergence_job(dataset, parameters, y), show)
    typer.echo(f"Wrote {results.write(lambda path, _: draw_convergence(found, path), output)}")
    if table is not None:
        typer.echo(f"Wrote {results.write(lambda path, _: write_table(found, path), table)}")
    if stack is not None:
        volume = stack_of(found.iterates, found.names, found.pixel_size_nm)
        for path in results.write(lambda path, replace: write(volume, path, overwrite=replace), stack):
            typer.echo(f"Wrote {path}")
    results.finish()


def _grid_of(texts: list[str]) -> dict[str, list[str]]:
    grid: dict[str, list[str]] = {}
    for text in texts:
        name, sign, values = text.partition("=")
        if not sign or not name or name in grid:
            what = f"{name} twice" if name in grid else repr(text)
            raise typer.BadParameter(
                f"--grid: found {what}; expected each parameter once, as PARAMETER=VALUE,VALUE"
            )
        between = ";" if ";" in values else ","
        grid[name] = [value for one in values.split(between) if (value := one.strip())]
    return grid
