"""Matter beside the field has a place to go, and the volume of a thin sample is a slab."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.data import Dataset, TiltSeries
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector
from chemtomo.recon import Reconstructed, ReconstructParameters, reconstruct
from chemtomo.recon.field_of_view import leaves_the_field, reach_px
from chemtomo.recon.frame import Frame
from chemtomo.recon.reconstruction import Plan, ReconstructionProgress
from chemtomo.solvers import Limits

Run = Callable[..., Reconstructed]

EDGE = 40
TILTS = np.arange(-66.0, 67, 6)
BEYOND = 60
METHODS = pytest.mark.parametrize(
    "method",
    [
        {"method": "tv", "steps": "fast", "iterations": 120},
        {"method": "tv", "steps": "fast", "iterations": 120, "data_term": "l2"},
        {"method": "sirt", "iterations": 120},
        {"method": "sart", "iterations": 10},
        {"method": "cgls", "iterations": 15},
        {"method": "mlem", "iterations": 120},
    ],
    ids=["kl", "l2", "sirt", "sart", "cgls", "mlem"],
)


def grains(reach: int, above: float = 0.0, seed: int = 0) -> npt.NDArray[np.float64]:
    """A layer of discs, as far as `reach` beyond the field at both sides, (z, y, x)."""
    rng = np.random.default_rng(seed)
    width = EDGE + 2 * BEYOND
    z, y, x = np.ogrid[:EDGE, :9, :width]
    volume = np.zeros((EDGE, 9, width))
    for _ in range(60):
        cz, cy, cx = EDGE / 2 + above + rng.uniform(-3, 3), rng.uniform(0, 9), rng.uniform(0, width)
        radius = rng.uniform(1.5, 3.5)
        if BEYOND - reach < cx - radius and cx + radius < width - BEYOND + reach:
            away = (z - cz) ** 2 + (y - cy) ** 2 + (x - cx) ** 2
            volume[away < radius**2] = rng.uniform(0.5, 2)
    return volume


def series_of(volume: npt.NDArray[np.float64], **changes: Any) -> TiltSeries:
    """Projections of it on a detector as wide as the field."""
    geometry = ParallelBeam(
        TILTS, EDGE, volume.shape[::2], volume_axis=((EDGE - 1) / 2, (volume.shape[2] - 1) / 2)
    )
    data = Projector(geometry, 1, volume.shape[1]).forward(volume[np.newaxis])[0]
    return TiltSeries("HAADF", (1000 * data).astype(np.float32), TILTS, **changes)


def error(found: Reconstructed, volume: npt.NDArray[np.float64]) -> float:
    truth = 1000 * volume[:, :, BEYOND:-BEYOND]
    return float(np.linalg.norm(found.volume.data[0] - truth) / np.linalg.norm(truth))


@METHODS
def test_matter_beside_the_field_does_little_harm_in_a_wide_one(run: Run, method: dict[str, Any]) -> None:
    beyond, inside = grains(BEYOND), grains(-5)
    only_inside = error(run(Dataset((series_of(inside),)), **method), inside)
    dataset = Dataset((series_of(beyond),))
    narrow = run(dataset, field="sample", **method)
    wide = run(dataset, field="auto", **method)
    assert wide.volume.shape == narrow.volume.shape == (EDGE, 9, EDGE)
    assert any("wide field" in note for note in wide.notes)
    assert error(wide, beyond) < 1.6 * only_inside
    assert error(narrow, beyond) > 1.5 * error(wide, beyond)


def test_a_wide_field_is_the_same_on_both_backends(run: Run, opencl: str) -> None:
    dataset = Dataset((series_of(grains(BEYOND)),))
    common = {"method": "tgv", "steps": "fast", "iterations": 10, "field": "wide"}
    one, other = (run(dataset, device=device, **common).volume.data for device in ("numpy", opencl))
    np.testing.assert_allclose(other, one, atol=1e-4 * one.max())


def test_a_sample_that_ends_inside_is_reconstructed_in_its_own_field(run: Run) -> None:
    dataset = Dataset((series_of(grains(-5)),))
    assert not leaves_the_field(dataset)
    auto = run(dataset, field="auto")
    np.testing.assert_array_equal(auto.volume.data, run(dataset, field="sample").volume.data)
    assert not auto.notes


def test_signal_at_the_edges_is_told_from_background_and_noise() -> None:
    beyond, inside = series_of(grains(BEYOND)), series_of(grains(-5))
    assert leaves_the_field(Dataset((beyond,)))
    level = np.full(inside.shape, 500, np.float32)
    raised = inside.replace(data=inside.data + level, background=level)
    assert not leaves_the_field(Dataset((raised,)))
    rate = inside.data / 5000 + 0.3
    counts = np.random.default_rng(0).poisson(rate).astype(np.uint16)
    quiet = TiltSeries("Al", counts, TILTS, kind="counts", background=np.full(rate.shape, 0.3, np.float32))
    assert not leaves_the_field(Dataset((quiet,)))


@given(half_width=st.floats(1, 50), half_depth=st.floats(0, 50), tilt=st.floats(-75, 75))
def test_no_ray_leaves_the_reach(half_width: float, half_depth: float, tilt: float) -> None:
    """The two ends of the outermost rays in the slab, by the formula of the geometry."""
    angle = np.deg2rad(tilt)
    s, z = np.meshgrid([-half_width, half_width], [-half_depth, half_depth])
    x = (s - z * np.sin(angle)) / np.cos(angle)
    assert np.abs(x).max() == pytest.approx(reach_px([tilt], half_width, half_depth))


@pytest.mark.parametrize("above", [-8.0, 0.0, 6.0])
def test_the_slab_is_where_the_sample_is(above: float) -> None:
    volume = grains(BEYOND, above)
    dataset = Dataset((series_of(volume),))
    bright = np.flatnonzero(volume.any(axis=(1, 2)))
    found = Frame.of(dataset, None, "none", False, "wide")
    assert found.rows[0] <= bright[0]
    assert found.rows[1] > bright[-1]
    assert found.rows[1] - found.rows[0] < EDGE
    # Matter that ends inside is found too, where the data are asked.
    ending = grains(-5, above)
    for field in ("sample", "auto"):
        inside = Frame.of(Dataset((series_of(ending),)), None, "none", False, field, "auto")
        there = np.flatnonzero(ending.any(axis=(1, 2)))
        assert inside.margin == 0
        assert inside.rows[0] <= there[0]
        assert inside.rows[1] > there[-1]
        assert inside.rows[1] - inside.rows[0] < EDGE
        assert "thickness found" in str(inside.note)
    given_nm = Frame.of(dataset, None, "none", False, "sample", 16.0)
    start, stop = given_nm.rows
    assert 16 <= stop - start <= 18
    assert (start + stop - 1) / 2 == pytest.approx((bright[0] + bright[-1]) / 2, abs=2)
    assert given_nm.margin == 0


def test_a_slab_is_zero_outside_and_what_it_was_inside(run: Run) -> None:
    volume = grains(-5)
    dataset = Dataset((series_of(volume, pixel_size_nm=2.0),))
    common = {"method": "sirt", "iterations": 100}
    whole, slab = run(dataset, **common), run(dataset, thickness=44.0, **common)
    assert slab.volume.shape == whole.volume.shape
    empty = ~slab.volume.data[0].any(axis=(1, 2))
    assert 14 <= empty.sum() <= 18
    assert error(slab, volume) <= 1.02 * error(whole, volume)


def test_the_strength_means_the_same_in_every_field(run: Run) -> None:
    """Of a sample that is inside, the wide field and a slab give what its own field gives."""
    volume = grains(-5)
    dataset = Dataset((series_of(volume),))
    common = {"method": "tv", "steps": "fast", "iterations": 200, "strength": 20.0}
    whole, *others = (
        run(dataset, **common, **changes).volume.data
        for changes in ({}, {"field": "wide"}, {"thickness": 30.0})
    )
    for other in others:
        assert np.linalg.norm(other - whole) < 0.05 * np.linalg.norm(whole)


def test_the_axis_stays_where_it_is_whatever_the_field() -> None:
    """The same voxel falls on the same detector coordinate."""
    series = series_of(grains(BEYOND, 5.0), axis_position_px=17.0, detector_shifts_px=np.linspace(-1, 1, 23))
    sample = Frame.of(Dataset((series,)), None, "none", False)
    wide = Frame.of(Dataset((series,)), None, "none", False, "wide")
    for tilt in (0, 11, 22):
        s = sample.geometry.detector_coordinate(tilt)[::-1]
        inside = wide.geometry.detector_coordinate(tilt)[::-1, wide.margin : -wide.margin]
        rows = slice(wide.rows[0] - sample.rows[0], wide.rows[1] - sample.rows[0])
        np.testing.assert_allclose(inside, s[rows])
    assert dataclasses.replace(wide, keep_crop=True).cropped_shape == (
        wide.rows[1] - wide.rows[0],
        9,
        EDGE,
    )


def test_what_a_run_takes_is_told_with_the_first_iteration(opencl: str) -> None:
    dataset = Dataset((series_of(grains(BEYOND)),))
    few = {"device": opencl, "iterations": 1, "tolerance": 0.0}
    parameters = ReconstructParameters(**few, field="wide")
    running = reconstruct(dataset, parameters, Limits(1))
    progress = next(running)
    assert isinstance(progress, ReconstructionProgress)
    frame = Frame.of(dataset, None, "auto", False, "wide")
    height, width = frame.geometry.volume_shape
    assert progress.plan.startswith(f"{height} x 9 x {width} voxels, ")
    assert "GiB of device memory" in progress.plan
    assert "wide field" in progress.plan


@pytest.mark.parametrize("slices", [63, 64])
def test_what_a_long_run_takes_is_told_before_it(opencl: str, slices: int) -> None:
    """Time and memory; a short run is not worth the measurement."""
    volume = np.tile(grains(-5), (1, 8, 1))[:, :slices]
    dataset = Dataset((series_of(volume),))
    parameters = ReconstructParameters(device=opencl, iterations=2, tolerance=0.0)
    running = reconstruct(dataset, parameters, Limits(2))
    plan = next(running)
    if slices < 64:
        assert isinstance(plan, ReconstructionProgress)
        return
    assert isinstance(plan, Plan)
    assert plan.seconds is not None
    assert plan.seconds > 0
    assert f"at most about {plan.seconds:.0f} s for 2 iterations" in plan.message
    progress = [next(running), next(running)]
    assert [one.iteration for one in progress if isinstance(one, ReconstructionProgress)] == [1, 2]
    with pytest.raises(StopIteration) as end:
        next(running)
    # What was said is what was used.
    assert plan.memory_bytes is not None
    assert 0.5 * plan.memory_bytes < end.value.value.peak_bytes <= 1.1 * plan.memory_bytes
