"""Grey levels of a specimen of few materials, from its projections."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from chemtomo.operators import Projector
from chemtomo.solvers.classical.dart import DiscreteTomography, DiscreteTomographySettings
from chemtomo.solvers.classical.problem import Bounds, ProjectionData
from chemtomo.solvers.classical.workspace import Workspace

__all__ = ["estimate_levels"]

_SLICES = 8
_ITERATIONS = 15
_MEANS_ITERATIONS = 100
_LEAST_APART = 1e-3


def estimate_levels(
    problem: ProjectionData,
    count: int,
    bounds: Bounds,
    settings: DiscreteTomographySettings,
    workspace_of: Callable[[ProjectionData], Workspace],
    should_stop: Callable[[], bool] | None = None,
) -> npt.NDArray[np.float32]:
    """Find the grey levels that fit the projections of some slices best; the lowest is 0, the vacuum.

    They begin as the means of the groups into which the values of a SIRT fall. Then discrete tomography takes
    turns with a least-squares fit of the levels to the projections, for the regions as they are (van Aarle,
    Batenburg and Sijbers 2012).

    Parameters
    ----------
    problem : ProjectionData
        Of all slices.
    count : int
        Number of levels with the vacuum.
    bounds : Bounds
        Of the iterates.
    settings : DiscreteTomographySettings
        As in the reconstruction.
    workspace_of : callable
        Makes a workspace of a problem.
    should_stop : callable, optional
        Asked regularly; ``True`` ends the search with the present levels.

    Returns
    -------
    numpy.ndarray, shape (channel, level)
        Rising, float32.
    """
    slices = problem.data.shape[2]
    chosen = np.unique(np.linspace(0, slices - 1, min(_SLICES, slices)).round().astype(int))
    some = dataclasses.replace(
        problem,
        data=problem.data[:, :, chosen],
        valid=None if problem.valid is None else problem.valid[:, :, chosen],
    )
    channels = len(some.data)
    projector = Projector(some.geometry, 1, chosen.size)
    workspace = workspace_of(some)
    spread = np.tile(np.arange(count, dtype=np.float32), (channels, 1))
    iteration = DiscreteTomography(workspace, bounds, spread, settings)
    iteration.advance()
    image = dict(iteration.variables())["u"]
    iteration.levels = np.stack([_grouped(own, count) for own in image])
    for _ in range(_ITERATIONS):
        if should_stop is not None and should_stop():
            break
        iteration.levels = np.stack(
            [
                _fitted(projector, regions, own, some, channel)
                for channel, (regions, own) in enumerate(
                    zip(iteration.volume(), iteration.levels, strict=True)
                )
            ]
        )
        iteration.advance()
    levels = iteration.levels
    iteration.release()
    return levels


def _grouped(image: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.float32]:
    """Return 0 and the means of the other groups of values (Lloyd 1982), from a spread over the quantiles."""
    values = np.sort(image.ravel()).astype(np.float64)
    highest = np.quantile(values, 0.995)
    centres = np.linspace(0, max(highest, 1e-9), count)
    sums = np.concatenate([[0], np.cumsum(values)])
    for _ in range(_MEANS_ITERATIONS):
        edges = np.searchsorted(values, (centres[1:] + centres[:-1]) / 2)
        starts, stops = edges, np.append(edges[1:], values.size)
        sizes = stops - starts
        means = np.where(sizes > 0, (sums[stops] - sums[starts]) / np.maximum(sizes, 1), centres[1:])
        if np.allclose(means, centres[1:], rtol=1e-6):
            break
        centres[1:] = means
    return _apart(centres)


def _fitted(
    projector: Projector,
    regions: npt.NDArray[np.float32],
    levels: npt.NDArray[np.float32],
    problem: ProjectionData,
    channel: int,
) -> npt.NDArray[np.float32]:
    """Fit the levels above the lowest to the projections, for the regions (z, y, x) as they are."""
    roots = np.sqrt(problem.weights[channel])[:, np.newaxis, np.newaxis]
    if problem.valid is not None:
        roots = roots * problem.valid[channel]
    projections = [
        (roots * projector.forward((regions == level).astype(np.float32)[np.newaxis])[0]).ravel()
        for level in levels[1:]
    ]
    matrix = np.stack(projections, axis=1).astype(np.float64)
    fitted = np.linalg.lstsq(matrix, (roots * problem.data[channel]).ravel().astype(np.float64), rcond=None)[
        0
    ]
    some = (matrix**2).sum(axis=0) > 0
    return _apart(np.concatenate([[0], np.where(some, fitted, levels[1:])]))


def _apart(levels: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Return levels that rise: sorted, each a little above the one before."""
    rising = np.sort(np.maximum(levels, 0))
    least = _LEAST_APART * max(rising[-1], 1e-9)
    for number in range(1, rising.size):
        rising[number] = max(rising[number], rising[number - 1] + least)
    return rising.astype(np.float32)
