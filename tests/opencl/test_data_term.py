"""The proximal maps of the data terms in float32, where a formula in float32 can go wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from chemtomo.functionals import KullbackLeibler, SquaredL2
from chemtomo.opencl.layout import Layout

Array = npt.NDArray[np.floating[Any]]
# (r, v, f, sigma, w, kl) -> the proximal map at r + sigma v
Prox = Callable[[Array, Array, Array, float, float, bool], Array]

WEIGHTS_AND_STEPS = [(1.0, 1.0), (200.0, 0.3), (1e-4, 1e-3), (3e5, 7e4)]


def reference_prox(
    r: Array, v: Array, f: Array, sigma: float, weight: float, kullback_leibler: bool
) -> npt.NDArray[np.float32]:
    term = (KullbackLeibler if kullback_leibler else SquaredL2)(f, [weight])
    argument = r + np.float32(sigma) * v
    assert argument.dtype == np.float32
    return term.prox_conjugate(argument, sigma).astype(np.float32)


@pytest.fixture(params=["numpy", "opencl, layout of a cpu", "opencl, layout of a gpu"])
def prox_of(request: pytest.FixtureRequest) -> Prox:
    """The proximal map as a backend computes it."""
    if request.param == "numpy":
        return reference_prox
    device = request.getfixturevalue("device")
    from chemtomo.opencl.queue import Queue

    def on_device(
        r: Array, v: Array, f: Array, sigma: float, weight: float, kullback_leibler: bool
    ) -> npt.NDArray[np.float32]:
        kind = request.param.split()[-1]
        layout = Layout.for_device(1, r.shape[2], dataclasses.replace(device, kind=kind))
        queue = Queue(device, layout.defines() | {"KULLBACK_LEIBLER": int(kullback_leibler)})
        shape = layout.shape(r.shape[1], r.shape[3])
        buffers = [queue.zeros(shape) for _ in range(3)]
        for buffer, array in zip(buffers, (r, v, f), strict=True):
            queue.write(buffer, layout.pack(array))
        _, tilts, detectors, _ = shape
        constants = queue.upload(np.repeat([sigma, weight], tilts).astype(np.float32))
        size = (layout.block // layout.width, detectors, layout.blocks * tilts)
        numbers = (np.int32(tilts), np.int32(detectors), np.int32(layout.chunks), np.float32(1))
        arguments = (*buffers, buffers[2], buffers[2], constants, *numbers)  # no background, no weights
        queue.run("data_term", "data_dual_update", size, (1, 1, 1), *arguments)
        return layout.unpack(queue.read(buffers[0], shape))

    return on_device


def exact_kullback_leibler(argument: Array, f: Array, sigma: float, weight: float) -> npt.NDArray[np.float64]:
    """``w + (b - sqrt(b^2 + 4 sigma w f)) / 2`` with the digits of long double, rationalised where b > 0."""
    b = argument.astype(np.longdouble) - np.longdouble(np.float32(weight))
    product = (
        4 * np.longdouble(np.float32(sigma)) * np.longdouble(np.float32(weight)) * f.astype(np.longdouble)
    )
    root = np.sqrt(b * b + product)
    difference = np.where(b > 0, -product / np.where(b > 0, b + root, 1), b - root)
    return np.asarray(np.longdouble(np.float32(weight)) + difference / 2, np.float64)


@pytest.mark.parametrize(("weight", "sigma"), WEIGHTS_AND_STEPS)
def test_kullback_leibler_without_cancellation(prox_of: Prox, weight: float, sigma: float) -> None:
    """Arguments from far below to far above the weight, data from none to very much.

    The result is exact to a few units in the last place of the weight or of itself. The formula
    of the paper, in float32, is wrong by many weights for large arguments.
    """
    sizes = weight / sigma * np.logspace(-20, 12, 65)
    v = np.concatenate([-sizes, [0, weight / sigma], sizes]).astype(np.float32)
    data = np.array([0, 1e-30, 1e-6, 0.3, 1, 17, 1e6, 1e12], np.float32)
    v, f = (array[None, :, :, None].copy() for array in np.meshgrid(v, data, indexing="ij"))
    found = prox_of(np.zeros_like(v), v, f, sigma, weight, True)
    argument = np.float64(np.float32(sigma)) * v
    expected = exact_kullback_leibler(argument, f, sigma, weight)
    assert np.isfinite(found).all()
    unit = np.finfo(np.float32).eps
    scale = np.maximum(weight, np.abs(expected))
    assert (np.abs(found - expected) <= 4 * unit * scale).all()
    assert (found <= np.float32(weight)).all()  # the domain of the conjugate

    b = (argument - weight).astype(np.float32)
    naive = np.float32(weight) + (b - np.sqrt(b * b + np.float32(4 * sigma * weight) * f)) / 2
    assert (np.abs(naive - expected) / scale).max() > 1e3 * unit


def test_kullback_leibler_takes_the_projection_with_its_step(prox_of: Prox) -> None:
    generator = np.random.default_rng(0)
    r, v, f = generator.random((3, 1, 5, 7, 3), np.float32)
    expected = exact_kullback_leibler(r + np.float64(np.float32(0.3)) * v, f, 0.3, 2.0)
    np.testing.assert_allclose(prox_of(r, v, f, 0.3, 2.0, True), expected, atol=1e-6)


def test_no_data_and_no_image_leave_zero(prox_of: Prox) -> None:
    zeros = np.zeros((1, 2, 3, 4), np.float32)
    for kullback_leibler in (True, False):
        assert not prox_of(zeros, zeros, zeros, 0.3, 2.0, kullback_leibler).any()


@pytest.mark.parametrize(("weight", "sigma"), WEIGHTS_AND_STEPS)
def test_squares(prox_of: Prox, weight: float, sigma: float) -> None:
    """``(r + sigma (v - f)) / (1 + sigma / w)``, from tiny to huge numbers."""
    generator = np.random.default_rng(0)
    sizes = np.float32(10) ** generator.integers(-18, 18, (1, 9, 8, 7)).astype(np.float32)
    r, v, f = (sizes * part for part in generator.standard_normal((3, 1, 9, 8, 7), np.float32))
    found = prox_of(r, v, f, sigma, weight, False)
    r64, v64, f64 = (array.astype(np.float64) for array in (r, v, f))
    expected = (r64 + sigma * (v64 - f64)) / (1 + sigma / weight)
    scale = (np.abs(r64) + sigma * (np.abs(v64) + np.abs(f64))) / (1 + sigma / weight)
    assert (np.abs(found - expected) <= 1e-6 * scale).all()


def test_the_smallest_numbers_do_no_harm(prox_of: Prox) -> None:
    """Denormal data and duals: a device may take them for zero, but nothing else."""
    tiny = np.float32(1e-40)
    signs = np.array([-1, 0, 1], np.float32).reshape(1, 3, 1, 1)
    f = np.full((1, 3, 1, 1), tiny)
    for kullback_leibler in (True, False):
        found = prox_of(signs * tiny, signs * tiny, f, 1.0, 1.0, kullback_leibler)
        assert (np.abs(found) <= 1e-7).all()
