"""The command that makes a volume from tilt series."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chemtomo.cli.common import Results, TiltsOption, TiltsUnitOption, tell_written
from chemtomo.cli.options import with_model_options
from chemtomo.cli.progress import watch
from chemtomo.data import Alignment
from chemtomo.pipeline.parameters import PreprocessParameters, ReconstructParameters

__all__ = ["reconstruct"]


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
            "one file. NAME.mrc: one file a channel.",
        ),
    ],
    preprocess: PreprocessParameters,
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
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="FILE", help="Write time, device and the history of the objective as JSON."
        ),
    ] = None,
) -> None:
    """Reconstruct tilt series of one sample, all channels together, into one volume.

    Ctrl-C stops the iteration and writes the last iterate; a second Ctrl-C, or one before the first
    iteration, aborts and writes nothing.
    """
    from chemtomo.io import check_output, read, write
    from chemtomo.io.atomic import write_json
    from chemtomo.pipeline.runner import execute
    from chemtomo.preprocess.filters import FILTERED_NOTE
    from chemtomo.recon.weights import by_full_name

    check_output(output)
    results = Results([*files, tilts, alignment])
    results.check(output, report, volume=True)
    dataset = read(files, tilts=tilts, tilts_unit=tilts_unit)
    for series in dataset:
        if FILTERED_NOTE in series.notes:
            typer.echo(f"Note: {series.name}: {FILTERED_NOTE}", err=True)
    if alignment is not None:
        from chemtomo.pipeline.align import with_alignment

        dataset = with_alignment(dataset, Alignment.load(alignment))
    # Before any work is done.
    results.check(output, report, names=dataset.names, volume=True)
    parameters = parameters.model_copy(update={"mu": by_full_name(dataset, parameters.mu)})
    with watch(parameters.iterations) as watching:
        result = execute(
            dataset,
            parameters,
            preprocess,
            on_progress=watching.on_progress,
            should_stop=watching.should_stop,
        )
    tell_written(results.write(lambda path: write(result.volume, path, overwrite=path == output), output))
    if report is not None:
        results.write(lambda path: write_json(result.report, path), report)
        typer.echo(f"Wrote {report}")
    made = result.report
    for note in made["memory"]["notes"]:
        typer.echo(note)
    slabs = f" of {len(made['slabs'])} slabs together" if "slabs" in made else ""
    typer.echo(
        f"{made['method']} on {made['device']}: {made['iterations']} iterations{slabs} "
        f"in {made['seconds']:.1f} s; {made['stopped']}"
    )
    results.finish()
