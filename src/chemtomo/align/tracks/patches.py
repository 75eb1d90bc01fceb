"""Patches of the projections, followed from tilt to tilt."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["Observations", "band_passed", "follow"]

_Real = npt.NDArray[np.float64]
_Images = npt.NDArray[np.float32]

_TEMPLATES = 3  # tilts whose patches are averaged for the comparison with the next
_MOST = 170  # patches begun at one tilt
_WEAKEST = 0.02  # of the strongest structure
_SHORTEST = 5  # tilts, of a track that tells anything
_STEEPEST = 2.0  # stretch between neighbouring tilts
_ERROR_FLOOR_PX = 0.03
_PADDING = 2
_CHOSEN_PX = 0.1  # error of a place that was chosen, and so defines the patch


@dataclasses.dataclass(frozen=True, eq=False)
class Observations:
    """Where patches were seen.

    Attributes
    ----------
    track, tilt : numpy.ndarray of int, shape (observation,)
        Which patch at which tilt.
    places : numpy.ndarray, shape (observation, 2)
        Its middle ``(y, x)``, in pixels.
    roots : numpy.ndarray, shape (observation, 2, 2)
        Roots of the inverse covariances of the places.
    """

    track: npt.NDArray[np.intp]
    tilt: npt.NDArray[np.intp]
    places: _Real
    roots: _Real

    @property
    def tracks(self) -> int:
        """Number of patches."""
        return int(self.track.max()) + 1 if self.track.size else 0

    def part(self, chosen: npt.NDArray[np.bool_], least: int = 3) -> Observations:
        """Return some of the observations; tracks with fewer than `least` of them are left out."""
        counts = np.bincount(self.track[chosen], minlength=self.tracks)
        kept = chosen & (counts[self.track] >= least)
        number = np.cumsum(counts >= least) - 1
        return Observations(number[self.track[kept]], self.tilt[kept], self.places[kept], self.roots[kept])

    @classmethod
    def joined(cls, parts: Sequence[Observations]) -> Observations:
        """Put observations together; tracks are numbered anew."""
        track, before = [], 0
        for part in parts:
            track.append(part.track + before)
            before += part.tracks
        rest = [
            np.concatenate([getattr(part, name) for part in parts]) for name in ("tilt", "places", "roots")
        ]
        return cls(np.concatenate(track), rest[0], rest[1], rest[2])


def band_passed(images: npt.NDArray[np.floating], finest_px: float, coarsest_px: float) -> _Images:
    """Return projections without noise finer and slow changes coarser than these widths, equally strong."""
    from scipy import ndimage

    result = np.empty(images.shape, dtype=np.float32)
    for at, image in enumerate(images):
        fine = ndimage.gaussian_filter(np.asarray(image, dtype=np.float32), finest_px)
        left = fine - ndimage.gaussian_filter(fine, coarsest_px)
        # A few bright particles shall not be all that is seen.
        spread = 1.4826 * float(np.median(np.abs(left - np.median(left)))) + 0.25 * float(left.std()) + 1e-30
        result[at] = np.arcsinh(left / (3 * spread))
    return result


def follow(
    images: _Images,
    tilts_deg: _Real,
    shifts: _Real,
    begin: int,
    *,
    half_px: int = 10,
    search_px: int = 5,
    least: float = 0.6,
) -> Generator[None, None, Observations]:
    """Follow patches with structure from one tilt to higher and lower ones; as a job, tilt by tilt.

    A patch at the next tilt is looked for where the shifts put it, and compared with the mean of what it
    was at the last tilts, each stretched across the tilt axis by the ratio of the cosines. A patch that is
    no longer like that is left.

    Parameters
    ----------
    images : numpy.ndarray, shape (tilt, y, x)
        In order of their tilts, the tilt axis along ``y``; from `band_passed`.
    tilts_deg : numpy.ndarray, shape (tilt,)
        Increasing.
    shifts : numpy.ndarray, shape (tilt, 2)
        About where the middle of the sample is in each, ``(y, x)``, from the middle of the field.
    begin : int
        The tilt at which patches are chosen.
    half_px : int
        Half the edge of a patch.
    search_px : int
        How far a patch may be from where it is looked for.
    least : float
        Correlation with the template below which a patch is lost.
    """
    from scipy import ndimage

    splines = [ndimage.spline_filter(image, order=3, output=np.float32) for image in images]
    cosines = np.maximum(np.abs(np.cos(np.deg2rad(tilts_deg))), 0.05)
    middle = (np.array(images.shape[1:]) - 1) / 2
    first = _chosen(images[begin], half_px)
    found = [
        (
            np.arange(len(first)),
            np.full(len(first), begin),
            first,
            np.tile(np.eye(2) / 0.1, (len(first), 1, 1)),
        )
    ]
    for direction in (1, -1):
        alive = np.arange(len(first))
        history: list[tuple[int, npt.NDArray[np.intp], _Real]] = [(begin, alive, first)]
        last = len(images) - 1 if direction > 0 else 0
        for at in range(begin, last, direction):
            following = at + direction
            now, then = history[-1][2], middle + shifts[following]
            ratio = cosines[following] / cosines[at]
            if not 1 / _STEEPEST < ratio < _STEEPEST or not alive.size:
                break
            expected = then + (now - middle - shifts[at]) * np.array([1.0, ratio])
            if len(history) > 1:  # what the patch did besides at the last step goes on, half of it
                before, ids, places = history[-2]
                again = cosines[at] / cosines[before]
                was = (
                    middle
                    + shifts[at]
                    + (places[np.searchsorted(ids, alive)] - middle - shifts[before]) * np.array([1.0, again])
                )
                expected = expected + 0.5 * np.clip(now - was, -2, 2)
            template = np.mean(
                [
                    _sampled(
                        splines[one],
                        places[np.searchsorted(ids, alive)],
                        half_px,
                        cosines[one] / cosines[following],
                    )
                    for one, ids, places in history[-_TEMPLATES:]
                ],
                axis=0,
            )
            offsets, peaks, roots = _matched(
                template, _sampled(splines[following], expected, half_px + search_px, 1.0), search_px
            )
            places = expected + offsets
            inside = (places > half_px - _PADDING).all(axis=1) & (
                places < np.array(images.shape[1:]) - 1 - half_px + _PADDING
            ).all(axis=1)
            good = (peaks >= least) & inside
            alive, places, roots = alive[good], places[good], roots[good]
            history.append((following, alive, places))
            found.append((alive, np.full(alive.size, following), places, roots))
            yield
    track, tilt, places, roots = (np.concatenate(parts) for parts in zip(*found, strict=True))
    seen = np.bincount(track, minlength=len(first))
    kept = seen[track] >= min(_SHORTEST, len(images))
    number = np.cumsum(seen >= min(_SHORTEST, len(images))) - 1
    return Observations(number[track[kept]], tilt[kept], places[kept], roots[kept])


def _chosen(image: _Images, half_px: int) -> _Real:
    """Middles of patches with the most structure in both directions, not too near to each other."""
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(image, 1.0)
    down, right = ndimage.sobel(smooth, axis=0), ndimage.sobel(smooth, axis=1)
    size = 2 * half_px + 1
    yy, xx, yx = (ndimage.uniform_filter(one, size) for one in (down**2, right**2, down * right))
    weaker = (yy + xx) / 2 - np.sqrt(((yy - xx) / 2) ** 2 + yx**2)
    width = image.shape[1]
    free = np.zeros(image.shape, dtype=bool)
    free[half_px:-half_px, half_px:-half_px] = True
    # Uniform filters have flat tops: one place of each is taken.
    weaker = np.where(free, weaker, 0)
    limit, spacing = _WEAKEST * float(weaker.max()), max(3, int(0.7 * half_px))
    places: list[tuple[int, int]] = []
    for flat in np.argsort(weaker, axis=None)[::-1]:
        y, x = divmod(int(flat), width)
        if weaker[y, x] <= limit or len(places) >= _MOST:
            break
        if free[y, x]:
            places.append((y, x))
            free[max(0, y - spacing) : y + spacing + 1, max(0, x - spacing) : x + spacing + 1] = False
    return np.array(places, dtype=np.float64).reshape(-1, 2)


def _sampled(spline: _Images, places: _Real, half: int, stretch: float) -> _Images:
    """Patches about places, with steps of `stretch` along ``x``: shape (patch, y, x)."""
    from scipy import ndimage

    steps = np.arange(-half, half + 1, dtype=np.float64)
    y = places[:, 0, np.newaxis, np.newaxis] + steps[:, np.newaxis]
    x = places[:, 1, np.newaxis, np.newaxis] + stretch * steps
    coordinates = np.stack(np.broadcast_arrays(y, x))
    sampled: _Images = ndimage.map_coordinates(spline, coordinates, order=3, mode="mirror", prefilter=False)
    return sampled.astype(np.float32, copy=False)


def _matched(templates: _Images, windows: _Images, search: int) -> tuple[_Real, _Real, _Real]:
    """Where each template fits best: offsets, correlations, and roots of the inverse covariances."""
    from scipy import fft

    count, size = len(templates), templates.shape[1]
    edge = windows.shape[1]
    centred = templates - templates.mean(axis=(1, 2), keepdims=True)
    shape = (fft.next_fast_len(edge, real=True),) * 2
    spectra = [fft.rfft2(one, s=shape) for one in (windows, centred, windows**2)]
    box = fft.rfft2(np.ones((size, size), dtype=np.float32), s=shape)
    span = slice(0, 2 * search + 1)
    product, total, squares = (
        fft.irfft2(one * np.conj(other), s=shape)[:, span, span]
        for one, other in ((spectra[0], spectra[1]), (spectra[0], box), (spectra[2], box))
    )
    energy = np.maximum(squares - total**2 / size**2, 1e-6)
    correlation = product / np.sqrt(energy * (centred**2).sum(axis=(1, 2))[:, np.newaxis, np.newaxis] + 1e-12)
    flat = correlation.reshape(count, -1).argmax(axis=1)
    row, column = np.divmod(flat, 2 * search + 1)
    inner = (row > 0) & (row < 2 * search) & (column > 0) & (column < 2 * search)
    i, j = np.clip(row, 1, 2 * search - 1), np.clip(column, 1, 2 * search - 1)
    at = np.arange(count)
    near = np.array(
        [[correlation[at, i + a, j + b] for b in (-1, 0, 1)] for a in (-1, 0, 1)], dtype=np.float64
    )
    gradient = np.stack([near[2, 1] - near[0, 1], near[1, 2] - near[1, 0]], axis=1) / 2
    curvature = np.empty((count, 2, 2))
    curvature[:, 0, 0] = 2 * near[1, 1] - near[2, 1] - near[0, 1]
    curvature[:, 1, 1] = 2 * near[1, 1] - near[1, 2] - near[1, 0]
    curvature[:, 0, 1] = curvature[:, 1, 0] = -(near[2, 2] - near[2, 0] - near[0, 2] + near[0, 0]) / 4
    curvature += 1e-6 * np.eye(2)
    offset = np.clip(np.linalg.solve(curvature, gradient[:, :, np.newaxis])[:, :, 0], -1, 1)
    peak = near[1, 1]
    # c falls as noise over signal rises; structure of some pixels width is about this often independent.
    spread = np.maximum(1 - peak**2, 1e-3) / np.maximum(peak, 0.05) * (12.0 / size**2) ** 0.5
    values, vectors = np.linalg.eigh(curvature)
    variances = spread[:, np.newaxis] / np.maximum(values, 1e-4) * 0.25 + _ERROR_FLOOR_PX**2
    roots = vectors / np.sqrt(variances)[:, np.newaxis, :] @ np.swapaxes(vectors, 1, 2)
    whole = np.stack([i, j], axis=1) - search
    return whole + offset, np.where(inner, peak, -1.0), roots
