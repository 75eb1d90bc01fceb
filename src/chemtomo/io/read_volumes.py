"""Volumes back from files: from every format that `chemtomo.io.write` knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from chemtomo.data import Volume
from chemtomo.errors import ChemTomoError, ReadError
from chemtomo.io.description import KEY, VOLUME, check_version, from_text, load, restore_volume
from chemtomo.io.formats.emd.write import GROUP, SCALARS
from chemtomo.io.formats.numpy.read import read_arrays
from chemtomo.io.formats.restore import tiff_description
from chemtomo.io.interpret.pixel_size import pixel_size
from chemtomo.io.outputs import DESCRIPTION_SUFFIX, is_zarr, output_format
from chemtomo.io.storage.hdf5_heaps import check_heaps
from chemtomo.io.storage.library import quietly

__all__ = ["is_volume", "read_volume"]


def read_volume(path: str | PathLike[str]) -> Volume:
    """Read a volume.

    Parameters
    ----------
    path : path
        A file, or a folder of OME-Zarr, that `chemtomo.io.write` wrote, or one of another program:
        OME-Zarr with the axes (c, z, y, x) or fewer, OME-TIFF, MRC, EMD of tomviz. For MRC with one
        file a channel: the name that was given to `write`, its ``.chemtomo.json``, or one channel.

    Raises
    ------
    ReadError
        When there is no volume; the message names the file, what was found and what was expected.
    """
    path = Path(path)
    reader = _reader(path)
    try:
        return quietly(lambda: reader(path))[0]
    except ChemTomoError:
        raise
    except MemoryError as error:
        raise ReadError(f"{path}: found a volume larger than the memory; expected a smaller one") from error
    except Exception as error:
        # Whatever a library says of a broken file.
        raise ReadError(f"{path}: cannot be read as a volume ({type(error).__name__}: {error})") from error


def is_volume(path: str | PathLike[str], *, ours: bool = False) -> bool:
    """Tell whether a file is a volume, not a tilt series: by what it says of itself.

    A file that says nothing, or that cannot be read, is none.

    Parameters
    ----------
    path : path
        The file.
    ours : bool
        Whether it has to be one that `chemtomo.io.write` wrote.
    """
    path = Path(path)
    try:
        described, _ = quietly(lambda: _described(path))
        if ours:
            return described is not None and described.get("kind") == VOLUME and "names" in described
        if described is not None:
            return described.get("kind") == VOLUME
        return path.suffix.lower() == ".rec"
    except Exception:  # noqa: BLE001 - who reads it will say what is wrong with it
        return False


def _described(path: Path) -> Mapping[str, Any] | None:
    """Return the description in a file or beside it; None when there is none."""
    found = output_format(path)
    if path.name.endswith(DESCRIPTION_SUFFIX):
        return load(path)
    if found is None:
        return None
    name, _ = found
    if name == "OME-Zarr":
        attributes = _zarr_attributes(path)
        if KEY in attributes:
            return dict(attributes[KEY])
        axes = [axis.get("name") for axis in attributes["multiscales"][0]["axes"]]
        return {"kind": VOLUME} if axes[-3:] == ["z", "y", "x"] and "t" not in axes else None
    if name == "OME-TIFF":
        import tifffile

        with tifffile.TiffFile(path) as file:
            return tiff_description(file.ome_metadata, str(path))
    if name == "EMD":
        import h5py

        check_heaps(path)
        with h5py.File(path, "r") as file:
            group = file.get(GROUP)
            if group is None:
                return None
            if KEY in group:
                return from_text(group[KEY][()], str(path))
            unit = _decode(group["dim1"].attrs.get("units", b""))
            return {"kind": None if unit in ("[deg]", "[rad]") else VOLUME}
    if name == "HSPY":
        (_, described), *_ = _hspy_signals(path)
        return described
    if name == "NPZ":
        return _npz_description(read_arrays(path), path)
    beside = _beside(path)
    return None if beside is None else beside[0]


def _reader(path: Path) -> Callable[[Path], Volume]:
    found = output_format(path)
    if path.name.endswith(DESCRIPTION_SUFFIX):
        return _read_mrc
    if found is None and path.exists() and not path.is_dir():
        raise ReadError(
            f"{path}: not a format of volumes; expected OME-Zarr, OME-TIFF, MRC, EMD, HSPY or NPZ by its "
            "ending"
        )
    if found is not None and found[0] == "MRC":
        return _read_mrc
    if not path.exists():
        raise ReadError(f"{path}: no such file")
    name = "OME-Zarr" if found is None else found[0]
    readers = {
        "OME-Zarr": _read_zarr,
        "OME-TIFF": _read_tiff,
        "EMD": _read_emd,
        "HSPY": _read_hspy,
        "NPZ": _read_npz,
    }
    return readers[name]


def _zarr_attributes(path: Path) -> dict[str, Any]:
    import zarr

    if not is_zarr(path):
        raise ReadError(f"{path}: found no Zarr group; expected an OME-Zarr image")
    attributes: dict[str, Any] = dict(zarr.open_group(str(path), mode="r").attrs)
    return {**attributes, **attributes.get("ome", {})}


def _read_zarr(path: Path) -> Volume:
    """Read an image of the axes ``(c, z, y, x)`` or ``(z, y, x)``, at full resolution."""
    import zarr

    try:
        attributes = _zarr_attributes(path)
        group = zarr.open_group(str(path), mode="r")
        multiscale = attributes["multiscales"][0]
        axes = multiscale["axes"]
        dataset = multiscale["datasets"][0]
        array = group[dataset["path"]]
        names = tuple(axis["name"] for axis in axes)
        transforms = {one["type"]: one[one["type"]] for one in dataset["coordinateTransformations"]}
        labels = [channel.get("label") for channel in attributes.get("omero", {}).get("channels", [])]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ReadError(
            f"{path}: found no image description ({error}); expected an OME-Zarr image"
        ) from error
    if names not in (("c", "z", "y", "x"), ("z", "y", "x")) or not isinstance(array, zarr.Array):
        raise ReadError(f"{path}: found the axes {', '.join(names)}; expected c, z, y, x")
    _check_size(path, array.shape, array.dtype, path)
    data = np.asarray(array[...], dtype=np.float32)
    data = data if data.ndim == 4 else data[np.newaxis]
    described = attributes.get(KEY)
    if described is not None and "names" in described:
        check_version(described, str(path))
        return restore_volume(described, data, str(path))
    scale = [float(value) for value in transforms["scale"][-3:]]
    size = _voxel_size(scale[0], axes[-3].get("unit", "nanometer"))
    place = [float(value) for value in transforms.get("translation", [0.0] * len(names))[-3:]]
    if len(labels) != len(data) or None in labels:
        labels = _numbered(path, len(data))
    return restore_volume(
        {
            "names": labels,
            "voxel_size_nm": size,
            "origin_px": [_whole(at / one) for at, one in zip(place, scale, strict=True)],
            "recipe": (described or {}).get("recipe", {}),
        },
        data,
        str(path),
    )


def _read_tiff(path: Path) -> Volume:
    import tifffile

    with tifffile.TiffFile(path) as file:
        described = tiff_description(file.ome_metadata, str(path))
        series = file.series[0]
        axes = str(series.get_axes(squeeze=False))
        shape = series.get_shape(squeeze=False)
        if set(axes) - set("CZYX") and any(
            size > 1 for axis, size in zip(axes, shape, strict=True) if axis not in "CZYX"
        ):
            raise ReadError(f"{path}: found the axes {axes.lower()}; expected c, z, y, x")
        _check_size(path, shape, series.dtype, path)
        data = series.asarray(squeeze=False)
        data = data.reshape([size for axis, size in zip(axes, shape, strict=True) if axis in "CZYX"])
        kept = [axis for axis in axes if axis in "CZYX"]
        data = np.moveaxis(data, [kept.index(axis) for axis in "CZYX" if axis in kept], range(data.ndim))
        data = data if data.ndim == 4 else data[np.newaxis]
        if described is not None and described.get("kind") == VOLUME:
            return restore_volume(described, data, str(path))
        pixels = _pixels(file.ome_metadata)
    return restore_volume(
        {
            "names": _numbered(path, len(data)),
            "voxel_size_nm": _voxel_size(
                float(pixels.get("PhysicalSizeX", 1.0)), pixels.get("PhysicalSizeXUnit", "nm")
            ),
        },
        data,
        str(path),
    )


def _pixels(ome: str | None) -> dict[str, str]:
    if not ome:
        return {}
    from xml.etree import ElementTree as ET

    found = next((one for one in ET.fromstring(ome).iter() if one.tag.endswith("}Pixels")), None)
    return {} if found is None else dict(found.attrib)


def _read_emd(path: Path) -> Volume:
    import h5py

    check_heaps(path)
    with h5py.File(path, "r") as file:
        group = file.get(GROUP)
        if not isinstance(group, h5py.Group) or not isinstance(group.get("data"), h5py.Dataset):
            raise ReadError(f"{path}: found no group {GROUP} with data; expected an EMD file of tomviz")
        arrays = {_decode(group["data"].attrs.get("name", b"data")): group["data"]}
        scalars = group.get(SCALARS, {})
        for name in scalars:
            if isinstance(scalars.get(name, getlink=True), h5py.HardLink):
                arrays[name] = scalars[name]
        shapes = {array.shape for array in arrays.values()}
        if len(shapes) != 1 or group["data"].ndim != 3:
            raise ReadError(f"{path}: found arrays of shapes {shapes}; expected one of three axes")
        if _decode(group["dim1"].attrs.get("units", b"")) in ("[deg]", "[rad]"):
            raise ReadError(f"{path}: found a tilt series; expected a volume")
        x, y, z = group["data"].shape
        _check_size(path, (len(arrays), x, y, z), group["data"].dtype, path)
        data = np.empty((len(arrays), z, y, x), np.float32)
        for channel, array in zip(data, arrays.values(), strict=True):
            channel[...] = np.asarray(array[...], np.float32).transpose(2, 1, 0)
        if KEY in group:
            return restore_volume(from_text(group[KEY][()], str(path)), data, str(path))
        dim = np.asarray(group["dim1"][:2], np.float64).ravel()
        unit = _decode(group["dim1"].attrs.get("units", b"[n_m]"))
    size = _voxel_size(float(dim[1] - dim[0]), unit) if dim.size > 1 else 1.0
    return restore_volume({"names": list(arrays), "voxel_size_nm": size}, data, str(path))


def _read_npz(path: Path) -> Volume:
    arrays = read_arrays(path)
    found = _npz_description(arrays, path)
    if found is None or found.get("kind") != VOLUME:
        raise ReadError(f"{path}: found no description of a volume; expected one that this program wrote")
    check_version(found, str(path))
    try:
        data = np.stack([arrays[name] for name in found["arrays"]])
    except (KeyError, TypeError, ValueError) as error:
        raise ReadError(f"{path}: found other arrays than its description says ({error})") from error
    return restore_volume(found, data, str(path))


def _npz_description(arrays: Mapping[str, Any], path: Path) -> dict[str, Any] | None:
    return from_text(arrays[KEY].tobytes(), str(path)) if KEY in arrays else None


def _read_hspy(path: Path) -> Volume:
    signals = _hspy_signals(path)
    described = [found for _, found in signals if found is not None and found.get("kind") == VOLUME]
    if len(described) != len(signals):
        raise ReadError(f"{path}: found signals that are no channels of a volume; expected all to be")
    order = sorted(range(len(signals)), key=lambda index: int(described[index]["channel"]))
    arrays = [signals[index][0] for index in order]
    _check_size(path, (len(arrays), *arrays[0].shape), arrays[0].dtype, path)
    return restore_volume(described[0], np.stack([np.asarray(one) for one in arrays]), str(path))


def _hspy_signals(path: Path) -> list[tuple[Any, dict[str, Any] | None]]:
    """Return the data, still to be read, and the description of every signal in a file."""
    from rsciio.hspy import file_reader

    check_heaps(path)
    found = []
    for signal in file_reader(str(path), lazy=True):
        text = signal["metadata"].get(KEY, {}).get("description")
        found.append((signal["data"], None if text is None else from_text(text[0], str(path))))
    if not found:
        raise ReadError(f"{path}: found no signal; expected at least one")
    return found


def _beside(path: Path) -> tuple[dict[str, Any], Path] | None:
    """Return the description to which an MRC file belongs, or that of the whole of this name."""
    own = output_format(path)
    candidates = [path.with_name(own[1] + DESCRIPTION_SUFFIX)] if own is not None else []
    if path.is_file():
        candidates += sorted(path.parent.glob(f"*{DESCRIPTION_SUFFIX}"))
    for one in candidates:
        if not one.is_file():
            continue
        described = load(one)
        if one == candidates[0] or path.name in described.get("files", []):
            return described, one
    return None


def _read_mrc(path: Path) -> Volume:
    """Read the channels that a description names; one file of MRC is one channel."""
    if path.name.endswith(DESCRIPTION_SUFFIX):
        described: dict[str, Any] | None = load(path)
    else:
        beside = _beside(path)
        described = None if beside is None else beside[0]
    if described is not None and described.get("kind") != VOLUME:
        raise ReadError(f"{path}: found a {described.get('kind')}; expected a volume")
    if described is None:
        return _read_one_mrc(path)
    files = [str(name) for name in described["files"]]
    if path.name in files:
        at = files.index(path.name)
        files, described = [path.name], described | {"names": [described["names"][at]]}
    if any(Path(name).name != name for name in files):
        raise ReadError(f"{path}: found files in other folders; expected names only")
    volumes = [_read_one_mrc(path.with_name(name)) for name in files]
    shapes = {one.shape for one in volumes}
    if len(shapes) != 1:
        raise ReadError(f"{path}: found channels of the shapes {shapes}; expected one shape")
    return restore_volume(described, np.concatenate([one.data for one in volumes]), str(path))


def _read_one_mrc(path: Path) -> Volume:
    from chemtomo.io.formats.mrc.read import read_stack

    data, size = read_stack(path)
    return Volume(np.asarray(data, np.float32)[np.newaxis], (path.stem,), voxel_size_nm=size)


def _voxel_size(size: float, unit: str) -> float:
    """Return the edge of a voxel in nanometres; 1 where the file says none, or no length."""
    found, _ = pixel_size((size, unit), (size, unit))
    return 1.0 if found is None else found


def _check_size(path: Path, shape: tuple[int, ...], dtype: Any, file: Path) -> None:
    """Refuse an array that says to be much larger than its file, even when that is packed well."""
    values = int(np.prod([int(size) for size in shape], dtype=object))
    size = values * np.dtype(dtype).itemsize
    on_disk = (
        sum(one.stat().st_size for one in file.rglob("*") if one.is_file())
        if file.is_dir()
        else file.stat().st_size
    )
    if values <= 0 or size > max(1 << 26, 2000 * on_disk):
        raise ReadError(
            f"{path}: says to hold {size} bytes in a file of {on_disk}; expected a volume that fits its file"
        )


def _numbered(path: Path, count: int) -> list[str]:
    stem = path.name.split(".")[0]
    return [stem] if count == 1 else [f"channel {index}" for index in range(count)]


def _decode(value: Any) -> str:
    value = value[0] if isinstance(value, np.ndarray) and value.size else value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _whole(index: float) -> float:
    """Remove the rounding error of an index that went through a length."""
    return float(round(index)) if abs(index - round(index)) < 1e-6 else index
