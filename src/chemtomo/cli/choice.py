"""What was chosen by held-out data, in a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

__all__ = ["show_choice"]


def show_choice(report: Mapping[str, Any]) -> None:
    """Print the curve of every channel, and what other models were worth.

    Parameters
    ----------
    report : mapping
        That of `chemtomo.trust.strength.Choice`.
    """
    chosen = report["chosen"]
    typer.echo(f"Chosen by held-out data: {chosen['method']}, coupling {chosen['coupling']}, ", nl=False)
    typer.echo(f"strength {chosen['strength']:g}")
    typer.echo("Misfit of held-out data above its smallest, and its error, at the strengths that were tried:")
    channels = report["channels"]
    count = max(len(curve["strengths"]) for one in channels.values() for curve in one["curves"])
    table = Table("Signal", "chosen", "mu", "held out", "alone", box=None)
    for _ in range(count):
        table.add_column("", justify="right")
    for name, channel in channels.items():
        first = [name, f"{channel['chosen']:g}", f"{chosen['mu'].get(name, 1.0):g}"]
        for curve in channel["curves"]:
            values = zip(curve["strengths"], curve["score"], curve["error"], strict=True)
            cells = [f"{strength:g}: {score:.0f} ± {error:.0f}" for strength, score, error in values]
            table.add_row(*first, curve["held_out"], f"{curve['chosen']:g}", *cells)
            first = [""] * len(first)
    Console(width=40 + 20 * count).print(table)
    for name, channel in channels.items():
        if channel["at_the_end"]:
            typer.echo(f"Note: {name}: the best strength is at the end of those that were tried")
    for model, worse in report["models"].items():
        told = ", ".join(f"{name} {value:+.1f}" for name, value in worse.items())
        typer.echo(f"{model}, against {report['compared_with']}, in standard errors (less is better): {told}")
