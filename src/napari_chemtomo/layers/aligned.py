"""Layers of aligned tilt series: they show the aligned view and keep the recorded data and every alignment.

The data of such a layer is computed projection by projection when it is looked at. In
``layer.metadata["chemtomo"]`` are ``"raw"``, the recorded stack, ``"alignments"``, the history, and
``"alignment"``, the one that is shown and used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from chemtomo.align import aligned_view
from chemtomo.data import Alignment, Dataset, TiltSeries
from chemtomo.errors import DataError
from napari_chemtomo.layers.appearance import image_opacities
from napari_chemtomo.layers.metadata import ALIGNED_SUFFIX, METADATA_KEY, is_tilt_series, metadata_of
from napari_chemtomo.layers.tilt_series import colours_beside, series_layer, to_series

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Layer
    from napari.types import LayerDataTuple
    from napari.utils import Colormap

__all__ = [
    "add_aligned",
    "aligned_layer",
    "aligned_of",
    "append_alignment",
    "current_alignment",
    "dataset_layers",
    "history",
    "is_aligned",
    "preview_alignment",
    "raw_of",
    "show_alignment",
    "show_recorded",
]


def dataset_layers(dataset: Dataset, beside: Sequence[Layer] = ()) -> list[LayerDataTuple]:
    """Return one layer per series, with colours that go with those of the layers `beside` them.

    A series that has an alignment is shown aligned.
    """
    before = [layer.name for layer in beside if is_tilt_series(layer)]
    opacities = image_opacities([*before, *dataset.names])[len(before) :]
    colours = colours_beside(dataset.names, beside)
    return [
        (series_layer if series.alignment is None else aligned_layer)(series, colour, opacity)
        for series, colour, opacity in zip(dataset, colours, opacities, strict=True)
    ]


def is_aligned(layer: Layer) -> bool:
    """Tell whether a layer is an aligned tilt series that keeps its recorded data."""
    return is_tilt_series(layer) and "raw" in metadata_of(layer)


def aligned_of(viewer: Viewer, layer: Layer) -> Image | None:
    """Return the aligned layer of a tilt series: itself, or the one that was made from the same data."""
    if is_aligned(layer):
        return layer
    return next(
        (
            other
            for other in viewer.layers
            if is_aligned(other) and metadata_of(other).get("raw_layer") == str(layer.unique_id)
        ),
        None,
    )


def raw_of(viewer: Viewer, layer: Layer) -> Image | None:
    """Return the layer of recorded data from which an aligned layer was made, if it is still there."""
    wanted = metadata_of(layer).get("raw_layer")
    return next((other for other in viewer.layers if str(other.unique_id) == wanted), None)


def history(layer: Layer) -> list[Alignment]:
    """Return the alignments that a layer has had, oldest first."""
    return [Alignment.from_json(one, layer.name) for one in metadata_of(layer).get("alignments", ())]


def current_alignment(layer: Layer) -> Alignment | None:
    """Return the alignment that is shown and used; ``None`` when the layer is as recorded."""
    found = metadata_of(layer).get("alignment")
    return None if found is None else Alignment.from_json(found, layer.name)


def add_aligned(viewer: Viewer, layer: Image, alignment: Alignment) -> Image:
    """Show a new alignment of a tilt series, and return the aligned layer.

    The first alignment of a layer of recorded data makes a new layer and hides the recorded one, whose data
    the new layer shares. Later ones are appended to its history.

    Raises
    ------
    DataError
        When the alignment does not fit the series.
    """
    existing = aligned_of(viewer, layer)
    if existing is not None:
        append_alignment(existing, alignment)
        return existing
    series = to_series(layer).replace(alignment=alignment)
    data, attributes, _ = aligned_layer(series, layer.colormap, layer.opacity)
    attributes |= {
        "name": _free_name(viewer, layer.name + ALIGNED_SUFFIX),
        "contrast_limits": tuple(layer.contrast_limits),
        "gamma": layer.gamma,
    }
    attributes["metadata"][METADATA_KEY]["raw_layer"] = str(layer.unique_id)
    added: Image = viewer.add_image(data, **attributes)
    layer.visible = False
    return added


def aligned_layer(series: TiltSeries, colour: str | Colormap, opacity: float = 1.0) -> LayerDataTuple:
    """Return the layer of a tilt series that has an alignment, as a file may bring it."""
    if series.alignment is None:
        raise DataError(f"tilt series {series.name!r}: found no alignment; expected one to show it aligned")
    _, attributes, kind = series_layer(series, colour, opacity)
    attributes["name"] = series.name + ALIGNED_SUFFIX
    attributes["metadata"][METADATA_KEY] |= {
        "raw": series.data,
        "alignments": [series.alignment.to_json()],
    }
    return _view(series), attributes, kind


def show_recorded(layer: Image, wanted: bool) -> None:
    """Show the recorded data in an aligned layer for a while; the alignment stays the one that is used."""
    series = to_series(layer)
    layer.data = _view(series.replace(alignment=None) if wanted else series)


def append_alignment(layer: Image, alignment: Alignment) -> None:
    """Add an alignment to the history of an aligned layer, and show it."""
    kept = layer.metadata[METADATA_KEY]
    _show(layer, alignment, [*kept["alignments"], alignment.to_json()])


def show_alignment(layer: Image, index: int | Literal["current"] | None) -> None:
    """Go to any earlier or later alignment of the history, or with ``None`` to the data as recorded.

    ``"current"`` shows the one that is used again, after a preview.
    """
    kept = layer.metadata[METADATA_KEY]["alignments"]
    if index == "current":
        layer.data = _view(to_series(layer))
    elif index is None:
        _show(layer, None, kept)
    elif 0 <= index < len(kept):
        _show(layer, history(layer)[index], kept)
    else:
        raise DataError(f"layer {layer.name!r}: found alignment {index}; expected 0 to {len(kept) - 1}")


def preview_alignment(layer: Image, alignment: Alignment) -> None:
    """Show an alignment that is not part of the history yet, while it is being made by hand."""
    layer.data = _view(to_series(layer).replace(alignment=alignment))


def _show(layer: Image, alignment: Alignment | None, alignments: Sequence[dict[str, Any]]) -> None:
    series = to_series(layer).replace(alignment=alignment)
    layer.data = _view(series)
    kept = layer.metadata[METADATA_KEY] | {
        "alignment": None if alignment is None else alignment.to_json(),
        "alignments": list(alignments),
    }
    layer.metadata = {**layer.metadata, METADATA_KEY: kept}


def _view(series: TiltSeries) -> Any:
    """Return what is looked at, ``(tilt, 1, y, x)``: lazy, but for the recorded data itself."""
    data = series.data if series.alignment is None else aligned_view(series).data
    return data[:, np.newaxis].astype(np.float32)


def _free_name(viewer: Viewer, wanted: str) -> str:
    names = {layer.name for layer in viewer.layers}
    name, number = wanted, 2
    while name in names:
        name, number = f"{wanted} {number}", number + 1
    return name
