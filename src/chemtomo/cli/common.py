"""Common options, checks of output paths, and messages of the commands."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from chemtomo.errors import WriteError

if TYPE_CHECKING:
    from chemtomo.io import Written

__all__ = [
    "AcceptChangedOption",
    "InputsOption",
    "JsonOption",
    "OverwriteOption",
    "Results",
    "TiltsOption",
    "TiltsUnitOption",
    "print_json",
    "tell_written",
]

_Written = TypeVar("_Written")


TiltsOption = Annotated[
    str | None,
    typer.Option(
        "--tilts",
        metavar="FILE|START:STEP:COUNT|names",
        help="Tilts in degrees instead of those in the files: a text file with one per line (.rawtlt, .tlt, "
        ".csv), an .mdoc file, for example -60:2:61, or names: the number in the name of every file.",
    ),
]

TiltsUnitOption = Annotated[
    Literal["deg", "rad"] | None,
    typer.Option(
        "--tilts-unit",
        help="Unit of the tilts, from whatever source. By default the unit in the file, else degrees.",
        show_default=False,
    ),
]


OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


InputsOption = Annotated[
    Path | None,
    typer.Option("--inputs", metavar="FOLDER", help="Look for the files of the recipe in this folder."),
]

AcceptChangedOption = Annotated[
    bool,
    typer.Option("--accept-changed-inputs", help="Continue although inputs differ from those of the recipe."),
]


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False))


def tell_written(written: Written, *, on_stderr: bool = False, notes: Sequence[str] = ()) -> None:
    """Print the files that were written, and on standard error what could not be stored in them.

    Parameters
    ----------
    written : Written
        What a writer returned.
    on_stderr : bool
        Keep standard output free, for JSON.
    notes : sequence of str
        Further notes, which are printed first.
    """
    for path in written:
        typer.echo(f"Wrote {path}", err=on_stderr)
    for note in dict.fromkeys([*notes, *written.notes]):
        typer.echo(f"Note: {note}", err=True)


class Results:
    """The output paths of a command, and the inputs that it must not overwrite.

    Parameters
    ----------
    inputs : iterable of path, str or None
        All files and folders that the command reads, also those given by options.
    overwrite : bool
        Whether outputs may replace what is there.
    """

    def __init__(self, inputs: Iterable[Path | str | None], *, overwrite: bool = False) -> None:
        from chemtomo.io import input_files

        self.inputs = input_files(inputs)
        self.overwrite = overwrite
        self.displaced = False

    def check(
        self,
        output: Path | None,
        *others: Path | None,
        names: Sequence[str] = (),
        volume: bool = False,
        renewed: Sequence[Path | None] = (),
    ) -> None:
        """Check, before any work, that all outputs can be written and that none is an input or exists.

        Parameters
        ----------
        output : pathlib.Path or None
            Where the series, or the `volume`, will be written.
        *others : pathlib.Path or None
            Further files: an alignment, a recipe.
        names : sequence of str
            The channels of `output`, once they are known: some formats have one file per channel.
        volume : bool
            Whether `output` is a volume.
        renewed : sequence of pathlib.Path or None
            Files that every run writes anew: reports.

        Raises
        ------
        WriteError
            When something cannot be written, is an input, or is there and must not be replaced.
        """
        from chemtomo.io import check_free, check_output, check_targets, files_of_output

        files = [one for one in (*others, *renewed) if one is not None]
        results: list[Path] = []
        if output is not None and names:
            results = files_of_output(output, names, volume=volume)
        elif output is not None and (volume or files_of_output(output, (), volume=False)):
            results = [output]  # a folder gets files whose names are not known yet
        for one in files:
            if one.is_dir():
                raise WriteError(f"{one}: found a folder; expected a file to write")
            if not one.parent.is_dir():
                raise WriteError(f"{one}: there is no folder {one.parent}; expected one to write to")
        check_targets([*files, *results], self.inputs)
        if output is not None:
            check_output(output, overwrite=self.overwrite, folders=not volume)
        for one in (*results, *files):
            check_free(one, zarr=one.is_dir(), overwrite=self.overwrite or one in renewed)

    def write(self, write: Callable[[Path, bool], _Written], path: Path) -> _Written:
        """Write a result; if that fails, to the current folder, or else to that for temporary files.

        Nothing is replaced there. `finish` then ends the command with the exit code of an error.

        Parameters
        ----------
        write : callable
            Writes to a path; its second argument says whether it may replace what is there.
        path : pathlib.Path
            Where to.

        Raises
        ------
        WriteError
            When it can be written nowhere.
        """
        try:
            return write(path, self.overwrite)
        except WriteError as error:
            first = error
        makers: tuple[Callable[[], str | Path], ...] = (
            Path.cwd,
            lambda: tempfile.mkdtemp(prefix="chemtomo-"),
        )
        for make in makers:
            other = Path(make()) / path.name
            if other.exists():
                continue
            try:
                self._check_elsewhere(other)
                written = write(other, False)
            except (WriteError, OSError):
                if make is not makers[0]:
                    shutil.rmtree(other.parent, ignore_errors=True)  # it was made only for this file
                continue
            self.displaced = True
            typer.echo(f"Error: {first}. So that it is not lost, it was written as {other}", err=True)
            return written
        raise first

    def _check_elsewhere(self, other: Path) -> None:
        from chemtomo.io import check_targets

        if any(one.parent.resolve() == other.parent.resolve() for one in self.inputs):
            raise WriteError(f"{other}: beside an input")
        check_targets([other], self.inputs)

    def finish(self) -> None:
        """End the command with exit code 1 if a result was written to another place than asked."""
        if self.displaced:
            raise typer.Exit(1)
