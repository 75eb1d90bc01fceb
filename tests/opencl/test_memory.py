"""What a reconstruction is said to take of the device's memory is what it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest

from chemtomo.functionals import Problem
from chemtomo.geometry import ParallelBeam
from chemtomo.opencl import DeviceInfo
from chemtomo.opencl.memory import (
    _SMALL_BUFFERS_BYTES,
    estimate_classical_memory,
    estimate_variational_memory,
)
from chemtomo.solvers.classical.back_projection import FilteredBackProjection
from chemtomo.solvers.classical.cgls import ConjugateGradients
from chemtomo.solvers.classical.dart import DiscreteTomography, DiscreteTomographySettings
from chemtomo.solvers.classical.mlem import ExpectationMaximisation
from chemtomo.solvers.classical.ordered_subsets import OrderedSubsets
from chemtomo.solvers.classical.problem import Bounds, ProjectionData
from chemtomo.solvers.classical.subsets import Subsets
from chemtomo.solvers.metric import FourierMetric

GEOMETRY = ParallelBeam([-60, -25, 0, 20, 55, 80], 45, (31, 40))


LieAsOn = Callable[[str], None]
SIZES = pytest.mark.parametrize(
    ("kind", "channels", "slices"), [("cpu", 2, 9), ("cpu", 3, 70), ("gpu", 5, 22), ("gpu", 1, 1)]
)


@SIZES
@pytest.mark.parametrize("second_order", [False, True])
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("background", [False, True])
def test_variational(
    device: DeviceInfo,
    lie_as_on: LieAsOn,
    kind: str,
    channels: int,
    slices: int,
    dims: Literal[2, 3],
    second_order: bool,
    background: bool,
) -> None:
    from chemtomo.opencl.variational import OpenCLBackend

    lie_as_on(kind)
    problem = Problem(
        geometry=GEOMETRY,
        data=np.ones((channels, 6, slices, 45), np.float32),
        weights=np.ones(channels),
        alpha0=4.0,
        alpha1=1.0,
        dims=dims,
        data_term="kl",
        coupling="frobenius",
        second_order=second_order,
        operator_norm=15.0,
        background=np.ones((channels, 6, slices, 45), np.float32) if background else None,
    )
    arguments: dict[str, Any] = {
        "dims": dims,
        "second_order": second_order,
        "device": device,
        "background": background,
    }
    backend = OpenCLBackend(problem, device)
    need = estimate_variational_memory(GEOMETRY, channels, slices, fast=False, **arguments)
    assert 0 <= need.total - backend.allocated_bytes <= _SMALL_BUFFERS_BYTES

    steps = (1.0,) * channels
    metric = FourierMetric.of_problem(problem, 1.0, 1.0, steps, steps)
    backend.reserve(metric)
    need = estimate_variational_memory(GEOMETRY, channels, slices, fast=True, **arguments)
    assert 0 <= need.total - backend.allocated_bytes <= _SMALL_BUFFERS_BYTES
    backend.reserve(metric)
    assert 0 <= need.total - backend.allocated_bytes <= _SMALL_BUFFERS_BYTES
    largest = max(buffer.size for buffer in backend._queue._buffers)
    assert need.largest == largest
    backend.release()
    assert backend.allocated_bytes == 0


@SIZES
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    ("method", "subsets"),
    [("sirt", 1), ("sirt", 3), ("fbp", 1), ("cgls", 1), ("mlem", 1), ("mlem", 3), ("dart", 1)],
)
def test_classical(
    device: DeviceInfo,
    lie_as_on: LieAsOn,
    kind: str,
    channels: int,
    slices: int,
    subsets: int,
    masked: bool,
    method: str,
) -> None:
    from chemtomo.opencl.classical import OpenCLWorkspace

    lie_as_on(kind)
    data = np.ones((channels, 6, slices, 45), np.float32)
    background = data if method == "mlem" else None
    problem = ProjectionData(GEOMETRY, data, np.ones((channels, 6)), data > 0 if masked else None, background)
    workspace, bounds, chosen = OpenCLWorkspace(problem, device), Bounds(0.0), Subsets(GEOMETRY, subsets)
    iteration: Any
    if method == "sirt":
        iteration = OrderedSubsets(workspace, bounds, chosen)
    elif method == "fbp":
        iteration = FilteredBackProjection(workspace, bounds, problem)
    elif method == "cgls":
        iteration = ConjugateGradients(workspace, bounds)
    elif method == "mlem":
        iteration = ExpectationMaximisation(workspace, bounds, chosen, np.full(channels, 2.0))
    else:
        levels = np.tile([0.0, 1.0], (channels, 1))
        iteration = DiscreteTomography(workspace, bounds, levels, DiscreteTomographySettings())
    partial_sums = masked or (subsets > 1 and method in ("sirt", "mlem"))
    need = estimate_classical_memory(
        GEOMETRY,
        channels,
        slices,
        needs=iteration.needs(partial_sums=partial_sums),
        background=background is not None,
        device=device,
    )
    iteration.advance()
    assert 0 <= need.total - iteration.allocated_bytes <= _SMALL_BUFFERS_BYTES
    assert need.largest == max(buffer.size for buffer in workspace._queue._buffers)
    iteration.release()
    assert iteration.allocated_bytes == 0
