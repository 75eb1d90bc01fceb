"""The options for checkpoints and for the cache of results of steps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from chemtomo.pipeline import State
    from chemtomo.pipeline.keeping.cache import Cache
    from chemtomo.pipeline.keeping.checkpoint import Checkpoint

__all__ = [
    "CacheOption",
    "CacheSizeOption",
    "CheckpointIterationsOption",
    "CheckpointMinutesOption",
    "CheckpointOption",
    "ResumeOption",
    "cache_of",
    "checkpoint_of",
    "end_checkpoint",
    "tell_cache_problem",
]

CacheOption = Annotated[
    str | None,
    typer.Option(
        "--cache",
        metavar="FOLDER",
        envvar="CHEMTOMO_CACHE",
        help="Keep the results of steps in this folder ('auto': the cache folder of the system), and reuse "
        "results of the same steps on the same values.",
    ),
]
CacheSizeOption = Annotated[
    float,
    typer.Option(
        "--cache-size",
        min=0,
        metavar="GIB",
        envvar="CHEMTOMO_CACHE_SIZE",
        help="Size limit of that folder; the least recently used results are removed first.",
    ),
]

CheckpointOption = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        metavar="FILE",
        help="Write the state of the reconstruction to this file every few minutes. It is removed when the "
        "result has been written.",
    ),
]
ResumeOption = Annotated[
    bool,
    typer.Option("--resume", help="Continue from the file of --checkpoint, if there is one."),
]
CheckpointMinutesOption = Annotated[
    float, typer.Option("--checkpoint-minutes", min=0, help="Minutes between two checkpoints.")
]
CheckpointIterationsOption = Annotated[
    int | None,
    typer.Option(
        "--checkpoint-iterations", min=1, metavar="N", help="Also write a checkpoint every N iterations."
    ),
]


def checkpoint_of(
    path: Path | None, resume: bool, minutes: float, iterations: int | None
) -> Checkpoint | None:
    """Return the checkpoint of the options; raise if an existing file would be lost."""
    from chemtomo.pipeline.keeping.checkpoint import Checkpoint

    if path is None:
        if resume:
            raise typer.BadParameter("found --resume; expected --checkpoint FILE with it")
        return None
    checkpoint = Checkpoint(path, resume, 60 * minutes, iterations)
    checkpoint.check()
    return checkpoint


def end_checkpoint(checkpoint: Checkpoint | None, state: State) -> None:
    """Remove the file of a completed run; after a stop, print how to continue."""
    if checkpoint is None:
        return
    if not any(report.get("cancelled") for _, report in state.reports):
        checkpoint.remove()
    elif checkpoint.file.exists():
        options = f"--checkpoint {checkpoint.path} --resume --overwrite"
        typer.echo(f"Stopped before the end: {options} continues from there")


def cache_of(folder: str | None, gib: float) -> Cache | None:
    """Return the cache of the options."""
    from chemtomo.pipeline.keeping.cache import Cache, default_cache_folder

    if not folder:
        return None
    return Cache(default_cache_folder() if folder == "auto" else folder, gib)


def tell_cache_problem(cache: Cache | None) -> None:
    """Print why results of steps could not be kept, if they could not."""
    for note in () if cache is None else cache.notes:
        typer.echo(f"Note: {note}", err=True)
