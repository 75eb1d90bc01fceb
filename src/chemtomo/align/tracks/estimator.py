"""Alignment by tracks of patches, for specimens that fill the field."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from chemtomo.align.images import Images, prepare_images
from chemtomo.align.registration.phase_correlation import phase_correlation
from chemtomo.align.starting_point import current
from chemtomo.align.tracks.bundle import Bundle, adjust
from chemtomo.align.tracks.distortion import Distortion, adjust_with_distortion, distorted, told_of
from chemtomo.align.tracks.halves import jackknife, odd_even, upper_lower
from chemtomo.align.tracks.patches import Observations, band_passed, follow
from chemtomo.data import Alignment, TiltSeries
from chemtomo.errors import ChemTomoError, DataError
from chemtomo.geometry import affine
from chemtomo.progress import TaskProgress, blocking

__all__ = ["patch_tracks", "patch_tracks_job"]

_Real = npt.NDArray[np.float64]

_LARGEST = 512
_FINEST_PX = (1.0, 1.5, 2.2, 3.2)
_COARSEST = 8.0  # times the finest
_CLEAR = 3.0  # signal over noise in the band
_LEAST = (0.75, 0.55, 0.4)
_HALVES_PX = (10, 7)  # small patches see less of what lies above and below, large ones hold better
_SEARCH_PX = (7, 4)
_BEGIN = (0.0, -0.17, 0.17, -0.34, 0.34)  # of the number of tilts, from the middle one
_FEWEST_TRACKS = 12
_FEWEST_AT_A_TILT = 4
_FAR_PX = 4.0


def patch_tracks_job(
    series: TiltSeries,
    alignment: Alignment | None = None,
    *,
    distortion: Literal["off", "auto"] = "off",
    should_stop: Callable[[], bool] | None = None,
) -> Generator[TaskProgress, None, Alignment]:
    """Find shifts, angle and offset of the tilt axis from patches that are followed through the tilts.

    For films, lamellae and whatever else fills the field: the sample need not end inside. Patches with
    structure are followed by correlation from several tilts on, each projection stretched as the tilt wants
    it, and a bundle adjustment finds the shifts, the angle and the places of the patches in the sample that
    explain all tracks (`chemtomo.align.tracks.bundle`). With these shifts the patches are followed again.
    It begins with several registrations, of which the one that is explained best is taken.

    Parameters
    ----------
    series : TiltSeries
        It is not modified.
    alignment : Alignment, optional
        The alignment so far: the direction of the tilt axis within some 20 degrees, and one of the
        registrations. That of the series by default.
    distortion : {"off", "auto"}
        Whether a magnification and a rotation of every projection are looked for too, and used where two
        halves of the tracks agree about them. Errors of the tilts are looked for as well, and only told.
    should_stop : callable, optional
        Asked between tilts; when it returns true, what is known so far is the result.

    Yields
    ------
    TaskProgress
        After every tilt.

    Returns
    -------
    Alignment
        ``residual_px`` is the standard error of each shift, from how far the alignments disagree that
        leave out a quadrant of the field. The provenance tells the standard error of the angle, how far
        halves of the data disagree (odd and even tilts, upper and lower rows), and the thickness of the
        layer in which the patches lie. Tilts without a patch get what their neighbours have, and the
        residual NaN.

    Raises
    ------
    DataError
        When values are not finite, or too few patches can be followed.
    """
    start = current(series, alignment)
    images = prepare_images(series, start, _LARGEST)
    order = np.array([at for at in np.argsort(images.tilts_deg, kind="stable") if images.usable[at]])
    tilts = images.tilts_deg[order]
    if np.unique(tilts).size < 3:
        raise DataError(
            f"tilt series {series.name!r}: found {np.unique(tilts).size} different tilts of projections that "
            "show something; patches are followed through at least 3"
        )
    middle = np.array(affine.centre(images.shape))
    finest = _finest(images, order)
    stack = band_passed(images.stack[order], finest, _COARSEST * finest)
    halves = [min(half, min(images.shape) // 8) for half in _HALVES_PX]
    names, registrations = _registrations(series, start, images, order)
    count = _Count((len(registrations) + 2 * len(_BEGIN)) * len(tilts))

    def followed(
        shifts: _Real, begins: tuple[float, ...], search: int
    ) -> Generator[TaskProgress, None, Observations | None]:
        found = None
        for least in _LEAST:
            parts = []
            for number, begin in enumerate(begins):
                half = halves[number % len(halves)]
                at = int(np.abs(tilts).argmin()) + round(begin * len(tilts))
                if 0 <= at < len(tilts):
                    job = follow(stack, tilts, shifts, at, half_px=half, search_px=search, least=least)
                    parts.append((yield from count.through(job)))
            found = Observations.joined(parts) if any(part.tracks for part in parts) else None
            if found is not None and found.tracks >= 2 * _FEWEST_TRACKS * len(begins):
                break
        return found

    best: tuple[float, str, Observations, Bundle] | None = None
    for name, shifts in zip(names, registrations, strict=True):
        found = yield from followed(shifts, (0.0,), _SEARCH_PX[0])
        if found is None or found.tracks < _FEWEST_TRACKS:
            continue
        bundle = adjust(found, tilts, middle)
        explained = float((bundle.residuals_px < 1.0).sum())
        if best is None or explained > best[0]:
            best = (explained, name, found, bundle)
    if best is None:
        raise DataError(
            f"tilt series {series.name!r}: found fewer than {_FEWEST_TRACKS} patches that can be followed "
            "through the tilts; expected texture or particles all over the field"
        )
    _, name, found, bundle = best
    for _ in range(2):
        if should_stop is not None and should_stop():
            break
        again = yield from followed(bundle.shifts, _BEGIN, _SEARCH_PX[1])
        if again is None or again.tracks < _FEWEST_TRACKS:
            break
        before, found = bundle, again
        bundle = adjust(found, tilts, middle)
        if np.abs(bundle.shifts - before.shifts).max() < 0.5:
            break
    found = found.part((bundle.trust > 0.1)[found.track])
    bundle = adjust(found, tilts, middle, start=bundle, rounds=12)
    distortions: dict[str, Distortion] = {}
    if distortion == "auto":
        bundle, distortions = adjust_with_distortion(found, tilts, middle, bundle)
    entry = {"registration": name, "finest_px": finest} | told_of(distortions, tilts)
    return _result(series, images, order, found, bundle, distortions, entry)


patch_tracks = blocking(patch_tracks_job)


@dataclasses.dataclass
class _Count:
    """Tilts through which patches were followed, of about how many."""

    total: int
    done: int = 0

    def through(
        self, job: Generator[None, None, Observations]
    ) -> Generator[TaskProgress, None, Observations]:
        """Run a job, telling the progress."""
        while True:
            try:
                next(job)
            except StopIteration as end:
                result: Observations = end.value
                return result
            self.done += 1
            yield TaskProgress(min(self.done, self.total), self.total, "following patches")


def _finest(images: Images, order: npt.NDArray[np.intp]) -> float:
    """How fine the structure may be that stands out of the noise, in pixels."""
    from scipy import ndimage

    some = images.stack[order[:: max(1, len(order) // 8)]].astype(np.float64)
    # Second differences across: next to nothing but noise.
    rough = some[:, 1:, 1:] - some[:, :-1, 1:] - some[:, 1:, :-1] + some[:, :-1, :-1]
    noise = 1.4826 * float(np.median(np.abs(rough))) / 2
    for width in _FINEST_PX:
        signal = float(np.median([_band(one, width, ndimage).std() for one in some]))
        left = noise / (2 * np.sqrt(np.pi) * width)
        if signal > _CLEAR * left:
            return width
    return _FINEST_PX[-1]


def _band(image: _Real, width: float, ndimage: Any) -> _Real:
    fine = ndimage.gaussian_filter(image, width)
    left: _Real = fine - ndimage.gaussian_filter(fine, _COARSEST * width)
    return left


def _registrations(
    series: TiltSeries, start: Alignment, images: Images, order: npt.NDArray[np.intp]
) -> tuple[list[str], list[_Real]]:
    """Shifts to begin with, in the pixels of the images: how far the sample is from the middle."""
    names, found = ["as recorded"], [np.zeros((len(order), 2))]
    middle = np.array(affine.centre(images.shape))
    for name, stretch in (("phase correlation, stretched", True), ("phase correlation", False)):
        try:
            registered = phase_correlation(series, start, stretch=stretch)
        except ChemTomoError:
            continue
        further = affine.compose(affine.inverse(start.matrices), registered.matrices)
        names.append(name)
        moved = affine.apply(affine.rescale(further, 1.0, images.factor), middle[np.newaxis])[:, 0] - middle
        found.append(moved[order])
    return names, found


def _result(
    series: TiltSeries,
    images: Images,
    order: npt.NDArray[np.intp],
    found: Observations,
    bundle: Bundle,
    distortions: dict[str, Distortion],
    entry: dict[str, Any],
) -> Alignment:
    tilts = images.tilts_deg[order]
    middle = np.array(affine.centre(images.shape))
    seen = bundle.seen >= _FEWEST_AT_A_TILT
    if seen.sum() < max(3, len(tilts) // 2):
        raise DataError(
            f"tilt series {series.name!r}: found patches that can be followed at {int(seen.sum())} of "
            f"{len(tilts)} tilts; expected at least half of them"
        )
    errors, angle_error = jackknife(found, tilts, middle, bundle)
    errors = np.maximum(_smooth(errors), bundle.errors_px) * images.factor
    factor = images.factor
    # A tilt at which nothing was followed lies between its neighbours.
    shifts = np.stack(
        [np.interp(images.tilts_deg, tilts[seen], bundle.shifts[seen, axis]) for axis in (0, 1)], axis=1
    )
    shifts[order[seen]] = bundle.shifts[seen]
    residual = np.full(len(images.tilts_deg), np.nan)
    residual[order[seen]] = errors[seen]
    turn = distorted(bundle.angle_deg, distortions, order, middle, len(images.tilts_deg))
    found_maps = affine.compose(affine.translation(*shifts.T), turn)
    matrices = images.in_recorded_pixels(found_maps)
    height, width = series.shape[1:]
    centre = np.array(affine.centre((height, width)))
    places = affine.apply(matrices, centre[np.newaxis])[:, 0] - centre
    radians = np.deg2rad(series.tilts_deg)
    waves = np.stack([np.cos(radians), np.sin(radians), np.ones_like(radians)], axis=1)
    offset = float(np.linalg.lstsq(waves, places[:, 1], rcond=None)[0][2])
    layer = _layer(bundle)
    entry = {
        "step": "patch_tracks",
        **entry,
        "tracks": found.tracks,
        "observations": int(found.track.size),
        "residual of a patch, px": float(np.median(bundle.residuals_px)) * factor,
        "angle error, deg": max(angle_error, bundle.angle_error_deg),
        "thickness_px": layer[0] * factor,
        "layer tilted by, deg": layer[1:],
        "disagreement, px": {
            "odd and even tilts": _scaled(odd_even(found, tilts, middle, bundle), factor),
            "upper and lower rows": _scaled(upper_lower(found, tilts, middle, bundle), factor),
        },
        "tilts without patches": [float(one) for one in tilts[~seen]],
    }
    return images.start.replace(
        matrices=matrices,
        axis_angle_deg=images.start.axis_angle_deg + bundle.angle_deg,
        axis_offset_px=offset,
        residual_px=residual,
        method="patch-tracks",
        provenance=(*images.start.provenance, entry),
    )


def _scaled(value: float | None, factor: int) -> float | None:
    return None if value is None else value * factor


def _smooth(errors: _Real) -> _Real:
    """Average errors over neighbouring tilts: estimated from four parts, each is itself uncertain."""
    from scipy import ndimage

    smooth: _Real = np.sqrt(ndimage.uniform_filter1d(errors**2, min(7, errors.size), mode="nearest"))
    return smooth


def _layer(bundle: Bundle) -> tuple[float, float, float]:
    """Thickness of the layer that holds the patches, and its tilts about ``y`` and about ``x`` in degrees."""
    good = bundle.points[bundle.trust > 0.5]
    if len(good) < 4:
        good = bundle.points
    design = np.column_stack([good[:, 2], good[:, 1], np.ones(len(good))])
    weights = np.ones(len(good))
    plane = np.zeros(3)
    off = good[:, 0]
    for _ in range(10):
        root = np.sqrt(weights)[:, np.newaxis]
        plane = np.linalg.lstsq(root * design, root[:, 0] * good[:, 0], rcond=None)[0]
        off = good[:, 0] - design @ plane
        weights = 1 / np.maximum(1.0, np.abs(off) / (2 * np.median(np.abs(off)) + 1e-9))
    low, high = np.percentile(off, [3, 97])
    slopes = np.rad2deg(np.arctan(plane[:2]))
    return float(high - low), float(slopes[0]), float(slopes[1])
