"""Where a command writes: checked before the work, and after it written somewhere in any case."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import typer

from chemtomo.errors import WriteError

__all__ = ["Results"]

_Written = TypeVar("_Written")


class Results:
    """The places where a command writes, and the inputs that it must not write onto.

    Parameters
    ----------
    inputs : iterable of path, str or None
        All that the command was given to read: files, folders, and those of its options.
    """

    def __init__(self, inputs: Iterable[Path | str | None]) -> None:
        from chemtomo.io import input_files

        self.inputs = input_files(inputs)
        self.displaced = False

    def check(
        self,
        output: Path | None,
        *others: Path | None,
        names: Sequence[str] = (),
        volume: bool = False,
    ) -> None:
        """Check before any work that all can be written, and that none of it is an input.

        Parameters
        ----------
        output : pathlib.Path or None
            Where the series, or the `volume`, will be written.
        *others : pathlib.Path or None
            Further files: a report, a recipe.
        names : sequence of str
            The channels of `output`, once they are known: formats may have one file a channel.
        volume : bool
            Whether `output` is a volume.

        Raises
        ------
        WriteError
            When something cannot be written, or is an input.
        """
        from chemtomo.io import check_targets, files_of_output

        targets = [one for one in others if one is not None]
        for one in targets:
            if one.is_dir():
                raise WriteError(f"{one}: found a folder; expected a file to write")
            if not one.parent.is_dir():
                raise WriteError(f"{one}: there is no folder {one.parent}; expected one to write to")
        if output is not None and names:
            targets += files_of_output(output, names, volume=volume)
        elif output is not None and (volume or files_of_output(output, (), volume=False)):
            targets.append(output)  # a folder gets files whose names are not known yet
        check_targets(targets, self.inputs)

    def write(self, write: Callable[[Path], _Written], path: Path) -> _Written:
        """Write a result; where that fails, to the current folder, or else among the temporary files.

        Nothing is replaced there. `finish` then ends the command with the exit code of an error.

        Raises
        ------
        WriteError
            When it can be written nowhere.
        """
        try:
            return write(path)
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
                written = write(other)
            except (WriteError, OSError):
                if make is not makers[0]:
                    shutil.rmtree(other.parent, ignore_errors=True)  # it was made for this alone
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
        """End the command with exit code 1 if something was written to another place than asked."""
        if self.displaced:
            raise typer.Exit(1)
