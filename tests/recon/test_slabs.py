"""Slabs of slices: how a volume is split, and that the answer stays the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.data import Dataset
from chemtomo.errors import DeviceMemoryError
from chemtomo.recon import Reconstructed, reconstruction
from chemtomo.recon.slabs.plan import LEAST_OVERLAP, OVERLAP, Slab, even_slabs, halves, plan_slabs

Run = Callable[..., Reconstructed]


def assert_tiles(slabs: tuple[Slab, ...], start: int, stop: int, overlap: int, slices: int) -> None:
    """Every slice is kept once, and reconstructed with its neighbours."""
    kept = [y for slab in slabs for y in range(slab.start, slab.stop)]
    assert kept == list(range(start, stop))
    for slab in slabs:
        assert slab.start < slab.stop
        assert slab.first == max(0, slab.start - overlap)
        assert slab.last == min(slices, slab.stop + overlap)
        assert slab.slices == slab.last - slab.first


@given(slices=st.integers(1, 90), overlap=st.integers(0, 8), most=st.integers(1, 90))
def test_a_plan_fits_and_is_short(slices: int, overlap: int, most: int) -> None:
    smallest = min(overlap, LEAST_OVERLAP)
    if most < min(slices, 1 + 2 * smallest):
        with pytest.raises(DeviceMemoryError, match=f"a slab of {min(slices, 1 + 2 * smallest)} slices"):
            plan_slabs(slices, overlap, lambda count: count <= most)
        return
    slabs = plan_slabs(slices, overlap, lambda count: count <= most)
    assert max(slab.slices for slab in slabs) <= most
    if len(slabs) == 1:
        assert slices <= most
        assert_tiles(slabs, 0, slices, 0, slices)
        return
    assert slices > most  # else it would have been one
    used = slabs[0].last - slabs[0].stop
    if slabs[0].last < slices:
        assert smallest <= used <= overlap
        assert_tiles(slabs, 0, slices, used, slices)
    heights = [slab.stop - slab.start for slab in slabs]
    assert max(heights) - min(heights) <= 1
    # Less than a third is kept only where the overlap cannot shrink any more.
    assert min(heights) >= used or used == smallest or slabs[0].last == slices


@given(
    slices=st.integers(1, 90), overlap=st.integers(0, 8), most=st.integers(5, 90), least=st.integers(1, 99)
)
def test_as_many_slabs_as_asked_for_unless_they_do_not_fit(
    slices: int, overlap: int, most: int, least: int
) -> None:
    if least >= slices and most < min(slices, 1 + 2 * overlap):
        return
    slabs = plan_slabs(slices, overlap, lambda count: count <= most, least)
    assert max(slab.slices for slab in slabs) <= most
    assert len(slabs) >= min(least, slices)
    asked = even_slabs(slices, min(least, slices), overlap)
    assert (slabs == asked) == all(slab.slices <= most for slab in asked)


def test_the_overlap_shrinks_before_most_of_the_work_is_thrown_away() -> None:
    plenty = plan_slabs(100, 8, lambda count: count <= 50)
    assert (plenty[1].start - plenty[1].first, len(plenty)) == (8, 3)
    little = plan_slabs(100, 8, lambda count: count <= 9)
    assert little[5].start - little[5].first < 8
    assert plan_slabs(100, 0, lambda count: count <= 9)[1].slices == 8


@given(start=st.integers(0, 20), height=st.integers(2, 20), overlap=st.integers(0, 8), more=st.integers(0, 9))
def test_halves_are_a_slab(start: int, height: int, overlap: int, more: int) -> None:
    slices = start + height + more
    slab = Slab(max(0, start - overlap), start, start + height, min(slices, start + height + overlap))
    parts = halves(slab, 8 if overlap else 0, slices)
    assert len(parts) == 2
    kept = [y for part in parts for y in range(part.start, part.stop)]
    assert kept == list(range(start, start + height))
    assert all(part.slices <= slab.slices for part in parts)
    whole = (slab.first, slab.last) == (start, start + height)
    allowed = 8 if whole and overlap else overlap
    for part in parts:
        assert part.start - part.first <= allowed
        assert part.last - part.stop <= allowed
    if overlap:
        assert parts[0].last > parts[0].stop
        assert parts[1].first < parts[1].start


def test_one_slice_has_no_halves() -> None:
    with pytest.raises(DeviceMemoryError, match="slice 4 with 17 slices in all; expected room for one"):
        halves(Slab(0, 4, 5, 17), 8, 30)


@pytest.fixture
def tall(dataset: Dataset) -> Dataset:
    """The same tilt series with 40 slices that differ."""
    rows = np.abs((np.arange(40) % 8) - 4)
    return dataset.map(lambda series: series.replace(data=series.data[:, rows]))


def in_slabs(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Let slabs of more than `most` slices not fit."""
    plan = plan_slabs
    monkeypatch.setattr(
        reconstruction, "plan_slabs", lambda slices, overlap, *_: plan(slices, overlap, lambda n: n <= most)
    )


@pytest.mark.parametrize(
    "choices",
    [
        {"method": "fbp"},
        {"method": "sirt"},
        {"method": "sart"},
        {"method": "cgls", "iterations": 4},
        {"method": "mlem", "subsets": 2},
        {"method": "dart", "levels": 3, "inner_iterations": 2},
        {"method": "tgv", "dims": 2, "steps": "paper"},
    ],
    ids=["fbp", "sirt", "sart", "cgls", "osem", "dart", "tgv-2"],
)
@pytest.mark.parametrize("whole_model", [False, True])
def test_slices_by_themselves_are_the_same_in_slabs(
    run: Run, tall: Dataset, choices: dict[str, Any], whole_model: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if whole_model:
        last = tall.series[-1]
        few = np.arange(1, len(last.tilts_deg), 2)
        background = np.random.default_rng(0).uniform(0.1, 0.5, last.data[few].shape)
        last = last.replace(
            data=last.data[few],
            tilts_deg=last.tilts_deg[few],
            gains=np.linspace(0.5, 1, few.size),
            background=background,
            detector_shifts_px=np.full(few.size, 0.3),
        )
        tall = Dataset((*tall.series[:-1], last))
    whole = run(tall, **choices)
    in_slabs(monkeypatch, 15)
    parts = run(tall, **choices)
    assert [(slab.start, slab.stop) for slab, _ in parts.slabs] == [(0, 13), (13, 26), (26, 40)]
    np.testing.assert_allclose(
        parts.volume.data, whole.volume.data, rtol=0, atol=1e-5 * whole.volume.data.max()
    )
    totals = [sum(outcome.history[-1].objective for _, outcome in result.slabs) for result in (parts, whole)]
    assert totals[0] == pytest.approx(totals[1], rel=1e-5)


@pytest.mark.parametrize("method", ["tv", "tgv"])
def test_seams_are_small_in_three_dimensions(
    run: Run, tall: Dataset, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = {"method": method, "steps": "fast", "iterations": 80, "strength": 1.5}
    whole = run(tall, **common)
    in_slabs(monkeypatch, 24 + OVERLAP)
    parts = run(tall, **common)
    assert len(parts.slabs) == 2
    for found, expected in zip(parts.volume.data, whole.volume.data, strict=True):
        assert np.abs(found - expected).max() < 0.01 * expected.max()


def test_a_budget_makes_slabs(run: Run, tall: Dataset, opencl: str) -> None:
    whole = run(tall, method="sirt", device=opencl)
    assert len(whole.slabs) == 1
    assert 0 < whole.peak_bytes <= (whole.budget_bytes or 0)
    budget = 10 * 2**20  # a little more than the tables take
    parts = run(tall, method="sirt", device=opencl, memory=budget / 2**30)
    assert parts.budget_bytes == pytest.approx(budget, abs=1)
    assert parts.peak_bytes <= budget
    np.testing.assert_allclose(
        parts.volume.data, whole.volume.data, rtol=0, atol=1e-5 * whole.volume.data.max()
    )


def test_a_budget_that_is_too_small_is_an_error(run: Run, tall: Dataset, opencl: str) -> None:
    with pytest.raises(
        DeviceMemoryError, match=f"a slab of {1 + 2 * LEAST_OVERLAP} slices does not fit the memory"
    ):
        run(tall, device=opencl, memory=1e-4)


def test_a_device_that_has_less_than_it_says_gets_smaller_slabs(
    run: Run, tall: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(tall, method="sirt")
    make = reconstruction.ClassicalMethod.iteration

    def refuse(self: Any, first: int, last: int, *more: Any) -> Any:
        if last - first > 12:
            raise DeviceMemoryError("the device cannot hold 7 MiB")
        return make(self, first, last, *more)

    monkeypatch.setattr(reconstruction.ClassicalMethod, "iteration", refuse)
    parts = run(tall, method="sirt")
    assert [(slab.start, slab.stop) for slab, _ in parts.slabs] == [(0, 10), (10, 20), (20, 30), (30, 40)]
    assert len(parts.notes) == 3
    assert parts.notes[0] == "the device cannot hold 7 MiB. Slices 0 to 39 were split in two"
    np.testing.assert_allclose(
        parts.volume.data, whole.volume.data, rtol=0, atol=1e-5 * whole.volume.data.max()
    )


def test_a_cancel_keeps_the_slabs_that_are_done(tall: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    from chemtomo.recon import ReconstructParameters
    from chemtomo.solvers import Limits

    in_slabs(monkeypatch, 20)
    parameters = ReconstructParameters(method="sirt", device="numpy", crop="none")
    seen: list[tuple[int, int]] = []
    running = reconstruction.reconstruct(tall, parameters, Limits(4), lambda: len(seen) == 6)
    while True:
        try:
            progress = next(running)
        except StopIteration as end:
            result: Reconstructed = end.value
            break
        seen.append((progress.iteration, progress.iterations))
        assert progress.slice(3).any()
        assert progress.slice(30).any() == (progress.iteration > 4)
    assert seen == [(i, 8) for i in range(1, 7)]
    assert [outcome.cancelled for _, outcome in result.slabs] == [False, True]
    assert [outcome.iterations for _, outcome in result.slabs] == [4, 2]
    assert result.volume.data[:, :, 30].any()
