"""The command that makes element maps from spectra."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

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
from chemtomo.cli.progress import show_tasks
from chemtomo.spectra.parameters import MapParameters
from chemtomo.spectra.suggestion import Suggestion

if TYPE_CHECKING:
    from chemtomo.data import SpectrumSeries

__all__ = ["maps"]


@with_model_options
def maps(
    files: Annotated[
        list[Path],
        typer.Argument(help="Spectrum images: one file with all tilts, or one per tilt.", metavar="FILES"),
    ],
    parameters: MapParameters,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="OUT", help="Where to write the maps. Not needed with --suggest."
        ),
    ] = None,
    tilts: TiltsOption = None,
    tilts_unit: TiltsUnitOption = None,
    signal: Annotated[
        str | None,
        typer.Option("--signal", help="Name of the signal, where files have several: EELS."),
    ] = None,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Only list the elements that the sum spectrum suggests.")
    ] = False,
    spectrum: Annotated[
        Path | None,
        typer.Option(
            "--spectrum",
            metavar="FILE.csv",
            help="Write a table of the energies, the sum spectrum and the spectra of components.",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    cache: CacheOption = None,
    cache_size: CacheSizeOption = 10.0,
    as_json: JsonOption = False,
) -> None:
    """Make maps of elements from spectra: one tilt series of counts for every line."""
    from chemtomo.io import read_spectra
    from chemtomo.pipeline import Entry, State
    from chemtomo.pipeline.jobs.maps import components_job, map_method, suggest_job
    from chemtomo.pipeline.runner import content_key, once_job
    from chemtomo.pipeline.steps import STEPS
    from chemtomo.pipeline.writing import write_series
    from chemtomo.progress import finish

    if output is None and not suggest:
        raise typer.BadParameter("--output: found none; expected where to write, or --suggest")
    results = Results([*files, tilts], overwrite=overwrite)
    results.check(output, spectrum)
    store = cache_of(cache, cache_size)
    series = read_spectra(files, tilts=tilts, tilts_unit=tilts_unit, signal=signal)
    total, found = None, None
    columns: dict[str, Any] = {}
    if suggest or spectrum is not None:
        with show_tasks() as show:
            total, found = finish(suggest_job(series, parameters), show)
        columns["sum"] = total
    if suggest:
        if spectrum is not None:
            _write_table(spectrum, series, columns)
        if as_json:
            print_json({"suggestions": [one.to_json() for one in found or ()]})
        else:
            _print_suggestions(found or [])
        return
    assert output is not None
    with show_tasks() as show:
        if spectrum is not None and map_method(series, parameters) in ("nmf", "pca"):
            parts = finish(components_job(series, parameters), show)
            assert parts is not None  # nobody asked to stop
            made = parts.dataset
            columns |= dict(zip(made.names, parts.spectra, strict=True))
        else:
            before = State(spectra=(series,))
            job = STEPS["maps"].job(before, parameters, None, spectrum=total, suggestions=found)
            key = "" if store is None else content_key(before, [Entry("maps", parameters)])
            made = finish(once_job(job, store, key, before), show).state.require_series("maps")
    results.check(output, spectrum, names=made.names)
    written = results.write(lambda path, replace: write_series(made, path, overwrite=replace), output)
    if spectrum is not None:
        results.write(lambda path, _: _write_table(path, series, columns), spectrum)
    if as_json:
        maps_made = [
            {
                "name": one.name,
                "shape": list(one.shape),
                "kind": one.kind,
                "counts": float(one.data.sum(dtype="float64")),
                "background": None if one.background is None else float(one.background.sum(dtype="float64")),
                "notes": list(one.notes),
                "provenance": one.provenance[-1]["did"][-1],
            }
            for one in made
        ]
        print_json({"files": [str(path) for path in written], "maps": maps_made})
    else:
        tell_written(written, notes=[note for one in made for note in one.notes])
    tell_cache_problem(store)
    results.finish()


def _print_suggestions(found: list[Suggestion]) -> None:
    if not found:
        typer.echo("No line is significant above the background of the sum spectrum.")
        return
    table = Table("Line", "keV", "Counts", "Deviations", "Evidence and cautions", box=None)
    for one in found:
        table.add_row(
            escape(one.line),
            f"{one.energy_keV:.3f}",
            f"{one.counts:.0f}",
            f"{one.significance:.1f}" + ("" if one.is_certain else " (faint)"),
            escape("; ".join((*one.reasons, *one.cautions))),
        )
    Console().print(table)


def _write_table(path: Path, series: SpectrumSeries, columns: dict[str, Any]) -> None:
    """Write spectra as comma-separated values, with the energies in keV in the first column."""
    from chemtomo.io.atomic import replacing

    rows = zip(series.energies_keV, *columns.values(), strict=True)
    lines = [",".join(("energy_keV", *columns)), *(",".join(f"{one:.8g}" for one in row) for row in rows)]
    with replacing([path]) as (temporary,):
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
