"""The command line application, and how errors are reported."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from chemtomo.cli.commands import (
    align,
    convert,
    listing,
    maps,
    one_slice,
    prepare,
    recipe,
    reconstruct,
    simulated,
    trust,
)
from chemtomo.errors import ChemTomoError
from chemtomo.version import VERSION

__all__ = ["app", "main"]

app = typer.Typer(
    name="chemtomo",
    help="Joint multi-channel (chemical) electron tomography.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
app.command("info")(listing.info)
app.command("convert")(convert.convert)
app.command("devices")(listing.devices)
app.command("phantom")(simulated.phantom)
app.command("demo")(simulated.demo)
app.command("prepare")(prepare.prepare)
app.command("maps")(maps.maps)
app.command("align")(align.align)
app.command("reconstruct")(reconstruct.reconstruct)
app.command("trust")(trust.trust)
app.command("sweep")(one_slice.sweep)
app.command("convergence")(one_slice.convergence)
app.command("run")(recipe.run)
app.command("recipe")(recipe.recipe)
app.command("script")(recipe.script)

# The base of all errors in what the user typed. Which module this class is in depends on the version of
# typer.
_UsageError: Any = typer.BadParameter.__base__
_INTERRUPTED = 130


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(VERSION)
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error. May stand anywhere.")
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Arguments without the name of the program; those of the process by default.

    Returns
    -------
    int
        0, or 1 after an error, 2 when an argument is wrong, 130 after an interrupt. An error is one
        line on stderr; with ``--debug`` its traceback comes first.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [one for one in given if one != "--debug"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", FutureWarning)  # former spellings
            warnings.showwarning = _show_warning
            status = app(given, prog_name="chemtomo", standalone_mode=False)
    except _UsageError as error:
        message = error.format_message().replace("Value error, ", "")
        if message:
            _report(message, debug)
        return 2
    except ChemTomoError as error:
        _report(str(error), debug)
        return 1
    except (KeyboardInterrupt, typer.Abort):
        _report("interrupted", debug)
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort: say what it was, and how to see more
        hint = "" if debug else " (--debug shows where)"
        _report(f"{type(error).__name__}: {error}{hint}", debug)
        return 1
    if status == _INTERRUPTED:
        _report("interrupted", debug)
    return status if isinstance(status, int) else 0


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    typer.echo(f"Warning: {message}", err=True)


def _report(message: str, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    typer.echo(f"Error: {' '.join(message.split())}", err=True)
