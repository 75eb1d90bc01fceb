"""The sample data of the plugin: a simulated acquisition."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.types import LayerDataTuple

__all__ = ["simulated_series"]


def simulated_series() -> list[LayerDataTuple]:
    """Return the simulated four-channel tilt series, one layer each."""
    from napari import current_viewer

    from chemtomo.samples import phantom
    from napari_chemtomo.layers import dataset_layers

    viewer = current_viewer()
    return dataset_layers(phantom(), beside=viewer.layers if viewer is not None else ())
