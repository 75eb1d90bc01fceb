"""Recipes: what they do, that they are kept as JSON, and that a provenance does the same again."""

from __future__ import annotations

import json

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import ChemTomoError, ParameterError, ReadError
from chemtomo.io import read
from chemtomo.parameters import listed_numbers
from chemtomo.pipeline import Entry, Recipe
from chemtomo.pipeline.jobs.prepare import operation_of, prepare, prepare_job
from chemtomo.pipeline.recipes.saved_steps import load_operations
from chemtomo.preprocess import bin_pixels, crop_detector, remove_hot_pixels
from chemtomo.preprocess.operations import (
    OPERATIONS,
    Background,
    BandPass,
    Bin,
    Brightness,
    ClipNegative,
    Crop,
    Dose,
    DropTilts,
    Gaussian,
    HotPixels,
    MaskPixels,
    Median,
    Pad,
    PublishedScaling,
    ScanDriftStep,
    Select,
    Sobel,
    SortTilts,
)
from chemtomo.preprocess.stacks import lazy_series

TILTS = np.array([20.0, -40, 0, 60, -10, 35])

EXAMPLES = [
    Crop(x=(4, 60), y=(2, 50)),
    Pad(x=3, y=2),
    Bin(factor=2),
    DropTilts(projections=(1,)),
    DropTilts(largest_deg=50),
    SortTilts(),
    HotPixels(),
    MaskPixels(pixels="1/2:9/3:8"),
    Background(),
    Background(method="otsu"),
    Background(method="constant", level=0.25),
    Background(method="threshold", level=22, clear=True),
    Background(method="offset", channels=("HAADF",)),
    Brightness(),
    Brightness(method="gain", smooth_deg=60),
    ClipNegative(),
    PublishedScaling(),
    Median(),
    Gaussian(),
    BandPass(),
    Sobel(channels=("HAADF",)),
    Select(channels=("Al", "HAADF")),
    Dose(doses=(1, 2, 3, 4, 5, 6)),
    ScanDriftStep(fast="HAADF", blocks=3),
]


@pytest.fixture(scope="module")
def dataset():
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:52, :64]
    disc = np.exp(-(((rows - 26) / 9) ** 2 + ((columns - 30) / 11) ** 2)) * (1 + rng.random((52, 64)))
    bright = (100 * disc + 20 + rng.normal(0, 1, (6, 52, 64))).astype(np.float32)
    counts = rng.poisson(3 * disc + 0.2, (6, 52, 64)).astype(np.uint16)
    for array in (bright, counts):
        array.setflags(write=False)
    return Dataset((TiltSeries("HAADF", bright, TILTS, 2.0), TiltSeries("Al", counts, TILTS, 2.0, "counts")))


def assert_same(found, expected):
    assert found.names == expected.names
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.values(), other.values())
        np.testing.assert_array_equal(one.tilts_deg, other.tilts_deg)
        for name in ("gains", "background"):
            ours, theirs = getattr(one, name), getattr(other, name)
            assert (ours is None) == (theirs is None)
            if ours is not None:
                np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
        assert one.axis_position == other.axis_position
        assert one.kind == other.kind
        assert one.provenance == other.provenance


def recorded_operations(series):
    """The operations that the records of a series say."""
    return [operation_of({"step": one["step"], **one["parameters"]}) for one in series.provenance]


def test_there_is_an_example_of_every_operation():
    assert {one.operation for one in EXAMPLES} == set(OPERATIONS)


@pytest.mark.parametrize("step", EXAMPLES, ids=lambda step: step.operation)
def test_a_step_is_recorded_so_that_it_can_be_done_again(dataset, step):
    done = prepare(dataset, [step])
    for before in dataset:
        after = done[before.name]
        touched = before.name in step.chosen(dataset) and getattr(step, "fast", None) != before.name
        if touched:
            (record,) = after.provenance
            assert record["step"] == step.operation
            assert recorded_operations(after) == [step]
            json.dumps(record)
        else:
            assert after.provenance == ()
            np.testing.assert_array_equal(after.data, before.data)


@settings(max_examples=25)
@given(steps=st.lists(st.sampled_from(EXAMPLES[:-3]), min_size=1, max_size=4))
def test_what_the_provenance_says_gives_identical_data(dataset, steps):
    try:
        done = prepare(dataset, steps)
    except ChemTomoError:
        return  # such as dropping a tilt that is gone: it fails in any order
    for before, after in zip(dataset, done, strict=True):
        again = prepare(Dataset((before,)), recorded_operations(after))
        assert_same(again, Dataset((after,)))
    assert all((one.data >= 0).all() for one in done if one.kind == "counts")


def test_a_recipe_is_the_functions_one_after_the_other(dataset):
    done = prepare(dataset, [HotPixels(), Crop(x=(4, 60)), Bin(factor=2)])["Al"]
    expected = bin_pixels(crop_detector(remove_hot_pixels(dataset["Al"]), 4, 60), 2)
    np.testing.assert_array_equal(done.data, expected.data)
    assert done.axis_position == expected.axis_position
    assert [entry["did"][0]["step"] for entry in done.provenance] == [
        "remove_hot_pixels",
        "crop_detector",
        "bin_pixels",
    ]


def test_lazy_series_stay_lazy_and_are_the_same(dataset):
    steps = [HotPixels(), Background(method="otsu"), Brightness(), SortTilts(), Bin(factor=2)]
    lazy = prepare(dataset.map(lazy_series), steps)
    assert all(isinstance(one.data, da.Array) for one in lazy)
    eager = prepare(dataset, steps)
    assert all(isinstance(one.data, np.ndarray) for one in eager)
    assert isinstance(eager["Al"].background, np.ndarray)
    assert_same(lazy, eager)
    *_, last = prepare_job(dataset.map(lazy_series), steps, in_memory=True)
    assert (last.done, last.total) == (12, 12)


def test_it_tells_its_progress(dataset):
    seen = []
    prepare(dataset, [Bin(), Pad(x=1)], on_progress=seen.append)
    assert [one.message for one in seen] == ["Bin", "Pad", *["HAADF"] * 6, *["Al"] * 6]
    assert (seen[-1].done, seen[-1].total) == (12, 12)


def test_operations_are_kept_as_a_recipe(tmp_path):
    Recipe(steps=tuple(Entry(one.operation, one) for one in EXAMPLES)).save(tmp_path / "steps.toml")
    assert load_operations(tmp_path / "steps.toml") == tuple(EXAMPLES)


def test_a_list_of_the_first_version_is_read(tmp_path):
    (tmp_path / "list.json").write_text(
        '[{"operation": "bin", "factor": 3, "channels": "HAADF, Al"}, '
        '{"operation": "drop_tilts", "projections": "3,7:9"}, {"operation": "dose", "doses": "1 2.5"}]'
    )
    assert load_operations(tmp_path / "list.json") == (
        Bin(factor=3, channels=("HAADF", "Al")),
        DropTilts(projections=(3, 7, 8)),
        Dose(doses=(1, 2.5)),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no", "found no JSON"),
        ('[{"operation": "sharpen"}]', "step 1: .*sharpen"),
        ('[{"operation": "bin"}, {"operation": "bin", "factor": 0}]', r"step 2 \(bin\): factor: .*found 0"),
        ('[{"operation": "crop", "x": [9, 2]}]', r"step 1 \(crop\): x: found 9:2"),
        ('{"version": 9, "steps": []}', "version: .*found 9"),
        ("[7]", "step 1: .*found 7"),
    ],
)
def test_a_recipe_that_is_wrong_is_refused_with_its_step(tmp_path, text, said):
    path = tmp_path / "steps.json"
    path.write_text(text)
    with pytest.raises(ReadError, match=rf"steps\.json: {said}"):
        load_operations(path)


def test_a_recipe_that_is_not_there():
    with pytest.raises(ReadError, match=r"nowhere\.json: cannot be read"):
        load_operations("nowhere.json")


@pytest.mark.parametrize(
    ("text", "numbers"), [("", ()), ("3,7, 40:43", (3, 7, 40, 41, 42)), ("5 5:7", (5, 6)), ("4:4", ())]
)
def test_lists_of_numbers(text, numbers):
    assert listed_numbers(text) == numbers


@pytest.mark.parametrize("text", ["a", "3-5", "-1", "1.5", "3::4", "0x1"])
def test_what_is_no_list_of_numbers(text):
    with pytest.raises(ParameterError, match="expected a list such as 3,7,40:45"):
        listed_numbers(text)
    with pytest.raises(ValidationError, match="expected a list such as"):
        DropTilts(projections=text)


def test_channels_by_name_or_prefix(dataset):
    done = prepare(dataset, [Bin(channels=("A",))])
    assert [one.shape[2] for one in done] == [64, 32]
    with pytest.raises(ParameterError, match="channel 'Fe' fits none"):
        prepare(dataset, [Bin(channels=("Al", "Fe"))])


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (ScanDriftStep(), "found no fast image"),
        (ScanDriftStep(fast="Al"), "found no counts to sum"),
        (Dose(), "found 0 doses"),
        (Background(method="offset"), "'Al': found counts"),
    ],
)
def test_what_cannot_be_done_is_refused(dataset, step, said):
    with pytest.raises(ParameterError, match=said):
        prepare(dataset, [step])


def test_a_level_is_asked_for():
    with pytest.raises(ValidationError, match="level: found none"):
        Background(method="constant")


def test_drift_is_found_in_the_sum_of_all_counts(dataset):
    """The element maps of one scan are corrected alike, and the fast image stays."""
    rng = np.random.default_rng(1)
    image = np.kron(rng.random((16, 16)), np.ones((8, 8)))[None]
    shear = np.array([[np.roll(row, round(0.06 * (y - 63.5))) for y, row in enumerate(image[0])]])
    maps = [TiltSeries(name, rng.poisson(4 * shear), [0], kind="counts") for name in ("Fe", "O")]
    given_data = Dataset((TiltSeries("fast", image, [0]), *maps))
    done = prepare(given_data, [ScanDriftStep(fast="fast")])
    np.testing.assert_array_equal(done["fast"].data, image)
    for name in ("Fe", "O"):
        found = done[name].provenance[0]["did"][0]["speed_px"]
        np.testing.assert_allclose(found, [(0, 0.06)], atol=0.006)
        before, after = (
            np.corrcoef(one[name].data.ravel(), image.ravel())[0, 1] for one in (given_data, done)
        )
        assert after > before + 0.1


def test_a_recorded_series_is_prepared(data_folder):
    """The published HAADF and aluminium: the empty columns go, the mass stays, counts stay counts."""
    names = ("HAADF_lrsino", "Al_EDXsino")
    given_data = read([data_folder / "phantom" / f"{name}.mrc" for name in names])
    steps = [HotPixels(), DropTilts(largest_deg=90), SortTilts(), Crop(x=(65, 368)), Brightness()]
    done = prepare(given_data, steps)
    haadf, al = done
    assert haadf.shape == al.shape == (19, 60, 303)
    assert (np.diff(al.tilts_deg) > 0).all()
    assert al.kind == "counts"
    raw = given_data.series[1].data[:19, :, 65:368][::-1]
    np.testing.assert_array_equal(al.data, raw)
    assert al.gains == pytest.approx(raw.sum(axis=(1, 2)) / raw.sum(axis=(1, 2)).mean())
    means = haadf.data.mean(axis=(1, 2), dtype=float)
    assert np.ptp(means) < 1e-4 * means.mean()


def test_steps_may_be_written_as_in_a_recipe(dataset):
    written = prepare(dataset, [{"operation": "bin", "factor": 2}, SortTilts()])
    expected = prepare(dataset, [Bin(factor=2), SortTilts()])
    for one, other in zip(written, expected, strict=True):
        np.testing.assert_array_equal(one.values(), other.values())
        assert one.provenance == other.provenance
    with pytest.raises(ParameterError, match=r"step 2 \(bin\): factor: .*; found 0"):
        prepare(dataset, [{"operation": "sort_tilts"}, {"operation": "bin", "factor": 0}])
