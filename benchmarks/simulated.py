"""Problems of any size with the structure of a real one."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from chemtomo.data import Dataset
from chemtomo.functionals import Problem
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector
from chemtomo.samples import phantom

_SLICES = 8


@functools.cache
def _a_few_slices(edge: int, tilts: int) -> Dataset:
    return phantom((_SLICES, edge), tilts=tilts)


def dataset_of(slices: int, edge: int = 303, tilts: int = 36) -> Dataset:
    """The simulated acquisition, its slices up and down again and again, with four channels."""
    up_and_down = np.concatenate([np.arange(_SLICES), np.arange(_SLICES)[::-1]])
    rows = up_and_down[np.arange(slices) % len(up_and_down)]
    few = _a_few_slices(edge, tilts)
    return few.map(lambda series: series.replace(data=series.data[:, rows]))


def problem_of(slices: int, edge: int = 303, tilts: int = 36, **changes: Any) -> Problem:
    """A joint TGV problem in three dimensions with such data, about as heavy as the published one."""
    dataset = dataset_of(slices, edge, tilts)
    data = np.stack([series.data for series in dataset]).astype(np.float32)
    data /= np.array([channel[channel > 0].mean() for channel in data])[:, None, None, None]
    geometry = ParallelBeam(dataset.series[0].tilts_deg, edge, (edge, edge))
    arguments: dict[str, Any] = {
        "geometry": geometry,
        "data": data,
        "weights": np.array([2000.0, 5.0, 5.0, 40.0]),
        "alpha0": 4.0,
        "alpha1": 1.0,
        "dims": 3,
        "data_term": "kl",
        "coupling": "frobenius",
        "second_order": True,
        "operator_norm": Projector(geometry, 1, 1).norm(1e-4),
    }
    return Problem(**(arguments | changes))
