"""The layers of files."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING

from chemtomo.data import Dataset
from chemtomo.data.colours import is_structural
from chemtomo.io import assemble_spectra, contents
from napari_chemtomo.layers.aligned import dataset_layers
from napari_chemtomo.layers.appearance import STRUCTURAL_OPACITY
from napari_chemtomo.layers.metadata import channel_name, is_tilt_series
from napari_chemtomo.layers.spectra import spectra_layer

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.types import LayerDataTuple

    from chemtomo.io.tilts import TiltsArgument

__all__ = ["dim_for", "read_layers"]

# More of them added up are white.
_MOST_IN_VIEW = 6


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
        layers += _few_in_view(dataset_layers(Dataset(found.series), beside=beside))
    return layers


def dim_for(layers: Sequence[LayerDataTuple], beside: Sequence[Layer]) -> None:
    """Dim the signals of the whole sample that were opened before, when elements come to them.

    What the user has dimmed stays as it is.
    """
    if all(is_structural(str(attributes["name"])) for _, attributes, _ in layers):
        return
    for layer in beside:
        if is_tilt_series(layer) and is_structural(channel_name(layer)) and layer.opacity == 1.0:
            layer.opacity = STRUCTURAL_OPACITY


def _few_in_view(layers: list[LayerDataTuple]) -> list[LayerDataTuple]:
    """Close the eyes of many signals that come together, but for those of the whole sample or the first."""
    if len(layers) > _MOST_IN_VIEW:
        whole = [attributes for _, attributes, _ in layers if is_structural(str(attributes["name"]))]
        shown = whole or [layers[0][1]]
        for _, attributes, _ in layers:
            attributes["visible"] = any(attributes is one for one in shown)
    return layers
