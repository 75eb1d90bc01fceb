"""``python -m benchmarks.held_out FILE...``: how well every second projection is predicted from the others.

The series is aligned in several ways, every second tilt is reconstructed with the defaults, and the volume is
projected at the tilts between. An alignment is judged by what it is for: no truth is needed, and no estimator
judges itself.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

import chemtomo
from benchmarks.measure import rounded
from chemtomo.align import apply, auto, current, projection_matching, set_axis
from chemtomo.align.tilt_axis.search import with_axis
from chemtomo.data import Alignment, Dataset, TiltSeries
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector
from chemtomo.preprocess import from_vacuum, select_tilts

BAND = 16
"""Rows of one band that is reconstructed: three of them, at a quarter, a half and three quarters."""


def held_out_error(series: TiltSeries, alignment: Alignment, band: int = BAND) -> dict[str, float]:
    """Return the relative L2 error of the projections between those that were reconstructed.

    Parameters
    ----------
    series : TiltSeries
        As recorded, one channel.
    alignment : Alignment
        Of all its tilts.
    band : int
        Rows of each of three bands of slices.

    Returns
    -------
    dict
        The error over the norm of the projections above vacuum, and its standard error from the tilts.
    """
    aligned, _ = from_vacuum(apply(series, alignment))
    order = np.argsort(aligned.tilts_deg, kind="stable")
    known, held = (select_tilts(aligned, np.sort(order[first::2]).tolist()) for first in (0, 1))
    missed, size = np.zeros(held.shape[0]), np.zeros(held.shape[0])
    measured = held.values().astype(np.float64)
    if held.background is not None:
        measured = measured - np.asarray(held.background)
    valid = np.stack(list(held.valid_pixels()))
    for place in (0.25, 0.5, 0.75):
        first = int(np.clip(round(place * held.shape[1]) - band // 2, 0, held.shape[1] - band))
        rows = slice(first, first + band)
        result = chemtomo.reconstruct(Dataset((known,)), slices=f"{first}:{first + band}", crop="none")
        volume = result.volume.data
        beam = ParallelBeam(
            held.tilts_deg,
            held.shape[2],
            (volume.shape[1], volume.shape[3]),
            detector_axis=held.axis_position,
            detector_shifts=held.detector_shifts_px,
        )
        predicted = np.asarray(Projector(beam, 1, band).forward(volume)).reshape(held.shape[0], band, -1)
        used = valid[:, rows]
        missed += (np.where(used, measured[:, rows] - predicted, 0) ** 2).sum(axis=(1, 2))
        size += (np.where(used, measured[:, rows], 0) ** 2).sum(axis=(1, 2))
    each = np.sqrt(missed / size)
    return {
        "relative L2": float(np.sqrt(missed.sum() / size.sum())),
        "standard error": float(each.std() / np.sqrt(each.size)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.held_out", description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path, help="one series, as recorded")
    parser.add_argument("--near", type=float, help="angle of the tilt axis, as a hint to compare with")
    parser.add_argument("--angles", type=float, nargs="*", default=[], help="angles to compare with")
    chosen = parser.parse_args()
    (series,) = chemtomo.read([str(path) for path in chosen.paths]).series
    found = auto(series)
    alignments = {"auto": found}
    if chosen.near is not None:
        alignments[f"auto near {chosen.near:g}"] = auto(series, set_axis(current(series), chosen.near, 0.0))
    for angle in chosen.angles:
        turned = with_axis(found, angle, found.axis_offset_px)
        alignments[f"{angle:g} by force"] = projection_matching(series, turned, refine_angle=False)
    for name, alignment in alignments.items():
        begun = time.perf_counter()
        entry = {"alignment": name, "axis, deg": alignment.axis_angle_deg} | held_out_error(series, alignment)
        print(json.dumps(rounded(entry | {"seconds": time.perf_counter() - begun})), flush=True)


if __name__ == "__main__":
    main()
