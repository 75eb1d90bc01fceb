"""Carry an alignment from the channel on which it was found to others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.align.transforms.applying import aligned_view
from chemtomo.data import Alignment, Dataset, TiltSeries
from chemtomo.errors import DataError
from chemtomo.geometry import affine
from chemtomo.geometry.frames import in_other_pixels
from chemtomo.geometry.resample import warp

__all__ = ["link", "link_with_shift", "sum_of_channels"]

_Real = npt.NDArray[np.float64]

# Tilts that differ by less are the same.
_SAME_TILT_DEG = 0.05
# The tilts of an alignment may all differ from the recorded ones by an offset that it found.
_LARGEST_OFFSET_DEG = 5.0
_UPSAMPLING_PER_PX = 50
_MOST_PASSES = 6
_TAPER_FRACTION = 0.15


def link(
    alignment: Alignment,
    target: TiltSeries,
    *,
    reference: TiltSeries | None = None,
    residual_shift: bool = False,
) -> Alignment:
    """Return the alignment of a series that was recorded together with the reference of another.

    Projections are matched by their tilts. Where the reference has no projection at a tilt of the target, the
    matrix is interpolated between the neighbouring tilts. Different pixel sizes are taken into account
    exactly: images begin at the same corner, as binned ones do.

    Parameters
    ----------
    alignment : Alignment
        That of the reference.
    target : TiltSeries
        As recorded. An alignment that it has is replaced.
    reference : TiltSeries, optional
        The channel on which the alignment was found; needed for `residual_shift`.
    residual_shift : bool
        Also find one shift between target and reference, by correlating the sums of their aligned
        projections over all tilts.

    Returns
    -------
    Alignment
        In the tilts, shape and pixels of the target. Its last entry of provenance has
        ``"residual_shift_px"`` when one was looked for, along ``(y, x)`` in pixels of the target.

    Raises
    ------
    DataError
        When a tilt of the target lies outside of those of the reference, or a shift is asked for without a
        reference.
    """
    return link_with_shift(alignment, target, reference=reference, residual_shift=residual_shift)[0]


def link_with_shift(
    alignment: Alignment,
    target: TiltSeries,
    *,
    reference: TiltSeries | None = None,
    residual_shift: bool = False,
) -> tuple[Alignment, _Real | None]:
    """Return what `link` does, and the residual shift along ``(y, x)`` in pixels where it was looked for."""
    if residual_shift and reference is None:
        raise DataError(
            f"tilt series {target.name!r}: found no reference; expected the series {alignment.reference!r}, "
            "to find a shift against it"
        )
    weights, tilts_deg = _matching(alignment, target)
    residual = None
    if alignment.residual_px is not None:
        known = np.isfinite(alignment.residual_px)
        filled = np.where(known, alignment.residual_px, 0.0)
        residual = np.where(weights @ ~known > 0, np.nan, weights @ filled)
    entry: dict[str, Any] = {"step": "link", "from": alignment.reference, "to": target.name}
    matched = alignment.replace(
        tilts_deg=tilts_deg,
        matrices=np.einsum("nt,tij->nij", weights, alignment.matrices),
        residual_px=residual,
        provenance=(*alignment.provenance, entry),
    )
    pixel = target.pixel_size_nm if alignment.pixel_size_nm is None else alignment.pixel_size_nm
    factor = target.pixel_size_nm / pixel
    linked = in_other_pixels(
        matched, target.shape[1:], factor=(factor, factor), before=target.shape[1:]
    ).replace(pixel_size_nm=target.pixel_size_nm)
    if not residual_shift or reference is None:
        return linked, None
    shift = _shift_between(reference, alignment, target, linked)
    entry = entry | {"residual_shift_px": shift.tolist()}
    moved = linked.replace(
        matrices=affine.compose(linked.matrices, affine.translation(*shift)),
        provenance=(*alignment.provenance, entry),
    )
    return moved, shift


def sum_of_channels(dataset: Dataset, names: Sequence[str]) -> TiltSeries:
    """Return the sum of several channels, each divided by its mean: a reference with the features of all.

    Parameters
    ----------
    dataset : Dataset
        The channels, with the same tilts and pixels.
    names : sequence of str
        Which to add.

    Raises
    ------
    DataError
        When they differ in geometry, or a channel has no positive mean.
    """
    chosen = dataset.select(names)
    chosen.require_common_geometry()
    first = chosen.series[0]
    for other in chosen.series[1:]:
        same = other.shape == first.shape and np.abs(other.tilts_deg - first.tilts_deg).max() < _SAME_TILT_DEG
        if not same:
            raise DataError(
                f"tilt series {first.name!r} and {other.name!r} have other tilts; "
                "expected the same, to add them"
            )
    total = np.zeros(first.shape, dtype=np.float32)
    for series in chosen:
        mean = float(np.mean([image.mean(dtype=np.float64) for image in series.projections()]))
        if not mean > 0:
            raise DataError(f"tilt series {series.name!r} has the mean {mean:g}; expected a positive one")
        for target, image in zip(total, series.projections(), strict=True):
            target += image.astype(np.float32) / np.float32(mean)
    name = "+".join(chosen.names)
    entry = {"step": "sum_of_channels", "names": list(chosen.names)}
    return first.replace(
        name=name, data=total, kind="intensity", background=None, gains=None, provenance=(entry,)
    )


def _matching(alignment: Alignment, target: TiltSeries) -> tuple[_Real, _Real]:
    """Return the weights (target, reference) of the matrices, and the tilts of the target."""
    there, wanted = alignment.tilts_deg, target.tilts_deg
    if there.shape == wanted.shape:
        difference = there - wanted
        offset = float(np.median(difference))
        if abs(offset) <= _LARGEST_OFFSET_DEG and np.abs(difference - offset).max() < _SAME_TILT_DEG:
            return np.eye(there.size), there.copy()
    order = np.argsort(there, kind="stable")
    sorted_tilts = there[order]
    weights = np.zeros((wanted.size, there.size))
    for row, tilt in enumerate(wanted):
        nearest = int(np.abs(there - tilt).argmin())
        if abs(there[nearest] - tilt) < _SAME_TILT_DEG:
            weights[row, nearest] = 1
            continue
        if not sorted_tilts[0] < tilt < sorted_tilts[-1]:
            raise DataError(
                f"tilt series {target.name!r}: projection {row} is at {tilt:g} degrees; expected a tilt "
                f"between {sorted_tilts[0]:g} and {sorted_tilts[-1]:g}, those of the alignment of "
                f"{alignment.reference!r}. Drop it, or align this series by itself"
            )
        after = int(np.searchsorted(sorted_tilts, tilt))
        before = after - 1
        part = (tilt - sorted_tilts[before]) / (sorted_tilts[after] - sorted_tilts[before])
        weights[row, order[before]] = 1 - part
        weights[row, order[after]] = part
    return weights, wanted.copy()


def _shift_between(
    reference: TiltSeries,
    alignment: Alignment,
    target: TiltSeries,
    linked: Alignment,
) -> _Real:
    """Return the shift of the aligned target relative to the aligned reference, in pixels of the target."""
    from skimage.registration import phase_cross_correlation

    factor = target.pixel_size_nm / reference.pixel_size_nm
    across = affine.translation(
        (factor - 1) / 2, (reference.shape[2] - 1) / 2 - factor * (target.shape[2] - 1) / 2
    )
    across[:, :, :2] *= factor
    fixed = warp(_mean_view(reference, alignment), across[0], shape=target.shape[1:], fill="nearest")
    moving = _mean_view(target, linked)
    window = _window(fixed.shape[0])[:, np.newaxis] * _window(fixed.shape[1])
    found: _Real = np.zeros(2)
    # The fixed window biases the shift towards zero, so it is found in several passes.
    for _ in range(_MOST_PASSES):
        moved = warp(moving, affine.translation(*found)[0], order=3, fill="nearest")
        images = [(image - np.average(image, weights=window)) * window for image in (fixed, moved)]
        if any(not image.any() for image in images):
            break
        shift, _, _ = phase_cross_correlation(*images, upsample_factor=_UPSAMPLING_PER_PX, normalization=None)
        found = found - shift
        if np.abs(shift).max() <= 1 / _UPSAMPLING_PER_PX:
            break
    return found


def _mean_view(series: TiltSeries, alignment: Alignment) -> npt.NDArray[np.float32]:
    total = np.zeros(series.shape[1:], dtype=np.float64)
    for image in aligned_view(series.replace(alignment=None), alignment).projections():
        total += image
    mean: npt.NDArray[np.float32] = (total / series.shape[0]).astype(np.float32)
    return mean


def _window(size: int) -> _Real:
    """Tukey's window: flat, with cosine edges."""
    edge = max(1, round(_TAPER_FRACTION * size))
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(edge) + 0.5) / edge)
    window = np.ones(size)
    window[:edge] = np.minimum(window[:edge], ramp)
    window[-edge:] = np.minimum(window[-edge:], ramp[::-1])
    return window
