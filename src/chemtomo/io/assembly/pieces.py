"""The part of a tilt series that a file holds: a stack, or one image of a set, with its known tilts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.errors import ReadError
from chemtomo.io.assembly.dose_frames import average_frames, frame_runs
from chemtomo.io.assembly.source_files import Source
from chemtomo.io.formats import registry as formats
from chemtomo.io.found import Found
from chemtomo.io.tilts.axis import axis_from_imod, is_aligned_by_imod
from chemtomo.io.tilts.sources import GivenTilts, choose_tilts, sidecar_mdoc
from chemtomo.io.tilts.units import reread_in_unit

__all__ = ["Piece", "common_axis", "piece_of", "with_borrowed_tilts"]

_LARGEST_PROJECTION_BYTES = 1 << 30
_SAME_AXIS_DEG = 1.0


@dataclasses.dataclass(frozen=True, eq=False)
class Piece:
    """A stack or an image in a file, with its tilts as far as they are known."""

    source: Source
    index: int
    found: Found
    data: Any
    tilts_deg: npt.NDArray[np.float64] | None
    tilts_source: str
    notes: tuple[str, ...]

    @property
    def path(self) -> Path:
        """The file."""
        return self.source.path

    @property
    def is_image(self) -> bool:
        """Whether it is a single projection."""
        return bool(self.data.shape[0] == 1)

    @property
    def pixel_size_nm(self) -> float | None:
        """Pixel size from the file, or else from its ``.mdoc``."""
        return self.found.pixel_size_nm or self.source.pixel_size_nm


def piece_of(source: Source, index: int, found: Found, given: GivenTilts | None) -> Piece:
    """Return a signal found in a file with its tilts: given, from a sidecar file, or its own.

    Dose frames of one tilt are averaged to one projection.

    Raises
    ------
    ReadError
        When a projection is too large, or the tilts do not fit.
    """
    path = source.path
    data = found.data if found.kind == "stack" else found.data[np.newaxis]
    notes = list(found.notes)
    size = data.dtype.itemsize * data.shape[1] * data.shape[2]
    if size > _LARGEST_PROJECTION_BYTES:
        raise ReadError(
            f"{path}: found projections of {data.shape[1]} x {data.shape[2]} pixels, {size >> 20} MiB; "
            f"expected at most {_LARGEST_PROJECTION_BYTES >> 20} MiB"
        )
    count = data.shape[0]
    tilts: npt.NDArray[np.float64] | None
    if source.tilt_deg is not None:
        unit = None if given is None else given.unit
        tilts, tilts_source = reread_in_unit(np.full(count, source.tilt_deg), None, unit), ".mdoc"
    else:
        # One image per file: the given tilts are those of the whole set.
        by_hand = _unit_only(given) if count == 1 else given
        chosen = choose_tilts(path, count, found.tilts, by_hand, source.mdoc)
        tilts, tilts_source = chosen.tilts_deg, chosen.source
        notes += chosen.notes
    if tilts is not None and count > 1 and tilts_source.lower().endswith(".mdoc"):
        runs = frame_runs(tilts)
        if runs is not None:
            data = average_frames(data, runs)
            tilts = np.array([tilts[run.start] for run in runs])
            notes.append(f"each projection is the mean of its registered frames ({count} in all)")
            found = dataclasses.replace(found, signal="intensity")
    return Piece(source, index, _with_axis(source, found), data, tilts, tilts_source, tuple(notes))


def common_axis(pieces: Sequence[Piece]) -> float | None:
    """Return the tilt axis angle on which the files of a series agree, else None."""
    angles = [one.found.attributes.get("axis_angle_deg") for one in pieces]
    known = [one for one in angles if one is not None]
    if len(known) < len(angles) or max(known) - min(known) > _SAME_AXIS_DEG:
        return None
    return float(known[0])


def _unit_only(given: GivenTilts | None) -> GivenTilts | None:
    return None if given is None or given.unit is None else GivenTilts(None, "", given.unit)


def _with_axis(source: Source, found: Found) -> Found:
    """Add the tilt axis angle from the ``.mdoc`` file, unless the file itself has one."""
    if "axis_angle_deg" in found.attributes or is_aligned_by_imod(source.path):
        return found
    angle = source.imod_axis_deg
    if source.mdoc is None:
        beside = sidecar_mdoc(source.path)
        angle = None if beside is None else beside.axis_angle_deg
    one = formats.format_of(source.path)
    if angle is None or one is None:
        return found
    axis = axis_from_imod(angle, bottom_row_first=one.bottom_row_first)
    return found.replace(attributes={**found.attributes, "axis_angle_deg": axis})


def with_borrowed_tilts(pieces: list[Piece]) -> list[Piece]:
    """Give stacks without tilts those of the other stacks with as many projections, if these agree."""
    lenders = [one for one in pieces if one.tilts_deg is not None and not one.is_image]
    done = []
    for piece in pieces:
        fitting = [one for one in lenders if one.data.shape[0] == piece.data.shape[0]]
        if piece.tilts_deg is None and not piece.is_image and fitting:
            tilts = [one.tilts_deg for one in fitting if one.tilts_deg is not None]
            if all(np.abs(one - tilts[0]).max() <= 0.01 for one in tilts):
                note = f"no tilts of its own; those of {fitting[0].path.name} are taken"
                piece = dataclasses.replace(piece, tilts_deg=tilts[0], notes=(*piece.notes, note))
        done.append(piece)
    return done
