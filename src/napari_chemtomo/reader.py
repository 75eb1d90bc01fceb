"""Open tilt series and volumes in napari: by drag and drop, the File menu or ``viewer.open``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import TYPE_CHECKING

from chemtomo.errors import ChemTomoError

if TYPE_CHECKING:
    from napari.types import LayerDataTuple

__all__ = ["get_series_reader", "get_volume_reader"]

Paths = str | PathLike[str] | Sequence[str | PathLike[str]]
Reader = Callable[[Paths], "list[LayerDataTuple]"]


def get_series_reader(path: Paths) -> Reader:
    """Return the function that reads tilt series, as napari's reader contribution asks for it."""
    return _read_series


def get_volume_reader(path: Paths) -> Reader:
    """Return the function that reads volumes, as napari's reader contribution asks for it."""
    return _read_volumes


def _read_series(path: Paths) -> list[LayerDataTuple]:
    """Read one or several files as tilt series, one layer each."""
    from napari import current_viewer

    from chemtomo.io import read
    from napari_chemtomo.layers import dataset_layers

    viewer = current_viewer()
    with _errors_in_sight():
        return dataset_layers(read(path), beside=viewer.layers if viewer is not None else ())


def _read_volumes(path: Paths) -> list[LayerDataTuple]:
    """Read one or several OME-Zarr images ``(c, z, y, x)``, one layer a channel."""
    from chemtomo.io import read_volume
    from napari_chemtomo.layers import volume_layers

    paths = [path] if isinstance(path, str | PathLike) else path
    with _errors_in_sight():
        return [layer for one in paths for layer in volume_layers(read_volume(one))]


@contextmanager
def _errors_in_sight() -> Iterator[None]:
    """Show an error in the viewer, and raise it: napari's own message says only that the plugin failed."""
    from napari.utils.notifications import show_error

    try:
        yield
    except ChemTomoError as error:
        show_error(str(error))
        raise
