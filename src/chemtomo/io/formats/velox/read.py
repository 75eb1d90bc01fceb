"""Read EMD files of Velox: images, element maps, and EDX and EELS spectrum images with their detectors.

Such a file is HDF5 with one group per kind of data and JSON metadata per frame. It is read with h5py
instead of RosettaSciIO, which takes the shape of an EDX spectrum image from the last image in the file even
if that is an overview of another shape, reads the metadata of the first frame only, and keeps the file open
while its arrays are used. The layout of the file was learned from RosettaSciIO.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt

from chemtomo.data import EnergyAxis
from chemtomo.errors import NoTiltSeriesError, ReadError
from chemtomo.io.formats.velox.count_stream import Stream, lazy_spectra
from chemtomo.io.found import Found, FoundKind
from chemtomo.io.interpret.elements import SYMBOLS, element_of
from chemtomo.io.interpret.pixel_size import pixel_size
from chemtomo.io.interpret.signal_kind import kind_from_name
from chemtomo.io.labelled import lookup, number
from chemtomo.io.storage.lazy import lazy_hdf5, load_small

__all__ = ["find", "is_velox"]

# The metadata of a frame are 60000 bytes of JSON.
_LARGEST_JSON = 8 << 20


@dataclasses.dataclass(frozen=True)
class _Recorded:
    """An array in the file, with the metadata of its first frame and the tilts of all frames."""

    key: str
    dataset: Any
    metadata: Mapping[str, Any]
    tilts_deg: npt.NDArray[np.float64] | None
    wrong_count: int | None = None

    @property
    def scan_area(self) -> Any:
        """The part of the scan that it covers, which identifies arrays of the same scan."""
        scan = self.metadata.get("Scan", {})
        return (lookup(scan, "ScanSize"), lookup(scan, "ScanArea"))


def is_velox(file: Any) -> bool:
    """Tell whether an open HDF5 file was written by Velox."""
    if "Data" not in file or "Version" not in file:
        return False
    return _json(file["Version"]).get("format") == "Velox"


def find(path: Path) -> list[Found]:
    """Return the images, element maps and spectrum images in a Velox file.

    Images have the names that Velox displays; time series recorded with spectra are averaged. Streams of EDX
    counts are summed over the detectors. Values are read when they are needed.

    Raises
    ------
    ReadError
        When it is not a Velox file, or holds none of these.
    """
    import h5py

    with h5py.File(path, "r") as file:
        if not is_velox(file):
            raise ReadError(f"{path}: found an HDF5 file of another kind; expected one of Velox")
        data = file["Data"]
        images = list(_recorded(data.get("Image")))
        spectral = any(len(data.get(group, ())) for group in ("SpectrumStream", "EelsSpectrumImage"))
        labels = _labels(file)
        found: list[Found | None] = [_image(path, one, images, labels, spectral) for one in images]
        skipped: list[str] = []
        found += _energy_loss(path, data, images, skipped)
        x_rays = _x_rays(path, file, images, skipped)
        if not x_rays and len(data.get("SpectrumImage", ())):
            note = "the EDX spectra were pruned: what is left of them can be read by Velox only"
            found = [None if one is None else one.replace(notes=(*one.notes, note)) for one in found]
        found += x_rays
        found = [None if one is None else one.replace(notes=(*one.notes, *skipped)) for one in found]
    kept = [one for one in found if one is not None]
    if not kept:
        what = "; ".join(skipped) or "no image and no spectrum image"
        raise NoTiltSeriesError(f"{path}: found {what}; expected a file with either")
    return load_small(kept)


def _recorded(group: Any) -> Iterator[_Recorded]:
    for key in group if group is not None else ():
        if "Data" not in group[key] or "Metadata" not in group[key]:
            continue
        frames = group[key]["Metadata"]
        first = _metadata(frames, 0)
        alphas = [number(lookup(first, "Stage.AlphaTilt"))]
        dataset = group[key]["Data"]
        if frames.ndim == 2 and dataset.ndim == 3 and 1 < frames.shape[1] == dataset.shape[2]:
            rest = (_metadata(frames, index) for index in range(1, frames.shape[1]))
            alphas += [number(lookup(one, "Stage.AlphaTilt")) for one in rest]
        known = [one for one in alphas if one is not None]
        tilts = np.rad2deg(np.array(known)) if len(known) == len(alphas) else None
        recorded = frames.shape[1] if frames.ndim == 2 else 1
        wrong_count = recorded if dataset.ndim == 3 and recorded not in (1, dataset.shape[2]) else None
        yield _Recorded(key, dataset, first, tilts, wrong_count)


def _metadata(dataset: Any, frame: int) -> Mapping[str, Any]:
    """Return the JSON of a frame; every column holds that of one frame."""
    if dataset is None or dataset.ndim != 2 or dataset.shape[0] > _LARGEST_JSON or frame >= dataset.shape[1]:
        return {}
    text = dataset[:, frame].tobytes().rstrip(b"\0")
    return _parse(text)


def _json(dataset: Any) -> Mapping[str, Any]:
    """Return the JSON in a dataset of one text."""
    if dataset is None or dataset.shape != (1,):
        return {}
    return _parse(dataset[0])


def _parse(text: bytes | str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, Mapping) else {}


def _labels(file: Any) -> dict[str, str]:
    """Return the names that Velox displays for the images, by the key of the image."""
    ids: dict[str, str] = {}
    titles: dict[str, str] = {}
    newer, older = file.get("Displays/ImageDisplay"), file.get("Presentation/Displays/ImageDisplay")
    for group in (older, newer):
        for name in group if group is not None else ():
            display = _json(group[name])
            where = display.get("dataPath")
            if where is None and isinstance(display.get("data"), str):
                where = _json(file.get(display["data"])).get("dataPath")
            if not isinstance(where, str):
                continue
            key = where.rsplit("/", 1)[-1]
            label = display.get("id", lookup(display, "display.label"))
            ids[key] = unquote(str(label or ""))
            titles[key] = str(display.get("title") or ids[key])
    # The title says more than the label of a window ("a"), but two maps of an element may have the same.
    shown = list(titles.values())
    return {key: titles[key] if shown.count(titles[key]) == 1 else ids[key] for key in ids}


def _detector(one: _Recorded) -> str:
    said = lookup(_detector_settings(one), "DetectorName")
    return str(said or lookup(one.metadata, "BinaryResult.Detector") or "")


def _detector_settings(one: _Recorded, index: int = 0) -> Mapping[str, Any]:
    """Return the settings of a detector from the metadata.

    Newer files give its number, older ones its name, or the beginning of several names.

    Parameters
    ----------
    one : _Recorded
        An array that it recorded.
    index : int
        Which of several matching detectors: they are in the order of the streams.
    """
    number_said = lookup(one.metadata, "BinaryResult.DetectorIndex")
    found = lookup(one.metadata, f"Detectors.Detector-{number_said}")
    if isinstance(found, Mapping):
        return found
    name = str(lookup(one.metadata, "BinaryResult.Detector") or "")
    listed = lookup(one.metadata, "Detectors")
    fitting = [
        each
        for each in (listed.values() if isinstance(listed, Mapping) else ())
        if isinstance(each, Mapping) and name and str(each.get("DetectorName", "")).startswith(name)
    ]
    exact = [each for each in fitting if each.get("DetectorName") == name]
    fitting = exact or fitting
    return fitting[min(index, len(fitting) - 1)] if fitting else {}


def _image(
    path: Path, one: _Recorded, images: list[_Recorded], labels: dict[str, str], spectral: bool
) -> Found | None:
    if one.dataset.ndim != 3 or one.dataset.dtype.kind not in "uif" or 0 in one.dataset.shape:
        return None  # Fourier transforms and phase contrast are complex
    name = labels.get(one.key) or _detector(one)
    size, notes = _pixel_size(one, images)
    stack = lazy_hdf5(path, one.dataset).transpose(2, 0, 1)
    frames = stack.shape[0]
    kind = kind_from_name(name, stack) if element_of(name) else "intensity"
    tilts = one.tilts_deg
    what: FoundKind = "image"
    data: Any
    if frames == 1 or spectral:
        data = stack[0] if frames == 1 else stack.mean(axis=0, dtype=np.float32)
        notes += [f"the mean of {frames} frames"] if frames > 1 else []
        tilt = None if tilts is None else float(tilts.mean())
    else:
        data, what, tilt = stack, "stack", None
        tilts = None if one.wrong_count is not None else tilts
        if tilts is not None and tilts.size == 1:
            tilts = np.full(frames, tilts[0])
        if tilts is not None and np.ptp(tilts) < 1e-3:
            notes.append(f"all {frames} images were recorded at {tilts[0]:g} degrees")
    return Found(
        name=name or path.stem,
        named=bool(name),
        data=data,
        kind=what,
        tilts_deg=tilts if what == "stack" else tilt,
        tilt_unit="rad",
        wrong_tilt_count=one.wrong_count if what == "stack" else None,
        pixel_size_nm=size,
        signal=kind,
        elements=(symbol,) if (symbol := element_of(name)) else (),
        beam_energy_keV=_beam_energy(one.metadata),
        notes=tuple(notes),
    )


def _pixel_size(one: _Recorded, images: list[_Recorded]) -> tuple[float | None, list[str]]:
    """Return the pixel size of an image, or of another image of the same scan if it has none."""
    found = _own_pixel_size(one.metadata)
    if found is not None:
        return found
    for other in images:
        if other.scan_area == one.scan_area and other.dataset.shape[:2] == _image_shape(one):
            found = _own_pixel_size(other.metadata)
            if found is not None and found[0] is not None:
                return found[0], [*found[1], "the pixel size is that of another image of the same scan"]
    return None, []


def _image_shape(one: _Recorded) -> tuple[int, ...]:
    shape = one.dataset.shape
    # Energies are the middle one of three axes (x, energy, y).
    return (shape[2], shape[0]) if "EelsSpectrumImage" in one.dataset.name else tuple(shape[:2])


def _own_pixel_size(metadata: Mapping[str, Any]) -> tuple[float | None, list[str]] | None:
    result = metadata.get("BinaryResult", {})
    size = lookup(result, "PixelSize")
    if not isinstance(size, Mapping):
        return None
    y, x = number(size.get("height")), number(size.get("width"))
    if y is None or x is None:
        return None
    return pixel_size((y, str(result.get("PixelUnitY", ""))), (x, str(result.get("PixelUnitX", ""))))


def _beam_energy(metadata: Mapping[str, Any]) -> float | None:
    volts = number(lookup(metadata, "Optics.AccelerationVoltage"))
    return None if volts is None else volts / 1000


def _first_tilt(one: _Recorded) -> float | None:
    return None if one.tilts_deg is None else float(one.tilts_deg[0])


def _energy_loss(path: Path, data: Any, images: list[_Recorded], skipped: list[str]) -> list[Found]:
    """Return the EELS spectrum images, one per energy range; reasons to skip one are added to `skipped`."""
    group = data.get("EelsSpectrumImage")
    found = []
    several = group is not None and len(group) > 1
    for one in _recorded(group):
        if one.dataset.ndim != 3 or 0 in one.dataset.shape:
            continue  # a single spectrum or a line of them
        calibration = _metadata(group[one.key].get("AcquisitionMetadata"), 0).get("Data", {})
        offset, step = number(calibration.get("offset")), number(calibration.get("dispersion"))
        if offset is None or step is None:
            skipped.append("an EELS spectrum image says no energies (offset and dispersion) and is left out")
            continue
        size, notes = _pixel_size(one, images)
        spectra = lazy_hdf5(path, one.dataset).transpose(2, 0, 1)
        scale, pedestal = (
            number(calibration.get("intensityScale")),
            number(calibration.get("intensityOffset")),
        )
        if scale and pedestal is not None:
            # Otherwise a camera offset stays in every channel, and no edge can be fitted.
            spectra = spectra * np.float32(scale) + np.float32(pedestal)
            notes.append(
                f"intensities are {scale:g} times the recorded values {pedestal:+g}, as the file says"
            )
        last = offset + step * (spectra.shape[2] - 1)
        found.append(
            Found(
                name=f"EELS {offset:.0f} to {last:.0f} eV" if several else "EELS",
                data=spectra,
                kind="spectrum image",
                tilts_deg=_first_tilt(one),
                pixel_size_nm=size,
                signal="counts" if spectra.dtype.kind == "u" else "intensity",
                energy=EnergyAxis(offset / 1000, step / 1000),
                spectrum_signal="EELS",
                detectors=(detector,) if (detector := _detector(one)) else (),
                elements=_elements(data.file, "EELSSpectrumQuantificationSettings"),
                beam_energy_keV=_beam_energy(one.metadata),
                notes=tuple(notes),
            )
        )
    return sorted(found, key=lambda one: one.energy.offset_keV if one.energy else 0.0)


def _x_rays(path: Path, file: Any, images: list[_Recorded], skipped: list[str]) -> list[Found]:
    """Return the EDX spectrum image, summed over detectors; reasons to skip it are added to `skipped`."""
    streams = list(_recorded(file["Data"].get("SpectrumStream")))
    streams = [one for one in streams if one.dataset.ndim == 2 and one.dataset.size]
    if not streams:
        return []
    # All detectors of a spectrum image have the same energies, so any that states them will do.
    first = next((one for one in streams if "Dispersion" in _detector_settings(one)), streams[0])
    settings = _json(file["Data/SpectrumStream"][first.key].get("AcquisitionSettings"))
    bins = number(settings.get("bincount"))
    detector = _detector_settings(first)
    step, offset = number(detector.get("Dispersion")), number(detector.get("OffsetEnergy"))
    shape = _scan_shape(first, images, settings)
    if bins is None or not 1 <= bins <= 1 << 16 or step is None or offset is None or shape is None:
        skipped.append(
            "the EDX spectrum image says no size, number of channels or energies (all three are needed) "
            "and is left out"
        )
        return []
    size, notes = _pixel_size(first, images)
    stream = Stream(
        path=path,
        datasets=tuple(one.dataset.name for one in streams),
        shape=shape,
        channels=int(bins),
        frames=_frames(file),
    )
    return [
        Found(
            name="EDX",
            data=lazy_spectra(stream),
            kind="spectrum image",
            tilts_deg=_first_tilt(first),
            pixel_size_nm=size,
            signal="counts",
            energy=EnergyAxis(offset / 1000, step / 1000),
            spectrum_signal="EDX",
            detectors=tuple(
                str(_detector_settings(one, index).get("DetectorName") or _detector(one))
                for index, one in enumerate(streams)
            ),
            elements=_elements(file, "EDSSpectrumQuantificationSettings"),
            beam_energy_keV=_beam_energy(first.metadata),
            notes=(*notes, f"the sum of {len(streams)} detectors") if len(streams) > 1 else tuple(notes),
        )
    ]


def _frames(file: Any) -> int | None:
    """Return how many frames of the streams belong to the spectrum image; None if it is not stated."""
    group = file.get("Data/SpectrumImage")
    for key in group if group is not None else ():
        last = number(_json(group[key].get("SpectrumImageSettings")).get("endFramePosition"))
        if last is not None and last >= 1:
            return int(last)
    return None


def _scan_shape(
    one: _Recorded, images: list[_Recorded], settings: Mapping[str, Any]
) -> tuple[int, int] | None:
    """Return the rows and columns of the scan area in which spectra were recorded.

    They are those of an image of the same area, or else follow from the size of the whole scan.
    """
    same = {
        other.dataset.shape[:2]
        for other in images
        if other.scan_area == one.scan_area and other.dataset.ndim == 3
    }
    if one.scan_area[1] is not None and len(same) == 1:
        y, x = same.pop()
        return int(y), int(x)
    scan = one.metadata.get("Scan", {})
    y, x = (number(lookup(scan, f"ScanSize.{edge}")) for edge in ("height", "width"))
    area = [number(lookup(scan, f"ScanArea.{edge}")) for edge in ("top", "bottom", "left", "right")]
    if y and x and None not in area:
        top, bottom, left, right = (edge or 0.0 for edge in area)
        y, x = round(y * (bottom - top)), round(x * (right - left))
        if y >= 1 and x >= 1:
            return y, x
    y, x = (number(lookup(settings, f"RasterScanDefinition.{edge}")) for edge in ("Height", "Width"))
    return (int(y), int(x)) if y and x else None


def _elements(file: Any, settings: str) -> tuple[str, ...]:
    """Return the elements that were selected in Velox."""
    group = file.get(f"SharedProperties/{settings}")
    older = file.get("Operations/ImageQuantificationOperation")
    for place in (group, older):
        for key in place if place is not None else ():
            chosen = _json(place[key]).get("elementSelection")
            if isinstance(chosen, list):
                numbers = [int(found) for one in chosen if (found := number(one)) is not None]
                return tuple(SYMBOLS[one - 1] for one in numbers if 1 <= one <= len(SYMBOLS))
    return ()
