"""Small DM3 files for tests: the tags that say what an image is, in the order in which they are saved."""

import struct
from typing import Any

import numpy as np

_TYPES = {
    "uint16": (10, 4),
    "int16": (1, 2),
    "uint8": (6, 10),
    "float32": (2, 6),
    "int32": (7, 3),
    "uint32": (11, 5),
}


class Raw:
    """An array of values as one tag."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values


def write_dm3(
    path, data, dimensions, tags: dict[str, Any] | None = None, *, shape=None, name="image"
) -> None:
    """Write one image.

    `dimensions` are (scale, origin, unit) in the order x, y, z of the format, `tags` the image tags, and
    `shape` the size that the header announces.
    """
    kind, _ = _TYPES[data.dtype.name]
    sizes = list(reversed(data.shape if shape is None else shape))
    calibrations = {
        f"{index}": {"Origin": float(origin), "Scale": float(scale), "Units": unit}
        for index, (scale, origin, unit) in enumerate(dimensions)
    }
    image = {
        "ImageData": {
            "Calibrations": {
                "Brightness": {"Origin": 0.0, "Scale": 1.0, "Units": ""},
                "Dimension": _Unnamed(calibrations.values()),
            },
            "Data": Raw(data.ravel()),
            "DataType": kind,
            "Dimensions": _Unnamed(sizes),
            "PixelDepth": data.dtype.itemsize,
        },
        "ImageTags": tags or {},
        "Name": name,
    }
    body = _group({"ImageList": _Unnamed([image])})
    path.write_bytes(struct.pack(">III", 3, len(body), 1) + body)


class _Unnamed(list):
    """Entries of a group that have no names."""


def _group(entries) -> bytes:
    named = {f"\0{index}": one for index, one in enumerate(entries)} if isinstance(entries, list) else entries
    found = struct.pack(">BBI", 0, 0, len(named))
    for label, value in named.items():
        label = "" if label.startswith("\0") else label
        is_group = isinstance(value, (dict, _Unnamed))
        found += struct.pack(">BH", 20 if is_group else 21, len(label)) + label.encode("latin-1")
        found += _group(value) if is_group else _data(value)
    return found


def _data(value: Any) -> bytes:
    if isinstance(value, Raw):
        _, code = _TYPES[value.values.dtype.name]
        return _tag([20, code, value.values.size], value.values.astype(value.values.dtype).tobytes())
    if isinstance(value, str):
        return _tag([20, 4, len(value)], value.encode("utf-16-le"))
    if isinstance(value, float):
        return _tag([7], struct.pack("<d", value))
    return _tag([3], struct.pack("<l", value))


def _tag(info: list[int], raw: bytes) -> bytes:
    return b"%%%%" + struct.pack(f">I{len(info)}I", len(info), *info) + raw
