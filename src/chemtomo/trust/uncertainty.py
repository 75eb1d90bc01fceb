"""How much of a volume is noise: the same reconstruction of replicas of its data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from chemtomo.data import Dataset, Volume
from chemtomo.errors import ParameterError
from chemtomo.recon.parameters import ReconstructParameters
from chemtomo.recon.reconstruction import (
    Plan,
    Reconstructed,
    ReconstructionProgress,
    frame_of,
    reconstruct,
)
from chemtomo.solvers import Limits
from chemtomo.trust.residuals import Residuals, residuals
from chemtomo.trust.warm_start import WarmStart

__all__ = ["Uncertainty", "replica", "uncertainty_job"]

_CONVERGING = ("tv", "tgv")  # methods whose answer does not depend on where they begin
# A replica takes this fraction of the iterations of the run that it begins at.
_SHARE_OF_ITERATIONS = 8
_SHARE_FOR_THE_ORIGIN = 3
_LEAST_ITERATIONS = 25
# Replicas are simulated from a volume that is regularised less: what a strong regularisation has taken off
# the signal would be missing in them, with its noise. With 1, 1 / 4 and 1 / 8 of the result's strength, 22,
# 10 and 8 % of the voxels of a sample are beyond two standard deviations, averaged over four signals; 5 % are
# due.
_WEAKER = 4.0
_SMOOTHING_PX = 1.0


@dataclasses.dataclass(frozen=True, eq=False)
class Uncertainty:
    """What noise does to a volume.

    Attributes
    ----------
    volume : Volume
        The reconstruction of the data.
    residuals : tuple of Residuals
        Its differences from the data.
    mean : Volume
        Mean of the reconstructions of the replicas.
    deviation : Volume
        Their standard deviation: what other noise would change. Bias, the missing wedge, an error of the
        alignment or of the model are not in it.
    bias : Volume
        Mean less the volume that the replicas were simulated from: what the method takes off or adds in
        expectation, were that volume the truth.
    replicas : int
        How many there were.
    iterations : int
        Of each replica.
    """

    volume: Volume
    residuals: tuple[Residuals, ...]
    mean: Volume
    deviation: Volume
    bias: Volume
    replicas: int
    iterations: int


def uncertainty_job(
    dataset: Dataset,
    settings: ReconstructParameters,
    replicas: int,
    *,
    seed: int = 0,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[Plan | ReconstructionProgress, None, Uncertainty]:
    """Reconstruct data, then replicas of them that are simulated from a volume: a parametric bootstrap.

    For TV and TGV the volume that is simulated from is regularised with a quarter of the strength. Counts of
    a replica are Poisson, of the expected data of that volume; intensities have Gaussian noise of the
    measured variance, above 0 where the data are. TV and TGV begin at the result and take an eighth of its
    iterations; other methods, whose result depends on their iterations, take all of them. With a few replicas
    the deviation of a voxel is uncertain itself: it is at least what its neighbours have on average.

    Parameters
    ----------
    dataset : Dataset
        The data as a reconstruction has them: aligned, intensities above their vacuum.
    settings : ReconstructParameters
        The reconstruction.
    replicas : int
        How many, at least 2.
    seed : int
        Of the noise: equal seeds give equal replicas.
    should_stop : callable, optional
        ``True`` ends it after the replica that is being made, if there are two.

    Raises
    ------
    ParameterError
        When there are fewer than two replicas.
    ChemTomoError
        What a reconstruction raises.

    Notes
    -----
    B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap (1993), chapter 6.5.
    """
    if replicas < 2:
        raise ParameterError(f"uncertainty: found {replicas} replicas; expected at least 2")
    warm = WarmStart() if settings.method in _CONVERGING else None
    limits = Limits(settings.iterations, settings.report_every, settings.tolerance or None)
    frame = frame_of(dataset, settings)
    done = yield from reconstruct(dataset, settings, limits, should_stop, warm, frame)
    compared = residuals(frame, done.volume)
    all_iterations = max(outcome.iterations for _, outcome in done.slabs)
    iterations = all_iterations
    if warm is not None and warm.is_ready:
        warm.freeze()
        iterations = max(_LEAST_ITERATIONS, all_iterations // _SHARE_OF_ITERATIONS)
    else:
        warm = None
    origin, expected = done.volume, compared
    if settings.method in _CONVERGING:
        share = 1 if warm is None else _SHARE_FOR_THE_ORIGIN
        few = Limits(max(_LEAST_ITERATIONS, all_iterations // share), all_iterations)
        weaker: Reconstructed = yield from reconstruct(
            dataset, _weaker(settings), few, should_stop, warm, frame
        )
        origin, expected = weaker.volume, residuals(frame, weaker.volume)
    again = Limits(iterations, iterations)
    total = np.zeros(done.volume.data.shape, np.float64)
    squares = np.zeros_like(total)
    count = 0
    for number in range(replicas):
        if count >= 2 and should_stop is not None and should_stop():
            break
        simulated = replica(dataset, expected, np.random.default_rng([seed, number]))
        made: Reconstructed = yield from reconstruct(simulated, settings, again, None, warm, frame)
        difference = made.volume.data.astype(np.float64) - done.volume.data
        total += difference
        squares += difference**2
        count += 1
    shift = total / count
    variance = np.maximum(squares - count * shift**2, 0) / (count - 1)
    around = np.stack([gaussian_filter(one, _SMOOTHING_PX) for one in variance])
    mean = done.volume.data + shift

    def like(data: npt.NDArray[np.float64]) -> Volume:
        return dataclasses.replace(done.volume, data=data.astype(np.float32))

    return Uncertainty(
        done.volume,
        compared,
        like(mean),
        like(np.sqrt(np.maximum(variance, around))),
        like(mean - origin.data),
        count,
        iterations,
    )


def _weaker(settings: ReconstructParameters) -> ReconstructParameters:
    if isinstance(settings.strength, str) or isinstance(settings.mu, str):
        raise ParameterError("uncertainty: found auto for strength or weights; expected what was chosen")
    if settings.normalisation == "paper":
        return settings.model_copy(update={"mu": {name: _WEAKER * mu for name, mu in settings.mu.items()}})
    return settings.model_copy(update={"strength": settings.strength / _WEAKER})


def replica(dataset: Dataset, compared: tuple[Residuals, ...], rng: np.random.Generator) -> Dataset:
    """Simulate the data that a volume would give, with other noise.

    Where a ray leaves the volume the data stand for their own expectation.

    Parameters
    ----------
    dataset : Dataset
        The recorded data, of the rows and columns of the residuals.
    compared : tuple of Residuals
        Of the volume.
    rng : numpy.random.Generator
        Of the noise.
    """
    series = []
    for one, fit in zip(dataset, compared, strict=True):
        data = np.stack(list(one.projections())).astype(np.float32)
        expected = data.copy()
        window = (slice(None), slice(*fit.rows), slice(*fit.columns))
        expected[window] = np.where(fit.complete, fit.reprojection, data[window])
        if one.kind == "counts":
            noisy = rng.poisson(np.maximum(expected, 0)).astype(np.float32)
        else:
            sigma = np.zeros(data.shape, np.float32)
            sigma[window] = np.sqrt(fit.variance)
            noisy = expected + sigma * rng.standard_normal(data.shape, np.float32)
            if data.min() >= 0:
                noisy = np.maximum(noisy, 0)
        series.append(one.replace(data=noisy))
    return Dataset(tuple(series))
