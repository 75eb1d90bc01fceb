"""Read microscope files with RosettaSciIO: Digital Micrograph, Bruker, EDAX, JEOL, TIA and others.

RosettaSciIO decodes the file; its axes and stage metadata are interpreted here. It leaves much of the
metadata in the vendor's own form with a ``mapping``, which is applied here.
"""

from __future__ import annotations

import dataclasses
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.errors import NoTiltSeriesError, ReadError
from chemtomo.io.formats.file_format import FileFormat, never
from chemtomo.io.formats.rosetta import bruker
from chemtomo.io.found import Found
from chemtomo.io.labelled import Axis, LabelledArray, lookup, number, to_found
from chemtomo.io.storage.lazy import LibraryValues, lazy_array, load_small
from chemtomo.io.storage.library import collect_warnings

__all__ = ["FORMATS"]

# The second is that of HyperSpy before 1.6.
_ALPHA = ("Stage.tilt_alpha", "tilt_stage")
# TIA: the kind of data that are images, and the bytes per value by data type number.
_TIA_IMAGES = 0x4122
_TIA_BYTES = {1: 1, 2: 2, 3: 4, 4: 1, 5: 2, 6: 4, 7: 4, 8: 8, 9: 8, 10: 16}
_LARGEST_PROJECT = 16 << 20
_TAGS = "ImageList.TagGroup0.ImageTags"


def _is_digital_micrograph(head: bytes) -> bool:
    version = int.from_bytes(head[:4], "big")
    # After version and file size comes the byte order, 0 or 1.
    order = head[8:12] if version == 3 else head[12:16]
    return version in (3, 4) and order in (b"\0\0\0\0", b"\0\0\0\1")


def _is_bruker(head: bytes) -> bool:
    return head[:8] == b"AAMVHFSS"


def _is_edax(head: bytes) -> bool:
    return head[:16].startswith(b"MAPSPECTRA_DATA")


def _is_tia(head: bytes) -> bool:
    return head[:4] == b"II\x97\x01"


def _is_emi(head: bytes) -> bool:
    return head[:4] == b"JISM" or head[:2] == b"JS"


def _jeol_files(path: Path, others: Sequence[Path]) -> set[Path]:
    """Return the files that a project of JEOL (``.asw``) names, also those in folders inside."""
    if path.suffix.lower() != ".asw":
        return set()
    with path.open("rb") as file:
        text = file.read(_LARGEST_PROJECT).lower()
    return {one for one in others if one.name.lower().encode() in text}


def _tia_series(path: Path, others: Sequence[Path]) -> set[Path]:
    """Return the images ``NAME_1.ser``, ``NAME_2.ser``... of a header of TIA (``NAME.emi``)."""
    name = re.compile(re.escape(path.stem) + r"_\d+\.ser", re.IGNORECASE)
    return {one for one in others if one.parent == path.parent and name.fullmatch(one.name)}


def _ripple_data(path: Path, others: Sequence[Path]) -> set[Path]:
    """Return the values ``NAME.raw`` of a header of Ripple (``NAME.rpl``)."""
    name = f"{path.stem}.raw".lower()
    return {one for one in others if one.parent == path.parent and one.name.lower() == name}


def _format(
    name: str,
    suffixes: tuple[str, ...],
    module: str,
    recognises: Callable[[bytes], bool],
    *,
    lazy: bool = True,
    checks_magic: bool = True,
    owned_files: Callable[[Path, Sequence[Path]], set[Path]] | None = None,
) -> FileFormat:
    """Return a row of the registry for a format that the library reads.

    `module` is that of `rsciio`; with `lazy` it can leave values in the file until they are needed. With
    `checks_magic`, a file that `recognises` refuses is rejected without calling the library.
    """
    magic = recognises if checks_magic else None
    how = partial(find, name=name, module=module, lazy=lazy, magic=magic)
    return FileFormat(name, suffixes, recognises, how, owned_files=owned_files)


def find(
    path: Path, *, name: str, module: str, lazy: bool, magic: Callable[[bytes], bool] | None
) -> list[Found]:
    """Return the images, stacks and spectrum images in a file that RosettaSciIO reads.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    name : str
        The name of the format, for messages.
    module : str
        The module of `rsciio` that reads it.
    lazy : bool
        Whether that can leave values in the file until they are needed.
    magic : callable, optional
        Tells from the first 1024 bytes whether a file is of the format.

    Raises
    ------
    ReadError
        When it is not of this format, is damaged, or holds no image.
    """
    if magic is not None:
        _check_head(path, name, magic)
    if module == "bruker":
        bruker.check_container(path)
    size = path.stat().st_size
    if module == "tia":
        _require_tia_elements_in_file(path, size)
    options: dict[str, Any] = {"lazy": True} if lazy else {}
    # Before its messages are collected: it replaces the handlers of its logger when it is imported.
    import rsciio  # noqa: F401

    try:
        signals, notes = collect_warnings(lambda: _reader(module)(str(path), **options), "rsciio")
    except ValueError as error:
        if "RGB" not in str(error):
            raise
        raise NoTiltSeriesError(f"{path}: found an image in colours; expected grey values") from error
    except FileNotFoundError as error:
        missing = Path(error.filename).name if error.filename else error
        raise ReadError(f"{path}: found no {missing}; expected it beside this file") from error
    except ModuleNotFoundError as error:
        raise ReadError(
            f"{path}: found a file of {name}; expected the package {error.name}, which reading it needs. "
            f"Install it with 'pip install {error.name}'"
        ) from error
    several = sum(1 for one in signals if np.ndim(one["data"]) >= 2) > 1
    if module == "bruker":
        bruker.correct_pixel_width(signals)
    found = []
    for signal in signals:
        if module == "digitalmicrograph":
            _require_in_file(signal, size, path)
        if module == "bruker" and signal["data"].ndim == 3:
            signal["data"] = bruker.lazy_spectra(path, signal["data"].shape, signal["data"].dtype)
        elif hasattr(signal["data"], "dask"):
            signal["data"] = lazy_array(LibraryValues(path, signal["data"]), signal["data"].chunksize)
        labelled = _labelled(signal, path, several)
        one = to_found(dataclasses.replace(labelled, notes=(*labelled.notes, *notes)))
        if one is not None:
            found.append(one)
    if not found:
        shapes = ", ".join(str(tuple(np.shape(one["data"]))) for one in signals) or "nothing"
        raise NoTiltSeriesError(
            f"{path}: found {shapes}; expected an image, a stack of images or a spectrum image"
        )
    return load_small(found)


FORMATS = (
    _format("Digital Micrograph", (".dm3", ".dm4"), "digitalmicrograph", _is_digital_micrograph),
    _format("Bruker BCF", (".bcf",), "bruker", _is_bruker),
    _format("EDAX", (".spd",), "edax", _is_edax),
    _format(
        "JEOL",
        (".asw", ".pts", ".img"),
        "jeol",
        never,
        lazy=False,
        checks_magic=False,
        owned_files=_jeol_files,
    ),
    _format("TIA series", (".ser",), "tia", _is_tia),
    _format("TIA", (".emi",), "tia", _is_emi, checks_magic=False, owned_files=_tia_series),
    _format("Ripple", (".rpl",), "ripple", never, checks_magic=False, owned_files=_ripple_data),
    _format("Panta Rhei", (".prz",), "pantarhei", never, lazy=False, checks_magic=False),
)
"""Rows of the registry for the formats that are read with RosettaSciIO."""


def _reader(module: str) -> Any:
    """Return the reader in a module of the library, which is imported when it is used."""
    match module:
        case "digitalmicrograph":
            from rsciio.digitalmicrograph import file_reader
        case "bruker":
            from rsciio.bruker import file_reader
        case "edax":
            from rsciio.edax import file_reader
        case "jeol":
            from rsciio.jeol import file_reader
        case "tia":
            from rsciio.tia import file_reader
        case "ripple":
            from rsciio.ripple import file_reader
        case _:
            from rsciio.pantarhei import file_reader
    return file_reader


def _check_head(path: Path, name: str, magic: Callable[[bytes], bool]) -> None:
    with path.open("rb") as file:
        head = file.read(1024)
    if not magic(head):
        what = f"{len(head)} bytes" if len(head) < 16 else f"{head[:8]!r} at its beginning"
        raise ReadError(f"{path}: found {what}; expected a file of {name}")


def _require_in_file(signal: Mapping[str, Any], size: int, path: Path) -> None:
    """Refuse a header that announces more values than fit into the file, where they are uncompressed."""
    announced = int(np.prod([int(axis["size"]) for axis in signal["axes"]], dtype=object))
    needed = announced * np.dtype(signal["data"].dtype).itemsize
    if needed > size:
        raise ReadError(
            f"{path}: found {size} bytes; expected at least {needed} for the image of "
            f"{' x '.join(str(int(axis['size'])) for axis in signal['axes'])} that its header announces"
        )


def _require_tia_elements_in_file(path: Path, size: int) -> None:
    """Refuse a TIA series that announces more or larger elements than fit into the file."""
    with path.open("rb") as file:
        head = file.read(30)
        if not _is_tia(head) or len(head) < 30:
            return
        version, kind, _, _, count = struct.unpack_from("<HIIII", head, 4)
        wide = version > 528
        (offsets,) = struct.unpack_from("<Q" if wide else "<I", head, 22)
        file.seek(min(offsets, size))
        at = int.from_bytes(file.read(8 if wide else 4), "little")
        file.seek(min(at, size))
        element = file.read(50).ljust(50, b"\0")
    if kind == _TIA_IMAGES:
        number, width, height = struct.unpack_from("<HII", element, 40)
    else:
        number, width = struct.unpack_from("<HI", element, 20)
        height = 1
    needed = count * max(1, width * height) * _TIA_BYTES.get(number, 1)
    if needed > size:
        raise ReadError(
            f"{path}: found {size} bytes; expected at least {needed} for the {count} elements of "
            f"{width} x {height} values that its header announces"
        )


def _labelled(signal: Mapping[str, Any], path: Path, several: bool) -> LabelledArray:
    data, metadata = signal["data"], signal.get("metadata", {})
    axes = sorted(enumerate(signal["axes"]), key=lambda one: _place(one, np.ndim(data)))
    title = str(lookup(metadata, "General.title") or "").strip()
    name = _name(signal, title, several) or path.stem
    signal_type = str(lookup(metadata, "Signal.signal_type") or "")
    if signal_type.upper().startswith("EDS"):
        name = "EDX"
    elif signal_type.upper() == "EELS" and not several:
        name = "EELS"
    return LabelledArray(
        name=name,
        named=name != path.stem,
        data=data,
        axes=tuple(_axis(axis, data.shape[index]) for index, (_, axis) in enumerate(axes)),
        signal_type=signal_type,
        tilts_deg=_stage_tilts(signal, data.shape),
        elements=_elements(lookup(metadata, "Sample.elements")),
        beam_energy_keV=number(_mapped(signal, "beam_energy")),
    )


def _place(numbered: tuple[int, Mapping[str, Any]], dimensions: int) -> int:
    """Return the position of an axis in the array; libraries also count from the end."""
    number_in_list, axis = numbered
    return int(axis.get("index_in_array", number_in_list)) % max(dimensions, 1)


def _axis(axis: Mapping[str, Any], size: int) -> Axis:
    units = axis.get("units")
    values = axis.get("axis")
    return Axis(
        name=str(axis.get("name") or ""),
        size=int(axis.get("size", size)),
        scale=float(axis.get("scale", 1.0)),
        offset=float(axis.get("offset", 0.0)),
        units="" if units is None or "undefined" in str(units) else str(units),
        values=None if values is None else np.asarray(values, dtype=np.float64),
    )


def _name(signal: Mapping[str, Any], title: str, several: bool) -> str:
    """Return the name of a signal.

    Digital Micrograph names a single image after the file it was saved to, which differs from tilt to tilt;
    so the name of the signal comes from a tag, or else from the file name.
    """
    original = signal.get("original_metadata", {})
    if lookup(original, "ImageList") is None:
        return title
    said = lookup(original, f"{_TAGS}.DataBar.Signal Name")
    return str(said).strip() if said else (title if several else "")


def _elements(said: Any) -> tuple[str, ...]:
    return tuple(str(one) for one in said) if isinstance(said, (list, tuple, np.ndarray)) else ()


def _stage_tilts(signal: Mapping[str, Any], shape: tuple[int, ...]) -> float | npt.NDArray[np.float64] | None:
    """Return the recorded tilt, or the tilts of all images."""
    recorded = lookup(signal.get("original_metadata", {}), f"{_TAGS}.Meta Data.Dimension info")
    if isinstance(recorded, Mapping) and len(shape) == 3:
        # Of the last dimension, which is the first axis of the array.
        values = lookup(recorded, "2.Data")
        units = str(lookup(recorded, "2.Units") or "")
        if isinstance(values, Mapping) and values and not units.strip().startswith("s"):
            found = [number(values.get(str(index), values.get(index))) for index in range(len(values))]
            if all(one is not None for one in found):
                return np.array(found, dtype=np.float64)
    return next((one for name in _ALPHA if (one := number(_mapped(signal, name))) is not None), None)


def _mapped(signal: Mapping[str, Any], destination: str) -> Any:
    """Return a value of the metadata, or the one that the library's mapping will put there.

    The mapping has the path in the vendor's metadata, the path in the library's, and a conversion function.
    """
    metadata = signal.get("metadata", {})
    for microscope in ("TEM", "STEM", "SEM"):
        said = lookup(metadata, f"Acquisition_instrument.{microscope}.{destination}")
        if said is not None:
            return said
    for source, (target, function) in signal.get("mapping", {}).items():
        if not str(target).endswith(destination):
            continue
        said = lookup(signal.get("original_metadata", {}), source)
        if said is None:
            continue
        try:
            return function(said) if function is not None else said
        except (TypeError, ValueError, KeyError, AttributeError):
            continue
    return None
