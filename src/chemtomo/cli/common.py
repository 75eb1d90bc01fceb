"""Options that several commands have, and how they tell what they did."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from chemtomo.io import Written

__all__ = ["TiltsOption", "TiltsUnitOption", "print_json", "tell_written"]


TiltsOption = Annotated[
    str | None,
    typer.Option(
        "--tilts",
        metavar="FILE|START:STEP:COUNT|names",
        help="Tilts in degrees in place of those of the files: a text file with one a line (.rawtlt, .tlt, "
        ".csv), an .mdoc file, for example -60:2:61, or names: the number in the name of every file.",
    ),
]

TiltsUnitOption = Annotated[
    Literal["deg", "rad"] | None,
    typer.Option(
        "--tilts-unit",
        help="Unit of the tilts, wherever they are from. By default what the file says, else degrees.",
        show_default=False,
    ),
]


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False))


def tell_written(written: Written, *, on_stderr: bool = False, notes: Sequence[str] = ()) -> None:
    """Name the files that were written, and on standard error what they had no place for.

    Parameters
    ----------
    written : Written
        What a writer returned.
    on_stderr : bool
        Keep standard output free, for JSON.
    notes : sequence of str
        What else there is to say, before that.
    """
    for path in written:
        typer.echo(f"Wrote {path}", err=on_stderr)
    for note in dict.fromkeys([*notes, *written.notes]):
        typer.echo(f"Note: {note}", err=True)
