"""MRC files: tilt series and volumes.

Format: Cheng et al., J. Struct. Biol. 192 (2015) 146 (MRC2014). Tilt series of IMOD
(``.st``, ``.ali``) are of the same format.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from mrcfile.dtypes import HEADER_DTYPE

from chemtomo.data import Volume
from chemtomo.errors import NoTiltSeriesError, ReadError
from chemtomo.io.description import (
    DESCRIPTION_SUFFIX,
    VOLUME,
    load_description,
    restore_one_series,
    restore_volume,
    series_entries,
)
from chemtomo.io.formats.mrc.byte_sign import byte_meaning, shifted
from chemtomo.io.formats.mrc.extended_header import ByteOrder, ExtendedHeader, read_extended
from chemtomo.io.found import Found
from chemtomo.io.interpret.pixel_size import pixel_size
from chemtomo.io.storage.lazy import lazy_mapped
from chemtomo.io.tilts.axis import axis_angle_in_text, axis_from_imod, is_aligned_by_imod
from chemtomo.io.tilts.sources import sidecar_mdoc

__all__ = ["SERIES_LABEL", "description", "find", "read_volume", "recognises"]

_BYTE_ORDERS: tuple[ByteOrder, ...] = ("<", ">")
_HEADER_BYTES = 1024
_MAP_AT = slice(208, 211)
_REAL_MODES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
_OTHER_MODES = {
    3: "complex 16-bit integers",
    4: "complex 32-bit floats",
    16: "colours",
    17: "colours",
    101: "4-bit integers",
}
_LARGEST_AXIS = 1 << 20
# Larger files are memory-mapped: their values are read when they are needed.
_MAP_FROM_BYTES = 512 << 20
SERIES_LABEL = "chemtomo series"
"""Start of the label that `chemtomo.io.write_dataset` writes into the header."""
# At most so much of the extended header is read; the largest known ones have 888 bytes per section.
_LARGEST_EXTENDED = 64 << 20
_UNSET_PIXEL_NM = 0.1


def recognises(head: bytes) -> bool:
    """Tell whether the first 1024 bytes of a file are an MRC header."""
    return len(head) >= _HEADER_BYTES and head[_MAP_AT] == b"MAP"


def find(path: Path) -> list[Found]:
    """Find the stack in an MRC file: its sections are the projections.

    Tilts are those of the extended header (see `chemtomo.io.formats.mrc.extended_header`). Files written by
    `chemtomo.io.write_dataset` also say whether the values are counts.

    The pixel size is that of the header. If that is missing, or is the 1 angstrom that programs write for an
    unknown size, it comes from the ``.mdoc`` file or the extended header.

    Files of 512 MiB and more are memory-mapped.

    Parameters
    ----------
    path : pathlib.Path
        The file. The name of the stack is its stem.

    Raises
    ------
    ReadError
        When the file is not an MRC file, is truncated, or holds complex numbers.
    """
    header = _read_header(path)
    if header.extended.tiles > 1:
        raise ReadError(
            f"{path}: found a montage, {header.extended.tiles} tiles at a tilt (piece coordinates); expected "
            "one image per tilt. Blend the tiles first, for example with IMOD's blendmont"
        )
    size, notes = header.pixel_size_nm, [*header.notes]
    if size is None or size == _UNSET_PIXEL_NM:
        mdoc = sidecar_mdoc(path)
        others = {
            mdoc.path.name if mdoc is not None else "": mdoc.pixel_size_nm if mdoc is not None else None,
            "the extended header": header.extended.pixel_size_nm,
        }
        for name, other in others.items():
            if other is not None and other != size:
                notes.append(f"the pixel size of {other:g} nm is that of {name}; the header has none of use")
                size = other
                break
    said = _parse_label(header.labels)
    attributes: dict[str, Any] = {}
    if "axis_position_px" in said:
        attributes["axis_position_px"] = float(said["axis_position_px"])
    axis = None if is_aligned_by_imod(path) else _axis_angle(header)
    if axis is not None:
        attributes["axis_angle_deg"] = axis
    kind: Any = said.get("kind")
    found = Found(
        name=path.stem,
        data=_read_data(path, header),
        kind="stack",
        tilts_deg=header.extended.tilts_deg,
        pixel_size_nm=size,
        signal=kind if kind in ("counts", "intensity") else None,
        named=False,
        notes=tuple(notes),
        attributes=attributes,
    )
    return [_with_description(found, path) if SERIES_LABEL in " ".join(header.labels) else found]


def _axis_angle(header: _Header) -> float | None:
    """Return the tilt axis angle in a title of the header, or else in the extended header."""
    titles = (said for label in header.labels if (said := axis_angle_in_text(label)) is not None)
    angle = next(titles, None)
    if angle is None:
        angle = header.extended.axis_angle_deg
        # IMOD's program `header` changes the sign too.
        if angle is not None and header.labels and header.labels[0].startswith("Fei "):
            angle = -angle
    return None if angle is None else axis_from_imod(angle, bottom_row_first=True)


def _with_description(found: Found, path: Path) -> Found:
    """Add the description that `chemtomo.io.write_dataset` wrote beside the file, if it still applies."""
    beside = path.with_name(path.stem + DESCRIPTION_SUFFIX)
    if not beside.is_file():
        return found
    (entry,) = series_entries(load_description(beside), str(beside))[:1]
    shape = tuple(entry.get("shape", ()))
    if shape != found.data.shape:
        note = f"{beside.name} is not used: it describes {shape}, and the file has {found.data.shape}"
        return found.replace(notes=(*found.notes, note))
    with_tilts = entry | {"tilts_deg": found.tilts_deg}
    return restore_one_series(with_tilts, found.data, str(beside), notes=found.notes)


def description(path: Path) -> dict[str, Any] | None:
    """Return the content of the ``.chemtomo.json`` file of an MRC file; None if there is none.

    It has the same name as the MRC file, or lists that name.
    """
    if path.name.endswith(DESCRIPTION_SUFFIX):
        return load_description(path)
    own = path.with_name(path.stem + DESCRIPTION_SUFFIX)
    others = sorted(path.parent.glob(f"*{DESCRIPTION_SUFFIX}")) if path.is_file() else []
    for one in (own, *others):
        if one.is_file():
            found = load_description(one)
            if one == own or path.name in found.get("files", []):
                return found
    return None


def read_volume(path: Path) -> Volume:
    """Read the files of all channels that a description lists, or a single file without description."""
    found = description(path)
    if found is None:
        return _channel(path)
    if found.get("kind") != VOLUME:
        raise ReadError(f"{path}: found a {found.get('kind')}; expected a volume")
    files = [str(name) for name in found["files"]]
    if path.name in files:
        at = files.index(path.name)
        files, found = [path.name], found | {"names": [found["names"][at]]}
    if any(Path(name).name != name for name in files):
        raise ReadError(f"{path}: found files in other folders; expected names only")
    channels = [_channel(path.with_name(name)) for name in files]
    shapes = {one.shape for one in channels}
    if len(shapes) != 1:
        raise ReadError(f"{path}: found channels of the shapes {shapes}; expected one shape")
    return restore_volume(found, np.concatenate([one.data for one in channels]), str(path))


def _channel(path: Path) -> Volume:
    header = _read_header(path)
    data = np.asarray(_read_data(path, header), np.float32)[np.newaxis]
    return Volume(data, (path.stem,), voxel_size_nm=header.pixel_size_nm or 1.0)


@dataclasses.dataclass(frozen=True)
class _Header:
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    shift: bool
    offset: int
    pixel_size_nm: float | None
    extended: ExtendedHeader
    labels: tuple[str, ...]
    notes: tuple[str, ...]


def _read_header(path: Path) -> _Header:
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    size = path.stat().st_size
    if len(head) < _HEADER_BYTES:
        raise ReadError(
            f"{path}: found {size} bytes; expected an MRC file, which starts with a header of 1024 bytes"
        )
    raw, order = _plausible(head)
    if raw is None:
        what = "text" if _is_text(head) else "no sizes and data mode of an MRC file in the first 16 bytes"
        raise ReadError(f"{path}: found {what}; expected an MRC file")
    mode = int(raw["mode"])
    if mode in _OTHER_MODES:
        raise NoTiltSeriesError(
            f"{path}: found {_OTHER_MODES[mode]} (MRC mode {mode}); expected real numbers"
        )
    dtype = np.dtype(_REAL_MODES[mode]).newbyteorder(order)
    shape = (int(raw["nz"]), int(raw["ny"]), int(raw["nx"]))
    offset = _HEADER_BYTES + int(raw["nsymbt"])
    expected = offset + math.prod(shape) * dtype.itemsize
    marked = recognises(head)
    if not marked and size != expected:
        raise ReadError(f"{path}: found no 'MAP' at byte 208; expected the mark of an MRC file")
    if size < expected:
        raise ReadError(
            f"{path}: truncated: found {size} bytes; expected {expected} for "
            f"{shape[0]} projections of {shape[1]} x {shape[2]} pixels ({dtype.name})"
        )
    notes = []
    shift = False
    if mode == 0:
        meaning, note = byte_meaning(raw, order, _some_bytes(path, offset, shape))
        notes += [note] if note is not None else []
        shift = meaning == "shifted"
        dtype = np.dtype("i1" if meaning == "signed" else "u1")
    if not marked:
        notes.append("no 'MAP' mark in the header; read as MRC because the sizes agree")
    if size > expected:
        notes.append(f"{size - expected} bytes after the data are not used")
    size_nm, pixel_notes = _pixel_size(raw)
    labels = tuple(
        bytes(text).decode("ascii", "replace").strip("\0 ")
        for text in raw["label"][: max(0, min(10, int(raw["nlabl"])))]
    )
    with path.open("rb") as file:
        file.seek(_HEADER_BYTES)
        extended = file.read(min(int(raw["nsymbt"]), _LARGEST_EXTENDED))
    found = read_extended(raw, extended, shape[0], order)
    return _Header(shape, dtype, shift, offset, size_nm, found, labels, (*notes, *pixel_notes))


def _plausible(head: bytes) -> tuple[Any, ByteOrder]:
    """Read the header in the byte order in which it is plausible, little-endian first."""
    for order in _BYTE_ORDERS:
        raw = np.frombuffer(head, dtype=HEADER_DTYPE.newbyteorder(order))[0]
        sizes = [int(raw[name]) for name in ("nx", "ny", "nz")]
        if (
            all(1 <= size <= _LARGEST_AXIS for size in sizes)
            and (int(raw["mode"]) in _REAL_MODES or int(raw["mode"]) in _OTHER_MODES)
            and int(raw["nsymbt"]) >= 0
        ):
            return raw, order
    return None, "<"


def _is_text(head: bytes) -> bool:
    return all(byte in b"\t\n\r\f" or byte >= 32 for byte in head)


def _pixel_size(raw: Any) -> tuple[float | None, list[str]]:
    """Return the pixel size in nanometres, or None, and what had to be assumed."""
    sizes = []
    for axis, count in (("y", "my"), ("x", "mx")):
        length, pixels = float(raw["cella"][axis]), int(raw[count])
        # The header holds float32: six digits recover the number that was meant.
        sizes.append(float(f"{length / pixels:.6g}") if pixels > 0 else math.nan)
    return pixel_size((sizes[0], "A"), (sizes[1], "A"))


def _read_data(path: Path, header: _Header) -> Any:
    count = math.prod(header.shape)
    native = header.dtype.newbyteorder("=")
    if count * header.dtype.itemsize >= _MAP_FROM_BYTES and header.dtype == native:
        mapped = np.memmap(path, header.dtype, "r", header.offset, header.shape)
        return shifted(lazy_mapped(mapped)) if header.shift else mapped
    data = np.fromfile(path, header.dtype, count, offset=header.offset)
    data = data.reshape(header.shape).astype(native, copy=False)
    return shifted(data) if header.shift else data


def _some_bytes(path: Path, offset: int, shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """Return the first, the middle and the last section of a file of bytes."""
    sections = sorted({0, shape[0] // 2, shape[0] - 1})
    size = shape[1] * shape[2]
    return np.stack([np.fromfile(path, np.uint8, size, offset=offset + one * size) for one in sections])


def _parse_label(labels: tuple[str, ...]) -> dict[str, str]:
    """Find ``key=value`` pairs in the label that `chemtomo.io.formats.mrc.write.series_label` wrote."""
    for label in labels:
        if label.startswith(SERIES_LABEL):
            return dict(word.split("=", 1) for word in label.split() if "=" in word)
    return {}
