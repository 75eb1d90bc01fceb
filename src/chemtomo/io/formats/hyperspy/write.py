"""Write HSPY: files that HyperSpy opens, one signal per channel, with axes, units and titles."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chemtomo.data import TiltSeries, Volume
from chemtomo.data.notebook.hyperspy_signal import length_axis, tilt_axis
from chemtomo.io.description import KEY, describe_series, describe_volume, to_text
from chemtomo.io.formats.target import Target, Written
from chemtomo.io.storage.hdf5_writing import hdf5_target
from chemtomo.io.storage.names import link_name, unique_names
from chemtomo.version import VERSION

__all__ = ["write_series", "write_volume"]

_EXPERIMENTS = "Experiments"
_BACKGROUND = "background"


def write_volume(volume: Volume, target: Target) -> Written:
    """Write a volume as one signal per channel, with the axes ``(z, y, x)``."""
    size = volume.voxel_size_nm
    axes = [
        length_axis(name, count, size, start * size, navigate=name == "z")
        for name, count, start in zip("zyx", volume.shape, volume.origin_px, strict=True)
    ]
    description = describe_volume(volume)
    signals = [
        _signal(title, np.asarray(data, np.float32), axes, description | {"channel": index})
        for index, (title, data) in enumerate(
            zip(unique_names(volume.names, link_name), volume.data, strict=True)
        )
    ]
    with target.writing([target.path]) as (path,):
        _write(path, signals)
    return Written([target.path])


def write_series(series: Sequence[TiltSeries], target: Target) -> Written:
    """Write every tilt series as a signal with the axes ``(tilt, y, x)``, navigated along the tilts.

    The tilt axis is uniform if the tilts are evenly spaced, has one value per projection if they are
    monotonic, and otherwise numbers the projections, since HyperSpy requires ordered axes. The metadata
    always have the tilts in degrees. A background is a separate signal.
    """
    signals = []
    given = [one.name for one in series]
    given += [f"{one.name} {_BACKGROUND}" for one in series if one.background is not None]
    titles = unique_names(given, link_name)
    background_titles = iter(titles[len(series) :])
    for index, (title, one) in enumerate(zip(titles, series, strict=False)):
        _, rows, columns = one.shape
        axes = [
            tilt_axis(one.tilts_deg),
            length_axis("y", rows, one.pixel_size_nm, 0.0),
            length_axis("x", columns, one.pixel_size_nm, 0.0),
        ]
        description = {"version": 1, "kind": "tilt series", "series": [describe_series(one)], "index": index}
        signals.append(_signal(title, one.data, axes, description, one))
        if one.background is not None:
            label = {"version": 1, "kind": _BACKGROUND, "of": one.name}
            signals.append(_signal(next(background_titles), one.background, axes, label))
    with target.writing([target.path]) as (path,):
        _write(path, signals)
    return Written([target.path])


def _write(path: Path, signals: Sequence[dict[str, Any]]) -> None:
    """Write signals to one file. The library writes one per file; the others are copied into the first."""
    import h5py
    from rsciio.hspy import file_writer

    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        for index, signal in enumerate(signals):
            part = Path(folder) / f"{index}.hspy" if index else Path(folder) / "all.hspy"
            with hdf5_target(part) as file:
                file_writer(file, signal, show_progressbar=False)
            if index:
                with (
                    hdf5_target(Path(folder) / "all.hspy") as whole,
                    h5py.File(part, "r") as source,
                    h5py.File(whole, "r+") as target,
                ):
                    for title in source[_EXPERIMENTS]:
                        source.copy(f"{_EXPERIMENTS}/{title}", target[_EXPERIMENTS])
                part.unlink()
        (Path(folder) / "all.hspy").rename(path)


def _signal(
    title: str,
    data: Any,
    axes: list[dict[str, Any]],
    description: dict[str, Any],
    series: TiltSeries | None = None,
) -> dict[str, Any]:
    """Return a signal in the form that the library expects."""
    metadata: dict[str, Any] = {
        "General": {"title": title},
        "Signal": {"signal_type": ""},
        # In a list, because plain text becomes an attribute, which HDF5 limits to 64 KiB.
        KEY: {"description": [to_text(description)]},
    }
    if series is not None:
        metadata["Signal"]["quantity"] = "Counts" if series.kind == "counts" else "Intensity"
        metadata["Acquisition_instrument"] = {
            "TEM": {"Stage": {"tilt_series_alpha": series.tilts_deg.copy()}}
        }
    return {
        "data": data if hasattr(data, "dask") else np.ascontiguousarray(data),
        "axes": [dict(axis) for axis in axes],
        "metadata": metadata,
        "original_metadata": {},
        "attributes": {"_lazy": hasattr(data, "dask"), "ragged": False},
        "learning_results": {},
        "models": None,
        "tmp_parameters": {},
        "package_info": {
            "package": "napari-chemtomo",
            "package_version": VERSION,
        },
    }
