"""Objective and duality gap on a device: see ``kernels/objective.cl``."""

from __future__ import annotations

from typing import Any

import numpy as np

from chemtomo.functionals import KullbackLeibler
from chemtomo.opencl.variational.variables import DeviceVariables
from chemtomo.solvers.loop import Objective

__all__ = ["evaluate_objective"]

_GAP_BOX = 1.2  # see chemtomo.functionals.duality_gap


def evaluate_objective(variables: DeviceVariables, spare: Any | None) -> Objective:
    """Evaluate the objective and the duality gap at ``max(u, 0)`` and ``w``, in normalised units.

    Parameters
    ----------
    variables : DeviceVariables
        Where. `scratch` and `projected` are overwritten.
    spare : buffer, optional
        A buffer of at least two volumes that may be overwritten; one is allocated if it is needed.
    """
    problem, layout, queue = variables.problem, variables.layout, variables.queue
    _, nz, _, _ = problem.volume_shape
    tilts = problem.geometry.tilts

    queue.run(
        "objective",
        "positive_part",
        *variables.voxel_range,
        variables.u,
        variables.scratch,
        *variables.size,
    )
    partial_shape = (2, layout.chunks, nz, layout.chunk)
    partial = queue.zeros(partial_shape)
    queue.run(
        "objective",
        "regulariser_sums",
        *variables.row_range,
        variables.scratch,
        variables.w,
        partial,
        *variables.size,
    )
    first, second = queue.read(partial, partial_shape).reshape(2, -1).sum(axis=1, dtype=np.float64)
    regulariser = problem.alpha1 * float(first) + problem.alpha0 * float(second) * problem.second_order
    queue.release(partial)

    variables.project(variables.scratch)
    largest = problem.data.max(axis=(1, 2, 3))
    floors = (KullbackLeibler.floor_factor * largest).tolist()
    flags = [float(term == "kl") for term in problem.terms]
    tilt_weights = problem.discrepancy.tilt_weight.ravel().tolist()
    partial_shape = (2, layout.blocks, tilts, layout.block)
    partial = queue.zeros(partial_shape)
    queue.run(
        "objective",
        "data_sums",
        (layout.block // layout.width, tilts, layout.blocks),
        (1, 1, 1),
        variables.projected,
        variables.data,
        variables.background,
        variables.pixel_weights,
        variables.r,
        variables.constants((*variables.projection_weights, *tilt_weights, *floors, *flags)),
        partial,
        *variables.ray_size,
    )
    primal, dual = queue.read(partial, partial_shape)
    queue.release(partial)
    data = layout.sum_channels(primal)
    total = float(problem.weights @ data) + regulariser
    lower = float(layout.sum_channels(dual).sum()) - _slope_penalty(variables, spare)
    gap = (total - lower) / total if total > 0 else 0.0
    return Objective(total, tuple(data.tolist()), regulariser, gap)


def _slope_penalty(variables: DeviceVariables, spare: Any | None) -> float:
    """Return what the slopes of the Lagrange function cost in the box: `functionals.duality_gap`.

    `projected` holds the feasible ``r`` and `scratch` is free.
    """
    problem, layout, queue = variables.problem, variables.layout, variables.queue
    _, nz, _, _ = problem.volume_shape
    own_scales = None
    scales = variables.scratch  # not read
    if variables.over_relaxed:  # only then have the dual variables left their balls
        if spare is None:
            own_scales = queue.zeros((2, *variables.volume_shape))
        scales = own_scales if spare is None else spare
        queue.run(
            "objective",
            "dual_scales",
            *variables.voxel_range,
            variables.p,
            variables.q,
            scales,
            *variables.size,
            np.float32(problem.alpha1),
            np.float32(problem.alpha0),
        )
    variables.back_project(variables.projected)
    shape = (4, layout.blocks, nz, layout.block)
    partial = queue.zeros(shape)
    queue.run(
        "feasible_objective" if variables.over_relaxed else "objective",
        "slope_sums",
        *variables.row_range,
        variables.u,
        variables.w,
        variables.p,
        variables.q,
        variables.scratch,
        scales,
        partial,
        *variables.size,
    )
    slope_u, slope_w, largest_u, largest_w = queue.read(partial, shape)
    queue.release(partial)
    if own_scales is not None:
        queue.release(own_scales)
    penalty = layout.max_channels(largest_u) @ layout.sum_channels(slope_u)
    penalty += layout.max_channels(largest_w) @ layout.sum_channels(slope_w)
    return _GAP_BOX * float(penalty)
