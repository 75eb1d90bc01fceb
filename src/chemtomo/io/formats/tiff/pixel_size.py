"""Pixel sizes in TIFF files: from OME, ImageJ, private tags of microscope vendors, or the resolution.

The private tags known to RosettaSciIO are read: Digital Micrograph (65003 to 65010), FEI (Thermo Fisher),
Zeiss, TVIPS, Olympus SIS and JEOL. tifffile decodes most of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

from chemtomo.io.interpret.pixel_size import pixel_size
from chemtomo.io.labelled import number

__all__ = ["ome_images", "tiff_pixel_size"]

_Size = tuple[float | None, list[str]]
_INCH, _CENTIMETRE = 2, 3
_CENTIMETRES_OF = {_INCH: 2.54, _CENTIMETRE: 1.0}
_LARGEST_PIXEL_NM = 1e4
# Digital Micrograph: the units of x and y, and their scales.
_DM_UNITS, _DM_SCALES = (65003, 65004), (65009, 65010)
_SIS = (33471, 33560)
# Zeiss stores the pixel size without a name, for an image of 1024 columns.
_ZEISS_AT, _ZEISS_COLUMNS = 3, 1024


def tiff_pixel_size(file: Any) -> tuple[float | None, tuple[str, ...]]:
    """Return the pixel size in nanometres from other metadata than OME-XML, and what was assumed.

    The first that exists is used of private vendor tags, the unit of ImageJ, and the resolution in
    centimetres.

    Parameters
    ----------
    file : tifffile.TiffFile
        The file, open.
    """
    for place in (_fei, _zeiss, _tvips, _olympus, _jeol, _digital_micrograph, _imagej, _resolution):
        found = _said(place, file)
        if found is not None:
            return found[0], tuple(found[1])
    return None, ()


def ome_images(file: Any) -> list[dict[str, Any]]:
    """Return name, channel names, pixel size and notes of every image in the OME-XML of a file."""
    if not file.is_ome or not file.ome_metadata:
        return []
    root = ET.fromstring(file.ome_metadata)
    namespace = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    found = []
    for image in root.iter(f"{namespace}Image"):
        pixels = image.find(f"{namespace}Pixels")
        if pixels is None:
            continue
        x, y = (
            (
                number(pixels.get(f"PhysicalSize{axis}")) or math.nan,
                pixels.get(f"PhysicalSize{axis}Unit", "µm"),
            )
            for axis in "XY"
        )
        size, notes = pixel_size(y if math.isfinite(y[0]) else x, x)
        one: dict[str, Any] = {
            "name": image.get("Name"),
            "channels": [channel.get("Name") for channel in pixels.iter(f"{namespace}Channel")],
            "notes": tuple(notes),
        }
        if size is not None or notes:
            one["pixel_size_nm"] = size
        found.append(one)
    return found


def _said(place: Callable[[Any], _Size | None], file: Any) -> _Size | None:
    """Return the size from one source; None if it is missing or malformed."""
    try:
        found = place(file)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, ZeroDivisionError, ET.ParseError):
        return None
    # Neither a size nor a note: as if it were missing.
    return None if found is None or found == (None, []) else found


def _metre(x: Any, y: Any) -> _Size | None:
    across, down = number(x), number(y)
    if across is None or down is None:
        return None
    return pixel_size((down, "m"), (across, "m"))


def _fei(file: Any) -> _Size | None:
    said = file.fei_metadata
    if not said:
        return None
    scan = said.get("Scan", {})
    if "PixelWidth" in scan:
        return _metre(scan["PixelWidth"], scan["PixelHeight"])
    beam, image = said["IRBeam"], said["Image"]
    return _metre(
        float(beam["HFW"]) / float(image["ResolutionX"]), float(beam["VFW"]) / float(image["ResolutionY"])
    )


def _zeiss(file: Any) -> _Size | None:
    said = file.sem_metadata
    if not said:
        return None
    size = float(said[""][_ZEISS_AT]) * _ZEISS_COLUMNS / file.pages[0].imagewidth
    return _metre(size, size)


def _tvips(file: Any) -> _Size | None:
    said = file.tvips_metadata
    if not said:
        return None
    return pixel_size((float(said["PixelSizeY"]), "nm"), (float(said["PixelSizeX"]), "nm"))


def _olympus(file: Any) -> _Size | None:
    for tag in _SIS:
        said = _tag(file, tag)
        if said is not None:
            return _metre(said["pixelsizex"], said["pixelsizey"])
    return None


def _jeol(file: Any) -> _Size | None:
    """Return the pixel size on the specimen; the resolution refers to the magnified image."""
    if str(_tag(file, "Make") or "").strip() != "JEOL Ltd.":
        return None
    text = "".join(line.strip(" \r\n\t\x01\0") for line in str(_tag(file, "ImageDescription")).split("\n"))
    report = ET.fromstring(text)
    if report.tag != "TemReporter":
        report = next(report.iter("TemReporter"))
    imaging = report.find("ImageFormingSystem")
    if imaging is None or (report.findtext("Eos/EosMode"), imaging.findtext("ModeString")) != (
        "eosTEM",
        "MAG",
    ):
        return None
    magnification = float(imaging.findtext("SelectorValue") or "")
    y, x = (size / magnification for size in _resolutions(file))
    unit = _CENTIMETRES_OF.get(int(file.pages[0].resolutionunit), 1.0)
    return pixel_size((y * unit, "cm"), (x * unit, "cm"))


def _digital_micrograph(file: Any) -> _Size | None:
    units, scales = ([_tag(file, tag) for tag in tags] for tags in (_DM_UNITS, _DM_SCALES))
    if scales[0] is None:
        return None
    x, y = (
        (abs(float(scale)), str(unit or ""))
        for scale, unit in zip(scales, units, strict=True)
        if scale is not None
    )
    return pixel_size(y, x)


def _imagej(file: Any) -> _Size | None:
    said = file.imagej_metadata or {}
    # ImageJ escapes the micro sign.
    unit = str(said.get("unit") or "").replace("\\u00B5", "µ").replace("\\u00b5", "µ")
    if not unit:
        return None
    y, x = _resolutions(file)
    return pixel_size((y, str(said.get("yunit") or unit)), (x, unit))


def _resolution(file: Any) -> _Size | None:
    if file.pages[0].resolutionunit != _CENTIMETRE:
        return None
    y, x = _resolutions(file)
    found, notes = pixel_size((y, "cm"), (x, "cm"))
    # Larger values are printer resolutions.
    return (found, notes) if found is not None and found < _LARGEST_PIXEL_NM else None


def _resolutions(file: Any) -> tuple[float, float]:
    """Return the pixel sizes along y and x in the unit of the resolution."""
    sizes = []
    for name in ("YResolution", "XResolution"):
        numerator, denominator = _tag(file, name)
        # 32-bit rational numbers: six digits are meaningful.
        sizes.append(float(f"{denominator / numerator:.6g}"))
    return sizes[0], sizes[1]


def _tag(file: Any, tag: int | str) -> Any:
    found = file.pages[0].tags.get(tag)
    if found is None:
        return None
    value = found.value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
