"""The extent of the reconstructed volume: as wide as the detector, wider, or a slab.

Matter beside the field of view enters it when the sample is tilted. A volume as wide as the detector cannot
hold it, and shows it as a bright rim. A wider volume can, and is cut to the field at the end. A film or
lamella is thin: a volume no deeper than the sample costs less, and keeps matter from wrong depths.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from chemtomo.data import Dataset, TiltSeries
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector, inverse_of_sums
from chemtomo.preprocess import bin_pixels

__all__ = ["FieldOfView", "leaves_the_field", "reach_px"]

# Signal in the outermost columns, relative to the brightest ones, above which matter leaves the field.
_EDGE_COLUMNS = 3
_EDGE_SIGNAL = 0.05
_EDGE_SIGMA = 5.0
_BRIGHT_PERCENTILE = 95
# Largest margin at each side, in widths of the detector.
_FARTHEST = 3.0
# The depth is found in a coarse reconstruction.
_COARSE_EDGE = 64
_COARSE_ROWS = 16
_COARSE_ITERATIONS = 40
_FLOOR_PERCENTILE = 25
_LEAST_CONTRAST = 0.3
_DENSE_LEVEL = 0.3
_DEPTH_LEVEL = 0.1
_COARSE_MARGIN = 2
_RELATIVE_MARGIN = 0.1


@dataclasses.dataclass(frozen=True)
class FieldOfView:
    """The extent of a slice in voxels.

    Attributes
    ----------
    margin : int
        Columns beyond the detector at each side, which are cut off at the end.
    rows : (int, int)
        ``z`` of the first row and after the last one, in a volume as deep as the detector is wide.
    note : str, optional
        A description of what was chosen from the data.
    """

    margin: int
    rows: tuple[int, int]
    note: str | None = None

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        beam: ParallelBeam,
        rows: tuple[int, int],
        field: Literal["sample", "wide", "auto"],
        thickness_px: float | Literal["auto"] | None,
    ) -> FieldOfView:
        """Choose the field.

        Parameters
        ----------
        dataset : Dataset
            All slices, cropped as for the reconstruction.
        beam : ParallelBeam
            Geometry of a slice as wide as the detector, of depth `rows`, with ``z`` upwards.
        rows : (int, int)
            Rows of a volume for a sample of any depth.
        field : {"sample", "wide", "auto"}
            As wide as the detector, or as far as the highest tilt sees; ``auto`` for the latter where there
            is signal at the edges of the detector.
        thickness_px : float or "auto", optional
            Depth of the sample, or ``auto`` to estimate it. If not given, it is estimated for a wide field,
            and unlimited for others.
        """
        wide = field == "wide" or (field == "auto" and leaves_the_field(dataset))
        if not wide and thickness_px is None:
            return cls(0, rows)
        profile, first, step = _coarse_profile(dataset, beam, rows, wide)
        given = thickness_px if isinstance(thickness_px, (int, float)) else None
        depth = _depth(profile, first, step, given, rows)
        axis = beam.volume_axis[0] + rows[0]
        highest = max(axis - depth[0], depth[1] - 1 - axis, 0.0)
        margin = 0
        if wide:
            half = max(beam.detector_axis, beam.detector_pixels - 1 - beam.detector_axis)
            half += float(np.abs(beam.detector_shifts).max())
            margin = math.ceil(min(reach_px(beam.tilts_deg, half, highest) - half, _FARTHEST * 2 * half))
        height = depth[1] - depth[0]
        notes = []
        if wide:
            why = "signal at the edges of the detector" if field == "auto" else "as asked for"
            across = beam.detector_pixels + 2 * margin
            notes.append(
                f"wide field ({why}): the volume reaches {margin} px beyond the detector at each side"
            )
            size = across * height / (beam.detector_pixels * (rows[1] - rows[0]))
            notes.append(
                f"{across} x {height} voxels per slice, {size:.1f} times those of the sample's field"
            )
        if given is None and depth == rows:
            notes.append(f"thickness not found: the data do not say it; all {height} px are used")
        elif given is None:
            notes.append(f"thickness found: {height} px, z from {depth[0]} to {depth[1]}")
        return cls(margin, depth, "; ".join(notes) or None)


def reach_px(tilts_deg: npt.ArrayLike, half_width: float, half_depth: float) -> float:
    """Return how far from the axis the rays of a detector cross a slab.

    Parameters
    ----------
    tilts_deg : array_like
        Tilts.
    half_width : float
        From the tilt axis to the farther edge of the detector.
    half_depth : float
        From the tilt axis to the farther face of the slab.
    """
    angles = np.deg2rad(np.asarray(tilts_deg, dtype=np.float64))
    cosine = np.maximum(np.abs(np.cos(angles)), 1e-6)
    return float(((half_width + half_depth * np.abs(np.sin(angles))) / cosine).max())


def leaves_the_field(dataset: Dataset) -> bool:
    """Tell whether there is signal at the left or right edge of the detector.

    Only intensities are used if there are any, because their noise is small.
    """
    deciding = [one for one in dataset if one.kind == "intensity"] or list(dataset)
    return any(_signal_at_edges(one) for one in deciding)


def _signal_at_edges(series: TiltSeries) -> bool:
    width = series.shape[2]
    columns = min(_EDGE_COLUMNS, max(1, width // 16))
    sums, pixels, squares = np.zeros(width), np.zeros(width), np.zeros(width)
    for image, behind, valid in zip(
        series.projections(), series.backgrounds(), series.valid_pixels(), strict=True
    ):
        signal = np.where(valid, image.astype(np.float64) - behind, 0)
        sums += signal.sum(axis=0)
        pixels += valid.sum(axis=0)
        squares += np.where(valid, np.abs(image) if series.kind == "counts" else signal**2, 0).sum(axis=0)
    known = pixels > 0
    if known.sum() < 4 * columns:
        return False
    bright = float(np.percentile(sums[known] / pixels[known], _BRIGHT_PERCENTILE))
    inside = np.flatnonzero(known)
    for edge in (inside[:columns], inside[-columns:]):
        mean = sums[edge].sum() / pixels[edge].sum()
        error = math.sqrt(squares[edge].sum()) / pixels[edge].sum()
        if mean > _EDGE_SIGNAL * bright and mean > _EDGE_SIGMA * error:
            return True
    return False


def _coarse_profile(
    dataset: Dataset, beam: ParallelBeam, rows: tuple[int, int], wide: bool
) -> tuple[npt.NDArray[np.float64], float, int]:
    """Return the contrast of every layer z of a coarse volume, the place of the first, and the step.

    Contrast, not brightness: uniform layers do not determine their depth.
    """
    intensities = [one for one in dataset if one.kind == "intensity"]
    series = max(intensities or dataset, key=lambda one: one.shape[0])
    factor = max(1, beam.detector_pixels // _COARSE_EDGE)
    coarse = bin_pixels(series, factor)
    data = np.stack(
        [
            (np.asarray(image, dtype=np.float64) - behind) * valid
            for image, behind, valid in zip(
                coarse.projections(), coarse.backgrounds(), coarse.valid_pixels(), strict=True
            )
        ]
    )
    valid = np.stack(list(coarse.valid_pixels()))
    chosen = np.unique(np.linspace(0, coarse.shape[1] - 1, min(_COARSE_ROWS, coarse.shape[1])).astype(int))
    if coarse.gains is not None:
        data = data / coarse.gains[:, np.newaxis, np.newaxis]
    width = coarse.shape[2]
    depth = max(1, (rows[1] - rows[0]) // factor)
    shifts = np.zeros(coarse.shape[0]) if coarse.detector_shifts_px is None else coarse.detector_shifts_px
    half = max(coarse.axis_position, width - 1 - coarse.axis_position)
    reach = reach_px(coarse.tilts_deg, half, depth / 2) - half
    margin = math.ceil(min(reach, _FARTHEST * 2 * half)) if wide else 0
    axis_z = (beam.volume_axis[0] - (factor - 1) / 2) / factor
    geometry = ParallelBeam(
        coarse.tilts_deg,
        width,
        (depth, width + 2 * margin),
        detector_axis=coarse.axis_position,
        volume_axis=(axis_z, coarse.axis_position + margin),
        detector_shifts=shifts,
    )
    projector = Projector(geometry, 1, chosen.size)
    f = data[np.newaxis, :, chosen].astype(np.float32)
    weight = valid[np.newaxis, :, chosen].astype(np.float32)
    ones = np.ones(projector.domain_shape, dtype=np.float32)
    of_rays = weight * inverse_of_sums(projector.forward(ones)).astype(np.float32)
    of_voxels = inverse_of_sums(projector.adjoint(weight)).astype(np.float32)
    u = np.zeros(projector.domain_shape, dtype=np.float32)
    for _ in range(_COARSE_ITERATIONS):
        u = np.maximum(u + of_voxels * projector.adjoint(of_rays * (f - projector.forward(u))), 0)
    inside = u[0, :, :, margin : margin + width]
    return inside.std(axis=2, dtype=np.float64).mean(axis=1), rows[0] + (factor - 1) / 2, factor


def _depth(
    profile: npt.NDArray[np.float64],
    first: float,
    step: int,
    thickness_px: float | None,
    rows: tuple[int, int],
) -> tuple[int, int]:
    """Return the rows of the slab, from the contrast of the layers; all rows where it is too low."""
    floor = float(np.percentile(profile, _FLOOR_PERCENTILE))
    height = float(profile.max()) - floor
    if height < _LEAST_CONTRAST * profile.max() or height == 0:
        return rows
    relative = (profile - floor) / height
    places = first + step * np.arange(profile.size)
    dense = np.flatnonzero(relative > _DENSE_LEVEL)
    if thickness_px is None:
        low, high = int(dense[0]), int(dense[-1])
        while low > 0 and relative[low - 1] > _DEPTH_LEVEL:
            low -= 1
        while high + 1 < profile.size and relative[high + 1] > _DEPTH_LEVEL:
            high += 1
        margin = max(_COARSE_MARGIN * step, _RELATIVE_MARGIN * (places[high] - places[low]))
        faces = places[low] - margin, places[high] + margin
    else:
        middle = float(relative[dense] @ places[dense] / relative[dense].sum())
        faces = middle - thickness_px / 2, middle + thickness_px / 2
    start, stop = max(rows[0], math.floor(faces[0])), min(rows[1], math.ceil(faces[1]) + 1)
    return (start, stop) if stop > start else rows
