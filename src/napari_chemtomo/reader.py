"""Open tilt series in napari: by drag and drop, the File menu or ``viewer.open``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING

from chemtomo.errors import ChemTomoError, NoTiltsError

if TYPE_CHECKING:
    from napari import Viewer
    from napari.types import LayerDataTuple

__all__ = ["get_reader"]

Paths = str | PathLike[str] | Sequence[str | PathLike[str]]


def get_reader(path: Paths) -> Callable[[Paths], list[LayerDataTuple]] | None:
    """Return the function that reads tilt series, as napari's reader contribution asks for it.

    Volumes that this program wrote are read too. None for folders without any file of a tilt series, and
    for Zarr images of something else, so that other plugins can have them.
    """
    from chemtomo.io import is_volume, may_hold_tilt_series

    paths = [path] if isinstance(path, (str, PathLike)) else path
    if all(is_volume(one, ours=True) for one in paths):
        return _read_volumes
    return _read if all(may_hold_tilt_series(one) for one in paths) else None


def _read(path: Paths) -> list[LayerDataTuple]:
    """Read one or several files, or a folder of them: tilt series and spectra, one layer each.

    Where no file says the tilts, a dialog asks for them once napari has shown its message.
    """
    from napari import current_viewer

    from napari_chemtomo.layers.files import dim_for, read_layers

    viewer = current_viewer()
    try:
        layers = read_layers(path, beside=viewer.layers if viewer is not None else ())
    except NoTiltsError as error:
        if viewer is None:
            raise
        # The dialog comes instead of the option of the command line.
        sentences = [one for one in str(error).split(". ") if "--" not in one]
        asked = NoTiltsError(". ".join(sentences), error.projections, error.from_names)
        _soon(partial(_ask_for_tilts, viewer, path, asked))
        raise asked from error
    except ChemTomoError as error:
        if viewer is not None:
            _show_soon(str(error))
        raise
    if viewer is not None:
        dim_for(layers, viewer.layers)
    return layers


def _read_volumes(path: Paths) -> list[LayerDataTuple]:
    """Read volumes that `chemtomo.io.write` wrote, one layer per channel, in colours that differ."""
    from napari import current_viewer

    from chemtomo.io import read_volume
    from napari_chemtomo.layers.volume import layers_of_volumes

    paths = [path] if isinstance(path, (str, PathLike)) else path
    viewer = current_viewer()
    return layers_of_volumes([read_volume(one) for one in paths], viewer.layers if viewer is not None else ())


def _ask_for_tilts(viewer: Viewer, path: Paths, error: NoTiltsError) -> None:
    from napari_chemtomo.dialogs.tilts_of_files import TiltsOfFilesDialog

    TiltsOfFilesDialog(viewer, path, error).open()


def _show_soon(message: str) -> None:
    """Show what went wrong after, and so on top of, napari's own message, which does not say it."""
    from napari.utils.notifications import show_error

    _soon(partial(show_error, message))


def _soon(function: Callable[[], object]) -> None:
    from qtpy.QtCore import QTimer

    QTimer.singleShot(0, function)
