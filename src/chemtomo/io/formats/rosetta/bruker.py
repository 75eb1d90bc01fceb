"""Check a Bruker BCF file before RosettaSciIO decodes it.

The compiled decoder does not check bounds: a truncated file crashes the whole process. So the container and
the pixel stream are checked first. Why this is not left to a subprocess: docs/add-a-format.md. Source of
the format: RosettaSciIO's reader.

A BCF file is a container ("SFS") of fixed chunks that hold named items. The item ``SpectrumData0`` is a
stream, in blocks compressed by zlib or not at all, with one record for every pixel.
"""

from __future__ import annotations

import dataclasses
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.errors import ReadError

__all__ = ["check_container", "check_spectra", "correct_pixel_width", "lazy_spectra"]

_CHUNK_HEADER = 0x20
_FIRST_CHUNK = 0x118
_ITEM = struct.Struct("<iQQQQIi176s?3s256s32s")
_MAX_ITEMS = 4096
_PIXEL = struct.Struct("<I8xHHHI")
_PIXELS_AT = 0x1A0
_COMPRESSED = b"AACS"
_BLOCKS_AT = 0x80


@dataclasses.dataclass(frozen=True)
class _Item:
    name: str
    size: int
    parent: int
    is_folder: bool
    table: int


@dataclasses.dataclass(frozen=True)
class _Container:
    path: Path
    size: int
    chunk: int
    items: tuple[_Item, ...]


def check_container(path: Path) -> None:
    """Raise `ReadError` unless all items of a BCF file lie inside the file."""
    container = _container(path)
    for item in container.items:
        if not item.is_folder:
            _pointers(container, item)


def check_spectra(path: Path, shape: tuple[int, int, int]) -> None:
    """Raise `ReadError` unless the stream holds the spectra of all pixels of an image of `shape`.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    shape : tuple of int
        Expected rows, columns and channels.
    """
    container = _container(path)
    item = next(
        (one for one in container.items if one.name.startswith("SpectrumData") and not one.is_folder), None
    )
    if item is None:
        raise ReadError(f"{path}: found no spectra; expected an item SpectrumData0")
    stream, block = _stream(container, item)
    _walk(path, stream, block, shape)


def correct_pixel_width(signals: Sequence[Mapping[str, Any]]) -> None:
    """Set the pixel width of spectra to that of the images of the same scan.

    RosettaSciIO sets it to the pixel height.
    """
    widths = [axis for one in signals for axis in one["axes"] if axis.get("name") == "width"]
    images = [axis for one in signals if len(one["axes"]) == 2 for axis in one["axes"]]
    image = next((axis for axis in images if axis.get("name") == "width"), None)
    if image is None:
        return
    for axis in widths:
        axis["scale"], axis["units"] = image["scale"], image["units"]


def lazy_spectra(path: Path, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> Any:
    """Return a dask array ``(y, x, energy)`` that is checked and decoded when needed."""
    import dask.array  # slow to import
    from dask.delayed import delayed

    da: Any = dask.array  # it has no types
    return da.from_delayed(delayed(_decode)(path, shape, dtype), shape, dtype)


def _decode(path: Path, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    from rsciio.bruker import file_reader

    from chemtomo.io.storage.library import collect_warnings

    try:
        check_spectra(path, shape)
        signals, _ = collect_warnings(
            lambda: file_reader(str(path), select_type="spectrum_image"), "rsciio", wait=False
        )
    except ReadError:
        raise
    except OSError as error:
        raise ReadError(f"{path}: the spectra cannot be read ({error})") from error
    data = np.asarray(signals[0]["data"])
    if data.shape != shape:
        raise ReadError(f"{path}: found spectra of {data.shape}; expected {shape}, as when it was opened")
    return data.astype(dtype, copy=False)


def _container(path: Path) -> _Container:
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(0x124)
        head = file.read(40)
        if len(head) < 40:
            raise ReadError(f"{path}: truncated: found {size} bytes; expected a container of Bruker")
        chunk, (tree, count) = struct.unpack("<4xI", head[:8])[0], struct.unpack("<II", head[28:36])
        if not (256 <= chunk <= 1 << 26 and 1 <= count <= _MAX_ITEMS):
            raise ReadError(
                f"{path}: found {count} items in chunks of {chunk} bytes; expected a container of Bruker"
            )
        at_once = (chunk - _CHUNK_HEADER) // 0x200
        raw = b""
        while len(raw) < count * 0x200 and at_once:
            file.seek(chunk * tree + _FIRST_CHUNK)
            piece = file.read(_CHUNK_HEADER + min(at_once, count) * 0x200)
            if len(piece) < _CHUNK_HEADER + 0x200:
                break
            tree = struct.unpack("<I", piece[:4])[0]
            raw += piece[_CHUNK_HEADER:]
    if len(raw) < count * 0x200:
        raise ReadError(f"{path}: truncated: found {len(raw) // 0x200} items; expected {count}")
    items = tuple(_item(raw[index * 0x200 : (index + 1) * 0x200]) for index in range(count))
    for start in items:
        parent, steps = start.parent, 0
        while parent != -1:
            steps += 1
            if not 0 <= parent < count or steps > count:
                raise ReadError(f"{path}: found an item in no folder; expected a tree of folders")
            parent = items[parent].parent
    return _Container(path, size, chunk, items)


def _item(raw: bytes) -> _Item:
    table, size, _, _, _, _, parent, _, is_folder, _, name, _ = _ITEM.unpack(raw)
    return _Item(name.strip(b"\0").decode("utf-8", "replace"), size, parent, is_folder, table)


def _pointers(container: _Container, item: _Item) -> list[int]:
    """Return the positions in the file of the chunks of an item."""
    path, usable = container.path, container.chunk - _CHUNK_HEADER
    if item.size > container.size:
        raise ReadError(
            f"{path}: truncated: found {container.size} bytes; expected {item.size} for {item.name!r} alone"
        )
    chunks = math.ceil(item.size / usable)
    raw, table = b"", item.table
    with path.open("rb") as file:
        for _ in range(max(1, math.ceil(chunks / (usable // 4)))):
            if not 0 <= container.chunk * table + _FIRST_CHUNK < container.size:
                break
            file.seek(container.chunk * table + _FIRST_CHUNK)
            piece = file.read(container.chunk)
            if len(piece) <= _CHUNK_HEADER:
                break
            table = struct.unpack("<I", piece[:4])[0]
            raw += piece[_CHUNK_HEADER:]
    if len(raw) < 4 * chunks:
        raise ReadError(
            f"{path}: truncated: found no table of the chunks of {item.name!r}; expected {chunks}"
        )
    numbers = struct.unpack(f"<{chunks}I", raw[: 4 * chunks])
    starts = [number * container.chunk + _FIRST_CHUNK + _CHUNK_HEADER for number in numbers]
    for index, start in enumerate(starts):
        needed = usable if index < chunks - 1 else item.size - usable * (chunks - 1)
        if start + needed > container.size:
            raise ReadError(
                f"{path}: truncated: found {container.size} bytes; expected {start + needed} for "
                f"{item.name!r}"
            )
    return starts


def _stream(container: _Container, item: _Item) -> tuple[bytes, int]:
    """Return the decompressed stream of an item, and the size of its blocks."""
    path, usable = container.path, container.chunk - _CHUNK_HEADER
    pieces = []
    with path.open("rb") as file:
        for start in _pointers(container, item):
            file.seek(start)
            pieces.append(file.read(usable))
    raw = b"".join(pieces)[: item.size]
    if not raw.startswith(_COMPRESSED):
        return raw, usable
    if len(raw) < _BLOCKS_AT:
        raise ReadError(f"{path}: truncated: found {len(raw)} bytes of spectra; expected more")
    block, _, count = struct.unpack("<III", raw[4:16])
    blocks, offset = [], _BLOCKS_AT
    for index in range(count):
        if offset + 16 > len(raw):
            raise ReadError(f"{path}: truncated: found {index} blocks of spectra; expected {count}")
        (packed,) = struct.unpack("<I", raw[offset : offset + 4])
        offset += 16
        try:
            data = zlib.decompressobj().decompress(raw[offset : offset + packed], block + 1)
        except zlib.error as error:
            raise ReadError(f"{path}: block {index} of the spectra is damaged ({error})") from error
        if len(data) > block or (len(data) < block and index < count - 1):
            raise ReadError(
                f"{path}: found {len(data)} bytes in block {index} of the spectra; expected {block}"
            )
        blocks.append(data)
        offset += packed
    return b"".join(blocks), block


def _walk(path: Path, stream: bytes, block: int, shape: tuple[int, int, int]) -> None:
    """Raise `ReadError` unless the records of all pixels are complete and belong to pixels of the image."""
    size = len(stream)
    rows, columns = struct.unpack("<II", stream[:8]) if size >= _PIXELS_AT else (0, 0)
    if (rows, columns) != shape[:2]:
        raise ReadError(
            f"{path}: found spectra of {rows} x {columns} pixels; expected {shape[0]} x {shape[1]}"
        )
    offset = _PIXELS_AT
    try:
        for row in range(rows):
            (pixels,) = struct.unpack_from("<I", stream, offset)
            offset += 4
            for _ in range(pixels):
                column, flag, _, pulses, length = _PIXEL.unpack_from(stream, offset)
                offset += _PIXEL.size
                if flag == 0:
                    needed = max(length, 2 * pulses)
                elif flag == 1:
                    needed = max(length, 6 * ((pulses + 3) // 4) if length >= 6 * (pulses // 4) else size)
                else:
                    # A run-length code, then more pulses or four unused bytes.
                    needed = length if length >= 4 else size
                    length += 2 * pulses if pulses else 0
                # The last group of 12-bit numbers may be read a little past its end.
                if column >= columns or needed > block or offset + needed > size + 8:
                    raise ReadError(
                        f"{path}: found the spectrum of pixel {column} in row {row} with {needed} bytes at "
                        f"{offset}; expected it within {columns} pixels and {size} bytes"
                    )
                offset += length
    except struct.error as error:
        raise ReadError(
            f"{path}: truncated: found {size} bytes of spectra; expected {rows} x {columns} pixels"
        ) from error
    if offset > size:
        raise ReadError(f"{path}: truncated: found {size} bytes of spectra; expected {offset}")
