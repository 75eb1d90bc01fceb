"""The command that tells how far to trust a result."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chemtomo.cli.common import AcceptChangedOption, InputsOption, Results
from chemtomo.cli.keeping import CacheOption, CacheSizeOption, cache_of, tell_cache_problem
from chemtomo.cli.options import with_model_options
from chemtomo.cli.progress import watch
from chemtomo.trust.parameters import TrustParameters

if TYPE_CHECKING:
    from chemtomo.data import Dataset
    from chemtomo.pipeline.jobs.trust import Trust

__all__ = ["trust"]


@with_model_options
def trust(
    result: Annotated[
        list[Path],
        typer.Argument(help="A volume that ChemTomo wrote, with its recipe.", metavar="RESULT"),
    ],
    parameters: TrustParameters,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Write there: report.json, resolution.csv, trust.png, the folders residuals and "
            "reprojections of tilt series, and deviation.zarr, mean.zarr and bias.zarr.",
        ),
    ] = None,
    inputs: InputsOption = None,
    accept_changed_inputs: AcceptChangedOption = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is in DIR.")] = False,
    cache: CacheOption = None,
    cache_size: CacheSizeOption = 10.0,
) -> None:
    """Tell how far to trust a volume: residuals, resolution, and the uncertainty of every voxel.

    The inputs of the volume are read again by its recipe. Its reprojections are compared with them, tilt by
    tilt; two independent halves of the data are reconstructed in the same way and correlated shell by shell;
    with --uncertainty N, replicas of the data are reconstructed for the standard deviation of every voxel.
    """
    from chemtomo.errors import WriteError
    from chemtomo.io import read_volume
    from chemtomo.pipeline.jobs.trust import trust_job
    from chemtomo.pipeline.recipes.inputs import in_folder
    from chemtomo.pipeline.writing import recipe_in
    from chemtomo.progress import finish

    recipe = recipe_in(result)
    if inputs is not None:
        recipe = in_folder(recipe, inputs)
    paths = [path for one in recipe.inputs for path in one.paths if Path(path).exists()]
    results = Results([*result, *paths], overwrite=overwrite)
    if output is not None:
        results.check(output)
        if (output / "report.json").exists() and not overwrite:
            raise WriteError(
                f"{output / 'report.json'}: found an earlier report; expected none, or --overwrite"
            )
    volume = read_volume(*result)
    store = cache_of(cache, cache_size)
    with watch(1) as watching:
        job = trust_job(
            recipe,
            volume,
            parameters,
            should_stop=watching.should_stop,
            store=store,
            accept_changed=accept_changed_inputs,
        )
        found = finish(job, watching.on_progress)
    tell_cache_problem(store)
    _tell(found)
    if output is not None:
        results.write(lambda path, replace: _write(found, path, volume.voxel_size_nm, replace), output)
    results.finish()


def _tell(found: Trust) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("Signal", "chi-squared", box=None)
    alone = {one.name: one for one in found.alone}
    if alone:
        table.add_column("without coupling")
    first = next(iter(found.resolution.values()), ())
    for shells in first:
        table.add_column("resolution (nm)" if shells.direction == "all" else shells.direction)
    report = found.report()["signals"]
    if found.uncertainty is not None:
        table.add_column("deviation")
    for one in found.residuals:
        row = [one.name, f"{one.mean_chi_squared:.3g}"]
        if alone:
            row.append(f"{alone[one.name].mean_chi_squared:.3g}")
        row += [
            f"{'' if shells.reached else 'below '}{shells.resolution_nm:.3g}"
            for shells in found.resolution.get(one.name, ())
        ]
        if found.uncertainty is not None:
            row.append(f"{report[one.name]['relative_deviation']:.1%}")
        table.add_row(*row)
    Console(width=110).print(table)
    if first:
        typer.echo(
            f"Resolution: Fourier shell correlation of two halves of the data, criterion "
            f"{first[0].criterion}; beam, across and axis are cones of 30 degrees. It tells how well the "
            "halves agree: what the regularisation does to both alike is not seen."
        )
    if found.uncertainty is not None:
        typer.echo(
            f"Deviation: of {found.uncertainty.replicas} replicas of the data, noise only. Bias, the missing "
            "wedge, and errors of alignment and model are not in it."
        )
    for warning in found.warnings:
        typer.echo(f"Warning: {warning}", err=True)


def _write(found: Trust, folder: Path, voxel_size_nm: float, overwrite: bool) -> None:
    from chemtomo.io import write, write_dataset
    from chemtomo.io.atomic import write_json

    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "report.json"]
    write_json(found.report(), written[0])
    for kind in ("residuals", "reprojections"):
        written += write_dataset(_series(found, kind, voxel_size_nm), folder / kind, overwrite=overwrite)
    if found.resolution:
        written.append(folder / "resolution.csv")
        _write_resolution(found, written[-1])
    if found.uncertainty is not None:
        volumes = {
            "deviation": found.uncertainty.deviation,
            "mean": found.uncertainty.mean,
            "bias": found.uncertainty.bias,
        }
        for name, volume in volumes.items():
            written += write(volume, folder / f"{name}.zarr", overwrite=overwrite)
    written.append(_draw(found, folder / "trust.png"))
    for path in written:
        typer.echo(f"Wrote {path}")


def _series(found: Trust, kind: str, pixel_size_nm: float) -> Dataset:
    from chemtomo.data import Dataset, TiltSeries

    return Dataset(
        tuple(
            TiltSeries(
                one.name,
                one.residual if kind == "residuals" else one.reprojection,
                one.tilts_deg,
                pixel_size_nm=pixel_size_nm,
                source=kind,
            )
            for one in found.residuals
        )
    )


def _write_resolution(found: Trust, path: Path) -> None:
    from chemtomo.io.atomic import replacing

    with replacing([path]) as (target,), target.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["signal", "direction", "frequency (1/nm)", "correlation", "threshold"])
        for name, curves in found.resolution.items():
            for one in curves:
                for row in zip(one.frequencies, one.correlation, one.threshold, strict=True):
                    table.writerow([name, one.direction, *(f"{value:.6g}" for value in row)])


def _draw(found: Trust, path: Path) -> Path:
    from matplotlib.figure import Figure

    from chemtomo.data.colours import channel_colours
    from chemtomo.io.atomic import replacing

    names = tuple(one.name for one in found.residuals)
    colours = dict(zip(names, channel_colours(names), strict=True))
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for one in found.residuals:
        order = one.tilts_deg.argsort()
        left.plot(one.tilts_deg[order], one.chi_squared[order], ".-", color=colours[one.name], label=one.name)
    left.axhline(1, color="0.5", linewidth=0.8)
    left.set(xlabel="tilt (degrees)", ylabel="chi-squared")
    left.legend()
    for name, curves in found.resolution.items():
        right.plot(curves[0].frequencies, curves[0].correlation, color=colours[name], label=name)
        right.plot(
            curves[0].frequencies, curves[0].threshold, color=colours[name], linewidth=0.6, linestyle=":"
        )
    right.set(xlabel="spatial frequency (1/nm)", ylabel="Fourier shell correlation", ylim=(-0.1, 1.05))
    right.set_title("dotted: the criterion", fontsize="small")
    with replacing([path]) as (target,):
        figure.savefig(target, format="png", dpi=150)
    return path
