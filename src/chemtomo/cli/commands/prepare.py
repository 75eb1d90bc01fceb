"""The command that cleans tilt series: crop, bin, drop, background, brightness, and recipes of these."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chemtomo.cli.common import (
    OverwriteOption,
    Results,
    TiltsOption,
    TiltsUnitOption,
    print_json,
    tell_written,
)
from chemtomo.cli.keeping import CacheOption, CacheSizeOption, cache_of, tell_cache_problem
from chemtomo.cli.options import OperationOptions, with_model_options
from chemtomo.cli.progress import show_tasks
from chemtomo.data import Dataset
from chemtomo.preprocess.operation import Operation
from chemtomo.preprocess.operations import OPERATIONS
from chemtomo.preprocess.values.masked import MaskPixels, boxes_of, check_mask

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["prepare"]

_OLDER = {"largest_tilt": ("drop_tilts", "largest_deg")}


@with_model_options
def prepare(
    files: Annotated[list[Path], typer.Argument(help="Tilt series of one sample.", metavar="FILES")],
    operations: Annotated[tuple[Operation, ...], OperationOptions(OPERATIONS, _OLDER)],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Where to write the prepared tilt series: a folder of MRC files, or a name that ends as in "
            "'chemtomo convert'.",
        ),
    ] = None,
    tilts: TiltsOption = None,
    tilts_unit: TiltsUnitOption = None,
    steps: Annotated[
        Path | None,
        typer.Option(
            "--steps",
            metavar="FILE",
            help="Do the operations of this recipe before those of the options.",
        ),
    ] = None,
    save_steps: Annotated[
        Path | None,
        typer.Option(
            "--save-steps", metavar="FILE.toml", help="Write all operations as a recipe, for --steps."
        ),
    ] = None,
    invalid: Annotated[
        Path | None,
        typer.Option(
            "--invalid",
            metavar="FILE",
            help="Leave out the pixels that are not 0 in this image or stack, before all else: one image for "
            "all tilts, or one for each. See --mask-channels.",
        ),
    ] = None,
    find_bad: Annotated[
        bool,
        typer.Option(
            "--find-bad",
            help="Compare every prepared projection with its neighbours, and print the scores and the "
            "projections to leave out as JSON. None is dropped.",
        ),
    ] = False,
    overwrite: OverwriteOption = False,
    cache: CacheOption = None,
    cache_size: CacheSizeOption = 10.0,
) -> None:
    """Clean tilt series of one sample: hot pixels, bad tilts, background, size and brightness.

    The prepared series are new files; inputs are never changed. The operations are done in the order in
    which they are listed here.
    """
    from chemtomo.io import read, read_mask
    from chemtomo.pipeline import Entry, Recipe, State
    from chemtomo.pipeline.recipes.saved_steps import load_operations
    from chemtomo.pipeline.runner import run_steps_job
    from chemtomo.pipeline.writing import write_series
    from chemtomo.progress import finish

    if output is None and not find_bad:
        raise typer.BadParameter("--output: found none; expected where to write, or --find-bad")
    results = Results([*files, tilts, steps, invalid], overwrite=overwrite)
    results.check(output, save_steps)
    listed = load_operations(steps) if steps is not None else ()
    store = cache_of(cache, cache_size)
    dataset = read(files, tilts=tilts, tilts_unit=tilts_unit)
    masked = () if invalid is None else (_masked(read_mask(invalid), dataset, operations),)
    entries = tuple(Entry(one.operation, one) for one in (*masked, *listed, *operations))
    results.check(output, save_steps, names=dataset.names)
    with show_tasks() as show:
        job = run_steps_job(State(series=dataset), entries, store=store)
        prepared = finish(job, show).require_series("prepare")
    if find_bad:
        print_json({"series": _scores(prepared)})
    # Standard output is kept for the JSON.
    if output is not None:
        written = results.write(lambda path, replace: write_series(prepared, path, overwrite=replace), output)
        tell_written(written, on_stderr=find_bad)
    if save_steps is not None:
        results.write(lambda path, _: Recipe(steps=entries).save(path), save_steps)
        typer.echo(f"Wrote {save_steps}", err=find_bad)
    tell_cache_problem(store)
    results.finish()


def _scores(dataset: Dataset) -> list[dict[str, object]]:
    from chemtomo.preprocess import score_projections

    return [score_projections(series).to_json() for series in dataset]


def _masked(invalid: npt.NDArray[np.bool_], dataset: Dataset, operations: Sequence[Operation]) -> MaskPixels:
    """Return the operation that leaves out the pixels of a file, in the channels of ``--mask-channels``."""
    channels = [one.channels for one in operations if isinstance(one, MaskPixels)]
    operation = MaskPixels(pixels=boxes_of(invalid), channels=channels[0] if channels else None)
    for name in operation.chosen(dataset):
        check_mask(dataset[name], invalid)
    return operation
