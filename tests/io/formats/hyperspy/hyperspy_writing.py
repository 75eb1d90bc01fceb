"""Files of HyperSpy for tests."""

from typing import Any

import numpy as np


def axis(name: str, size: int, scale: float = 1.0, offset: float = 0.0, units: str = "") -> dict[str, Any]:
    """Return an even axis."""
    return {
        "_type": "UniformDataAxis",
        "name": name,
        "size": size,
        "scale": scale,
        "offset": offset,
        "units": units,
        "navigate": False,
        "is_binned": False,
    }


def write_hspy(path, data, axes, metadata=None) -> None:
    """Write a HSPY file with the library's own writer."""
    from rsciio.hspy import file_writer

    signal = {
        "data": data,
        "axes": axes,
        "metadata": metadata or {"General": {"title": ""}, "Signal": {"signal_type": ""}},
        "original_metadata": {},
        "attributes": {"_lazy": False, "ragged": False},
        "learning_results": {},
        "models": None,
        "tmp_parameters": {},
        "package_info": {"package": "test", "package_version": "0"},
    }
    file_writer(str(path), signal, show_progressbar=False)


def write_zspy(path, data, axes, metadata=None) -> None:
    """Write a ZSPY file as HyperSpy does: the library's own writer does not run with a present-day Zarr."""
    import zarr

    root = zarr.open_group(str(path), mode="w", zarr_format=2)
    root.attrs["file_format"] = "ZSpy"
    root.attrs["file_format_version"] = "3.3"
    experiment = root.create_group("Experiments").create_group("signal")
    experiment.create_array("data", data=data, chunks=tuple(min(2, size) for size in data.shape))
    for index, one in enumerate(axes):
        experiment.create_group(f"axis-{index}").attrs.update(one)

    def fill(group, tree):
        for key, value in tree.items():
            if isinstance(value, dict):
                fill(group.create_group(key), value)
            elif isinstance(value, np.ndarray):
                group.create_array(key, data=value)
            else:
                group.attrs[key] = value

    fill(experiment.create_group("metadata"), metadata or {"General": {"title": ""}})
    experiment.create_group("original_metadata")


def spectral(title: str = "", signal_type: str = "EDS_TEM", **more: Any) -> dict[str, Any]:
    """Return metadata of spectra; `alpha` is the tilt of the stage."""
    stage = {"Stage": {"tilt_alpha": more["alpha"]}} if "alpha" in more else {}
    return {
        "General": {"title": title},
        "Signal": {"signal_type": signal_type},
        "Sample": {"elements": ["Cu", "O"]},
        "Acquisition_instrument": {"TEM": {"beam_energy": 200.0, **stage}},
    }
