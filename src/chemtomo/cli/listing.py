"""Commands that list things: tilt series and compute devices."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from chemtomo.data import TiltSeries

__all__ = ["devices", "info"]

_JSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def info(
    files: Annotated[list[Path], typer.Argument(help="Tilt series of one sample.", metavar="FILES")],
    as_json: _JSON = False,
) -> None:
    """Show shape, tilts, pixel size and kind of tilt series, and what spectra there are."""
    from chemtomo.io import contents, describe_spectra

    found = contents(files)
    dataset = found.series
    spectra = describe_spectra(found.spectra) if found.spectra else []
    if as_json:
        series = [
            {
                "name": one.name,
                "shape": list(one.shape),
                "tilts_deg": one.tilts_deg.tolist(),
                "pixel_size_nm": one.pixel_size_nm,
                "kind": one.kind,
                "source": one.source,
            }
            for one in dataset
        ]
        _print_json({"series": series, "spectra": spectra})
        return
    console = Console()
    if dataset:
        _print_series(console, dataset)
    if spectra:
        _print_spectra(console, spectra)


def _print_series(console: Console, dataset: Sequence[TiltSeries]) -> None:
    table = Table("Name", "Tilts", "y", "x", "Degrees", "Pixel (nm)", "Type", "Kind", box=None)
    for one in dataset:
        tilts, y, x = one.shape
        table.add_row(
            escape(one.name),
            str(tilts),
            str(y),
            str(x),
            f"{one.tilts_deg.min():g} to {one.tilts_deg.max():g}",
            f"{one.pixel_size_nm:g}",
            one.data.dtype.name,
            one.kind,
        )
    console.print(table)
    for one in dataset:
        for note in one.notes:
            console.print(f"{escape(one.name)}: {escape(note)}", style="dim", highlight=False)


def _print_spectra(console: Console, spectra: Sequence[dict[str, Any]]) -> None:
    table = Table(
        "Spectra", "Tilts", "y", "x", "Channels", "keV", "Pixel (nm)", "Detectors", "Elements", box=None
    )
    for one in spectra:
        tilts, y, x, channels = one["shape"]
        first, step = one["energy_offset_keV"], one["energy_step_keV"]
        table.add_row(
            escape(one["name"]),
            str(tilts),
            str(y),
            str(x),
            str(channels),
            f"{first:.4g} to {first + step * (channels - 1):.4g}",
            f"{one['pixel_size_nm']:g}",
            escape(", ".join(sorted(one["detectors"]))),
            escape(", ".join(one["elements"])),
        )
    console.print(table)
    for one in spectra:
        for note in one["notes"]:
            console.print(f"{escape(one['name'])}: {escape(note)}", style="dim", highlight=False)


def devices(as_json: _JSON = False) -> None:
    """List the compute devices; the one that is used by default is marked."""
    from chemtomo.opencl.device import choose_device, list_devices

    found = list_devices()
    if as_json:
        keys = ("name", "platform", "kind", "memory_bytes", "compute_units", "default")
        _print_json({"devices": [{key: getattr(one, key) for key in keys} for one in found]})
        return
    if not found:
        choose_device("cpu")  # raises what to install
    table = Table("", "Name", "Kind", "Memory (GiB)", "Compute units", "Platform", box=None)
    for one in found:
        table.add_row(
            f"{one.number}{' *' if one.default else ''}",
            escape(one.name),
            one.kind,
            f"{one.memory_bytes / 2**30:.1f}",
            str(one.compute_units),
            escape(one.platform),
        )
    Console().print(table)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False))
