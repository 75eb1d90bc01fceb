"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["TiltsOption"]

TiltsOption = Annotated[
    str | None,
    typer.Option(
        "--tilts",
        metavar="FILE|START:STEP:COUNT",
        help="Tilts in degrees in place of those of the files: a text file with one a line (.rawtlt, .tlt, "
        ".csv), an .mdoc file, or for example -60:2:61.",
    ),
]
