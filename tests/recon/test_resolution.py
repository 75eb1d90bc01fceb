"""Signals with larger pixels in one reconstruction: laws, and the gain in resolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import kl_div

from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector
from chemtomo.preprocess import bin_pixels
from chemtomo.recon import Reconstructed
from chemtomo.recon.frame import Frame
from chemtomo.recon.slabs.plan import halves, plan_slabs

Run = Callable[..., Reconstructed]

EDGE, SLICES = 24, 6
TILTS = np.arange(-75.0, 76, 10)
SOME_TILTS = TILTS[::3]


def truth() -> npt.NDArray[np.float64]:
    """A body, and a map of small grains in it with sharp edges, (channel, z, y, x)."""
    z, y, x = np.indices((EDGE, SLICES, EDGE)) - np.array([11.5, 2.5, 11.5]).reshape(3, 1, 1, 1)
    body = np.hypot(z, x + 0.5) < 9
    grain = (np.abs(z - 2) < 3) & (np.abs(x + 2 - 0.3 * y) < 2)
    other = np.hypot(z + 4, x - 3) < 2.2
    return np.stack([body * (1.0 + 2 * grain + other), grain * 3.0 + other * 2.0])


def series(
    name: str,
    volume: npt.NDArray[np.float64],
    tilts: npt.NDArray[np.float64],
    kind: Literal["intensity", "counts"],
    counts: float,
    seed: int = 0,
) -> TiltSeries:
    geometry = ParallelBeam(tilts, EDGE, (EDGE, EDGE))
    expected = Projector(geometry, 1, SLICES).forward(volume[np.newaxis])[0]
    data = np.random.default_rng(seed).poisson(counts * expected)
    if kind == "intensity":
        return TiltSeries(name, (data / counts).astype(np.float32), tilts, 2.0)
    return TiltSeries(name, data.astype(np.uint16), tilts, 2.0, "counts")


@pytest.fixture(scope="module")
def mixed() -> Dataset:
    """HAADF at all tilts in full resolution, a map at every third in half of it."""
    body, grains = truth()
    fine = series("HAADF", body, TILTS, "intensity", 300)
    return Dataset((fine, bin_pixels(series("Al", grains, SOME_TILTS, "counts", 1.0, 1), 2)))


def evaluate(dataset: Dataset, volume: npt.NDArray[np.float32], data_term: str) -> list[float]:
    """Data term of every channel, written out in the pixels as they were recorded."""
    values = []
    for one, image in zip(dataset, volume, strict=True):
        # Positive tilts as the program numbers z.
        geometry = ParallelBeam(-one.tilts_deg, EDGE, (EDGE, EDGE))
        upright = image[np.newaxis, ::-1].astype(np.float64)
        v = Projector(geometry, 1, SLICES).forward(upright)[0]
        k = EDGE // one.shape[2]
        cells = v.reshape(len(v), SLICES // k, k, EDGE // k, k)
        v = cells.sum(axis=(2, 4)) if one.kind == "counts" else cells.mean(axis=(2, 4))
        f = one.values().astype(np.float64)
        if data_term == "kl":
            values.append(float(kl_div(f, np.maximum(v, 1e-10 * f.max())).sum()))
        else:
            values.append(float(0.5 * ((v - f) ** 2).sum()))
    return values


@pytest.mark.parametrize("data_term", ["kl", "l2"])
@pytest.mark.parametrize("normalisation", ["counts", "paper"])
def test_the_data_terms_are_those_of_the_recorded_pixels(
    run: Run, mixed: Dataset, data_term: str, normalisation: str
) -> None:
    coarse = bin_pixels(mixed.series[0].replace(name="BF"), 3)
    dataset = Dataset((coarse, *mixed.series))
    mu = {"BF": 0.1, "HAADF": 0.1, "Al": 0.01} if normalisation == "paper" else {}
    result = run(
        dataset, data_term=data_term, normalisation=normalisation, mu=mu, steps="fast", vacuum="zero"
    )
    ((_, outcome),) = result.slabs
    expected = evaluate(dataset, result.volume.data, data_term)
    assert outcome.history[-1].data == pytest.approx(expected, rel=1e-4)
    assert result.volume.data.shape == (3, EDGE, SLICES, EDGE)
    assert result.volume.voxel_size_nm == 2.0


def test_the_same_data_in_the_same_pixels_are_what_they_were(run: Run, dataset: Dataset) -> None:
    assert Frame.of(dataset, None, "none", False).resolutions.factors == (1, 1, 1)
    assert Frame.of(dataset, None, "none", False).note is None


def test_numpy_and_opencl_agree(run: Run, mixed: Dataset, opencl: str) -> None:
    expected = run(mixed, steps="fast", iterations=15)
    found = run(mixed, steps="fast", iterations=15, device=opencl)
    largest = expected.volume.data.max(axis=(1, 2, 3), keepdims=True)
    assert (np.abs(found.volume.data - expected.volume.data) <= 3e-4 * largest).all()
    ((_, one),), ((_, other),) = found.slabs, expected.slabs
    assert one.history[-1].gap == pytest.approx(other.history[-1].gap, rel=1e-2)


def test_the_gap_closes(run: Run, mixed: Dataset, opencl: str) -> None:
    result = run(mixed, steps="fast", iterations=2000, tolerance=1e-3, device=opencl)
    ((_, outcome),) = result.slabs
    assert outcome.history[-1].gap <= 1e-3
    assert "converged" in outcome.reason
    assert result.notes[0] == "in the pixels of HAADF (2 nm); Al: 2 x 2 of these in a pixel"


def psnr(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    return float(20 * np.log10(expected.max() / np.sqrt(np.mean((found - expected) ** 2))))


def test_a_coupled_map_is_finer_than_its_pixels(run: Run, mixed: Dataset, opencl: str) -> None:
    """It beats the map by itself in its own pixels, spread on the fine ones, and finely but uncoupled."""
    options = {"steps": "fast", "iterations": 300, "method": "tv", "device": opencl}
    expected = truth()[1]
    joint = run(mixed, **options).volume.data[1]
    uncoupled = run(mixed, coupling="none", **options).volume.data[1]
    coarse = run(mixed.select(["Al"]), **options).volume.data[0] / 8
    spread = coarse.repeat(2, axis=0).repeat(2, axis=1).repeat(2, axis=2)
    assert psnr(joint, expected) > psnr(spread, expected) + 1
    assert psnr(joint, expected) > psnr(uncoupled, expected) + 0.5


def test_strength_means_the_same_in_every_resolution(run: Run, opencl: str) -> None:
    """The values and the smoothness of a map hardly change when its pixels are joined before."""
    body, grains = truth()
    haadf = series("HAADF", body, TILTS, "intensity", 300)
    fine = series("Al", grains, TILTS, "counts", 20.0, 1)
    options = {"steps": "fast", "iterations": 300, "coupling": "none", "device": opencl}
    one = run(Dataset((haadf, fine)), **options).volume.data[1]
    other = run(Dataset((haadf, bin_pixels(fine, 2))), **options).volume.data[1]
    assert other.sum() == pytest.approx(one.sum(), rel=0.02)

    def total_variation(u: npt.NDArray[Any]) -> float:
        return sum(float(np.abs(np.diff(u, axis=axis)).sum()) for axis in range(3))

    assert total_variation(other) == pytest.approx(total_variation(one), rel=0.25)


def test_slabs_hold_whole_pixels(run: Run, mixed: Dataset, opencl: str) -> None:
    """And a volume in two dimensions is the same in slabs."""
    options = {"steps": "fast", "iterations": 20, "dims": 2, "device": opencl}
    tall = mixed.map(lambda one: one.replace(data=np.tile(one.data, (1, 7, 1))))
    whole = run(tall, **options)
    parts = run(tall, memory=0.8 * whole.peak_bytes / 2**30, **options)
    assert len(parts.slabs) > 1
    assert all(slab.start % 2 == slab.stop % 2 == 0 for slab, _ in parts.slabs)
    largest = whole.volume.data.max()
    np.testing.assert_allclose(parts.volume.data, whole.volume.data, atol=1e-4 * largest)


def test_plans_in_cells() -> None:
    slabs = plan_slabs(60, 8, lambda count: count <= 30, cell=3)
    assert {edge % 3 for slab in slabs for edge in (slab.first, slab.start, slab.stop, slab.last)} == {0}
    assert slabs[0].start == 0
    assert slabs[-1].stop == 60
    parts = halves(slabs[0], 8, 60, 3)
    assert all(slab.start % 3 == slab.first % 3 == 0 for slab in parts)


def test_ranges_grow_to_whole_pixels(run: Run, mixed: Dataset) -> None:
    result = run(mixed, slices=(1, 4), crop=(3, 20), keep_crop=True)
    assert result.volume.data.shape[2:] == (4, 18)
    assert result.volume.origin_px[1:] == (0.0, 2.0)


def test_an_axis_that_is_not_at_the_same_place_is_a_shift(mixed: Dataset) -> None:
    fine, coarse = mixed
    moved = Dataset((fine, coarse.replace(axis_position_px=coarse.axis_position + 0.4)))
    frame = Frame.of(moved, None, "none", False)
    assert frame.joint.count == len(TILTS) + len(SOME_TILTS)
    np.testing.assert_allclose(frame.joint.detector_shifts_px[len(TILTS) :], 0.8)


def test_the_order_of_the_signals_does_not_matter(run: Run, mixed: Dataset) -> None:
    turned = Dataset(mixed.series[::-1])
    one, other = run(mixed, iterations=3), run(turned, iterations=3)
    np.testing.assert_allclose(one.volume.data, other.volume.data[::-1], rtol=1e-5, atol=1e-7)


def test_what_does_not_fit_together(run: Run, mixed: Dataset) -> None:
    fine, coarse = mixed
    with pytest.raises(DataError, match="have pixels of 2 and 3 nm; expected the same size"):
        run(Dataset((fine, coarse.replace(pixel_size_nm=3.0))))
    smaller = coarse.replace(data=coarse.data[:, :, 1:])
    with pytest.raises(DataError, match=r"2 times as large; expected \(3, 12\) of these"):
        run(Dataset((fine, smaller)))
    with pytest.raises(ParameterError, match="method sirt: found signals with different pixel sizes"):
        run(mixed, method="sirt")
