"""Masks of the sample: without the noise around it, and without matter that enters the field at high tilt."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from chemtomo.align.images import Images

__all__ = ["sample_only"]

_SMOOTH_PX = 2.0
_THRESHOLD_OVER_NOISE = 4.0
_THRESHOLD_OVER_MAXIMUM = 0.02
_MARGIN_PX = 5


def sample_only(images: Images) -> npt.NDArray[np.float32]:
    """Return the projections with zeros wherever the sample is not.

    The sample is where the smoothed projection is above the noise. Of several separate regions, those that
    overlap the sample in the neighbouring projection belong to it. Others are left out if they touch the
    edge of the field across the axis, from where they entered.
    """
    from scipy import ndimage

    kept = np.zeros_like(images.stack)
    order = [int(one) for one in np.argsort(images.tilts_deg, kind="stable") if images.usable[one]]
    middle = int(np.abs(images.tilts_deg[order]).argmin())
    # Noise of a smoothed image: white noise falls by 1 / (2 sqrt(pi) sigma).
    quieter = 1 / (2 * np.sqrt(np.pi) * _SMOOTH_PX)
    spread = ndimage.generate_binary_structure(2, 2)
    for side in (order[middle:], order[:middle][::-1]):
        before: npt.NDArray[np.bool_] | None = None
        if side and side[0] != order[middle]:
            before = kept[order[middle]] != 0
        for tilt in side:
            image = images.stack[tilt]
            smooth = ndimage.gaussian_filter(image, _SMOOTH_PX)
            level = max(
                _THRESHOLD_OVER_NOISE * quieter * images.noise[tilt],
                _THRESHOLD_OVER_MAXIMUM * float(smooth.max()),
            )
            regions, number = ndimage.label(smooth > level)
            chosen = _of_sample(regions, number, before)
            chosen = ndimage.binary_dilation(chosen, spread, iterations=_MARGIN_PX)
            kept[tilt] = np.where(chosen, image, 0)
            before = chosen
    return kept


def _of_sample(
    regions: npt.NDArray[np.signedinteger], number: int, before: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.bool_]:
    if number == 0:
        return np.zeros(regions.shape, dtype=bool)
    sizes = np.bincount(regions.ravel(), minlength=number + 1)
    at_edge = np.zeros(number + 1, dtype=bool)
    at_edge[np.unique(regions[:, [0, -1]])] = True
    common = sizes.copy() if before is None else np.bincount(regions[before], minlength=number + 1)
    common[0] = 0
    main = int(common.argmax()) if common.any() else 1 + int(sizes[1:].argmax())
    belongs = (~at_edge) | (common > 0.5 * sizes)
    belongs[main] = True
    belongs[0] = False
    chosen: npt.NDArray[np.bool_] = belongs[regions]
    return chosen
