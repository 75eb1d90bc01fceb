"""Layers of tilt series: image layers of four axes ``(tilt, z, y, x)`` with one pixel along ``z``.

So they share the axes ``z, y, x`` with the volumes that are made from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import Alignment, Dataset, Origin, TiltSeries
from chemtomo.data.colours import channel_colours
from chemtomo.errors import DataError
from chemtomo.io.storage.lazy import lazy_mapped
from napari_chemtomo.layers.appearance import intensity_limits
from napari_chemtomo.layers.metadata import (
    METADATA_KEY,
    SAMPLE_AXES,
    SAMPLE_UNITS,
    TILT_SERIES,
    channel_name,
    is_stack,
    is_tilt_series,
    metadata_of,
    pixel_size_nm,
)

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.types import LayerDataTuple
    from napari.utils import Colormap

__all__ = [
    "colours_beside",
    "series_layer",
    "stack_to_series",
    "tilt_axis",
    "to_dataset",
    "to_series",
]


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
            "units": ("degree", *SAMPLE_UNITS),
            "axis_labels": ("tilt", *SAMPLE_AXES),
            "colormap": colour,
            "blending": "additive",
            "contrast_limits": intensity_limits(_some_projections(data)),
            "opacity": opacity,
            "metadata": {
                METADATA_KEY: {
                    "kind": TILT_SERIES,
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
    `napari_chemtomo.layers.aligned`.

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
        pixel_size_nm=pixel_size_nm(layer),
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


def to_dataset(layers: Sequence[Layer]) -> Dataset:
    """Return the dataset that several layers make.

    Raises
    ------
    DataError
        When a layer is no tilt series, or there is none.
    """
    return Dataset(tuple(to_series(layer) for layer in layers))


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
        pixel_size = pixel_size_nm(layer)
    return TiltSeries(
        name=layer.name,
        data=data,
        tilts_deg=first_deg + step_deg * np.arange(data.shape[0]),
        pixel_size_nm=pixel_size,
        kind="counts" if counts else "intensity",
        source=getattr(layer.source, "path", None),
        notes=tuple(notes),
    )


def tilt_axis(tilts_deg: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the first tilt and the step of evenly recorded tilts; else number the projections."""
    if tilts_deg.size > 1:
        step = (tilts_deg[-1] - tilts_deg[0]) / (tilts_deg.size - 1)
        even = tilts_deg[0] + step * np.arange(tilts_deg.size)
        if step != 0 and np.abs(tilts_deg - even).max() <= abs(step) / 2:
            return float(tilts_deg[0]), float(step)
    return 0.0, 1.0


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
