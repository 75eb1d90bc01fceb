"""Layers of volumes: one image layer of three axes ``(z, y, x)`` for each channel."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import Volume
from chemtomo.data.colours import channel_colours
from chemtomo.errors import DataError
from napari_chemtomo.layers.appearance import image_opacities, intensity_limits, volume_appearance
from napari_chemtomo.layers.metadata import (
    METADATA_KEY,
    SAMPLE_AXES,
    SAMPLE_UNITS,
    VOLUME,
    is_volume,
    metadata_of,
    pixel_size_nm,
)

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.types import LayerDataTuple
    from napari.utils import Colormap

__all__ = ["layers_of_volumes", "slice_layers", "to_volume", "volume_layers"]


def to_volume(layers: Sequence[Layer]) -> Volume:
    """Return the volume whose channels several layers are.

    The channels have the names that they were reconstructed with, or those of the layers where the user has
    changed these or they are of several reconstructions.

    Raises
    ------
    DataError
        When a layer is no channel of a volume, or they differ in shape, voxel size or place.
    """
    for layer in layers:
        if not is_volume(layer):
            raise DataError(f"layer {layer.name!r}: found no channel of a volume; expected a reconstruction")
    first = layers[0]
    size = pixel_size_nm(first)
    for layer in layers:
        where = f"layers {first.name!r} and {layer.name!r}"
        if tuple(layer.data.shape) != tuple(first.data.shape):
            raise DataError(
                f"{where}: found shapes {first.data.shape} and {layer.data.shape}; expected the same"
            )
        if not (
            np.allclose(layer.scale, first.scale) and np.allclose(layer.translate, first.translate, atol=1e-6)
        ):
            raise DataError(f"{where}: found voxels of other sizes or places; expected the same")
        if not np.allclose(layer.scale, layer.scale[0], rtol=1e-3):
            raise DataError(f"layer {layer.name!r}: found voxels of {layer.scale} nm; expected cubes")
    names = [_channel_of(layer) for layer in layers]
    if len(set(names)) != len(names):
        names = [layer.name for layer in layers]
    recipes = [metadata_of(layer).get("recipe", {}) for layer in layers]
    same = all(recipe == recipes[0] for recipe in recipes)
    z, y, x = (
        float(np.round(place / scale, 6)) for place, scale in zip(first.translate, first.scale, strict=True)
    )
    return Volume(
        data=np.stack([np.asarray(layer.data, dtype=np.float32) for layer in layers]),
        names=tuple(names),
        voxel_size_nm=size,
        origin_px=(z, y, x),
        provenance=recipes[0] if same else {"channels": dict(zip(names, recipes, strict=True))},
    )


def layers_of_volumes(volumes: Sequence[Volume], beside: Sequence[Layer] = ()) -> list[LayerDataTuple]:
    """Return the layers of several volumes, in colours that go with each other and those `beside` them."""
    before = [str(metadata_of(layer)["channel"]) for layer in beside if is_volume(layer)]
    names = [*before, *(name for volume in volumes for name in volume.names)]
    colours = iter(channel_colours(names)[len(before) :])
    return [
        layer
        for volume in volumes
        for layer in volume_layers(volume, colours={name: next(colours) for name in volume.names})
    ]


def _channel_of(layer: Layer) -> str:
    kept = metadata_of(layer)
    # napari numbers layers of the same name.
    renamed = re.sub(r" \[\d+\]$", "", layer.name) != kept.get("layer_name", layer.name)
    return str(layer.name if renamed else kept["channel"])


def volume_layers(
    volume: Volume,
    report: Mapping[str, Any] | None = None,
    colours: Mapping[str, str | Colormap] | None = None,
) -> list[LayerDataTuple]:
    """Return one layer per channel of a volume, for additive blending.

    Parameters
    ----------
    volume : Volume
        The reconstruction. Its provenance goes into the metadata as ``"recipe"``.
    report : mapping, optional
        How the run went; goes into the metadata.
    colours : mapping, optional
        Colour of every channel, by its name.
    """
    size = volume.voxel_size_nm
    if colours is None:
        colours = dict(zip(volume.names, channel_colours(volume.names), strict=True))
    appearances = volume_appearance(volume.names, volume.data)
    method = f" ({report['method']})" if report and "method" in report else ""
    return [
        (
            np.asarray(data, dtype=np.float32),
            {
                **_sample_frame(size, tuple(size * index for index in volume.origin_px)),
                **appearance,
                "name": f"{name}{method}",
                "colormap": colours[name],
                "metadata": {
                    METADATA_KEY: {
                        "kind": VOLUME,
                        "channel": name,
                        "layer_name": f"{name}{method}",
                        "recipe": volume.provenance,
                        "report": dict(report or {}),
                    }
                },
            },
            "image",
        )
        for name, data, appearance in zip(volume.names, volume.data, appearances, strict=True)
    ]


def slice_layers(
    names: Sequence[str],
    image: npt.NDArray[np.float32],
    origin_px: tuple[float, float, float],
    voxel_size_nm: float,
    colours: Mapping[str, str | Colormap],
) -> list[LayerDataTuple]:
    """Return one layer per channel for a slice of a volume that is being made.

    Parameters
    ----------
    names : sequence of str
        The channels.
    image : numpy.ndarray, shape (channel, z, x)
        The slice.
    origin_px : tuple of float
        Index ``(z, y, x)`` of its first voxel in the volume of the whole tilt series.
    voxel_size_nm : float
        Edge of a voxel.
    colours : mapping
        Colour of every channel, by its name.
    """
    return [
        (
            np.asarray(data, dtype=np.float32)[:, np.newaxis],
            {
                **_sample_frame(voxel_size_nm, tuple(voxel_size_nm * index for index in origin_px)),
                "name": f"{name} (running)",
                "colormap": colours[name],
                "contrast_limits": intensity_limits(data),
                "opacity": opacity,
                "metadata": {METADATA_KEY: {"kind": "slice of a running reconstruction", "channel": name}},
            },
            "image",
        )
        for name, data, opacity in zip(names, image, image_opacities(names), strict=True)
    ]


def _sample_frame(voxel_size_nm: float, translate: tuple[float, ...]) -> dict[str, Any]:
    return {
        "scale": (voxel_size_nm,) * 3,
        "translate": translate,
        "units": SAMPLE_UNITS,
        "axis_labels": SAMPLE_AXES,
        "blending": "additive",
    }
