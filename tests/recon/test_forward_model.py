"""Gains, backgrounds, detector shifts, tilts of each channel: a specimen is found with them only."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from chemtomo.data import Alignment, Dataset, TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector
from chemtomo.recon import Reconstructed
from chemtomo.recon.frame import Frame

Run = Callable[..., Reconstructed]
Array = npt.NDArray[np.float64]

EDGE = 24
TILTS = np.arange(-90.0, 90, 7.5)
METHODS = pytest.mark.parametrize(
    "method",
    [
        {"method": "tv", "steps": "fast", "iterations": 150},
        {"method": "tv", "steps": "fast", "iterations": 150, "data_term": "l2"},
        {"method": "sirt", "iterations": 60},
        {"method": "sart", "iterations": 20, "relaxation": 0.2},
        {"method": "mlem", "iterations": 60},
    ],
    ids=["kl", "l2", "sirt", "sart", "mlem"],
)


def specimen() -> Array:
    """A body and grains in it, without any symmetry, (channel, z, y, x); all in view, whatever the tilt."""
    z, y, x = np.meshgrid(
        np.arange(EDGE) - 11.5, np.arange(3), np.arange(EDGE) - 11.5, indexing="ij", sparse=True
    )
    body = 1.0 * (np.hypot(z + 0.7, x - 0.5) < 7)
    grain = (np.hypot(z - 2, x + 2 - 0.4 * y) < 3) | (np.hypot(z + 3.5, x - 2) < 2)
    return np.stack([body * (1 + grain), 2.0 * grain])


def projected(
    volume: Array, tilts: Array = TILTS, columns: int = EDGE + 10, shifts: Array | None = None
) -> Array:
    """Projections (channel, tilt, y, x) as in the conventions, on a detector wider than the specimen."""
    geometry = ParallelBeam(tilts, columns, (EDGE, EDGE), detector_shifts=shifts)
    return np.asarray(Projector(geometry, len(volume), volume.shape[2]).forward(volume))


def error(found: Reconstructed, truth: Array, channel: int = 0) -> float:
    """Distance from the specimen, relative to it."""
    around = (found.volume.data.shape[1] - EDGE) // 2
    inside = slice(around, around + EDGE)
    difference = found.volume.data[channel].astype(np.float64)
    difference[inside, :, inside] -= truth[channel]
    return float(np.linalg.norm(difference) / np.linalg.norm(truth[channel]))


def counts_of(expected: Array, seed: int = 0) -> npt.NDArray[np.uint16]:
    return np.random.default_rng(seed).poisson(expected).astype(np.uint16)


@METHODS
def test_a_pedestal_that_is_known_does_no_harm(run: Run, method: dict[str, Any]) -> None:
    truth = specimen()
    signal = 20 * projected(truth)[0]
    x = np.arange(signal.shape[-1])
    background = np.broadcast_to(40 + 1.5 * x, signal.shape)
    series = TiltSeries("Al", counts_of(signal + background), TILTS, kind="counts")
    without = run(Dataset((series,)), **method)
    known = run(Dataset((series.replace(background=background),)), **method)
    clean = run(Dataset((series.replace(data=counts_of(signal)),)), **method)
    assert error(known, 20 * truth) < 0.35
    # the noise of the background is there, and nothing else
    assert error(known, 20 * truth) < 2.2 * error(clean, 20 * truth)
    assert error(without, 20 * truth) > 1.7 * error(known, 20 * truth)
    mass = known.volume.data.sum(dtype=np.float64) / (20 * truth[0].sum())
    assert mass == pytest.approx(1, abs=0.03)


@METHODS
def test_rows_and_blemishes_that_are_masked_do_no_harm(run: Run, method: dict[str, Any]) -> None:
    """Zeros where nothing was recorded are no measurement; nor is a saturated or a shadowed pixel."""
    truth = specimen()
    signal = 200 * projected(truth)[0]
    valid = np.ones(signal.shape, bool)
    valid[::4, :1] = False
    valid[3] = np.random.default_rng(0).random(valid[3].shape) > 0.3
    series = TiltSeries("A", np.where(valid, signal, 0).astype(np.float32), TILTS)
    clean = error(run(Dataset((series.replace(data=signal.astype(np.float32)),)), **method), 200 * truth)
    masked = error(run(Dataset((series.replace(valid=valid),)), **method), 200 * truth)
    taken = error(run(Dataset((series,)), **method), 200 * truth)
    assert masked < 1.4 * clean
    assert taken > 2 * masked


@METHODS
def test_gains_that_are_known_do_no_harm(run: Run, method: dict[str, Any]) -> None:
    truth = specimen()
    gains = np.linspace(0.5, 1, TILTS.size) ** 2
    signal = 60 * projected(truth)[0]
    series = TiltSeries("Al", counts_of(gains[:, None, None] * signal), TILTS, kind="counts")
    without = run(Dataset((series,)), **method)
    known = run(Dataset((series.replace(gains=gains),)), **method)
    assert error(known, 60 * truth) < 0.22
    assert error(without, 60 * truth) > 1.5 * error(known, 60 * truth)
    mass = known.volume.data.sum(dtype=np.float64) / (60 * truth[0].sum())
    assert mass == pytest.approx(1, abs=0.02)


@METHODS
def test_shifts_of_parts_of_a_pixel_are_taken_into_the_geometry(run: Run, method: dict[str, Any]) -> None:
    """Intensities without noise: shifted or not, the answers are as far from the specimen."""
    truth = specimen()
    shifts = np.random.default_rng(4).uniform(-3, 3, TILTS.size)
    straight = TiltSeries("HAADF", projected(truth)[0], TILTS)
    moved = TiltSeries("HAADF", projected(truth, shifts=shifts)[0], TILTS, detector_shifts_px=shifts)
    expected = run(Dataset((straight,)), **method)
    found = run(Dataset((moved,)), **method)
    ignored = run(Dataset((moved.replace(detector_shifts_px=None),)), **method)
    assert error(expected, truth) < 0.2
    assert error(found, truth) < 1.15 * error(expected, truth)
    assert error(ignored, truth) > 2 * error(found, truth)
    apart = np.linalg.norm(found.volume.data - expected.volume.data) / np.linalg.norm(expected.volume.data)
    assert apart < 0.12


@pytest.mark.parametrize("crop", ["none", "auto"])
def test_shifts_by_whole_pixels_make_no_difference(run: Run, crop: str) -> None:
    """The same numbers elsewhere on the detector, of which less or more is cut off."""
    shifts = np.random.default_rng(4).integers(-4, 5, TILTS.size)
    straight = TiltSeries("HAADF", projected(specimen())[0], TILTS)
    data = np.stack([np.roll(one, shift, axis=-1) for one, shift in zip(straight.data, shifts, strict=True)])
    moved = straight.replace(data=data, detector_shifts_px=shifts)
    expected = run(Dataset((straight,)), method="sirt", iterations=20, crop="none")
    found = run(Dataset((moved,)), method="sirt", iterations=20, crop=crop)
    inside = (..., slice(8, -8), slice(None), slice(8, -8))
    np.testing.assert_allclose(
        found.volume.data[inside],
        expected.volume.data[inside],
        atol=2e-2 * float(expected.volume.data.max()),
    )


# Tilts that differ from channel to channel


def of_two_kinds(counts: float = 3.0) -> Dataset:
    """HAADF at all tilts, and a map of every fourth of them."""
    haadf, grains = projected(specimen())
    few = np.arange(1, TILTS.size, 4)
    return Dataset(
        (
            TiltSeries("HAADF", counts_of(400 * haadf).astype(np.float32) / 400, TILTS),
            TiltSeries("Al", counts_of(counts * grains[few]), TILTS[few] + 0.004, kind="counts"),
        )
    )


@pytest.mark.parametrize("device", ["numpy", "opencl"], indirect=True)
def test_a_map_of_few_tilts_is_helped_by_one_of_many(run: Run, device: str) -> None:
    truth = specimen() * np.array([1.0, 3.0])[:, None, None, None]
    dataset = of_two_kinds()
    common: dict[str, Any] = {"method": "tv", "steps": "fast", "iterations": 200, "device": device}
    joint = run(dataset, **common)
    alone = run(dataset.select(["Al"]), **common)
    assert joint.tilts == (24, 6)
    assert error(joint, truth) < 0.15
    assert error(joint, truth, 1) < 0.9 * error(alone, truth[1:])
    assert error(joint, truth, 1) < 0.25


def test_the_two_backends_agree_on_tilts_that_differ(run: Run, opencl: str) -> None:
    dataset = of_two_kinds()
    for method in ({"method": "sirt"}, {"method": "tgv", "steps": "fast", "dims": 3, "iterations": 40}):
        expected, found = run(dataset, **method), run(dataset, device=opencl, **method)
        np.testing.assert_allclose(
            found.volume.data, expected.volume.data, rtol=0, atol=1e-4 * expected.volume.data.max()
        )


def test_sirt_of_a_channel_is_that_of_it_alone(run: Run) -> None:
    dataset = of_two_kinds().map(lambda series: series.replace(tilts_deg=np.round(series.tilts_deg, 1)))
    together = run(dataset, method="sirt", iterations=10)
    for name in dataset.names:
        alone = run(dataset.select([name]), method="sirt", iterations=10)
        np.testing.assert_allclose(
            together.volume[name], alone.volume[name], atol=1e-4 * alone.volume[name].max()
        )


def test_an_uncoupled_channel_is_solved_as_if_alone(run: Run) -> None:
    """But for the norm of the projector, which is that of all tilts, and the unit of the regulariser."""
    dataset = of_two_kinds()
    norms = [
        Projector(Frame.of(some, None, "none", False).geometry, 1, 1).norm()
        for some in (dataset, dataset.select(["Al"]))
    ]
    common: dict[str, Any] = {"method": "tv", "steps": "fast", "coupling": "none", "iterations": 400}
    together = run(dataset, **common)
    alone = run(dataset.select(["Al"]), strength=norms[0] / norms[1], **common)
    apart = np.linalg.norm(together.volume["Al"] - alone.volume["Al"]) / np.linalg.norm(alone.volume["Al"])
    assert apart < 0.02


def test_leaving_bad_projections_of_one_channel_out(run: Run) -> None:
    """A projection that is nonsense in one channel: that does better without it, and the other keeps it."""
    truth = specimen()
    haadf, grains = projected(truth)
    map_of_grains = counts_of(20 * grains).astype(np.float64)
    map_of_grains[5] = 60
    good = np.delete(np.arange(TILTS.size), 5)
    whole = TiltSeries("Al", map_of_grains, TILTS, kind="counts")
    without = TiltSeries("Al", map_of_grains[good], TILTS[good], kind="counts")
    other = TiltSeries("HAADF", haadf, TILTS)
    common: dict[str, Any] = {"method": "tv", "steps": "fast", "iterations": 100}
    kept = run(Dataset((other, whole)), **common)
    left_out = run(Dataset((other, without)), **common)
    scaled = truth * np.array([1.0, 20.0])[:, None, None, None]
    assert left_out.tilts == (24, 23)
    assert error(left_out, scaled, 1) < 0.7 * error(kept, scaled, 1)


def test_everything_at_once_on_both_backends(run: Run, opencl: str) -> None:
    truth = specimen()
    generator = np.random.default_rng(1)
    few = np.arange(1, TILTS.size, 3)
    shifts = generator.uniform(-2, 2, TILTS.size)
    haadf, grains = projected(truth, shifts=shifts)
    gains = generator.uniform(0.5, 1, few.size)
    background = np.full(grains[few].shape, 2.5)
    expected = gains[:, None, None] * 30 * grains[few] + background
    dataset = Dataset(
        (
            TiltSeries("HAADF", haadf, TILTS, detector_shifts_px=shifts),
            TiltSeries(
                "Al",
                counts_of(expected),
                TILTS[few],
                kind="counts",
                detector_shifts_px=shifts[few],
                gains=gains,
                background=background,
            ),
        )
    )
    scaled = truth * np.array([1.0, 30.0])[:, None, None, None]
    for method in (
        {"method": "tgv", "steps": "fast", "iterations": 200, "dims": 3},
        {"method": "sirt", "iterations": 40},
    ):
        reference = run(dataset, crop="auto", **method)
        found = run(dataset, crop="auto", device=opencl, **method)
        assert error(found, scaled) < 0.2
        assert error(found, scaled, 1) < (0.35 if method["method"] == "sirt" else 0.25)
        limit = 1e-3 * reference.volume.data.reshape(2, -1).max(axis=1)
        assert (np.abs(found.volume.data - reference.volume.data).max(axis=(1, 2, 3)) < limit).all()


# The frame


def test_the_frame_keeps_every_projection_where_it_belongs() -> None:
    dataset = of_two_kinds()
    frame = Frame.of(dataset, (1, 3), "none", False)
    few = np.arange(1, TILTS.size, 4)
    np.testing.assert_array_equal(frame.geometry.tilts_deg, -TILTS)
    np.testing.assert_array_equal(frame.gains[0], 1)
    np.testing.assert_array_equal(np.flatnonzero(frame.gains[1]), few)
    sinograms = frame.sinograms()
    np.testing.assert_array_equal(sinograms[1, few], dataset["Al"].data[:, 1:3].astype(np.float32))
    assert not np.delete(sinograms[1], few, axis=0).any()
    assert frame.backgrounds() is None


def test_the_automatic_crop_keeps_the_specimen_at_every_tilt() -> None:
    shifts = np.where(np.arange(TILTS.size) % 2, 6.0, -5.0)
    volume = specimen()
    series = TiltSeries(
        "HAADF", projected(volume, columns=80, shifts=shifts)[0], TILTS, detector_shifts_px=shifts
    )
    frame = Frame.of(Dataset((series,)), None, "auto", False)
    start, stop = frame.columns
    assert start > 0
    assert stop < 80
    assert not series.data[:, :, :start].any()
    assert not series.data[:, :, stop:].any()
    assert stop - start <= 2 * (8 + 6 + 5 + 2)
    # and its projections in the frame's own geometry are these
    whole = np.pad(volume[:1], ((0, 0), (28, 28), (0, 0), (28, 28)))
    cropped = whole[:, slice(*frame.rows), :, slice(*frame.columns)][:, ::-1]
    expected = Projector(frame.geometry, 1, 3).forward(np.ascontiguousarray(cropped))
    np.testing.assert_allclose(frame.sinograms(), expected, atol=1e-4)


def test_an_axis_beside_the_columns_in_one_projection() -> None:
    shifts = np.zeros(TILTS.size)
    shifts[3] = 9
    series = TiltSeries("HAADF", projected(specimen(), shifts=shifts)[0], TILTS, detector_shifts_px=shifts)
    with pytest.raises(ParameterError, match=r"x = 25.5 of the projection at -67.5 degrees .* 10:24"):
        Frame.of(Dataset((series,)), None, (10, 24), False)


def test_an_alignment_that_is_not_applied_is_refused() -> None:
    series = TiltSeries("HAADF", projected(specimen())[0], TILTS)
    matrices = np.tile(np.eye(2, 3), (TILTS.size, 1, 1))
    waiting = series.replace(alignment=Alignment("HAADF", TILTS, matrices))
    with pytest.raises(DataError, match="'HAADF' has an alignment that is not applied; expected aligned"):
        Frame.of(Dataset((waiting,)), None, "none", False)


def test_a_negative_background_is_refused_for_kullback_leibler(run: Run) -> None:
    series = TiltSeries("Al", counts_of(projected(specimen())[0]), TILTS, kind="counts")
    below = series.replace(background=np.full(series.shape, -0.5))
    with pytest.raises(DataError, match=r"'Al' has a background down to -0.5; expected none below 0"):
        run(Dataset((below,)), method="tv")
    run(Dataset((below,)), method="tv", data_term="l2")


@pytest.mark.parametrize("method", ["fbp", "sirt", "mlem", "tv"])
def test_lazy_data_give_the_same(run: Run, method: str) -> None:
    import dask.array

    dataset = of_two_kinds()
    background = np.full(dataset["Al"].shape, 0.1)
    dataset = Dataset((dataset["HAADF"], dataset["Al"].replace(background=background)))

    def lazy(series: TiltSeries) -> TiltSeries:
        changes = {"data": dask.array.from_array(series.data, chunks=(1, 3, 34))}
        if series.background is not None:
            changes["background"] = dask.array.from_array(series.background, chunks=(2, 3, 34))
        return dataclasses.replace(series, **changes)

    expected = run(dataset, method=method, crop="auto")
    found = run(dataset.map(lazy), method=method, crop="auto")
    np.testing.assert_array_equal(found.volume.data, expected.volume.data)
