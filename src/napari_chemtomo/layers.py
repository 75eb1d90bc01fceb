"""The border between napari and the core: the only place where one's objects become the other's.

A tilt series is an image layer of four axes, ``(tilt, z, y, x)`` with one pixel along ``z``, so that it
shares the axes ``z, y, x`` with the volumes that are made from it. A volume is one image layer of three
axes a channel. What a layer cannot say by its data, name, scale and units is in
``layer.metadata["chemtomo"]``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import Alignment, Dataset, Origin, TiltSeries, Volume, to_nanometre
from chemtomo.data.colours import channel_colours
from chemtomo.errors import DataError
from chemtomo.io.storage.lazy import lazy_mapped
from napari_chemtomo.appearance import image_opacities, intensity_limits, volume_appearance

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.types import LayerDataTuple
    from napari.utils import Colormap

__all__ = [
    "ALIGNED_SUFFIX",
    "METADATA_KEY",
    "PREPARED_SUFFIX",
    "channel_name",
    "colours_beside",
    "is_stack",
    "is_tilt_series",
    "is_volume",
    "metadata_of",
    "series_layer",
    "slice_layers",
    "stack_to_series",
    "tilt_axis",
    "to_dataset",
    "to_series",
    "to_volume",
    "volume_layers",
]

METADATA_KEY = "chemtomo"

PREPARED_SUFFIX = " (prepared)"
"""Ends the name of a prepared layer; the channel has the name without it."""

ALIGNED_SUFFIX = " (aligned)"
"""Ends the name of an aligned layer; the channel has the name without it."""

_TILT_SERIES = "tilt series"
_VOLUME = "volume"
_SAMPLE_AXES = ("z", "y", "x")
_SAMPLE_UNITS = ("nm", "nm", "nm")


def metadata_of(layer: Layer) -> dict[str, Any]:
    """Return what we keep in the metadata of a layer; nothing for a layer that is none of ours."""
    kept = layer.metadata.get(METADATA_KEY)
    return kept if isinstance(kept, dict) else {}


def is_tilt_series(layer: Layer) -> bool:
    """Tell whether a layer is a tilt series with its tilts."""
    return metadata_of(layer).get("kind") == _TILT_SERIES


def is_volume(layer: Layer) -> bool:
    """Tell whether a layer is a channel of a reconstructed volume."""
    return metadata_of(layer).get("kind") == _VOLUME


def is_stack(layer: Layer) -> bool:
    """Tell whether a layer is a plain stack of images, which becomes a tilt series with its tilts."""
    from napari.layers import Image

    return (
        isinstance(layer, Image)
        and not metadata_of(layer)
        and not layer.multiscale
        and not layer.rgb
        and len(layer.data.shape) == 3
    )


def series_layer(series: TiltSeries, colour: str | Colormap, opacity: float = 1.0) -> LayerDataTuple:
    """Return the layer of a tilt series.

    Parameters
    ----------
    series : TiltSeries
        The series. Its data is shared with the layer where it is float32 already. That of a lazy series
        stays in its file: napari reads the projection that is shown.
    colour : str or Colormap
        Colour of the channel.
    opacity : float
        How strongly it is added to the other layers.
    """
    data = _layer_values(series)
    first, step = tilt_axis(series.tilts_deg)
    pixel = series.pixel_size_nm
    middle = (series.shape[2] - 1) // 2 * pixel
    return (
        data,
        {
            "name": series.name,
            "scale": (step, pixel, pixel, pixel),
            "translate": (first, middle, 0.0, 0.0),
            "units": ("degree", *_SAMPLE_UNITS),
            "axis_labels": ("tilt", *_SAMPLE_AXES),
            "colormap": colour,
            "blending": "additive",
            "contrast_limits": intensity_limits(_some_projections(data)),
            "opacity": opacity,
            "metadata": {
                METADATA_KEY: {
                    "kind": _TILT_SERIES,
                    "signal": series.kind,
                    "tilts_deg": series.tilts_deg.tolist(),
                    "axis_position_px": series.axis_position_px,
                    "axis_angle_deg": series.axis_angle_deg,
                    "detector_shifts_px": _listed(series.detector_shifts_px),
                    "gains": _listed(series.gains),
                    "background": series.background,
                    "valid": series.valid,
                    "alignment": None if series.alignment is None else series.alignment.to_json(),
                    "source": series.source,
                    "notes": list(series.notes),
                    "provenance": list(series.provenance),
                    "origin": None if series.origin is None else series.origin.to_json(),
                }
            },
        },
        "image",
    )


def colours_beside(names: Sequence[str], beside: Sequence[Layer]) -> tuple[str, ...]:
    """Choose colours for channels that join the tilt series among the layers `beside` them."""
    before = [layer.name for layer in beside if is_tilt_series(layer)]
    return channel_colours([*before, *names])[len(before) :]


def to_series(layer: Layer) -> TiltSeries:
    """Return the tilt series that a layer holds; its name is the channel's name.

    Of a layer that shows an aligned view it is the recorded series with that alignment, see
    `napari_chemtomo.aligned_layers`.

    Raises
    ------
    DataError
        When the layer is no tilt series, or no longer one.
    """
    where = f"layer {layer.name!r}"
    if not is_tilt_series(layer):
        found = metadata_of(layer).get("kind", f"a layer of type {layer.__class__.__name__} without tilts")
        raise DataError(
            f"{where}: found {found}; expected a tilt series. Open its file, or give the tilts of a stack"
        )
    shape = tuple(layer.data.shape)
    if len(shape) != 4 or shape[1] != 1:
        raise DataError(f"{where}: found shape {shape}; expected a tilt series (tilt, 1, y, x)")
    kept = metadata_of(layer)
    alignment = kept.get("alignment")
    return TiltSeries(
        name=channel_name(layer),
        data=kept["raw"] if "raw" in kept else _stack(layer.data),
        tilts_deg=np.asarray(kept["tilts_deg"], dtype=np.float64),
        pixel_size_nm=_pixel_size_nm(layer),
        kind=kept["signal"],
        axis_position_px=kept["axis_position_px"],
        axis_angle_deg=kept.get("axis_angle_deg"),
        detector_shifts_px=kept.get("detector_shifts_px"),
        gains=kept.get("gains"),
        background=kept.get("background"),
        valid=kept.get("valid"),
        alignment=None if alignment is None else Alignment.from_json(alignment, where),
        source=kept["source"],
        notes=tuple(kept["notes"]),
        provenance=tuple(kept["provenance"]),
        origin=Origin.from_json(kept.get("origin")),
    )


def channel_name(layer: Layer) -> str:
    """Return the name of a layer without what prepared and aligned layers have at its end."""
    if not is_tilt_series(layer):
        return str(layer.name)
    return str(layer.name).partition(ALIGNED_SUFFIX)[0].partition(PREPARED_SUFFIX)[0]


def to_dataset(layers: Sequence[Layer]) -> Dataset:
    """Return the dataset that several layers make.

    Raises
    ------
    DataError
        When a layer is no tilt series, or there is none.
    """
    return Dataset(tuple(to_series(layer) for layer in layers))


def to_volume(layers: Sequence[Layer]) -> Volume:
    """Return the volume whose channels several layers are.

    The channels have the names that they were reconstructed with, or those of the layers where these
    are of several reconstructions.

    Raises
    ------
    DataError
        When a layer is no channel of a volume, or they differ in shape, voxel size or place.
    """
    for layer in layers:
        if not is_volume(layer):
            raise DataError(f"layer {layer.name!r}: found no channel of a volume; expected a reconstruction")
    first = layers[0]
    size = _pixel_size_nm(first)
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
    names = [metadata_of(layer)["channel"] for layer in layers]
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


def stack_to_series(layer: Layer, first_deg: float, step_deg: float, counts: bool) -> TiltSeries:
    """Return the tilt series that a plain stack becomes with its tilts.

    Parameters
    ----------
    layer : Layer
        A stack of projections ``(tilt, y, x)``, see `is_stack`.
    first_deg, step_deg : float
        Tilt of the first projection, and from each to the next, in degrees.
    counts : bool
        Whether the values are event counts.

    Raises
    ------
    DataError
        When the layer is no stack, or has negative counts.
    """
    where = f"layer {layer.name!r}"
    if not is_stack(layer):
        raise DataError(f"{where}: expected an image layer of three axes (tilt, y, x)")
    data = np.asarray(layer.data)
    if counts and data.min() < 0:
        raise DataError(f"{where}: the smallest value is {data.min():g}; expected counts of at least 0")
    notes = [f"the tilts were given by hand: {first_deg:g} degrees, in steps of {step_deg:g}"]
    if str(layer.units[-1]) == "pixel":
        pixel_size = 1.0
        notes.append("the pixel size is not known; 1 nm was assumed")
    else:
        pixel_size = _pixel_size_nm(layer)
    return TiltSeries(
        name=layer.name,
        data=data,
        tilts_deg=first_deg + step_deg * np.arange(data.shape[0]),
        pixel_size_nm=pixel_size,
        kind="counts" if counts else "intensity",
        source=getattr(layer.source, "path", None),
        notes=tuple(notes),
    )


def volume_layers(
    volume: Volume,
    report: Mapping[str, Any] | None = None,
    colours: Mapping[str, str | Colormap] | None = None,
) -> list[LayerDataTuple]:
    """Return one layer a channel of a volume, for additive blending.

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
                        "kind": _VOLUME,
                        "channel": name,
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
    """Return one layer a channel for a slice of a volume that is being made.

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


def _stack(data: Any) -> Any:
    """Return ``(tilt, y, x)`` of ``(tilt, 1, y, x)``; what is lazy stays lazy."""
    return data[:, 0] if hasattr(data, "dask") else np.asarray(data)[:, 0]


def _layer_values(series: TiltSeries) -> Any:
    """Return the values (tilt, 1, y, x) in float32; those of a lazy series are still to be read."""
    data = series.data
    if not series.is_lazy:
        return np.asarray(data, dtype=np.float32)[:, np.newaxis]
    if isinstance(data, np.memmap):
        data = lazy_mapped(data)
    return data.astype(np.float32)[:, np.newaxis]


def _some_projections(data: Any) -> npt.NDArray[np.float32]:
    """Return all values where they are in memory, else those of the first, middle and last projection."""
    if isinstance(data, np.ndarray):
        return data
    return np.stack([np.asarray(data[tilt]) for tilt in sorted({0, len(data) // 2, len(data) - 1})])


def _listed(numbers: npt.NDArray[np.float64] | None) -> list[float] | None:
    return None if numbers is None else numbers.tolist()


def _sample_frame(voxel_size_nm: float, translate: tuple[float, ...]) -> dict[str, Any]:
    return {
        "scale": (voxel_size_nm,) * 3,
        "translate": translate,
        "units": _SAMPLE_UNITS,
        "axis_labels": _SAMPLE_AXES,
        "blending": "additive",
    }


def _pixel_size_nm(layer: Layer) -> float:
    """Return the pixel size that the scale and units of a layer say."""
    where = f"layer {layer.name!r}"
    try:
        sizes = [
            to_nanometre(float(scale), str(unit))
            for scale, unit in zip(layer.scale[-2:], layer.units[-2:], strict=True)
        ]
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    if not np.isclose(*sizes, rtol=1e-3):
        raise DataError(f"{where}: the pixels measure {sizes[0]:g} x {sizes[1]:g} nm; expected square ones")
    return sizes[1]


def tilt_axis(tilts_deg: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the first tilt and the step of evenly recorded tilts; else number the projections."""
    if tilts_deg.size > 1:
        step = (tilts_deg[-1] - tilts_deg[0]) / (tilts_deg.size - 1)
        even = tilts_deg[0] + step * np.arange(tilts_deg.size)
        if step != 0 and np.abs(tilts_deg - even).max() <= abs(step) / 2:
            return float(tilts_deg[0]), float(step)
    return 0.0, 1.0
