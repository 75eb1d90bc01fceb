"""Joint reconstruction problems."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.functionals import Problem
from chemtomo.geometry import ParallelBeam

PUBLISHED_NORM = 102.17180639615766
"""Norm of the projector of the published reference data."""
PUBLISHED_MU = np.array([0.2, 0.0005, 0.004, 0.0005])


def joint_problem(geometry: ParallelBeam, data: npt.NDArray[np.float32], **changes: Any) -> Problem:
    """Return a problem of coupled TGV in three dimensions; `changes` replace its other attributes."""
    arguments: dict[str, Any] = {
        "geometry": geometry,
        "data": data,
        "weights": np.ones(len(data)),
        "alpha0": 4.0,
        "alpha1": 1.0,
        "dims": 3,
        "data_term": "kl",
        "coupling": "frobenius",
        "second_order": True,
        "operator_norm": 1.0,
    }
    return Problem(**(arguments | changes))


def published_problem(folder: Path, sign: int = -1) -> Problem:
    """Return the problem of the published reference data; `sign` is that of the tilts."""
    return joint_problem(
        ParallelBeam(sign * np.load(folder / "C_tilt_deg.npy"), 303, (303, 303)),
        np.load(folder / "C_sino_CAZX_f32.npy"),
        weights=PUBLISHED_MU * PUBLISHED_NORM**2,
        dims=2,
        operator_norm=PUBLISHED_NORM,
    )
