"""The layers of files."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING

from chemtomo.data import Dataset
from chemtomo.io import assemble_spectra, contents
from napari_chemtomo.layers.aligned import dataset_layers
from napari_chemtomo.layers.spectra import spectra_layer

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.types import LayerDataTuple

    from chemtomo.io.tilts import TiltsArgument

__all__ = ["read_layers"]


def read_layers(
    path: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    tilts: TiltsArgument = None,
    beside: Sequence[Layer] = (),
) -> list[LayerDataTuple]:
    """Return the layers of files, with colours that go with those of the layers `beside` them.

    Parameters
    ----------
    path : path or sequence of paths
        Files or folders, see `chemtomo.read`.
    tilts : path, str or sequence of float, optional
        Tilts in place of those of the files.
    beside : sequence of Layer
        What is in the viewer already.

    Raises
    ------
    ReadError
        As `chemtomo.read`.
    """
    found = contents(path, tilts=tilts)
    layers = [spectra_layer(one) for one in assemble_spectra(found.spectra, tilts=tilts)]
    if found.series:
        layers += dataset_layers(Dataset(found.series), beside=beside)
    return layers
