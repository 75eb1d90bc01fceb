"""Combine what is in files into one dataset.

A stack becomes a tilt series. Images, one file per tilt, become one tilt series per signal, sorted by tilt.
Signals with different tilts or binning stay separate series with their own tilts.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.data import Dataset, TiltSeries
from chemtomo.data.fingerprint import frame_digest
from chemtomo.data.origin import Origin
from chemtomo.errors import DataError, NoTiltSeriesError, NoTiltsError, ReadError
from chemtomo.io.assembly.pieces import Piece, common_axis, piece_of, with_borrowed_tilts
from chemtomo.io.assembly.source_files import Source, list_source_files
from chemtomo.io.formats import registry as formats
from chemtomo.io.found import Found
from chemtomo.io.interpret.signal_kind import guess_kind, summarise_values
from chemtomo.io.tilts.sets import tilts_of_set
from chemtomo.io.tilts.sources import GivenTilts, TiltsArgument, given_tilts
from chemtomo.io.tilts.units import AngleUnit

__all__ = ["Contents", "contents", "read"]

Paths = str | PathLike[str] | Sequence[str | PathLike[str]]

# Sets of images larger than this are not kept in memory: each image is read again when it is needed.
_LAZY_FROM_BYTES = 512 << 20
_NUMBER_AT_END = re.compile(r"[\s_.-]*[+-]?\d+(?:[.,]\d+)?\s*(?:deg|°)?$", re.IGNORECASE)
_NUMBER = re.compile(r"[\s_.-]*[+-]?\d+(?:[.,]\d+)?")


@dataclasses.dataclass(frozen=True)
class Contents:
    """What is in files.

    Attributes
    ----------
    series : tuple of TiltSeries
        The tilt series, with unique names.
    spectra : tuple of (pathlib.Path, Found)
        The spectrum images and their files. `chemtomo.io.read_spectra` makes a series of them.
    left_out : tuple of str
        The files of a folder that were not read, each with the reason.
    """

    series: tuple[TiltSeries, ...]
    spectra: tuple[tuple[Path, Found], ...]
    left_out: tuple[str, ...]

    def dataset(self) -> Dataset:
        """Return the tilt series.

        Raises
        ------
        ReadError
            When there are spectrum images only.
        """
        if not self.series:
            where = ", ".join(dict.fromkeys(str(path) for path, _ in self.spectra))
            raise ReadError(
                f"{where}: found spectrum images only; expected a tilt series. "
                "'chemtomo maps' makes maps of elements from them"
            )
        return Dataset(self.series)


def read(paths: Paths, *, tilts: TiltsArgument = None, tilts_unit: AngleUnit | None = None) -> Dataset:
    """Read tilt series of one sample.

    Parameters
    ----------
    paths : path or sequence of paths
        Files, or folders of files. The format is known by the ending of the name, or else by the content.
        An ``.mdoc`` file stands for the images that it describes.
    tilts : path, str or sequence of float, optional
        Tilts that replace those of the files: a file, ``START:STEP:COUNT``, numbers in degrees, or
        ``"names"`` for the number in each file name. By default they come from the first of these that
        exists: the ``.mdoc``, ``.rawtlt``, ``.tlt`` or ``.csv`` file beside a stack, or the stack itself; see
        `chemtomo.io.tilts.sources`.
    tilts_unit : {"deg", "rad"}, optional
        Unit of the tilts, from whichever source. By default the unit that the source states, else degrees.

    Returns
    -------
    Dataset
        The signals in the order of the files, with the names in the files, or else the file stems. Values
        and data types are those of the files. The notes of a series say what was assumed.

    Raises
    ------
    ReadError
        When a file is damaged or of no known format: the message names the file, what was found and
        what was expected.
    """
    return contents(paths, tilts=tilts, tilts_unit=tilts_unit).dataset()


def contents(paths: Paths, *, tilts: TiltsArgument = None, tilts_unit: AngleUnit | None = None) -> Contents:
    """Read what is in files: tilt series, as `read` does, and spectrum images.

    Raises
    ------
    ReadError
        As `read`.
    """
    listed = [Path(paths)] if isinstance(paths, (str, PathLike)) else [Path(path) for path in paths]
    if not listed:
        raise ReadError("found no file to read; expected at least one")
    given = given_tilts(tilts, tilts_unit)
    pieces: list[Piece] = []
    spectra: list[tuple[Path, Found]] = []
    left_out: list[str] = []
    sources = list_source_files(listed)
    for source in sources:
        try:
            found = formats.find(source.path)
            for index, one in enumerate(found):
                if one.kind == "spectrum image":
                    spectra.append((source.path, one))
                else:
                    pieces.append(piece_of(source, index, one, given))
        except NoTiltSeriesError as error:
            if source.folder is None:
                raise
            left_out.append(f"{source.path.name} ({str(error).removeprefix(f'{source.path}: ')})")
    pieces = with_borrowed_tilts(pieces)
    made: list[_Assembled] = []
    for piece in pieces:
        if not piece.is_image and piece.tilts_deg is None:
            if piece.source.folder is None or len(pieces) == 1:
                raise NoTiltsError(
                    f"{piece.path}: found no tilts for {piece.data.shape[0]} projections; expected "
                    f"{piece.tilts_source}. The option --tilts gives them by hand",
                    piece.data.shape[0],
                )
            left_out.append(f"{piece.path.name} (no tilts)")
        elif not piece.is_image:
            made.append(_Assembled(piece.found.name, piece.path, [piece], piece.data, piece.tilts_deg, ()))
    made += _image_sets([one for one in pieces if one.is_image], given)
    if not made and not spectra:
        raise ReadError(f"{listed[0]}: found no tilt series; {'; '.join(left_out)}")
    order = {id(piece): index for index, piece in enumerate(pieces)}
    made.sort(key=lambda one: min(order[id(piece)] for piece in one.pieces))
    series = [one.series(*name) for one, name in zip(made, _unique_series_names(made), strict=True)]
    if series and any(source.folder is not None for source in sources):
        note = _folder_note(sources, left_out)
        series[0] = series[0].replace(notes=(*series[0].notes, note))
    read_now = tuple(
        one.replace(
            origin=Origin.of_files(
                one.name,
                listed,
                tilts=tilts,
                tilts_unit=tilts_unit,
                steps_before=len(one.provenance),
                frame=frame_digest(one),
            )
        )
        for one in series
    )
    return Contents(read_now, tuple(spectra), tuple(left_out))


@dataclasses.dataclass(frozen=True, eq=False)
class _Assembled:
    """A tilt series before it has its final name."""

    name: str
    path: Path
    pieces: list[Piece]
    data: Any
    tilts_deg: npt.NDArray[np.float64] | None
    notes: tuple[str, ...]

    def series(self, name: str, name_note: str | None) -> TiltSeries:
        first = self.pieces[0]
        notes = list(dict.fromkeys(note for piece in self.pieces for note in piece.notes))
        notes += self.notes
        if name_note is not None:
            notes.append(name_note)
        pixel_size = first.pixel_size_nm
        if pixel_size is None:
            pixel_size = 1.0
            notes.append("no pixel size in the file; 1 nm is assumed")
        values = summarise_values(self.data, self.path)
        kind = first.found.signal
        if kind is None:
            kind, note = guess_kind(self.name, values, first.found.detectors)
            notes.append(note)
        if kind == "counts" and values.smallest < 0:
            raise ReadError(f"{self.path}: found {values.smallest:g}; expected counts of at least 0")
        attributes = dict(first.found.attributes) if len(self.pieces) == 1 else {}
        axis = common_axis(self.pieces)
        if axis is not None:
            attributes["axis_angle_deg"] = axis
        try:
            return TiltSeries(
                name=name,
                data=self.data,
                tilts_deg=self.tilts_deg,  # type: ignore[arg-type]
                pixel_size_nm=pixel_size,
                kind=kind,
                notes=tuple(notes),
                **{"source": str(self.path), **attributes},
            )
        except (DataError, TypeError) as error:
            raise ReadError(f"{self.path}: {error}") from error


def _image_sets(images: list[Piece], given: GivenTilts | None) -> list[_Assembled]:
    """Put images of one signal together, sorted by their tilt."""
    groups: dict[tuple[str, int], list[Piece]] = {}
    names = _set_names(images)
    seen: Counter[tuple[Path, str, float | None]] = Counter()
    for image in images:
        name = image.found.name if image.found.named else names[image.path.stem]
        tilt = None if image.tilts_deg is None else round(float(image.tilts_deg[0]), 2)
        # Two images of the same name and tilt in one file, such as an overview, belong to different sets.
        repeated = (image.path, name, tilt)
        groups.setdefault((name, seen[repeated]), []).append(image)
        seen[repeated] += 1
    lazy = sum(one.data.nbytes for one in images) > _LAZY_FROM_BYTES
    return [_image_set(name, group, given, lazy) for (name, _), group in groups.items()]


def _set_names(images: list[Piece]) -> dict[str, str]:
    """Return a name for the set of each file: what the stems have in common, without the numbers."""
    stems = list(dict.fromkeys(one.path.stem for one in images if not one.found.named))
    names = {stem: _NUMBER_AT_END.sub("", _NUMBER_AT_END.sub("", stem)) for stem in stems}
    if len(set(names.values())) == len(stems):
        names = {stem: _NUMBER.sub("", stem) for stem in stems}
    shared = Counter(names.values())
    folder = {one.path.stem: one.path.parent.name for one in images}
    return {
        stem: (name.strip(" _.-") or folder[stem] or stem) if shared[name] > 1 else stem
        for stem, name in names.items()
    }


def _image_set(name: str, images: list[Piece], given: GivenTilts | None, lazy: bool) -> _Assembled:
    first = images[0]
    for one in images[1:]:
        if one.data.shape != first.data.shape:
            raise ReadError(
                f"{one.path}: found an image of {one.data.shape[1]} x {one.data.shape[2]} pixels; expected "
                f"{first.data.shape[1]} x {first.data.shape[2]}, as in {first.path.name}, for {name!r}"
            )
        sizes = first.pixel_size_nm, one.pixel_size_nm
        if sizes[0] and sizes[1] and abs(sizes[1] / sizes[0] - 1) > 1e-3:
            raise ReadError(
                f"{one.path}: found pixels of {sizes[1]:g} nm; expected {sizes[0]:g} nm, as in "
                f"{first.path.name}, for {name!r}"
            )
    tilts, notes = tilts_of_set(
        [one.path for one in images],
        [None if one.tilts_deg is None else float(one.tilts_deg[0]) for one in images],
        given,
        first.found.tilt_unit,
        kind="image",
        members=f"images of {name!r}",
    )
    order = np.argsort(tilts, kind="stable")
    if len(images) > 1:
        notes.append(f"{len(images)} images, one per tilt")
    return _Assembled(
        name,
        first.path,
        [images[index] for index in order],
        _stacked([images[index] for index in order], lazy),
        tilts[order],
        tuple(notes),
    )


def _stacked(images: list[Piece], lazy: bool) -> Any:
    if len(images) == 1:
        return images[0].data
    dtype = np.result_type(*(one.data.dtype for one in images))
    if not lazy and all(isinstance(one.data, np.ndarray) for one in images):
        return np.concatenate([one.data for one in images]).astype(dtype, copy=False)
    import dask.array
    from dask.delayed import delayed

    parts = [
        dask.array.from_delayed(delayed(_read_again)(one.path, one.index), one.data.shape, one.data.dtype)
        if isinstance(one.data, np.ndarray) and one.found.kind == "image"
        else dask.array.asarray(one.data)
        for one in images
    ]
    return dask.array.concatenate(parts).astype(dtype)


def _read_again(path: Path, index: int) -> npt.NDArray[Any]:
    return np.asarray(formats.find(path)[index].data)[np.newaxis]


def _unique_series_names(made: list[_Assembled]) -> list[tuple[str, str | None]]:
    """Return a unique name for every series, and a note where it is not the name in its file."""
    counts = Counter(one.name for one in made)
    names: list[tuple[str, str | None]] = []
    used = {name for name, count in counts.items() if count == 1}
    for one in made:
        if counts[one.name] == 1:
            names.append((one.name, None))
            continue
        rivals = [other.path for other in made if other.name == one.name]
        if len({path.stem for path in rivals}) == len(rivals):
            label = one.path.stem
        elif len({path.parent.name for path in rivals}) == len(rivals):
            label = one.path.parent.name
        else:
            label = str(1 + sum(name.startswith(f"{one.name} (") for name, _ in names))
        name = f"{one.name} ({label})"
        while name in used:
            name += "'"
        used.add(name)
        names.append((name, f"one of {counts[one.name]} signals named {one.name!r}"))
    return names


def _folder_note(sources: list[Source], left_out: list[str]) -> str:
    folder = next(source.folder for source in sources if source.folder is not None)
    names = [source.path.name for source in sources if source.folder is not None]
    taken = ", ".join(names) if len(names) <= 8 else f"{names[0]} to {names[-1]}"
    count = len(names) - len(left_out)
    what = "the folder" if folder.is_dir() else "the archive"
    note = f"{count} {'file' if count == 1 else 'files'} of {what} {folder}: {taken}"
    return note + (f"; left out: {', '.join(left_out)}" if left_out else "")
