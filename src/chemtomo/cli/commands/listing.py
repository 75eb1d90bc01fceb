"""The commands that list the content of files, and compute devices."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from chemtomo.cli.common import JsonOption, TiltsOption, TiltsUnitOption, print_json
from chemtomo.data import TiltSeries, Volume
from chemtomo.opencl.device import Trial

__all__ = ["devices", "info"]


def info(
    files: Annotated[
        list[Path],
        typer.Argument(help="Tilt series of one sample, folders of them, or a volume.", metavar="FILES"),
    ],
    tilts: TiltsOption = None,
    tilts_unit: TiltsUnitOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is in files: shape, tilts, pixel size and kind of tilt series, and what was assumed.

    Of a volume it shows channels, shape and voxel size. Large tilt series are not read as a whole.
    """
    from chemtomo.io import contents, describe_spectra, is_volume, read_volume

    if len(files) == 1 and is_volume(files[0], ours=True):
        volume = read_volume(files[0])
        if as_json:
            print_json({"volume": _described_volume(volume)})
        else:
            _print_volume(Console(), volume)
        return
    found = contents(files, tilts=tilts, tilts_unit=tilts_unit)
    spectra = describe_spectra(found.spectra, tilts=tilts, tilts_unit=tilts_unit) if found.spectra else []
    if as_json:
        series = [_described(one) for one in found.series]
        print_json({"series": series, "spectra": spectra, "left_out": list(found.left_out)})
        return
    console = Console()
    if found.series:
        _print_series(console, found.series)
    if spectra:
        _print_spectra(console, spectra)


def _described(one: TiltSeries) -> dict[str, Any]:
    """Describe a tilt series, as JSON values."""
    return {
        "name": one.name,
        "shape": list(one.shape),
        "dtype": one.data.dtype.name,
        "tilts_deg": one.tilts_deg.tolist(),
        "pixel_size_nm": one.pixel_size_nm,
        "kind": one.kind,
        "lazy": one.is_lazy,
        "axis_position_px": one.axis_position,
        "axis_angle_deg": one.axis_angle_deg,
        "detector_shifts_px": None if one.detector_shifts_px is None else one.detector_shifts_px.tolist(),
        "gains": None if one.gains is None else one.gains.tolist(),
        "has_background": one.background is not None,
        "has_alignment": one.alignment is not None,
        "source": one.source,
        "notes": list(one.notes),
        "provenance": [str(step.get("step", "?")) for step in one.provenance],
    }


def _described_volume(volume: Volume) -> dict[str, Any]:
    return {
        "channels": list(volume.names),
        "shape": list(volume.data.shape),
        "dtype": volume.data.dtype.name,
        "voxel_size_nm": volume.voxel_size_nm,
    }


def _print_series(console: Console, dataset: Sequence[TiltSeries]) -> None:
    table = _table("Name", "Tilts", "y", "x", "Degrees", "Pixel (nm)", "Type", "Kind", "Has")
    for one in dataset:
        tilts, y, x = one.shape
        table.add_row(
            escape(one.name),
            str(tilts),
            str(y),
            str(x),
            _range(one),
            f"{one.pixel_size_nm:g}",
            one.data.dtype.name,
            one.kind,
            ", ".join(_extras(one)),
        )
    console.print(table)
    for one in dataset:
        for note in one.notes:
            console.print(f"{escape(one.name)}: {escape(note)}", style="dim", highlight=False)


def _print_spectra(console: Console, spectra: Sequence[dict[str, Any]]) -> None:
    table = _table("Spectra", "Tilts", "y", "x", "Channels", "keV", "Pixel (nm)", "Detectors", "Elements")
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


def _print_volume(console: Console, volume: Volume) -> None:
    table = _table("Channel", "z", "y", "x", "Voxel (nm)", "Type")
    for name, values in zip(volume.names, volume.data, strict=True):
        sizes = (str(size) for size in values.shape)
        table.add_row(escape(name), *sizes, f"{volume.voxel_size_nm:g}", values.dtype.name)
    console.print(table)


def _table(*headings: str) -> Table:
    """Return a table that wraps long names instead of cutting them, also in a narrow terminal."""
    table = Table(box=None)
    for number, heading in enumerate(headings):
        table.add_column(heading, overflow="fold", no_wrap=number == 0)
    return table


def _range(one: TiltSeries) -> str:
    first, last = (f"{tilt:.4g}" for tilt in (one.tilts_deg.min(), one.tilts_deg.max()))
    return first if first == last else f"{first} to {last}"


def _extras(one: TiltSeries) -> list[str]:
    """List what a series has besides its values and tilts."""
    axis = "" if one.axis_angle_deg is None else f"tilt axis {one.axis_angle_deg:g}°"
    has = {
        axis: bool(axis),
        "lazy values": one.is_lazy,
        "gains": one.gains is not None,
        "detector shifts": one.detector_shifts_px is not None,
        "background": one.background is not None,
        "alignment": one.alignment is not None,
    }
    return [name for name, there in has.items() if there]


def devices(as_json: JsonOption = False) -> None:
    """List the compute devices; the one that is used by default is marked.

    Where the CPU has several drivers, a short trial tells which of them is faster. That takes some seconds,
    once for each version of the drivers.
    """
    from chemtomo.opencl import choose_device, list_devices
    from chemtomo.opencl.choice.comparison import kept_trials

    found = list_devices()
    if as_json:
        keys = ("name", "platform", "kind", "memory_bytes", "compute_units", "default", "driver_version")
        print_json(
            {
                "devices": [
                    {key: getattr(one, key) for key in keys}
                    | {"trial": None if one.trial is None else dataclasses.asdict(one.trial)}
                    for one in found
                ]
            }
        )
        return
    if not found:
        choose_device("cpu")  # raises what to install
    table = Table("", "Name", "Kind", "Memory (GiB)", "Compute units", "Platform", box=None)
    tried = [one for one in found if one.trial is not None]
    if tried:
        table.add_column("Trial (ms)")
    for one in found:
        table.add_row(
            f"{one.number}{' *' if one.default else ''}",
            escape(one.name),
            one.kind,
            f"{one.memory_bytes / 2**30:.1f}",
            str(one.compute_units),
            escape(one.platform),
            _time_of(one.trial),
        )
    console = Console()
    console.print(table)
    for one in tried:
        if one.trial is not None and one.trial.seconds is None:
            console.print(f"{one.number} failed in its trial: {escape(one.trial.error)}", highlight=False)
    if tried:
        console.print(
            f"An iteration of a small problem was timed with each driver of the CPU. The times are kept in "
            f"{escape(str(kept_trials()))}",
            style="dim",
            highlight=False,
            soft_wrap=True,
        )


def _time_of(trial: Trial | None) -> str:
    if trial is None:
        return ""
    return "failed" if trial.seconds is None else f"{1000 * trial.seconds:.1f}"
