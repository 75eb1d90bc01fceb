"""The command that writes tilt series or volumes in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chemtomo.cli.common import OverwriteOption, Results, TiltsOption, TiltsUnitOption, tell_written

__all__ = ["convert"]


def convert(
    inputs: Annotated[
        list[Path], typer.Argument(help="Tilt series of one sample, or a volume.", metavar="INPUTS")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="NAME.zarr: OME-Zarr. NAME.ome.tif: OME-TIFF. NAME.emd: EMD for tomviz. "
            "NAME.hspy: HyperSpy. NAME.mrc: MRC, one file per channel. A folder: MRC files of tilt series.",
        ),
    ],
    tilts: TiltsOption = None,
    tilts_unit: TiltsUnitOption = None,
    channels: Annotated[
        list[str] | None,
        typer.Option(
            "--channels", metavar="NAME", help="Write only this channel; may be given several times."
        ),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Write tilt series or a volume in another format, with all metadata that it can store."""
    from chemtomo.io import contents, is_volume, read_volume, write
    from chemtomo.pipeline.writing import write_series
    from chemtomo.preprocess.selection.select import Select

    spectra: list[str] = []
    volumes = [is_volume(path) for path in inputs]
    if any(volumes) and len(inputs) > 1:
        raise typer.BadParameter(
            f"found {sum(volumes)} volumes among {len(inputs)} inputs; "
            "expected one volume, or tilt series only"
        )
    results = Results([*inputs, tilts], overwrite=overwrite)
    results.check(output, volume=any(volumes))
    if any(volumes):
        if tilts is not None:
            raise typer.BadParameter(f"--tilts: found tilts for the volume {inputs[0]}; expected none")
        volume = read_volume(inputs[0])
        if channels:
            volume = volume.select(channels)
        results.check(output, names=volume.names, volume=True)
        written = write(volume, output, overwrite=overwrite)
    else:
        found = contents(inputs, tilts=tilts, tilts_unit=tilts_unit)
        dataset = found.dataset()
        if channels:
            dataset = Select(channels=tuple(channels)).apply(dataset)
        results.check(output, names=dataset.names)
        written = write_series(dataset, output, overwrite=overwrite)
        spectra = list(dict.fromkeys(one.name for _, one in found.spectra))
    notes: tuple[str, ...] = ()
    if spectra:
        names = ", ".join(spectra)
        notes = (f"the spectra {names} were not written; 'chemtomo maps' makes maps of elements from them",)
    tell_written(written, notes=notes)
