"""``chemtomo prepare``: files in, cleaned files and a recipe out."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from chemtomo.io import read, write_dataset
from chemtomo.pipeline.recipes.saved_steps import load_operations
from chemtomo.preprocess.operations import Bin, Crop, DropTilts, HotPixels
from chemtomo.samples import phantom


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Four small tilt series in MRC files."""
    return [str(one) for one in write_dataset(phantom((8, 32), tilts=7), tmp_path_factory.mktemp("series"))]


def test_options_are_done_and_kept_as_a_recipe(run, files, tmp_path):
    recipe = tmp_path / "steps.toml"
    options = ["--hot-pixels", "--crop-x", "4:28", "--bin", "2", "--drop-tilts", "0,5:7"]
    status, out, _ = run("prepare", *files, "-o", tmp_path / "clean", *options, "--save-steps", recipe)
    assert status == 0
    assert f"Wrote {recipe}" in out
    before = read(files)
    done = read(sorted((tmp_path / "clean").glob("*.mrc")))
    assert all(one.shape == (4, 4, 12) for one in done)
    np.testing.assert_array_equal(done.series[0].tilts_deg, before.series[0].tilts_deg[1:5])
    al = before["Al"].data[1:5, :, 4:28].reshape(4, 4, 2, 12, 2).sum(axis=(2, 4))
    np.testing.assert_array_equal(done["Al"].data, al)
    steps = (HotPixels(), DropTilts(projections=(0, 5, 6)), Crop(x=(4, 28)), Bin(factor=2))
    assert load_operations(recipe) == steps

    again, _, _ = run("prepare", *files, "-o", tmp_path / "again", "--steps", recipe)
    assert again == 0
    for one in done:
        twin = read(tmp_path / "again" / f"{one.name}.mrc").series[0]
        np.testing.assert_array_equal(one.data, twin.data)


def test_bad_projections_are_found_and_none_is_dropped(run, files, tmp_path):
    haadf = read(files)["HAADF"]
    data = haadf.data.copy()
    data[3] = data[3] / 2
    (path,) = write_dataset(type(read(files))((haadf.replace(data=data),)), tmp_path)
    status, out, err = run("prepare", path, "--find-bad")
    assert status == 0, err
    (found,) = json.loads(out)["series"]
    assert found["proposed"] == [3]
    assert found["reasons"] == {"3": ["contrast"]}
    assert not list(tmp_path.glob("*.json.part"))


@pytest.mark.parametrize(
    ("options", "said", "expected"),
    [
        ([], "--output: found none", 2),
        (["-o", "{out}", "--crop-x", "9:3"], "found 9:3; expected 0 <= START < STOP", 2),
        (["-o", "{out}", "--crop-x", "0:99"], "detector columns 0:99 do not fit tilt series", 1),
        (["-o", "{out}", "--drop-tilts", "x"], "found 'x' among numbers", 2),
        (["-o", "{out}", "--steps", "{out}/none.toml"], "none.toml: cannot be read", 1),
    ],
)
def test_what_is_wrong_is_one_line_and_writes_nothing(run, files, tmp_path, options, said, expected):
    out = tmp_path / "out"
    status, _, err = run("prepare", *files, *(one.format(out=out) for one in options))
    assert (status, len(err.splitlines())) == (expected, 1)
    assert said in err
    assert not out.exists()


@pytest.mark.parametrize("layout", ["an image", "a stack", "as napari saves labels"])
def test_pixels_of_a_file_are_left_out(run, files, tmp_path, layout):
    shape = read(files).series[0].shape
    marked = np.zeros(shape, np.uint8)
    marked[:, 2:4, 5:9] = 3
    if layout != "an image":
        marked[1:] = 0
    written = {"an image": marked[0], "a stack": marked, "as napari saves labels": marked[:, np.newaxis]}
    mask, recipe = tmp_path / "mask.tif", tmp_path / "steps.toml"
    tifffile.imwrite(mask, written[layout])
    status, _, err = run(
        "prepare", *files, "-o", tmp_path / "clean.zarr", "--invalid", mask, "--mask-channels", "HAADF",
        "--bin", "2", "--save-steps", recipe,
    )  # fmt: skip
    assert status == 0, err
    done = read(tmp_path / "clean.zarr")
    expected = np.zeros(done["HAADF"].shape, bool)
    expected[: 7 if layout == "an image" else 1, 1:2, 2:5] = True
    np.testing.assert_array_equal(~np.asarray(done["HAADF"].valid), expected)
    assert done["Al"].valid is None
    again, _, err = run("prepare", *files, "-o", tmp_path / "again.zarr", "--steps", recipe)
    assert again == 0, err
    np.testing.assert_array_equal(~np.asarray(read(tmp_path / "again.zarr")["HAADF"].valid), expected)


def test_a_mask_that_does_not_fit_is_told(run, files, tmp_path):
    mask = tmp_path / "mask.tif"
    tifffile.imwrite(mask, np.ones((4, 5), np.uint8))
    status, _, err = run("prepare", *files, "-o", tmp_path / "clean.zarr", "--invalid", mask)
    assert status == 1
    assert "tilt series 'HAADF': found a mask of shape (4, 5); expected (tilt, y, x) = (7, 8, 32)" in err
    assert not (tmp_path / "clean.zarr").exists()


def test_what_was_prepared_before_is_taken_from_the_cache(run, files, tmp_path, monkeypatch):
    prepare = ["prepare", *files, "--hot-pixels", "--crop-x", "4:28", "--cache", tmp_path / "cache"]
    assert run(*prepare, "-o", tmp_path / "one.zarr")[0] == 0
    monkeypatch.setattr("chemtomo.pipeline.runner.prepare_job", None)  # nothing is prepared again
    status, _, err = run(*prepare, "-o", tmp_path / "two.zarr")
    assert status == 0, err
    for one, other in zip(read(tmp_path / "one.zarr"), read(tmp_path / "two.zarr"), strict=True):
        np.testing.assert_array_equal(one.data, other.data)
        assert one.provenance[:-1] == other.provenance[:-1]
    status, _, err = run(*prepare, "--bin", 2, "-o", tmp_path / "three.zarr")
    assert status == 1
