"""Combine spectrum images into series: one file with all tilts, or one file per tilt."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import SpectrumSeries
from chemtomo.data.origin import Origin
from chemtomo.errors import DataError, NoTiltSeriesError, NoTiltsError, ReadError
from chemtomo.io.assembly.source_files import list_source_files
from chemtomo.io.formats import registry as formats
from chemtomo.io.found import Found
from chemtomo.io.tilts.sets import tilts_of_set
from chemtomo.io.tilts.sources import GivenTilts, TiltsArgument, choose_tilts, given_tilts
from chemtomo.io.tilts.units import AngleUnit

__all__ = ["assemble_spectra", "describe_spectra", "read_spectra"]

Paths = str | PathLike[str] | Sequence[str | PathLike[str]]


def read_spectra(
    paths: Paths,
    *,
    tilts: TiltsArgument = None,
    tilts_unit: AngleUnit | None = None,
    lazy: bool = True,
    signal: str | None = None,
) -> SpectrumSeries:
    """Read a series of spectrum images: all tilts in one file, or one file per tilt, sorted by tilt.

    Parameters
    ----------
    paths : path or sequence of paths
        Files, or folders of them: Velox EMD, DM3 and DM4, BCF, EDAX, JEOL, HSPY, ZSPY, EMD.
    tilts : path, str or sequence of float, optional
        Tilts that replace those of the files: a file, ``START:STEP:COUNT``, or numbers in degrees, in the
        order of the file names; or ``"names"`` for the number in each file name.
    tilts_unit : {"deg", "rad"}, optional
        Unit of the tilts, from whichever source. By default the unit that the source states, else degrees.
    lazy : bool
        Leave the values in the files until they are needed, where the format allows it. No file is kept
        open; one that is changed or removed in the meantime raises `ReadError` when it is needed.
    signal : str, optional
        Name of the signal, or the unique beginning of a name, where files have several (``"EELS 480"``).
        By default EDX, or else the first.

    Returns
    -------
    SpectrumSeries
        The notes say what was assumed. A single spectrum image without a tilt is taken to be at 0 degrees.

    Raises
    ------
    ReadError
        When a file cannot be read, has no spectrum image, or does not match the others.
    """
    pieces = _pieces(paths)
    names = list(dict.fromkeys(found.name for _, found in pieces))
    name = _chosen(names, signal, pieces)
    chosen = [piece for piece in pieces if piece[1].name == name]
    series = _series(name, chosen, given_tilts(tilts, tilts_unit))
    listed = [paths] if isinstance(paths, (str, PathLike)) else paths
    origin = Origin.of_files(
        name, [Path(one) for one in listed], tilts=tilts, tilts_unit=tilts_unit, spectra=True
    )
    series = series.replace(origin=origin)
    if signal is None and len(names) > 1:
        others = ", ".join(repr(one) for one in names if one != name)
        series = series.replace(
            notes=(*series.notes, f"one of {len(names)} signals; the others are {others}")
        )
    return series if lazy else series.replace(data=np.asarray(series.data))


def assemble_spectra(
    pieces: Sequence[tuple[Path, Found]],
    *,
    tilts: TiltsArgument = None,
    tilts_unit: AngleUnit | None = None,
) -> list[SpectrumSeries]:
    """Combine spectrum images of one sample into one series per signal name.

    Parameters
    ----------
    pieces : sequence of (pathlib.Path, Found)
        Spectrum images and their files, from `chemtomo.io.contents`.
    tilts, tilts_unit : optional
        Tilts that replace those of the files, and their unit; see `read_spectra`.

    Raises
    ------
    ReadError
        When spectrum images of one name do not fit together.
    """
    given = given_tilts(tilts, tilts_unit)
    names = list(dict.fromkeys(found.name for _, found in pieces))
    made = []
    for name in names:
        own = [piece for piece in pieces if piece[1].name == name]
        paths = list(dict.fromkeys(path for path, _ in own))
        origin = Origin.of_files(name, paths, tilts=tilts, tilts_unit=tilts_unit, spectra=True)
        made.append(_series(name, own, given).replace(origin=origin))
    return made


def describe_spectra(
    paths: Paths | Sequence[tuple[Path, Found]],
    *,
    tilts: TiltsArgument = None,
    tilts_unit: AngleUnit | None = None,
) -> list[dict[str, Any]]:
    """Describe the spectrum images in files, as JSON values, without reading the spectra.

    Parameters
    ----------
    paths : path, sequence of paths, or sequence of (pathlib.Path, Found)
        Files or folders, or the spectrum images that were found in them.
    tilts, tilts_unit : optional
        Tilts that replace those of the files, and their unit; see `read_spectra`.

    Raises
    ------
    ReadError
        As `read_spectra`.
    """
    if isinstance(paths, (str, PathLike)) or not all(isinstance(one, tuple) for one in paths):
        paths = _pieces(paths)  # type: ignore[arg-type]
    return [
        {
            "name": one.name,
            "signal": one.signal,
            "shape": list(one.shape),
            "dtype": one.data.dtype.name,
            "tilts_deg": one.tilts_deg.tolist(),
            "pixel_size_nm": one.pixel_size_nm,
            "energy_offset_keV": one.energy_offset_keV,
            "energy_step_keV": one.energy_step_keV,
            "beam_energy_keV": one.beam_energy_keV,
            "detectors": list(one.detectors),
            "elements": list(one.elements),
            "source": one.source,
            "notes": list(one.notes),
        }
        for one in assemble_spectra(paths, tilts=tilts, tilts_unit=tilts_unit)  # type: ignore[arg-type]
    ]


def _pieces(paths: Paths) -> list[tuple[Path, Found]]:
    listed = [Path(paths)] if isinstance(paths, (str, PathLike)) else [Path(path) for path in paths]
    if not listed:
        raise ReadError("found no file to read; expected at least one")
    pieces: list[tuple[Path, Found]] = []
    for source in list_source_files(listed):
        try:
            found = formats.find(source.path)
        except NoTiltSeriesError:
            if source.folder is None:
                raise
            continue
        spectral = [one for one in found if one.kind == "spectrum image"]
        if not spectral and source.folder is None:
            what = ", ".join(f"{one.kind} {one.name!r} of {_shape(one)}" for one in found[:4])
            raise ReadError(f"{source.path}: found {what}; expected a spectrum image")
        pieces += [(source.path, one) for one in spectral]
    if not pieces:
        raise ReadError(f"{listed[0]}: found no spectrum image in the folder; expected at least one")
    return pieces


def _shape(found: Found) -> str:
    return " x ".join(str(size) for size in found.data.shape)


def _chosen(names: list[str], signal: str | None, pieces: Sequence[tuple[Path, Found]]) -> str:
    if signal is None:
        return "EDX" if "EDX" in names else names[0]
    fitting = [name for name in names if name == signal] or [
        name for name in names if name.startswith(signal)
    ]
    if len(fitting) != 1:
        raise ReadError(
            f"{pieces[0][0]}: found the spectra {', '.join(names)}; expected one that {signal!r} means"
        )
    return fitting[0]


@dataclasses.dataclass(frozen=True, eq=False)
class _Piece:
    """The spectra of one file, with a tilt axis and tilts."""

    path: Path
    found: Found
    data: Any
    tilts_deg: npt.NDArray[np.float64] | None
    notes: tuple[str, ...] = ()


def _series(name: str, pieces: Sequence[tuple[Path, Found]], given: GivenTilts | None) -> SpectrumSeries:
    """Combine the spectrum images of one signal."""
    parts = [_part(path, found, given, len(pieces) > 1) for path, found in pieces]
    first = parts[0]
    for part in parts[1:]:
        _require_same(first, part, name)
    notes = list(dict.fromkeys(note for part in parts for note in (*part.found.notes, *part.notes)))
    tilts, tilt_notes = _tilts(parts, given)
    notes += tilt_notes
    size = next((part.found.pixel_size_nm for part in parts if part.found.pixel_size_nm), None)
    if size is None:
        size = 1.0
        notes.append("no pixel size in the file; 1 nm is assumed")
    if len(parts) == 1:
        data = first.data
    else:
        order = np.argsort(tilts, kind="stable")
        tilts = tilts[order]
        data = _joined(parts, order)
        notes.append(f"{len(parts)} spectrum images, one per file")
    energy = first.found.energy
    assert energy is not None
    try:
        return SpectrumSeries(
            name=name,
            data=data,
            tilts_deg=tilts,
            energy_offset_keV=energy.offset_keV,
            energy_step_keV=energy.step_keV,
            pixel_size_nm=size,
            signal=first.found.spectrum_signal or "EDX",
            detectors=first.found.detectors,
            elements=tuple(dict.fromkeys(one for part in parts for one in part.found.elements)),
            beam_energy_keV=first.found.beam_energy_keV,
            source=str(first.path),
            notes=tuple(notes),
        )
    except DataError as error:
        raise ReadError(f"{first.path}: {error}") from error


def _part(path: Path, found: Found, given: GivenTilts | None, several: bool) -> _Piece:
    data = found.data if found.has_tilt_axis else found.data[np.newaxis]
    if several and not hasattr(data, "dask"):
        data = _lazy_reread(path, found)
    # One spectrum image per file: the given tilts are those of all files.
    by_hand = given
    if given is not None and (several or data.shape[0] == 1):
        by_hand = None if given.unit is None else GivenTilts(None, "", given.unit)
    chosen = choose_tilts(path, data.shape[0], found.tilts, by_hand)
    if chosen.tilts_deg is None and data.shape[0] > 1 and not several:
        raise NoTiltsError(
            f"{path}: found no tilts for {data.shape[0]} spectrum images; expected {chosen.source}. "
            "The option --tilts gives them by hand",
            data.shape[0],
        )
    return _Piece(path, found, data, chosen.tilts_deg, chosen.notes)


def _tilts(parts: Sequence[_Piece], given: GivenTilts | None) -> tuple[npt.NDArray[np.float64], list[str]]:
    first = parts[0]
    if len(parts) == 1 and first.tilts_deg is not None and (given is None or first.data.shape[0] > 1):
        return first.tilts_deg, []
    recorded: list[float | None] = []
    for part in parts:
        recorded += [None] * part.data.shape[0] if part.tilts_deg is None else part.tilts_deg.tolist()
    paths = [part.path for part in parts for _ in range(part.data.shape[0])]
    unit = first.found.tilt_unit
    return tilts_of_set(paths, recorded, given, unit, kind="spectrum image", members="files")


def _require_same(first: _Piece, other: _Piece, name: str) -> None:
    """Raise unless two spectrum images have the same size, energies and pixels."""
    what = f"{other.path}: found the spectrum image {name!r} with"
    beside = f"as in {first.path.name}"
    if other.data.shape[1:] != first.data.shape[1:]:
        raise ReadError(
            f"{what} (y, x, energy) = {other.data.shape[1:]}; expected {first.data.shape[1:]}, {beside}"
        )
    one, two = first.found.energy, other.found.energy
    assert one is not None
    assert two is not None
    channels = first.data.shape[3]
    apart = np.abs(one.energies_keV(channels) - two.energies_keV(channels)).max() / one.step_keV
    if apart > 0.5:
        raise ReadError(
            f"{what} energies from {two.offset_keV:g} keV in steps of {two.step_keV:g}; "
            f"expected {one.offset_keV:g} keV in steps of {one.step_keV:g}, {beside}"
        )
    sizes = first.found.pixel_size_nm, other.found.pixel_size_nm
    if sizes[0] and sizes[1] and abs(sizes[1] / sizes[0] - 1) > 1e-3:
        raise ReadError(f"{what} pixels of {sizes[1]:g} nm; expected {sizes[0]:g} nm, {beside}")


def _joined(parts: Sequence[_Piece], order: npt.NDArray[np.intp]) -> Any:
    """Return one array of all spectrum images, in the order of the tilts."""
    import dask.array  # slow to import

    da: Any = dask.array  # it has no types
    dtype = np.result_type(*(part.data.dtype for part in parts))
    single = [part.data[index : index + 1] for part in parts for index in range(part.data.shape[0])]
    return da.concatenate([single[index].astype(dtype, copy=False) for index in order], axis=0)


def _lazy_reread(path: Path, found: Found) -> Any:
    """Return an array that reads a file again when it is needed.

    For formats of which the library reads all values at once: the values of a series are then never in memory
    together.
    """
    import dask.array  # slow to import
    from dask.delayed import delayed

    da: Any = dask.array  # it has no types
    shape = found.data.shape if found.has_tilt_axis else (1, *found.data.shape)
    task = delayed(_values)(path, found.name, shape)
    return da.from_delayed(task, shape, found.data.dtype)


def _values(path: Path, name: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    for found in formats.find(path):
        if found.kind == "spectrum image" and found.name == name:
            return np.asarray(found.data).reshape(shape)
    raise ReadError(f"{path}: found no spectrum image {name!r}; expected the file to stay as it was")
