"""Run a recipe over many data sets and settings, with a table and a report of the outcomes."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from chemtomo.cli.common import Results
from chemtomo.cli.progress import task_bar
from chemtomo.version import VERSION

if TYPE_CHECKING:
    from chemtomo.pipeline.many import Outcome, PlannedRun
    from chemtomo.pipeline.recipes.recipe import Recipe

__all__ = ["expanded", "grid_of", "run_many"]

_INTERRUPTED = 130
# Width of the table where the output is no terminal: a row is one line.
_WIDE = 10_000


def run_many(
    recipe: Recipe,
    runs: Sequence[PlannedRun],
    *,
    workers: int,
    scheduler: str | None,
    report: Path | None,
    inputs: Sequence[Path],
    slabs: int | None = None,
) -> None:
    """Do runs, print their outcomes, and exit with 1 if one failed and with 130 if it was stopped.

    Parameters
    ----------
    recipe : Recipe
        For the report.
    runs, workers, scheduler
        See `chemtomo.pipeline.many.run_many_job`.
    report : pathlib.Path, optional
        A JSON file, which is written whenever a run has ended.
    inputs : sequence of pathlib.Path
        Files and folders that must not be overwritten.
    slabs : int, optional
        Number of slabs in which the only run is done.
    """
    from chemtomo.io.atomic import write_json
    from chemtomo.pipeline.many import run_in_slabs_job, run_many_job

    for run in runs:
        Path(run.output).parent.mkdir(parents=True, exist_ok=True)
    Results(inputs).check(None, renewed=[report])
    ended: list[Outcome] = []

    def note(outcome: Outcome) -> None:
        ended.append(outcome)
        if report is not None:
            write_json(_report(recipe, runs, ended), report)

    with task_bar("the results that are complete") as watching:
        options: dict[str, Any] = {
            "workers": workers,
            "scheduler": scheduler,
            "on_outcome": note,
            "should_stop": watching.should_stop,
        }
        if slabs is None:
            running = run_many_job(runs, **options)
        else:
            running = run_in_slabs_job(runs[0], slabs, **options)
        outcomes = watching.finish(running)
    _print_table(outcomes)
    for text in dict.fromkeys(text for outcome in outcomes for text in outcome.notes):
        typer.echo(f"Note: {text}", err=True)
    if report is not None:
        typer.echo(f"Wrote {report}")
    became = {outcome.became for outcome in outcomes}
    if "cancelled" in became:
        raise typer.Exit(_INTERRUPTED)
    if "failed" in became:
        raise typer.Exit(1)


def expanded(paths: Sequence[Path]) -> list[Path]:
    """Return paths with patterns like ``data/*`` expanded, which not every shell does."""
    found: list[Path] = []
    for path in paths:
        matching = [] if path.exists() else sorted(glob.glob(str(path)))  # noqa: PTH207 - absolute ones too
        found += map(Path, matching) if matching else [path]
    return found


def grid_of(texts: Sequence[str]) -> dict[str, list[str]]:
    """Return the values of each parameter from ``STEP.PARAMETER=VALUE,VALUE...``, or with ``;`` between."""
    grid: dict[str, list[str]] = {}
    for text in texts:
        place, sign, values = text.partition("=")
        if not sign or "." not in place or place in grid:
            what = "twice" if place in grid else repr(text)
            raise typer.BadParameter(
                f"--grid: found {what}; expected each parameter once, as STEP.PARAMETER=VALUE,VALUE"
            )
        between = ";" if ";" in values else ","
        grid[place] = [value for one in values.split(between) if (value := one.strip())]
    return grid


def _report(recipe: Recipe, runs: Sequence[PlannedRun], ended: Sequence[Outcome]) -> dict[str, object]:
    results = [outcome.to_json() for outcome in ended]
    counts = Counter(outcome.became for outcome in ended)
    return {
        "program": VERSION,
        "recipe": recipe.to_json(),
        "runs": len(runs),
        "counts": dict(counts),
        "results": results,
    }


def _print_table(outcomes: Sequence[Outcome]) -> None:
    settings = list(outcomes[0].run.settings) if outcomes else []
    table = Table("Data set", *settings, "Outcome", "Seconds", "Result or error", box=None)
    for one in outcomes:
        table.add_row(
            escape(one.run.data),
            *(escape(one.run.settings[place]) for place in settings),
            one.became,
            f"{one.seconds:.1f}",
            escape(one.message or one.run.output),
        )
    console = Console()
    if console.is_terminal:
        console.print(table)
    else:
        wide = Console(width=_WIDE)
        with wide.capture() as captured:
            wide.print(table)
        for line in captured.get().splitlines():
            typer.echo(line.rstrip())
    counts = Counter(outcome.became for outcome in outcomes)
    typer.echo(", ".join(f"{count} {became}" for became, count in counts.items()))
