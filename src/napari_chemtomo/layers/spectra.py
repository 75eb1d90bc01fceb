"""Layers of spectra.

Spectra are an image layer ``(tilt, z, y, x)`` of the counts of all energies, with the spectra themselves in
the layer's metadata.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from chemtomo.data import SpectrumSeries
from chemtomo.errors import DataError
from napari_chemtomo.layers.appearance import intensity_limits
from napari_chemtomo.layers.metadata import METADATA_KEY, metadata_of
from napari_chemtomo.layers.tilt_series import tilt_axis

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.types import LayerDataTuple

__all__ = ["is_spectra", "preview_layer", "spectra_layer", "to_spectra"]

_SPECTRA = "spectra"
_UNITS = ("degree", "nm", "nm", "nm")
_AXES = ("tilt", "z", "y", "x")


def is_spectra(layer: Layer) -> bool:
    """Tell whether a layer shows spectra, of which it is the sum image."""
    return metadata_of(layer).get("kind") == _SPECTRA


def spectra_layer(series: SpectrumSeries) -> LayerDataTuple:
    """Return the layer of spectra: the counts of all energies in every pixel.

    The spectra themselves are in its metadata. Where they are lazy the image is, too: a tilt is read
    when it comes into view.
    """
    image = series.sum_images().astype(np.float32)[:, np.newaxis]
    first, step = tilt_axis(series.tilts_deg)
    pixel = series.pixel_size_nm
    return (
        image,
        {
            "name": series.name,
            "scale": (step, pixel, pixel, pixel),
            "translate": (first, (series.shape[2] - 1) // 2 * pixel, 0.0, 0.0),
            "units": _UNITS,
            "axis_labels": _AXES,
            "colormap": "gray",
            "blending": "additive",
            "contrast_limits": intensity_limits(np.asarray(image[0])),
            "metadata": {METADATA_KEY: {"kind": _SPECTRA, "series": series}},
        },
        "image",
    )


def preview_layer(source: Layer, line: str, image: npt.NDArray[np.float32]) -> LayerDataTuple:
    """Return the layer of a preview map ``(y, x)`` over the layer of its spectra, at every tilt."""
    limits = intensity_limits(image)
    return (
        image[np.newaxis],
        {
            "name": f"{line} (preview)",
            "scale": tuple(source.scale[1:]),
            "translate": tuple(source.translate[1:]),
            "units": tuple(source.units[1:]),
            "axis_labels": tuple(source.axis_labels[1:]),
            "colormap": "inferno",
            "blending": "opaque",  # the spectra below it are bright everywhere
            "contrast_limits": limits,
            "metadata": {METADATA_KEY: {"kind": "preview of a map", "line": line}},
        },
        "image",
    )


def to_spectra(layer: Layer) -> SpectrumSeries:
    """Return the spectra that a layer shows.

    Raises
    ------
    DataError
        When the layer shows none.
    """
    if not is_spectra(layer):
        raise DataError(
            f"layer {layer.name!r}: found {metadata_of(layer).get('kind', 'a layer without spectra')}; "
            "expected a spectrum image"
        )
    series: SpectrumSeries = metadata_of(layer)["series"]
    return series
