"""Tilts and pixel size in the extended headers of MRC files, between the header and the data.

The code ``exttyp`` of the header tells which kind it is:

``FEI1``, ``FEI2``
    One record of metadata per section (Thermo Fisher; `mrcfile` knows its fields).
``SERI``
    SerialEM: ``nint`` bytes per section; the bits of ``nreal`` tell which values they hold. Bit 0 is the
    tilt in hundredths of a degree.
``AGAR``
    ``nint`` integers and ``nreal`` floats of four bytes per section; the first float is the tilt.

Older files have no code. Those of FEI have 1024 records of 32 floats, padded with zeros, which start with
the tilt (``a_tilt``). Otherwise IMOD's rule tells ``SERI`` from ``AGAR``: for ``SERI`` the bits add up to
the number of bytes.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from chemtomo.data import to_nanometre

__all__ = ["ByteOrder", "ExtendedHeader", "read_extended"]

ByteOrder = Literal["<", ">"]

_FEI_RECORD_FLOATS = 32
_FEI_RECORDS = 1024
_FEI_TILT_AXIS = 10
_FEI_PIXEL_SIZE = 11
# Bytes per section for every bit of `nreal` in SerialEM's header.
_SERIALEM_BYTES = (2, 6, 4, 2, 2, 4, 2, 4, 2, 4, 2)
_LARGEST_TILT = 360.0


@dataclasses.dataclass(frozen=True, eq=False)
class ExtendedHeader:
    """The content of an extended header, as far as it is used.

    Attributes
    ----------
    tilts_deg : numpy.ndarray, shape (section,), or None
        In degrees; None if there are none.
    pixel_size_nm : float or None
        None if it is not given.
    axis_angle_deg : float or None
        Tilt axis angle from the vertical, counterclockwise; None if it is not given or zero.
    tiles : int
        The largest number of sections of one tilt at different stage positions: above 1 for a montage.
    """

    tilts_deg: npt.NDArray[np.float64] | None = None
    pixel_size_nm: float | None = None
    axis_angle_deg: float | None = None
    tiles: int = 1


def read_extended(raw: Any, extended: bytes, sections: int, order: ByteOrder) -> ExtendedHeader:
    """Read tilts, pixel size and tilt axis from an extended header.

    Parameters
    ----------
    raw : numpy.void
        The header, of mrcfile's ``HEADER_DTYPE``.
    extended : bytes
        The extended header.
    sections : int
        Number of sections in the file.
    order : {"<", ">"}
        Byte order of the file.
    """
    code = bytes(raw["exttyp"]).strip(b"\0 ")
    integers, reals = (
        int(one) for one in np.frombuffer(bytes(raw["extra2"])[16:20], np.dtype("i2").newbyteorder(order))
    )
    if code in (b"FEI1", b"FEI2"):
        return _fei(code, extended, sections)
    if code == b"SERI":
        return _serialem_header(extended, sections, integers, reals, order)
    if code not in (b"", b"AGAR") or not extended:
        return ExtendedHeader()
    if code == b"" and _is_serialem(integers, reals):
        return _serialem_header(extended, sections, integers, reals, order)
    old_fei = code == b"" and len(extended) == 4 * _FEI_RECORD_FLOATS * _FEI_RECORDS
    if old_fei and (integers, reals) in ((0, 0), (0, _FEI_RECORD_FLOATS)):
        return _old_fei(extended, sections, order)
    return ExtendedHeader(_agard(extended, sections, integers, reals, order))


def _fei(code: bytes, extended: bytes, sections: int) -> ExtendedHeader:
    from mrcfile.dtypes import get_ext_header_dtype

    dtype = get_ext_header_dtype(code)  # always little-endian
    size = int(np.frombuffer(extended[:4].ljust(4, b"\0"), "<i4")[0])
    if not dtype.itemsize <= size <= len(extended) // sections:
        return ExtendedHeader()
    records = np.frombuffer(extended, np.uint8, size * sections).reshape(sections, size)
    fields = np.ascontiguousarray(records[:, : dtype.itemsize]).view(dtype)[:, 0]
    return ExtendedHeader(
        _tilts(fields["Alpha tilt"]),
        _from_metre(float(fields["Pixel size X"][0])),
        _axis(float(fields["Tilt axis angle"][0])),
    )


def _old_fei(extended: bytes, sections: int, order: ByteOrder) -> ExtendedHeader:
    if sections > _FEI_RECORDS:
        return ExtendedHeader()
    floats = np.frombuffer(extended, np.dtype("f4").newbyteorder(order)).reshape(_FEI_RECORDS, -1)[:sections]
    return ExtendedHeader(
        _tilts(floats[:, 0]),
        _from_metre(float(floats[0, _FEI_PIXEL_SIZE])),
        _axis(float(floats[0, _FEI_TILT_AXIS])),
    )


def _is_serialem(size: int, flags: int) -> bool:
    return flags > 0 and size == _serialem_size(flags)


def _serialem_size(flags: int) -> int:
    return sum(count for bit, count in enumerate(_SERIALEM_BYTES) if flags >> bit & 1)


def _serialem(
    extended: bytes, sections: int, size: int, flags: int, order: ByteOrder
) -> npt.NDArray[np.float64] | None:
    if not flags & 1 or not 2 <= size <= len(extended) // sections:
        return None
    records = np.frombuffer(extended, np.uint8, size * sections).reshape(sections, size)
    hundredths = np.ascontiguousarray(records[:, :2]).view(np.dtype("i2").newbyteorder(order))[:, 0]
    # Division restores the original numbers exactly; multiplication by 0.01 does not.
    return _tilts(hundredths / 100)


def _serialem_header(
    extended: bytes, sections: int, size: int, flags: int, order: ByteOrder
) -> ExtendedHeader:
    tilts = _serialem(extended, sections, size, flags, order)
    if tilts is None or not flags & 2 or size < 8:
        return ExtendedHeader(tilts)
    records = np.frombuffer(extended, np.uint8, size * sections).reshape(sections, size)
    places = np.ascontiguousarray(records[:, 2:6]).view(np.dtype("u2").newbyteorder(order))
    found: dict[float, set[tuple[int, ...]]] = {}
    for tilt, place in zip(tilts, places, strict=True):
        found.setdefault(float(tilt), set()).add(tuple(int(one) for one in place))
    return ExtendedHeader(tilts, tiles=max(len(one) for one in found.values()))


def _agard(
    extended: bytes, sections: int, integers: int, reals: int, order: ByteOrder
) -> npt.NDArray[np.float64] | None:
    size = 4 * (integers + reals)
    if integers < 0 or reals < 1 or size > len(extended) // sections:
        return None
    floats = np.frombuffer(extended, np.dtype("f4").newbyteorder(order), size // 4 * sections)
    return _tilts(floats.reshape(sections, -1)[:, integers])


def _tilts(found: npt.NDArray[Any]) -> npt.NDArray[np.float64] | None:
    """Return values as tilts; None if they are not plausible, such as zeros only."""
    if found.dtype.itemsize == 4:
        # The shortest decimal number: -59.99, not -59.9900016784668.
        tilts = np.array([float(str(one)) for one in found.astype(np.float32)], dtype=np.float64)
    else:
        tilts = found.astype(np.float64)
    if not np.isfinite(tilts).all() or np.abs(tilts).max() > _LARGEST_TILT:
        return None
    if tilts.size > 1 and not tilts.any():
        return None
    return tilts


def _axis(angle: float) -> float | None:
    return angle if np.isfinite(angle) and 0 < abs(angle) <= _LARGEST_TILT else None


def _from_metre(size: float) -> float | None:
    # Plausible sizes: between 0.01 angstrom and 0.1 mm.
    return float(f"{to_nanometre(size, 'm'):.6g}") if 1e-12 < size < 1e-4 else None
