"""A small valid file of every format that is read; the mutations start from these."""

from __future__ import annotations

import dataclasses
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from chemtomo.data import Dataset, TiltSeries, Volume
from chemtomo.io import write, write_dataset

__all__ = ["Seed", "make_seeds"]

TILTS = np.array([-40.0, 0.0, 40.0])


@dataclasses.dataclass(frozen=True)
class Seed:
    """A file that is read, and the file that is damaged for it.

    Attributes
    ----------
    name : str
        What the case is called.
    folder : pathlib.Path
        Folder with everything that belongs to it.
    opened : str
        What is given to the reader, inside the folder.
    damaged : str
        What is damaged: the same, or a file inside or beside it.
    """

    name: str
    folder: Path
    opened: str
    damaged: str


def make_seeds(folder: Path, data_folder: Path | None) -> list[Seed]:
    """Write all seeds into `folder`; those of microscopes too where `data_folder` has them."""
    seeds: list[Seed] = []

    def add(name: str, make: Callable[[Path], object], opened: str, *damaged: str) -> None:
        inside = folder / name
        inside.mkdir()
        make(inside)
        for one in damaged or (opened,):
            assert (inside / one).is_file(), f"{name}: {one}"
            label = name if one == opened else f"{name}/{Path(one).name}"
            seeds.append(Seed(label, inside, opened, one))

    haadf = _dataset()["HAADF"]
    one, both = Dataset((haadf,)), _dataset()
    add("mrc", lambda at: write_dataset(one, at / "a.mrc"), "a.mrc", "a.mrc", "a.rawtlt", "a.chemtomo.json")
    add("fei", lambda at: _mrc_with_extended(at / "a.mrc", b"FEI1"), "a.mrc")
    add("serialem", lambda at: _mrc_with_extended(at / "a.mrc", b"SERI"), "a.mrc")
    add("mdoc", _with_mdoc, "a.mrc", "a.mrc.mdoc")
    add("csv", _with_table, "a.mrc", "a.csv")
    add("ometiff", lambda at: write_dataset(both, at / "a.ome.tif"), "a.ome.tif")
    add("tiff", _tiff, "a.tif")
    add("imagej", _imagej, "a.tif")
    add("npy", _npy, "a.npy")
    add("npz", lambda at: np.savez(at / "a.npz", data=haadf.data, tilts=TILTS), "a.npz")
    add(
        "zarr",
        lambda at: write_dataset(both, at / "a.zarr"),
        "a.zarr",
        "a.zarr/.zattrs",
        "a.zarr/0/.zattrs",
        "a.zarr/0/0/.zarray",
        "a.zarr/.zgroup",
        "a.zarr/0/0/0/0/0/0",
    )
    add("zip", _zip, "a.zip")
    add("tomviz", lambda at: write_dataset(both, at / "a.emd"), "a.emd")
    add("ncem", _ncem, "a.emd")
    add("hspy", lambda at: write_dataset(both, at / "a.hspy"), "a.hspy")
    add("spectra", _spectra, "a.hspy")
    add("dm3", lambda at: (at / "a.dm3").write_bytes(_digital_micrograph()), "a.dm3")
    add("ser", lambda at: (at / "a.ser").write_bytes(_tia()), "a.ser")
    add("spd", lambda at: (at / "a.spd").write_bytes(_edax()), "a.spd")
    add("rpl", _ripple, "a.rpl")
    add("prz", _panta_rhei, "a.prz")
    volume = Volume(haadf.data[np.newaxis].astype(np.float32), ("HAADF",), 1.5, (0, 1, 2), {"steps": []})
    for ending, extra in (
        ("zarr", ("a.zarr/.zattrs", "a.zarr/0/.zarray")),
        ("ome.tif", ()),
        ("emd", ()),
        ("hspy", ()),
    ):
        add(
            f"volume_{ending}",
            lambda at, ending=ending: write(volume, at / f"a.{ending}"),
            f"a.{ending}",
            *extra,
        )
    add("volume_mrc", lambda at: write(volume, at / "a.mrc"), "a.mrc", "a.mrc", "a.chemtomo.json")
    for ending, magic in _ONLY_MAGIC.items():
        add(
            ending,
            lambda at, ending=ending, magic=magic: _only_magic(at / f"a.{ending}", magic),
            f"a.{ending}",
        )
    for vendor in ("HAADF.dm3", "fei_example_tem_stack.emd", "test_TEM.bcf"):
        source = None if data_folder is None else data_folder / "vendor" / vendor
        if source is not None and source.is_file():
            add(f"vendor_{vendor}", lambda at, source=source: shutil.copy(source, at), vendor)
    return seeds


# Formats that nothing here can write: damage begins after their mark.
_ONLY_MAGIC = {
    "dm4": struct.pack(">IQI", 4, 1000, 1),
    "bcf": b"AAMVHFSS" + bytes(280) + struct.pack("<I", 4096),
    "emi": b"JISM" + b"<ObjectInfo><ExperimentalDescription></ExperimentalDescription></ObjectInfo>",
    "pts": b"\xd5\xbc\x00\x00" + bytes(60),
    "asw": b"\0\0\0\0" + struct.pack("<III", 0, 64, 64) + bytes(60),
}


def _only_magic(path: Path, magic: bytes) -> None:
    path.write_bytes(magic + np.random.default_rng(0).bytes(2000))


def _dataset() -> Dataset:
    rng = np.random.default_rng(0)
    haadf = TiltSeries("HAADF", rng.random((3, 8, 10)).astype(np.float32), TILTS, 1.5, gains=[1, 2, 3])
    counts = rng.poisson(3.0, (3, 8, 10)).astype(np.uint16)
    return Dataset((haadf, TiltSeries("Fe", counts, TILTS, 1.5, "counts", background=haadf.data)))


def _mrc_with_extended(path: Path, kind: bytes) -> None:
    import mrcfile

    if kind == b"FEI1":
        dtype = mrcfile.dtypes.get_ext_header_dtype(b"FEI1")
        records = np.zeros(3, dtype)
        records["Metadata size"] = dtype.itemsize
        records["Alpha tilt"] = TILTS
        records["Pixel size X"] = 1.5e-9
    else:
        records = np.zeros((3, 2), "u1")
        records[:] = np.round(TILTS * 100).astype("<i2").view("u1").reshape(3, 2)
    with mrcfile.new(path) as file:
        file.set_data(np.arange(240, dtype=np.float32).reshape(3, 8, 10))
        file.set_extended_header(np.frombuffer(records.tobytes(), "V1"))
        file.header.exttyp = kind
        extra = bytearray(bytes(file.header.extra2))
        extra[16:20] = np.array([2, 1], "<i2").tobytes()
        file.header.extra2 = np.void(bytes(extra))


def _with_mdoc(folder: Path) -> None:
    write_dataset(Dataset((_dataset().series[0],)), folder / "a.mrc")
    (folder / "a.rawtlt").unlink()
    (folder / "a.chemtomo.json").unlink()
    sections = "".join(
        f"[ZValue = {number}]\nTiltAngle = {tilt}\nStagePosition = 1 2\nExposureTime = 1\n\n"
        for number, tilt in enumerate(TILTS)
    )
    (folder / "a.mrc.mdoc").write_text(
        f"PixelSpacing = 15\nImageFile = a.mrc\nImageSize = 10 8\n\n{sections}"
    )


def _with_table(folder: Path) -> None:
    write_dataset(Dataset((_dataset().series[0],)), folder / "a.mrc")
    (folder / "a.rawtlt").unlink()
    rows = "".join(f"{number},{tilt}\n" for number, tilt in enumerate(TILTS))
    (folder / "a.csv").write_text(f"section,tilt\n{rows}")


def _zip(folder: Path) -> None:
    import zipfile

    (path,) = write_dataset(Dataset((_dataset()["HAADF"],)), folder / "a.mrc")
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for one in (path, path.with_suffix(".rawtlt")):
            archive.write(one, one.name)
            one.unlink()


def _npy(folder: Path) -> None:
    np.save(folder / "a.npy", _dataset()["HAADF"].data)
    (folder / "a.rawtlt").write_text("-40\n0\n40\n")


def _tiff(folder: Path) -> None:
    import tifffile

    tifffile.imwrite(folder / "a.tif", _dataset()["Fe"].data, photometric="minisblack", compression="zlib")
    (folder / "a.rawtlt").write_text("-40\n0\n40\n")


def _imagej(folder: Path) -> None:
    import tifffile

    data = _dataset()["HAADF"].data
    tifffile.imwrite(
        folder / "a.tif",
        data,
        imagej=True,
        resolution=(1 / 1.5, 1 / 1.5),
        metadata={"unit": "nm", "axes": "ZYX"},
    )
    (folder / "a.rawtlt").write_text("-40\n0\n40\n")


def _ncem(folder: Path) -> None:
    import h5py

    with h5py.File(folder / "a.emd", "w") as file:
        group = file.create_group("data/stack")
        group.attrs["emd_group_type"] = 1
        group["data"] = _dataset()["HAADF"].data
        for number, (name, unit, values) in enumerate(
            (("tilt", "[deg]", TILTS), ("y", "[n_m]", np.arange(8.0)), ("x", "[n_m]", np.arange(10.0))),
            start=1,
        ):
            dim = group.create_dataset(f"dim{number}", data=values)
            dim.attrs["name"], dim.attrs["units"] = name, unit


def _axis(name: str, size: int, scale: float, units: str, *, navigate: bool) -> dict[str, object]:
    return {
        "_type": "UniformDataAxis",
        "name": name,
        "size": size,
        "scale": scale,
        "offset": 0.0,
        "units": units,
        "navigate": navigate,
        "is_binned": False,
    }


def _signal(data: np.ndarray, axes: list[dict[str, object]], signal_type: str) -> dict[str, object]:
    return {
        "data": data,
        "axes": axes,
        "metadata": {"General": {"title": "a"}, "Signal": {"signal_type": signal_type}},
        "original_metadata": {},
        "attributes": {"_lazy": False, "ragged": False},
        "learning_results": {},
        "models": None,
        "tmp_parameters": {},
        "package_info": {"package": "test", "package_version": "0"},
    }


def _spectra(folder: Path) -> None:
    from rsciio.hspy import file_writer

    data = np.random.default_rng(0).poisson(0.3, (4, 5, 64)).astype(np.uint16)
    axes = [
        _axis("y", 4, 1.0, "nm", navigate=True),
        _axis("x", 5, 1.0, "nm", navigate=True),
        _axis("Energy", 64, 0.01, "keV", navigate=False),
    ]
    file_writer(str(folder / "a.hspy"), _signal(data, axes, "EDS_TEM"), show_progressbar=False)


def _ripple(folder: Path) -> None:
    from rsciio.ripple import file_writer

    axes = [_axis(name, size, 1.0, "nm", navigate=False) for name, size in (("y", 8), ("x", 10))]
    data = _dataset()["HAADF"].data[0]
    file_writer(str(folder / "a.rpl"), _signal(data, axes, ""))


def _panta_rhei(folder: Path) -> None:
    from rsciio.pantarhei import file_writer

    axes = [_axis(name, size, 1.0, "nm", navigate=False) for name, size in (("y", 8), ("x", 10))]
    file_writer(str(folder / "a.prz"), _signal(_dataset()["HAADF"].data[0], axes, ""))


def _tag(name: str, value: object) -> bytes:
    """Return a tag of Digital Micrograph 3: a group of tags, a number, a text or an array."""
    head = struct.pack(">H", len(name)) + name.encode()
    if isinstance(value, (dict, list)):
        return b"\x14" + head + _tags(value)
    if isinstance(value, float):
        body = struct.pack(">ii", 1, 6) + struct.pack("<f", value)
    elif isinstance(value, int):
        body = struct.pack(">ii", 1, 5) + struct.pack("<I", value)
    elif isinstance(value, str):
        body = struct.pack(">iiii", 3, 20, 4, len(value)) + value.encode("utf-16-le")
    else:
        array = np.asarray(value)
        body = struct.pack(">iiii", 3, 20, 6, array.size) + array.astype("<f4").tobytes()
    return b"\x15" + head + b"%%%%" + body


def _tags(tags: dict[str, object] | list[object]) -> bytes:
    items = tags.items() if isinstance(tags, dict) else (("", one) for one in tags)
    written = [_tag(name, value) for name, value in items]
    return struct.pack(">bbi", 1, 0, len(written)) + b"".join(written)


def _digital_micrograph() -> bytes:
    sizes = (10, 8, 3)
    units = ("nm", "nm", "deg")
    scales = (1.5, 1.5, 40.0)
    data: dict[str, object] = {
        "Calibrations": {
            "Brightness": {"Origin": 0.0, "Scale": 1.0, "Units": ""},
            "Dimension": [
                {"Origin": 1.0 if unit == "deg" else 0.0, "Scale": scale, "Units": unit}
                for unit, scale in zip(units, scales, strict=True)
            ],
        },
        "Data": _dataset()["HAADF"].data.ravel(),
        "DataType": 2,
        "Dimensions": list(sizes),
        "PixelDepth": 4,
    }
    root = {"ImageList": [{"ImageData": data, "ImageTags": {"a": 1}, "Name": "a", "UniqueID": [1, 2, 3, 4]}]}
    body = _tags(root) + bytes(8)
    return struct.pack(">iii", 3, len(body), 1) + body


def _tia() -> bytes:
    """Return a series of TIA with one image."""
    image = np.arange(80, dtype="<f4")
    head = struct.pack("<HHHIIII", 0x4949, 0x0197, 0x0210, 0x4122, 0x4152, 1, 1)
    dimension = struct.pack("<IddI", 1, 0.0, 1.0, 0) + struct.pack("<I", 6) + b"Number" + struct.pack("<I", 0)
    offsets_at = len(head) + 8 + len(dimension)
    at = offsets_at + 8
    element = struct.pack("<ddIddIHII", 0.0, 1e-9, 0, 0.0, 1e-9, 0, 7, 10, 8) + image.tobytes()
    tag = struct.pack("<HHIdd", 0x4142, 0, 0, 0.0, 0.0)
    offsets = struct.pack("<II", at, at + len(element))
    return head + struct.pack("<II", offsets_at, 1) + dimension + offsets + element + tag


def _edax() -> bytes:
    head = b"MAPSPECTRA_DATA\0" + struct.pack("<iiiIIIII", 12, 20, 5, 4, 64, 1, 1082, 1) + bytes(120 + 900)
    spectra = np.random.default_rng(0).poisson(0.3, 20 * 64).astype("u1").tobytes()
    return head.ljust(1082, b"\0") + spectra
