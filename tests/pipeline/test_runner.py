"""Running a recipe: what is yielded, reported, recorded and left alone."""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import Any

import numpy as np
import pytest
from tests.pipeline.running import execute, run

import chemtomo
from chemtomo.data import Alignment, Dataset, TiltSeries
from chemtomo.data.fingerprint import series_digest
from chemtomo.errors import DataError, ParameterError
from chemtomo.pipeline import Recipe
from chemtomo.pipeline.jobs.reconstruct import Result
from chemtomo.preprocess.values.intensity import PublishedScaling
from chemtomo.recon import ReconstructParameters, reconstruction
from chemtomo.solvers import Progress


def few(**changes: Any) -> ReconstructParameters:
    """A few iterations in NumPy, to the limit."""
    defaults = {"device": "numpy", "iterations": 7, "report_every": 3, "tolerance": 0}
    return ReconstructParameters(**(defaults | changes))


def digests(dataset: Dataset) -> list[str]:
    return [hashlib.sha256(series.data.tobytes()).hexdigest() for series in dataset]


# Progress


@pytest.mark.parametrize("method", ["sirt", "sart", "cgls", "mlem", "tgv"])
@pytest.mark.parametrize("crop", ["none", "auto"])
def test_a_progress_after_every_iteration(dataset: Dataset, method: str, crop: str) -> None:
    seen: list[Progress] = []
    shown: list[np.ndarray] = []

    def look(progress: Progress) -> None:
        seen.append(progress)
        shown.append(progress.slice(1))

    result = execute(dataset, few(method=method, slices=(1, 4), crop=crop), on_progress=look)
    assert [(one.iteration, one.iterations) for one in seen] == [(i, 7) for i in range(1, 8)]
    assert [one.iteration for one in seen if one.record] == [1, 3, 6, 7]
    assert (np.diff([one.seconds for one in seen]) >= 0).all()
    np.testing.assert_array_equal(shown[-1], result.volume.data[:, :, 1])
    assert all(one.shape == (4, 16, 16) for one in shown)
    for one, other in itertools.pairwise(shown):
        assert (one != other).any()


def test_a_run_is_a_generator_that_returns_its_result(dataset: Dataset) -> None:
    running = run(dataset, few())
    assert next(running).iteration == 1
    for _ in range(6):
        last = next(running)
    assert last.record is not None
    with pytest.raises(StopIteration) as end:
        next(running)
    result = end.value.value
    assert isinstance(result, Result)
    expected = execute(dataset, few())
    np.testing.assert_array_equal(result.volume.data, expected.volume.data)


def test_a_run_that_is_closed_ends(dataset: Dataset) -> None:
    running = run(dataset, few())
    next(running)
    running.close()
    with pytest.raises(StopIteration):
        next(running)


# Report


@pytest.mark.parametrize("method", ["sirt", "sart", "cgls", "mlem", "tv", "tgv"])
def test_the_report(dataset: Dataset, method: str) -> None:
    report = execute(dataset, few(method=method)).report
    assert json.loads(json.dumps(report)) == report
    assert report["method"] == method
    assert report["device"] == "numpy"
    assert report["iterations"] == 7
    assert report["seconds"] > 0
    assert report["seconds_per_iteration"] == pytest.approx(report["seconds"] / 7)
    assert report["stopped"] == "the limit of 7 iterations was reached"
    assert report["cancelled"] is False
    history = report["history"]
    assert [one["iteration"] for one in history] == [1, 3, 6, 7]
    seconds = [one["seconds"] for one in history]
    assert seconds == sorted(seconds)
    assert seconds[-1] == report["seconds"]
    objectives = [one["objective"] for one in history]
    assert objectives[-1] < objectives[0]
    for one in history:
        assert list(one["data"]) == list(dataset.names)
        assert ("gap" in one) == (method in ("tv", "tgv"))


def test_the_parts_of_the_published_objective(dataset: Dataset) -> None:
    mu = {"HAADF": 1e-4, "Yb": 0.01, "Si": 0.02, "Al": 0.03}
    report = execute(dataset, few(normalisation="paper", mu=mu)).report
    for one in report["history"]:
        weighted = sum(mu[name] * value for name, value in one["data"].items())
        assert one["objective"] == pytest.approx(weighted + one["regulariser"], rel=1e-6)


# Recipe


def test_the_recipe_repeats_the_result(dataset: Dataset) -> None:
    scaling = PublishedScaling(threshold=0.1)
    result = execute(dataset, few(method="tv", mu={"Al": 2.0}, slices=(0, 3)), [scaling])
    found = json.loads(json.dumps(result.volume.provenance))
    assert found["program"] == chemtomo.__version__
    assert found["device"] == "numpy"
    (given,) = found["inputs"]
    assert given["sample"] == "phantom"
    assert [one["name"] for one in given["signals"]] == list(dataset.names)
    assert [one["sha256"] for one in given["signals"]] == [series_digest(one) for one in dataset]
    assert [one["step"] for one in found["steps"]] == ["published_scaling", "reconstruct"]
    assert found["steps"][0] == {"step": "published_scaling", "threshold": 0.1}
    again = chemtomo.run(Recipe.from_json(found))
    np.testing.assert_array_equal(again.data, result.volume.data)
    assert again.provenance == result.volume.provenance


@pytest.mark.parametrize(
    "choices",
    [
        {"method": "fbp", "filter": "cosine", "nonnegative": False},
        {"method": "sart", "order": "random", "seed": 3, "maximum": 5.0},
        {"method": "mlem", "subsets": 3},
        {"method": "dart", "grey_levels": (0.0, 2.0), "free_share": 0.3},
    ],
    ids=lambda choices: choices["method"],
)
def test_the_recipe_of_every_kind_of_method_repeats_the_result(
    dataset: Dataset, choices: dict[str, Any]
) -> None:
    result = execute(dataset, few(slices=(0, 2), iterations=3, **choices))
    found = json.loads(json.dumps(result.volume.provenance))
    again = chemtomo.run(Recipe.from_json(found))
    np.testing.assert_array_equal(again.data, result.volume.data)


def test_the_volume_has_names_and_the_size_of_its_voxels(dataset: Dataset) -> None:
    volume = execute(dataset, few(slices=(1, 3))).volume
    assert volume.names == dataset.names
    assert volume.voxel_size_nm == dataset.series[0].pixel_size_nm
    assert volume.shape == (16, 2, 16)
    assert volume.origin_px == (0, 1, 0)
    assert volume.data.dtype == np.float32
    assert volume.data.min() == 0


# Inputs


@pytest.mark.parametrize("method", ["fbp", "sirt", "mlem", "dart", "tgv"])
@pytest.mark.parametrize("operations", [(), (PublishedScaling(),)])
def test_inputs_are_left_alone(
    dataset: Dataset, method: str, operations: tuple[PublishedScaling, ...]
) -> None:
    for series in dataset:
        series.data.setflags(write=False)
    try:
        before = digests(dataset)
        execute(dataset, few(method=method, iterations=2, preview=True), operations)
        execute(dataset, few(method=method, iterations=2), operations)
        assert digests(dataset) == before
    finally:
        for series in dataset:
            series.data.setflags(write=True)


def test_a_result_does_not_change_when_the_next_run_does(dataset: Dataset) -> None:
    running = run(dataset, few(method="sirt"))
    first = next(running).slice(0)
    kept = first.copy()
    for _ in running:
        pass
    np.testing.assert_array_equal(first, kept)


# Cancel


@pytest.mark.parametrize("method", ["sirt", "sart", "cgls", "mlem", "dart", "tgv"])
def test_a_cancel_keeps_the_last_iterate(dataset: Dataset, method: str) -> None:
    done = []
    result = execute(
        dataset,
        few(method=method),
        on_progress=lambda progress: done.append(progress.iteration),
        should_stop=lambda: len(done) == 4,
    )
    assert done == [1, 2, 3, 4]
    assert result.report["cancelled"] is True
    assert result.report["stopped"] == "cancelled after 4 of 7 iterations"
    assert [one["iteration"] for one in result.report["history"]] == [1, 3, 4]
    expected = execute(dataset, few(method=method, iterations=4))
    np.testing.assert_array_equal(result.volume.data, expected.volume.data)


def test_a_cancel_before_the_first_iteration(dataset: Dataset) -> None:
    result = execute(dataset, few(), should_stop=lambda: True)
    assert result.report["iterations"] == 0
    assert result.report["history"] == []
    assert result.report["cancelled"] is True
    assert not result.volume.data.any()
    assert json.dumps(result.report)


# Tolerance


def test_the_tolerance_stops_and_its_gap_is_above_the_true_distance(dataset: Dataset) -> None:
    common = {"method": "tv", "strength": 5.0, "report_every": 10}
    best = execute(dataset, few(**common, iterations=1000)).report["history"][-1]
    result = execute(dataset, few(**common, iterations=1000, tolerance=0.02))
    report = result.report
    last = report["history"][-1]
    assert 10 <= report["iterations"] < 1000
    assert last["iteration"] == report["iterations"]
    assert report["stopped"].startswith(f"converged after {report['iterations']} iterations")
    assert 0 < last["gap"] <= 0.02
    assert last["objective"] - best["objective"] <= last["gap"] * last["objective"]
    assert best["gap"] < 0.002
    for one in report["history"][1:]:  # the box of the first image is too small
        assert one["objective"] - best["objective"] <= one["gap"] * one["objective"]


def test_without_a_tolerance_all_iterations_are_done(dataset: Dataset) -> None:
    report = execute(dataset, few(method="tv", strength=5.0, iterations=300, tolerance=0)).report
    assert report["iterations"] == 300


# Preprocessing


def test_scaling_comes_before_slices_are_chosen(dataset: Dataset) -> None:
    scaled = PublishedScaling().apply(dataset)
    expected = execute(scaled, few(slices=(1, 2))).volume.data
    found = execute(dataset, few(slices=(1, 2)), [PublishedScaling()])
    np.testing.assert_array_equal(found.volume.data, expected)


# What is refused


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"metod": "tgv"}, "metod: .*'tgv'"),
        ({"method": "art"}, "method: .*'sirt', .* or 'auto'; found 'art'"),
        ({"iterations": 0}, "iterations: .*greater than or equal to 1; found 0"),
        ({"mu": {"Al": -1}}, "mu.Al: .*greater than 0; found -1"),
        ({"slices": (3, 2)}, "reconstruct: slices: found 3:2; expected 0 <= START < STOP$"),
    ],
)
def test_parameters_that_are_refused(dataset: Dataset, parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        chemtomo.reconstruct(dataset, **parameters)


def test_ranges_that_do_not_fit_the_data(dataset: Dataset) -> None:
    with pytest.raises(ParameterError, match="slices 2:5 do not fit tilt series 'HAADF'"):
        chemtomo.reconstruct(dataset, slices=(2, 5), device="numpy")


# What the forward model has besides the sample


def shifted_down(dataset: Dataset, rows: int, across: float) -> Dataset:
    """The dataset as if recorded with a shift, and the alignment that takes it back."""

    def move(series: TiltSeries) -> TiltSeries:
        tilts = len(series.tilts_deg)
        matrices = np.tile(np.array([[1.0, 0, rows], [0, 1, across]]), (tilts, 1, 1))
        alignment = Alignment("HAADF", series.tilts_deg, matrices)
        return series.replace(data=np.roll(series.data, rows, axis=1), alignment=alignment)

    return dataset.map(move)


@pytest.mark.parametrize("method", ["sirt", "tv"])
def test_a_series_with_an_alignment_is_aligned_first(dataset: Dataset, method: str) -> None:
    padded = dataset.map(lambda series: series.replace(data=np.pad(series.data, ((0, 0), (2, 2), (3, 3)))))
    recorded = shifted_down(padded, 1, 0.3)
    common = few(method=method, iterations=4)
    found = execute(recorded, common)
    shifts = np.full(9, 0.3)
    recorded_rows = np.ones(padded.series[0].shape, dtype=bool)
    recorded_rows[:, -1] = False
    expected = execute(
        padded.map(lambda series: series.replace(detector_shifts_px=shifts, valid=recorded_rows)), common
    )
    np.testing.assert_allclose(found.volume.data, expected.volume.data, rtol=1e-6, atol=1e-6)
    recipe = json.loads(json.dumps(found.volume.provenance))
    first, second = recipe["steps"]
    assert (first["step"], second["step"]) == ("use_alignment", "reconstruct")
    assert list(first["alignments"]) == list(dataset.names)
    for series in recorded:
        again = Alignment.from_json(first["alignments"][series.name])
        np.testing.assert_array_equal(again.matrices, series.alignment.matrices)
    (given,) = recipe["inputs"]
    assert given["kind"] == "memory"  # no step pads and rolls the data like this
    assert [one["sha256"] for one in given["signals"]] == [series_digest(one) for one in recorded]


def test_the_report_says_how_many_tilts_each_channel_has(dataset: Dataset) -> None:
    few = dataset["Al"].replace(data=dataset["Al"].data[::3], tilts_deg=dataset["Al"].tilts_deg[::3])
    mixed = Dataset((dataset["HAADF"], few))
    for method in ("sirt", "tgv"):
        assert execute(mixed, few_iterations(method)).report["tilts"] == {"HAADF": 9, "Al": 3}


def few_iterations(method: str) -> ReconstructParameters:
    return few(method=method, iterations=2)


def test_the_recipe_of_a_lazy_series_with_everything(dataset: Dataset) -> None:
    import dask.array

    series = dataset["Al"]
    background = np.full(series.shape, 0.5)
    seen: list[int] = []

    def block(data: np.ndarray) -> np.ndarray:
        seen.append(data.nbytes)
        return data

    lazy = dask.array.from_array(series.data, chunks=(1, 4, 16)).map_blocks(block, meta=series.data[:0])
    gains = np.linspace(0.5, 1, 9)
    whole = series.replace(
        data=lazy, background=background, gains=gains, detector_shifts_px=np.linspace(-0.2, 0.2, 9)
    )
    result = execute(Dataset((whole,)), few(iterations=1))
    assert len(seen) <= 2 * 9  # for the recipe and for the reconstruction
    (given,) = result.volume.provenance["inputs"]
    assert given["signals"] == [{"name": "Al", "sha256": series_digest(whole)}]
    assert max(seen) == series.data[0].nbytes


@pytest.mark.parametrize("method", ["sirt", "tgv"])
def test_signed_intensities_are_reconstructed_from_vacuum(dataset: Dataset, method: str) -> None:
    """An offset of the detector, which drifts, and a signed type: the same volume, with a note."""
    haadf = dataset.select(["HAADF"]).series[0]
    rows = np.repeat(haadf.data, 8, axis=1)  # the level is found in tiles of a few pixels
    wide = np.pad(rows, ((0, 0), (0, 0), (16, 16))).astype(np.float64)
    noise = np.random.default_rng(0).normal(0, 0.002 * wide.max(), wide.shape)
    signal = haadf.replace(data=(wide + noise + 0.1 * wide.max()).astype(np.float32))
    drift = np.linspace(-0.01, 0.01, haadf.shape[0])[:, None, None] * wide.max() - 0.5 * wide.max()
    signed = signal.replace(data=(signal.data + drift).astype(np.float32))
    common = few(method=method, iterations=10)
    expected, found = execute(Dataset((signal,)), common), execute(Dataset((signed,)), common)
    assert found.volume.data.min() >= 0
    away = np.linalg.norm(found.volume.data - expected.volume.data)
    assert away < 0.02 * np.linalg.norm(expected.volume.data)
    assert any("vacuum" in note for note in found.report["memory"]["notes"])
    as_it_is = common.model_copy(update={"vacuum": "zero"})
    if method == "tgv":
        with pytest.raises(DataError, match="negative"):
            execute(Dataset((signed,)), as_it_is)


@pytest.mark.parametrize(
    ("choices", "named"),
    [({"method": "tv"}, 2), ({"method": "tv", "dims": 2}, None), ({"method": "sirt"}, None)],
)
def test_slabs_that_change_the_numbers_are_in_the_recipe(monkeypatch, choices, named):
    tall = chemtomo.phantom((30, 16), tilts=5)
    options = {"device": "numpy", "steps": "paper", "iterations": 15, "tolerance": 0.0, **choices}
    plan = reconstruction.plan_slabs
    with monkeypatch.context() as small:
        small.setattr(
            reconstruction, "plan_slabs", lambda slices, overlap, *_: plan(slices, overlap, lambda n: n <= 26)
        )
        made = chemtomo.reconstruct(tall, **options)
    assert len(made.report["slabs"]) == 2
    assert made.volume.provenance["steps"][-1].get("slabs") == named
    again = chemtomo.run(Recipe.from_json(made.volume.provenance))
    np.testing.assert_array_equal(again.data, made.volume.data)
    if named:
        assert (chemtomo.reconstruct(tall, **options).volume.data != made.volume.data).any()
