"""Commands that need no data: they simulate an acquisition."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from chemtomo.cli.common import OverwriteOption, tell_written
from chemtomo.cli.progress import watch
from chemtomo.data import Dataset, Volume
from chemtomo.errors import ParameterError
from chemtomo.recon.parameters import ReconstructParameters

__all__ = ["demo", "phantom"]

_DEMO_SHAPE = (64, 96)
_DEMO_ITERATIONS = 150
_DEMO_SIRT_ITERATIONS = 20
# On a slow machine the demo ends after this time, but not before the least number of iterations.
_DEMO_SECONDS = 40.0
_DEMO_LEAST_ITERATIONS = 20


def phantom(
    folder: Annotated[Path, typer.Argument(help="Folder to write to.", metavar="OUTDIR")],
    sample: Annotated[
        str,
        typer.Option(
            "--sample",
            help="phantom: a needle in four signals, aligned. huber2019: the phantom of Huber et al. 2019. "
            "film, lamella, pillar, grains: HAADF and "
            "element maps, not aligned; all but the pillar extend beyond the field.",
        ),
    ] = "phantom",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of specimen and noise.")] = 0,
    dose: Annotated[
        float | None,
        typer.Option(
            "--dose",
            min=1.0,
            help="Counts in the brightest HAADF pixel; without it no noise.",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Write a simulated acquisition: MRC files with their tilts in .rawtlt files.

    For a specimen that is not aligned the true alignment is written too, as truth.json.
    """
    from chemtomo.io import check_free, write_dataset
    from chemtomo.pipeline.jobs.align import save_alignment
    from chemtomo.samples import huber2019, specimen_series
    from chemtomo.samples import phantom as simulate

    if sample in ("phantom", "huber2019"):
        if dose is not None:
            raise ParameterError(f"found --dose for {sample}; expected a film, lamella, pillar or grains")
        made_aligned = simulate(seed=seed) if sample == "phantom" else huber2019(seed=seed)
        tell_written(write_dataset(made_aligned, folder, overwrite=overwrite))
        return
    made = specimen_series(sample, dose=dose, counts=4.0, seed=seed)
    truth = folder / "truth.json"
    check_free(truth, zarr=False, overwrite=overwrite)
    tell_written(write_dataset(made.dataset, folder, overwrite=overwrite))
    save_alignment(made.truth, truth)
    typer.echo(f"Wrote {truth}")


def demo(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="DIR",
            help="Write the volume and a picture there instead of opening a window.",
        ),
    ] = None,
) -> None:
    """Simulate an acquisition of four signals, reconstruct them jointly and show the result.

    Without a display the volume and a picture are written to the folder demo-output.
    """
    from chemtomo.samples import phantom as simulate
    from chemtomo.samples import phantom_volume

    typer.echo("Simulating tilt series of four signals: HAADF, and EDX maps of Yb, Si and Al.")
    dataset = simulate(_DEMO_SHAPE)
    truth = phantom_volume(_DEMO_SHAPE)
    typer.echo("Reconstructing each signal alone (SIRT), for comparison, and then all jointly (TGV).")
    alone = _reconstruct(
        dataset, ReconstructParameters(method="sirt", iterations=_DEMO_SIRT_ITERATIONS, crop="none")
    )
    joint = _reconstruct(dataset, ReconstructParameters(method="tgv", iterations=_DEMO_ITERATIONS))
    _print_gain(truth, alone, joint)
    if output is None and _has_display() and _show_in_napari(joint):
        return
    _write(joint, Path("demo-output") if output is None else output, dataset)


def _reconstruct(dataset: Dataset, parameters: ReconstructParameters) -> Volume:
    from chemtomo.pipeline import Entry, State
    from chemtomo.pipeline.runner import run_steps_job
    from chemtomo.progress import finish

    end = time.monotonic() + _DEMO_SECONDS
    with watch(parameters.iterations) as watching:

        def should_stop() -> bool:
            late = time.monotonic() > end and watching.iterations >= _DEMO_LEAST_ITERATIONS
            return late or watching.should_stop()

        entry = Entry("reconstruct", parameters)
        job = run_steps_job(State(series=dataset), [entry], should_stop=should_stop)
        volume = finish(job, watching.on_progress).volume
    assert volume is not None
    return volume


def _print_gain(truth: Volume, alone: Volume, joint: Volume) -> None:
    """Print the errors of the reconstructions against the known specimen."""
    typer.echo("Relative error against the specimen:")
    table = Table("Signal", "alone (SIRT)", "jointly (TGV)", box=None)
    for name in truth.names:
        errors = [_relative_error(one[name], truth[name]) for one in (alone, joint)]
        table.add_row(name, *(f"{error:.0%}" for error in errors))
    Console().print(table)


def _relative_error(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.linalg.norm(found - truth) / np.linalg.norm(truth))


def _has_display() -> bool:
    if os.environ.get("QT_QPA_PLATFORM", "") in ("offscreen", "minimal"):
        return False
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _show_in_napari(volume: Volume) -> bool:
    """Open a viewer and wait until it is closed; return whether it could be opened."""
    from chemtomo.io import write

    # In a separate process: for the core the viewer is only a program that may be installed.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "demo.zarr"
        write(volume, path)
        viewer = [sys.executable, "-m", "napari_chemtomo.demo", str(path)]
        done = subprocess.run(viewer, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        typer.echo(f"No viewer: {reason[0]}", err=True)
    return done.returncode == 0


def _write(volume: Volume, folder: Path, dataset: Dataset) -> None:
    from chemtomo.cli.figure import draw
    from chemtomo.errors import WriteError
    from chemtomo.io import write

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"{folder}: cannot be made ({error.strerror or error})") from error
    tilts, slices, pixels = dataset.series[0].shape
    caption = f"{tilts} projections of {slices} × {pixels} pixels,\nPoisson noise; coupled TGV"
    picture = draw(
        volume,
        folder / "demo.png",
        title="Four simulated tilt series, reconstructed jointly",
        caption=caption,
    )
    for path in (*write(volume, folder / "demo.zarr", overwrite=True), picture):
        typer.echo(f"Wrote {path}")
