"""The command that finds an alignment on one channel and carries it to all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chemtomo.align.parameters import AlignParameters, ApplyAlignment
from chemtomo.cli.common import (
    JsonOption,
    OverwriteOption,
    Results,
    TiltsOption,
    TiltsUnitOption,
    print_json,
    tell_written,
)
from chemtomo.cli.keeping import CacheOption, CacheSizeOption, cache_of, tell_cache_problem
from chemtomo.cli.options import with_model_options
from chemtomo.cli.progress import task_bar
from chemtomo.errors import ParameterError

__all__ = ["align"]


@with_model_options
def align(
    files: Annotated[list[Path], typer.Argument(help="Tilt series of one sample.", metavar="FILES")],
    parameters: AlignParameters,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save", metavar="FILE", help="Write the alignment as JSON, for 'reconstruct --alignment'."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Write the aligned projections of all channels: a folder of MRC files, or a name that "
            "ends as in 'chemtomo convert'. They are interpolated along both axes, by "
            "'reconstruct --alignment' less.",
        ),
    ] = None,
    tilts: TiltsOption = None,
    tilts_unit: TiltsUnitOption = None,
    overwrite: OverwriteOption = False,
    cache: CacheOption = None,
    cache_size: CacheSizeOption = 10.0,
    as_json: JsonOption = False,
) -> None:
    """Find shifts and tilt axis on a reference channel, and link them to all channels.

    Ctrl-C stops the search and keeps the alignment found so far, if there is one.
    """
    from chemtomo.io import read
    from chemtomo.pipeline import Entry, State
    from chemtomo.pipeline.jobs.align import save_alignment
    from chemtomo.pipeline.runner import run_steps_job
    from chemtomo.pipeline.writing import write_series

    if save is None and output is None and not as_json:
        raise ParameterError("found neither --save nor --output; expected where to write the alignment")
    results = Results([*files, tilts], overwrite=overwrite)
    results.check(output, save)
    store = cache_of(cache, cache_size)
    dataset = read(files, tilts=tilts, tilts_unit=tilts_unit)
    results.check(output, save, names=dataset.names)
    with task_bar() as watching:
        steps = [Entry("align", parameters)]
        if output is not None:
            steps.append(Entry("apply_alignment", ApplyAlignment(all_shifts=True)))
        job = run_steps_job(State(series=dataset), steps, should_stop=watching.should_stop, store=store)
        state = watching.finish(job)
    _, report = state.reports[-1]
    if as_json:
        print_json(report)
    else:
        _print(report)
    if save is not None:
        assert state.alignment is not None
        found = state.alignment
        results.write(lambda path, _: save_alignment(found, path), save)
        typer.echo(f"Wrote {save}", err=as_json)
    if output is not None:
        aligned = state.require_series("align")
        written = results.write(lambda path, replace: write_series(aligned, path, overwrite=replace), output)
        tell_written(written, on_stderr=as_json)
    tell_cache_problem(store)
    results.finish()


def _print(report: dict[str, object]) -> None:
    typer.echo(f"Reference: {report['reference']}, method: {report['method']}")
    if report["axis_near_from"] == "file":
        typer.echo(
            f"Tilt axis searched near {report['axis_near_deg']:g} degrees from y, as the file says "
            "(change it with --axis-near)"
        )
    error = report["axis_angle_error_deg"]
    give_or_take = f" +- {error:.2g}" if isinstance(error, float) else ""
    typer.echo(
        f"Tilt axis: {report['axis_angle_deg']:.3f}{give_or_take} degrees from y, "
        f"{report['axis_offset_px']:+.3f} pixels "
        "from the centre"
    )
    residual = report["residual_px"]
    if isinstance(residual, dict):
        known = report["method"] in ("auto", "patch-tracks", "projection_matching")
        what = "Standard error" if known else "Residual"
        typer.echo(
            f"{what}: {residual['median']:.3f} pixels (median), {residual['largest']:.3f} at the worst tilt"
        )
    halves = report["disagreement_px"]
    if isinstance(halves, dict):
        told = ", ".join(f"{name} {value:.2f}" for name, value in halves.items() if value is not None)
        typer.echo(f"Disagreement of halves, pixels: {told}")
    if report["specimen"]:
        typer.echo(f"Specimen: {report['specimen']} (change it with --specimen)")
    warnings = report["warnings"]
    if isinstance(warnings, list):
        for warning in warnings:
            typer.echo(f"Warning: {warning}", err=True)
    rows = report["rows_at_every_tilt"]
    if isinstance(rows, list):
        typer.echo(f"Rows recorded at every tilt: {rows[0]}:{rows[1]} (for 'reconstruct --slices')")
