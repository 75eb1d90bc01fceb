"""The sample data of the plugin: simulated acquisitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.types import LayerDataTuple

    from chemtomo.data import Dataset

__all__ = ["film", "grains", "lamella", "pillar", "simulated_series"]

_DOSE = 300.0
_COUNTS = 4.0


def simulated_series() -> list[LayerDataTuple]:
    """Return the simulated four-channel tilt series, one layer each."""
    from chemtomo.samples import phantom

    return _layers(phantom())


def film() -> list[LayerDataTuple]:
    """Return a film with particles, wider than the field and not aligned."""
    return _specimen("film")


def lamella() -> list[LayerDataTuple]:
    """Return a lamella with precipitates, wider than the field and not aligned."""
    return _specimen("lamella")


def pillar() -> list[LayerDataTuple]:
    """Return a needle that widens to one end, not aligned."""
    return _specimen("pillar")


def grains() -> list[LayerDataTuple]:
    """Return grains that leave the field on all sides, not aligned."""
    return _specimen("grains")


def _specimen(name: str) -> list[LayerDataTuple]:
    from chemtomo.samples import specimen_series

    return _layers(specimen_series(name, dose=_DOSE, counts=_COUNTS).dataset)


def _layers(dataset: Dataset) -> list[LayerDataTuple]:
    from napari import current_viewer

    from napari_chemtomo.layers.aligned import dataset_layers

    viewer = current_viewer()
    return dataset_layers(dataset, beside=viewer.layers if viewer is not None else ())
