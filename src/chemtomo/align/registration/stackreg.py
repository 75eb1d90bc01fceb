"""Registration by minimising differences of grey values, with the StackReg algorithm."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from chemtomo.align.images import (
    Images,
    nearest_to,
    prepare_images,
    start_afresh,
    taper,
    with_neighbours_filled,
)
from chemtomo.align.registration.correlation import band_pass, correlation_shift, spectrum
from chemtomo.data import Alignment, TiltSeries
from chemtomo.geometry import affine
from chemtomo.geometry.resample import warp
from chemtomo.progress import TaskProgress, blocking

__all__ = ["stackreg", "stackreg_job"]


def stackreg_job(
    series: TiltSeries,
    alignment: Alignment | None = None,
    *,
    transform: Literal["translation", "rigid-body"] = "translation",
    reference: int | None = None,
    running: int = 2,
) -> Generator[TaskProgress, None, Alignment]:
    """Find shifts, or shifts and rotations, between neighbouring projections (Thevenaz et al. 1998).

    Outward from the reference, each projection is registered to the mean of the last few that are
    registered already, so that the errors of single steps do not add up.

    Parameters
    ----------
    series : TiltSeries
        It is not modified.
    alignment : Alignment, optional
        The alignment so far, to which what is found is added. By default none.
    transform : {"translation", "rigid-body"}
        Shifts only; or shifts and a rotation of every projection, for stages that rotate. It does not find
        the angle of the tilt axis.
    reference : int, optional
        The projection that stays where it is, by default that at the tilt nearest to 0.
    running : int
        Number of registered projections that are averaged to register the next one.

    Returns
    -------
    Alignment
        Its residual is the remaining shift, by correlation, between an aligned projection and the mean to
        which it was registered. The transform of a constant projection is interpolated between its
        neighbours, and its residual is NaN.

    Raises
    ------
    DataError
        When values are not finite, or all projections are constant.
    ParameterError
        When the reference is no projection, or shows nothing.
    """
    from pystackreg import StackReg

    register = StackReg(StackReg.TRANSLATION if transform == "translation" else StackReg.RIGID_BODY)
    images = prepare_images(series, start_afresh(series, alignment))
    kept = nearest_to(images.tilts_deg, images.usable, reference)
    count = len(images.stack)
    matrices, residual = affine.identity(count), np.full(count, np.nan)
    residual[kept] = 0.0
    order = [int(one) for one in np.argsort(images.tilts_deg, kind="stable") if images.usable[one]]
    middle = order.index(kept)
    done = 0
    for side in (order[middle + 1 :], order[:middle][::-1]):
        registered = [images.stack[kept]]
        for tilt in side:
            mean = np.mean(registered[-running:], axis=0)
            found = register.register(mean, images.stack[tilt])
            matrices[tilt] = np.asarray(found)[[1, 0]][:, [1, 0, 2]]  # it has x before y
            aligned = warp(images.stack[tilt], matrices[tilt], fill="nearest")
            residual[tilt] = _shift_left(mean, aligned)
            registered.append(aligned)
            done += 1
            yield TaskProgress(done, len(order), "StackReg")
    entry = {"step": "stackreg", "transform": transform, "reference_tilt": kept, "running": running}
    return _as_alignment(images, matrices, residual, entry)


stackreg = blocking(stackreg_job)


def _shift_left(mean: npt.NDArray[np.float32], aligned: npt.NDArray[np.float32]) -> float:
    window = taper((mean.shape[0], mean.shape[1]), 0.1)
    shape = (mean.shape[0], mean.shape[1])
    off = correlation_shift(
        spectrum(mean * window),
        spectrum(aligned * window),
        shape,
        band_pass(shape, np.inf, 8.0),
        whitening=0.5,
    )
    return float(np.hypot(*off))


def _as_alignment(
    images: Images,
    matrices: npt.NDArray[np.float64],
    residual: npt.NDArray[np.float64],
    entry: dict[str, Any],
) -> Alignment:
    complete = with_neighbours_filled(images.in_recorded_pixels(matrices), images.tilts_deg, images.usable)
    return images.start.replace(
        matrices=complete,
        residual_px=residual * images.factor,
        method="stackreg",
        provenance=(*images.start.provenance, entry),
    )
